import type { GbdtRows, Gradients, Loss } from './objective.ts';

/** Gain of a grade: 2^grade - 1, as NDCG is usually defined for grades; for 0/1 labels it is the label. */
const gainOf = (grade: number): number => 2 ** grade - 1;

/** Queries without two different grades teach nothing; they count as perfectly ranked. */
const PERFECT_NDCG = 1;
/** Longer queries are sorted: rows that a tree moved far cost the square of their number. */
const INSERTED_MAX = 256;

export interface Lambdarank {
  /** Derivatives of the loss at `scores`, weights included. */
  gradients(scores: Float64Array, out: Gradients): void;
  readonly loss: Loss;
}

/**
 * LambdaMART (Burges 2010) with LightGBM's truncation and normalisation: pairs with at least one member among the first
 * `truncation`, weighted by the NDCG change of swapping them, and each query's lambdas scaled by log2(1 + sum) / sum, so that
 * long queries do not drown short ones.
 */
export function createLambdarank(rows: GbdtRows, truncation: number, weights: Float32Array | undefined): Lambdarank {
  const { labels } = rows;
  const sizes = rows.groups ?? Int32Array.of(rows.n);
  const sizeMax = sizes.reduce((most, size) => Math.max(most, size), 0);
  const discounts = Float64Array.from({ length: sizeMax }, (_, rank) => 1 / Math.log2(rank + 2));
  const inverseIdeal = idealDcgs(labels, sizes, truncation, discounts).map((ideal) => (ideal > 0 ? 1 / ideal : 0));
  const gains = Float64Array.from(labels, gainOf);
  const ranked = new Ranked(sizeMax);
  /** Rows, query by query, the best first, as they were ranked last: a tree moves few of them. */
  const order = Int32Array.from(labels, (_, row) => row);

  function gradients(scores: Float64Array, out: Gradients): void {
    let start = 0;
    for (let query = 0; query < sizes.length; query++) {
      const size = sizes[query]!;
      const mine = order.subarray(start, start + size);
      if (inverseIdeal[query]! > 0) {
        rank(mine, scores);
        ranked.load(mine, scores, gains);
        ranked.push(inverseIdeal[query]!, truncation, discounts);
      } else ranked.clear(size);
      ranked.store(mine, out);
      start += size;
    }
    if (weights) {
      for (let i = 0; i < weights.length; i++) {
        out.gradient[i]! *= weights[i]!;
        out.hessian[i]! *= weights[i]!;
      }
    }
  }

  function loss(scores: Float64Array): number {
    let sum = 0;
    let start = 0;
    for (let query = 0; query < sizes.length; query++) {
      const mine = order.subarray(start, start + sizes[query]!);
      rank(mine, scores);
      let dcg = 0;
      for (let place = 0; place < mine.length && place < truncation; place++) dcg += gains[mine[place]!]! * discounts[place]!;
      sum += inverseIdeal[query]! > 0 ? dcg * inverseIdeal[query]! : PERFECT_NDCG;
      start += sizes[query]!;
    }
    return -sum / sizes.length;
  }

  return { gradients, loss };
}

/** Orders rows by their scores, the best first, equals by their numbers; quick where they nearly are in order. */
function rank(order: Int32Array, scores: Float64Array): void {
  if (order.length > INSERTED_MAX) {
    order.sort((a, b) => scores[b]! - scores[a]! || a - b);
    return;
  }
  for (let i = 1; i < order.length; i++) {
    const row = order[i]!;
    const score = scores[row]!;
    let at = i;
    for (; at > 0; at--) {
      const above = order[at - 1]!;
      if (scores[above]! > score || (scores[above] === score && above < row)) break;
      order[at] = above;
    }
    order[at] = row;
  }
}

/** One query's rows by their places, side by side; used again for the next query. */
class Ranked {
  readonly #scores: Float64Array;
  readonly #gains: Float64Array;
  readonly #gradient: Float64Array;
  readonly #hessian: Float64Array;
  /** Places of the rows that are worth something. */
  readonly #wanted: Int32Array;
  #wantedCount = 0;
  #size = 0;

  constructor(sizeMax: number) {
    this.#scores = new Float64Array(sizeMax);
    this.#gains = new Float64Array(sizeMax);
    this.#gradient = new Float64Array(sizeMax);
    this.#hessian = new Float64Array(sizeMax);
    this.#wanted = new Int32Array(sizeMax);
  }

  clear(size: number): void {
    this.#size = size;
    this.#wantedCount = 0;
    this.#gradient.fill(0, 0, size);
    this.#hessian.fill(0, 0, size);
  }

  load(order: Int32Array, scores: Float64Array, gains: Float64Array): void {
    this.clear(order.length);
    for (let place = 0; place < order.length; place++) {
      const row = order[place]!;
      this.#scores[place] = scores[row]!;
      this.#gains[place] = gains[row]!;
      if (gains[row]! > 0) this.#wanted[this.#wantedCount++] = place;
    }
  }

  /** Adds the push of every pair of two grades. Most rows are worth nothing, and of these only pairs with the others are looked at. */
  push(inverseIdeal: number, truncation: number, discounts: Float64Array): void {
    const scores = this.#scores;
    const gains = this.#gains;
    const gradient = this.#gradient;
    const hessian = this.#hessian;
    const wanted = this.#wanted;
    const last = this.#size - 1;
    const spread = scores[0]! !== scores[last]!;
    let sum = 0;
    let behind = 0;
    for (let i = 0; i < last && i < truncation; i++) {
      while (behind < this.#wantedCount && wanted[behind]! <= i) behind++;
      const isWanted = gains[i]! > 0;
      const end = isWanted ? last + 1 : this.#wantedCount;
      for (let n = isWanted ? i + 1 : behind; n < end; n++) {
        const j = isWanted ? n : wanted[n]!;
        if (gains[i] === gains[j]) continue;
        const isFirstBetter = gains[i]! > gains[j]!;
        const better = isFirstBetter ? i : j;
        const worse = isFirstBetter ? j : i;
        const ahead = scores[better]! - scores[worse]!;
        let change = (gains[better]! - gains[worse]!) * Math.abs(discounts[i]! - discounts[j]!) * inverseIdeal;
        // Pairs that are already far apart need less of a push.
        if (spread) change /= 0.01 + Math.abs(ahead);
        const p = 1 / (1 + Math.exp(ahead));
        const lambda = p * change;
        const curvature = p * (1 - p) * change;
        gradient[better]! -= lambda;
        gradient[worse]! += lambda;
        hessian[better]! += curvature;
        hessian[worse]! += curvature;
        sum += 2 * lambda;
      }
    }
    if (sum <= 0) return;
    const scale = Math.log2(1 + sum) / sum;
    for (let place = 0; place <= last; place++) {
      gradient[place]! *= scale;
      hessian[place]! *= scale;
    }
  }

  store(order: Int32Array, { gradient, hessian }: Gradients): void {
    for (let place = 0; place < order.length; place++) {
      gradient[order[place]!] = this.#gradient[place]!;
      hessian[order[place]!] = this.#hessian[place]!;
    }
  }
}

function idealDcgs(labels: Float32Array, sizes: Int32Array, truncation: number, discounts: Float64Array): Float64Array {
  const ideal = new Float64Array(sizes.length);
  let start = 0;
  for (let query = 0; query < sizes.length; query++) {
    const grades = labels.slice(start, start + sizes[query]!).sort();
    for (let rank = 0; rank < grades.length && rank < truncation; rank++)
      ideal[query]! += gainOf(grades[grades.length - 1 - rank]!) * discounts[rank]!;
    start += sizes[query]!;
  }
  return ideal;
}

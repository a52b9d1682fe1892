import type { GbdtRows, Gradients, Loss } from './objective.ts';

/** Gain of a grade: 2^grade - 1, as NDCG is usually defined for grades; for 0/1 labels it is the label. */
const gainOf = (grade: number): number => 2 ** grade - 1;

/** Queries without two different grades teach nothing; they count as perfectly ranked. */
const PERFECT_NDCG = 1;

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

  function orderOf(scores: Float64Array, start: number, size: number): number[] {
    const order = Array.from({ length: size }, (_, i) => start + i);
    return order.sort((a, b) => scores[b]! - scores[a]! || a - b);
  }

  function gradients(scores: Float64Array, { gradient, hessian }: Gradients): void {
    gradient.fill(0);
    hessian.fill(0);
    let start = 0;
    for (let query = 0; query < sizes.length; query++) {
      const size = sizes[query]!;
      if (inverseIdeal[query]! > 0) {
        addQuery(orderOf(scores, start, size), scores, labels, inverseIdeal[query]!, truncation, discounts, gradient, hessian);
      }
      start += size;
    }
    if (weights) {
      for (let i = 0; i < weights.length; i++) {
        gradient[i]! *= weights[i]!;
        hessian[i]! *= weights[i]!;
      }
    }
  }

  function loss(scores: Float64Array): number {
    let sum = 0;
    let start = 0;
    for (let query = 0; query < sizes.length; query++) {
      const order = orderOf(scores, start, sizes[query]!);
      let dcg = 0;
      for (let rank = 0; rank < order.length && rank < truncation; rank++) dcg += gainOf(labels[order[rank]!]!) * discounts[rank]!;
      sum += inverseIdeal[query]! > 0 ? dcg * inverseIdeal[query]! : PERFECT_NDCG;
      start += sizes[query]!;
    }
    return -sum / sizes.length;
  }

  return { gradients, loss };
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

function addQuery(
  order: readonly number[],
  scores: Float64Array,
  labels: Float32Array,
  inverseIdeal: number,
  truncation: number,
  discounts: Float64Array,
  gradient: Float64Array,
  hessian: Float64Array,
): void {
  const last = order.length - 1;
  const spread = scores[order[0]!]! !== scores[order[last]!]!;
  let sum = 0;
  for (let i = 0; i < last && i < truncation; i++) {
    for (let j = i + 1; j <= last; j++) {
      const a = order[i]!;
      const b = order[j]!;
      if (labels[a] === labels[b]) continue;
      const [better, worse] = labels[a]! > labels[b]! ? [a, b] : [b, a];
      const ahead = scores[better]! - scores[worse]!;
      let change = (gainOf(labels[better]!) - gainOf(labels[worse]!)) * Math.abs(discounts[i]! - discounts[j]!) * inverseIdeal;
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
  for (const row of order) {
    gradient[row]! *= scale;
    hessian[row]! *= scale;
  }
}

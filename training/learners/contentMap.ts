import { cholesky, solveLower, solveLowerTransposed } from '../../scoring/cholesky.ts';
import type { ContentMap } from '../../scoring/recommend/item-fold-in-model.ts';
import { type FitOptions, requireParam } from './contract.ts';
import { sampleSorted, seededRandom } from './random.ts';

export interface ContentMapRows {
  /** Of each item, by what it is; undefined of one that says nothing of itself. */
  readonly vectors: readonly (Float32Array | undefined)[];
  readonly dimensions: number;
  /** Row-major items x width: what training learned of them. */
  readonly factors: Float32Array;
  readonly width: number;
}

/** Each strength of the ridge is tried on items that it did not see: vectors have length 1, so these reach from hardly any to nearly all of a small shop. */
const RIDGES = [0.3, 1, 3, 10, 30, 100, 300];
const FOLDS = 5;
/** Items learned from: the numbers of a map are few beside them, and adding up a million would take half a minute. */
const ITEMS_MAX = 50_000;
/** Below so many nothing can be said of items that are not among them. */
const ITEMS_MIN = 50;
/** What is less is as likely chance. */
const R2_MIN = 0.01;

/** What normal equations need of some items. */
interface Sums {
  count: number;
  /** Of the vectors with a 1 behind them, whole. */
  readonly gram: Float64Array;
  /** A row of products with the vectors for each factor. */
  readonly products: Float64Array;
  readonly sums: Float64Array;
  readonly squares: Float64Array;
}

/**
 * A linear map from content vectors to factors by ridge regression, its strength chosen by five-fold cross-validation over items. Undefined where
 * held-out items' factors are no better told by it than by their mean.
 */
export function fitContentMap(rows: ContentMapRows, { seed, progress }: FitOptions): ContentMap | undefined {
  const { vectors, dimensions, factors, width } = rows;
  requireParam(factors.length === vectors.length * width, `factors must hold ${vectors.length} x ${width} values, not ${factors.length}`);
  const random = seededRandom(seed);
  const known = vectors.flatMap((vector, item) => (vector ? [item] : []));
  const taken = Array.from(sampleSorted(random, known.length, ITEMS_MAX), (i) => known[i]!);
  if (taken.length < ITEMS_MIN) return undefined;
  const size = dimensions + 1;
  const folds = Array.from({ length: FOLDS }, () => emptySums(size, width));
  const row = new Float64Array(size).fill(1);
  taken.forEach((item, i) => {
    row.set(vectors[item]!);
    add(folds[random.int(FOLDS)]!, row, factors.subarray(item * width, (item + 1) * width));
    progress?.(i + 1, taken.length);
  });
  const all = folds.reduce((total, fold) => combined(total, fold, 1), emptySums(size, width));
  const variance = unexplained(all, undefined, size, width);
  const others = folds.map((fold) => combined(all, fold, -1));
  const explained = RIDGES.map(
    (ridge) => 1 - folds.reduce((sum, fold, i) => sum + unexplained(fold, solve(others[i]!, ridge, size, width), size, width), 0) / variance,
  );
  const best = explained.reduce((at, r2, i) => (r2 > explained[at]! ? i : at), 0);
  const r2 = explained[best]!;
  // No variance at all gives no number.
  return r2 >= R2_MIN ? { dimensions, weights: Float32Array.from(solve(all, RIDGES[best]!, size, width)), r2 } : undefined;
}

function emptySums(size: number, width: number): Sums {
  return {
    count: 0,
    gram: new Float64Array(size * size),
    products: new Float64Array(width * size),
    sums: new Float64Array(width),
    squares: new Float64Array(width),
  };
}

function add(to: Sums, row: Float64Array, target: Float32Array): void {
  const size = row.length;
  to.count++;
  for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) to.gram[i * size + j]! += row[i]! * row[j]!;
  for (let k = 0; k < target.length; k++) {
    const value = target[k]!;
    to.sums[k]! += value;
    to.squares[k]! += value * value;
    for (let i = 0; i < size; i++) to.products[k * size + i]! += value * row[i]!;
  }
}

function combined(a: Sums, b: Sums, sign: 1 | -1): Sums {
  const of = (x: Float64Array, y: Float64Array) => x.map((value, i) => value + sign * y[i]!);
  return {
    count: a.count + sign * b.count,
    gram: of(a.gram, b.gram),
    products: of(a.products, b.products),
    sums: of(a.sums, b.sums),
    squares: of(a.squares, b.squares),
  };
}

/** Row by factor; the constant, last, is not shrunk. */
function solve({ gram, products }: Sums, ridge: number, size: number, width: number): Float64Array {
  const system = gram.slice();
  for (let i = 0; i < size - 1; i++) system[i * size + i]! += ridge;
  cholesky(system, size);
  const weights = products.slice();
  for (let k = 0; k < width; k++) {
    const one = weights.subarray(k * size, (k + 1) * size);
    solveLower(system, one);
    solveLowerTransposed(system, one);
  }
  return weights;
}

/** Squares that the weights leave of all factors; without weights, that their means do. */
function unexplained({ count, gram, products, sums, squares }: Sums, weights: Float64Array | undefined, size: number, width: number): number {
  let left = 0;
  for (let k = 0; k < width; k++) {
    left += squares[k]!;
    if (!weights) left -= sums[k]! ** 2 / count;
    for (let i = 0; weights && i < size; i++) {
      const weight = weights[k * size + i]!;
      left -= 2 * weight * products[k * size + i]!;
      for (let j = 0; j < size; j++) left += weight * weights[k * size + j]! * gram[i * size + j]!;
    }
  }
  return left;
}

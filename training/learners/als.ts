import { cholesky, solveLower, solveLowerTransposed } from './cholesky.ts';
import { type FitOptions, requireData, requireParam } from './contract.ts';
import { seededRandom } from './random.ts';
import { checkSparse, type SparseRows, transpose } from './sparse.ts';

/** What users did with items, a row for each user. A value is the strength of the meeting: the confidence is 1 + alpha * value. */
export interface AlsRows extends SparseRows {
  readonly users: number;
  readonly items: number;
}

/** Named as in the `implicit` library. */
export interface AlsParams {
  factors: number;
  regularization: number;
  alpha: number;
  iterations: number;
  /** Conjugate gradient steps for each user and item; each starts from the factors of the iteration before, so few are enough. */
  cgSteps: number;
}

export interface AlsModel {
  /** Row-major users x factors: the best answer to the final `itemFactors`, which is what a fold-in gives online. Zero where a user met nothing. */
  readonly userFactors: Float32Array;
  /** Row-major items x factors. */
  readonly itemFactors: Float32Array;
  readonly factors: number;
}

export const ALS_DEFAULTS: AlsParams = { factors: 64, regularization: 0.05, alpha: 1, iterations: 15, cgSteps: 3 };

/** A Gram matrix of this size takes 8 MB; recommenders use 16 to 256. */
const FACTORS_MAX = 1024;
/** Size of the random factors at the start: small, so that the first half-step decides, as in `implicit`. */
const START_SCALE = 0.01;

/**
 * Implicit-feedback matrix factorisation (Hu, Koren, Volinsky 2008): alternates between items and users, each solved by conjugate
 * gradient (Takács, Pilászy, Tikk 2011). Throws `training_data_insufficient` without a meeting or with a bad value.
 */
export function fitAls(rows: AlsRows, given: Partial<AlsParams>, options: FitOptions): AlsModel {
  const params = completeParams(given);
  checkSparse(rows.users, rows.items, rows);
  requireData(rows.indices.length > 0, 'no user met an item');
  const { factors, iterations } = params;
  const random = seededRandom(options.seed);
  const start = (count: number) => Float32Array.from({ length: count * factors }, () => START_SCALE * random.normal());
  const userFactors = start(rows.users);
  const itemFactors = start(rows.items);
  const byItem = transpose(rows.users, rows.items, rows);
  for (let iteration = 0; iteration < iterations; iteration++) {
    halfStep(byItem, userFactors, itemFactors, params);
    halfStep(rows, itemFactors, userFactors, params);
    options.progress?.(iteration + 1, iterations);
  }
  return { userFactors, itemFactors, factors };
}

/** Gram matrix of row-major factors: factors x factors, row-major, symmetric. */
export function gram(rows: Float32Array, factors: number): Float64Array {
  requireParam(rows.length % factors === 0, `rows must hold a multiple of ${factors} values, not ${rows.length}`);
  const out = new Float64Array(factors * factors);
  for (let offset = 0; offset < rows.length; offset += factors) {
    for (let i = 0; i < factors; i++) {
      const x = rows[offset + i]!;
      const at = i * factors;
      for (let j = i; j < factors; j++) out[at + j]! += x * rows[offset + j]!;
    }
  }
  for (let i = 0; i < factors; i++) for (let j = 0; j < i; j++) out[i * factors + j] = out[j * factors + i]!;
  return out;
}

/**
 * The user who met `items` (row-major n x factors), solved directly (Cholesky) in float64: the reference for the ONNX user tower.
 * `confidence[i]` is alpha * value of item i; `itemGram` is `gram` of all item factors.
 */
export function foldIn(itemGram: Float64Array, items: Float32Array, confidence: Float32Array, regularization: number): Float64Array {
  const factors = Math.sqrt(itemGram.length);
  requireParam(Number.isInteger(factors) && items.length === confidence.length * factors, `items must hold ${confidence.length} x ${factors} values`);
  const matrix = itemGram.slice();
  const user = new Float64Array(factors);
  for (let i = 0; i < factors; i++) matrix[i * factors + i]! += regularization;
  confidence.forEach((extra, item) => {
    const row = items.subarray(item * factors, (item + 1) * factors);
    for (let i = 0; i < factors; i++) {
      user[i]! += (1 + extra) * row[i]!;
      for (let j = 0; j < factors; j++) matrix[i * factors + j]! += extra * row[i]! * row[j]!;
    }
  });
  cholesky(matrix, factors);
  solveLower(matrix, user);
  solveLowerTransposed(matrix, user);
  return user;
}

/** Solves every row of `target` while `fixed` stays. */
function halfStep({ indptr, indices, values }: SparseRows, fixed: Float32Array, target: Float32Array, params: AlsParams): void {
  const { factors, regularization, alpha, cgSteps } = params;
  const shared = gram(fixed, factors);
  for (let i = 0; i < factors; i++) shared[i * factors + i]! += regularization;
  const x = new Float64Array(factors);
  const residual = new Float64Array(factors);
  const direction = new Float64Array(factors);
  const product = new Float64Array(factors);

  /** out = (shared + the sum of alpha value y y' over the row) v. */
  const multiply = (v: Float64Array, out: Float64Array, from: number, to: number): void => {
    for (let i = 0; i < factors; i++) out[i] = dot(shared, i * factors, v, factors);
    for (let at = from; at < to; at++) {
      const offset = indices[at]! * factors;
      addScaled(out, fixed, offset, alpha * values[at]! * dot(fixed, offset, v, factors), factors);
    }
  };

  for (let row = 0; row + 1 < indptr.length; row++) {
    const from = indptr[row]!;
    const to = indptr[row + 1]!;
    const offset = row * factors;
    if (from === to) {
      target.fill(0, offset, offset + factors);
      continue;
    }
    for (let i = 0; i < factors; i++) x[i] = target[offset + i]!;
    multiply(x, product, from, to);
    for (let i = 0; i < factors; i++) residual[i] = -product[i]!;
    for (let at = from; at < to; at++) addScaled(residual, fixed, indices[at]! * factors, 1 + alpha * values[at]!, factors);
    direction.set(residual);
    let size = dot(residual, 0, residual, factors);
    const smallEnough = size * RESIDUAL_SHARE;
    for (let step = 0; step < cgSteps && size > smallEnough; step++) {
      multiply(direction, product, from, to);
      const length = size / dot(direction, 0, product, factors);
      for (let i = 0; i < factors; i++) {
        x[i]! += length * direction[i]!;
        residual[i]! -= length * product[i]!;
      }
      const before = size;
      size = dot(residual, 0, residual, factors);
      const keep = size / before;
      for (let i = 0; i < factors; i++) direction[i] = residual[i]! + keep * direction[i]!;
    }
    target.set(x, offset);
  }
}

/** A squared residual that fell so far is below what float32 factors can hold. */
const RESIDUAL_SHARE = 1e-20;

/** Four sums at once: the additions of one would wait for each other. */
function dot(a: Float32Array | Float64Array, offset: number, v: Float64Array, n: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const even = n & ~3;
  for (let i = 0; i < even; i += 4) {
    s0 += a[offset + i]! * v[i]!;
    s1 += a[offset + i + 1]! * v[i + 1]!;
    s2 += a[offset + i + 2]! * v[i + 2]!;
    s3 += a[offset + i + 3]! * v[i + 3]!;
  }
  for (let i = even; i < n; i++) s0 += a[offset + i]! * v[i]!;
  return s0 + s1 + (s2 + s3);
}

function addScaled(out: Float64Array, rows: Float32Array, offset: number, scale: number, n: number): void {
  for (let i = 0; i < n; i++) out[i]! += scale * rows[offset + i]!;
}

function completeParams(given: Partial<AlsParams>): AlsParams {
  const params = { ...ALS_DEFAULTS, ...given };
  const { factors, regularization, alpha, iterations, cgSteps } = params;
  requireParam(Number.isInteger(factors) && factors >= 1 && factors <= FACTORS_MAX, `factors must be 1 to ${FACTORS_MAX}, not ${factors}`);
  // Without regularisation a catalogue with fewer items than factors has no single solution.
  requireParam(Number.isFinite(regularization) && regularization > 0, `regularization must be positive, not ${regularization}`);
  requireParam(Number.isFinite(alpha) && alpha > 0, `alpha must be positive, not ${alpha}`);
  requireParam(Number.isInteger(iterations) && iterations >= 1, `iterations must be 1 or more, not ${iterations}`);
  requireParam(Number.isInteger(cgSteps) && cgSteps >= 1, `cgSteps must be 1 or more, not ${cgSteps}`);
  return params;
}

import { cholesky, solveLower, solveLowerTransposed } from '../../scoring/cholesky.ts';
import { createSolver } from './als/solver.ts';
import { type FitOptions, requireData, requireParam } from './contract.ts';
import { seededRandom } from './random.ts';
import { checkSparse, requireTable, type SparseRows } from './sparse.ts';
import { defaultThreads } from './threads/team.ts';

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

/** alpha * value beyond this leaves nothing of the other terms in float32. */
const CONFIDENCE_MAX = 1e6;
/** Fewer multiplications a pass are done by one thread: starting another takes longer than it saves. The factors are the same. */
const THREADED_PRODUCTS_MIN = 2_000_000;

export interface AlsOptions extends FitOptions {
  /** Threads that solve, this one included; 2 by default, one on small data. Any number gives the same factors, bit for bit. */
  readonly threads?: number;
}

/**
 * Implicit-feedback matrix factorisation (Hu, Koren, Volinsky 2008): alternates between items and users, each solved by conjugate gradient
 * (Takács, Pilászy, Tikk 2011) in float32, as in `implicit`. Throws `training_data_insufficient` without a meeting or with a bad value,
 * `training_data_too_large` beyond 4 GiB (16 bytes a meeting) or where one table of factors would hold over `TABLE_VALUES_MAX` values.
 */
export async function fitAls(rows: AlsRows, given: Partial<AlsParams>, options: AlsOptions): Promise<AlsModel> {
  const params = completeParams(given);
  checkSparse(rows.users, rows.items, rows);
  requireData(rows.indices.length > 0, 'no user met an item');
  const { factors, iterations, alpha } = params;
  requireTable(rows.users, factors, 'users');
  requireTable(rows.items, factors, 'items');
  const strongest = rows.values.reduce((most, value) => Math.max(most, value), 0);
  requireData(alpha * strongest <= CONFIDENCE_MAX, `alpha times the value ${strongest} is over ${CONFIDENCE_MAX}`);
  const threads = options.threads ?? (rows.indices.length * factors < THREADED_PRODUCTS_MIN ? 1 : defaultThreads());
  const random = seededRandom(options.seed);
  const solver = await createSolver(rows, { ...params, threads }, () => START_SCALE * random.normal());
  try {
    for (let iteration = 0; iteration < iterations; iteration++) {
      await solver.solve('items');
      await solver.solve('users');
      options.progress?.(iteration + 1, iterations);
    }
    return { userFactors: solver.factorsOf('users'), itemFactors: solver.factorsOf('items'), factors };
  } finally {
    await solver.stop();
  }
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

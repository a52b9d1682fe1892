import { requireData } from '../contract.ts';
import type { SharedMemory } from '../threads/arena.ts';
import { chunksOf } from './kernel.ts';
import type { Regions } from './layout.ts';
import type { GbdtParams } from './params.ts';
import { createRowLoss, createRowObjective } from './rowObjective.ts';
import type { Units } from './search.ts';
import type { Team } from './team.ts';

export interface GbdtRows {
  /** Row-major n x f; NaN is missing. Infinite values are ordinary values at the ends. */
  readonly rows: Float32Array;
  readonly n: number;
  readonly f: number;
  /** binary: 0 or 1. regression and quantile: any finite. poisson: 0 or more. lambdarank: relevance grades 0..31. */
  readonly labels: Float32Array;
  /** One a row, 0 or more. */
  readonly weights?: Float32Array;
  /** One a row: added to its score while learning and no part of the model (LightGBM's init_score), for what is known of the row and will not be asked. */
  readonly offsets?: Float32Array;
  /** lambdarank: sizes of the queries, in order; rows of a query lie together, the sizes sum to n. */
  readonly groups?: Int32Array;
}

export interface Gradients {
  readonly gradient: Float64Array;
  readonly hessian: Float64Array;
}

export interface Objective {
  /** Margin before the first tree. */
  readonly base: number;
  /** Fills the shared gradient pairs with the derivatives of the loss at the shared scores, weights included; answers their units. */
  gradients(): Units;
  /** The value of a leaf before the learning rate, from the rows that grew it; absent: one step of Newton's method, from the sums. */
  leafValue?: LeafValue;
}

export type LeafValue = (rows: Uint32Array) => number;

/** What early stopping watches on validation rows; smaller is better. */
export type Loss = (scores: Float64Array) => number;

/** The largest gradient or hessian takes 30 of the 31 bits, so that rounding never overflows and 2^32 of them sum in 64 bits. */
const UNITS_MAX = 2 ** 30;
/** Steps of one row's gradient, in rows added to a histogram. */
const GRADIENT_STEPS = 8;

/** The weights that training really uses: `weights` times scalePosWeight; undefined when all are 1. */
export function effectiveWeights(rows: GbdtRows, params: GbdtParams): Float32Array | undefined {
  if (params.objective !== 'binary' || params.scalePosWeight === 1) return rows.weights;
  const weights = rows.weights ? rows.weights.slice() : new Float32Array(rows.n).fill(1);
  for (let i = 0; i < rows.n; i++) if (rows.labels[i]! > 0) weights[i]! *= params.scalePosWeight;
  return weights;
}

export function createObjective(
  rows: GbdtRows,
  params: GbdtParams,
  weights: Float32Array | undefined,
  at: Regions,
  shared: SharedMemory,
  team: Team,
): Objective {
  const { n, labels } = rows;
  const weightMax = weights ? maxAbs(weights) : 1;
  const byRow = createRowObjective(rows, params, weights);
  if (byRow) {
    const own = createOwnGradients(n, at, shared, team);
    const scores = shared.f64(at.scores, n);
    return {
      base: byRow.base,
      gradients() {
        byRow.gradients(scores, own.by);
        return own.quantise();
      },
      ...(byRow.leafValue && { leafValue: (leafRows) => byRow.leafValue!(scores, leafRows) }),
    };
  }
  const args = [at.scores, at.labels, at.weights, at.pairs, n, at.scales];
  if (params.objective === 'binary') {
    const share = weightedMean(labels, weights);
    requireData(share > 0 && share < 1, 'all labels are of one class');
    return {
      base: Math.log(share / (1 - share)),
      gradients() {
        const units = writeScales(shared, at, weightMax, weightMax / 4);
        team.run('binaryGradients', chunksOf(n), GRADIENT_STEPS * n, args);
        return units;
      },
    };
  }
  return {
    base: weightedMean(labels, weights),
    gradients() {
      const chunks = chunksOf(n);
      team.run('residualMax', chunks, 2 * n, [at.scores, at.labels, at.weights, n, at.chunkSums]);
      const units = writeScales(shared, at, maxAbs(shared.f64(at.chunkSums, chunks)), weightMax);
      team.run('squaredGradients', chunks, GRADIENT_STEPS * n, args);
      return units;
    },
  };
}

/** Gradients that TypeScript computes: `by` is filled by the caller, `quantise` makes the shared pairs of them. */
export function createOwnGradients(n: number, at: Regions, shared: SharedMemory, team: Team): { by: Gradients; quantise(): Units } {
  const by = { gradient: shared.f64(at.gradients, n), hessian: shared.f64(at.hessians, n) };
  return {
    by,
    quantise() {
      const units = writeScales(shared, at, maxAbs(by.gradient), maxAbs(by.hessian));
      team.run('quantise', chunksOf(n), GRADIENT_STEPS * n, [at.gradients, at.hessians, at.pairs, n, at.scales]);
      return units;
    },
  };
}

/** Powers of two: scaling by them never rounds. */
function writeScales(shared: SharedMemory, at: Regions, gradientMax: number, hessianMax: number): Units {
  const scaleOf = (most: number) => (most > 0 ? 2 ** Math.floor(Math.log2(UNITS_MAX / most)) : 1);
  const [gradient, hessian] = [scaleOf(gradientMax), scaleOf(hessianMax)];
  shared.f64(at.scales, 2).set([gradient, hessian]);
  return { gradient: 1 / gradient, hessian: 1 / hessian };
}

function maxAbs(values: Float32Array | Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

export function createLoss(rows: GbdtRows, params: GbdtParams): Loss {
  return createRowLoss(rows, params, effectiveWeights(rows, params));
}

function weightedMean(labels: Float32Array, weights: Float32Array | undefined): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < labels.length; i++) {
    const weight = weights ? weights[i]! : 1;
    sum += weight * labels[i]!;
    total += weight;
  }
  return sum / total;
}

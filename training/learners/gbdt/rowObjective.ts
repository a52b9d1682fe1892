import { requireData } from '../contract.ts';
import { createLambdarank } from './lambdarank.ts';
import type { GbdtRows, Gradients, Loss } from './objective.ts';
import type { GbdtObjective, GbdtParams } from './params.ts';

/** An objective whose derivatives TypeScript computes; the kernel knows the others. */
export interface RowObjective {
  /** Margin before the first tree. */
  readonly base: number;
  /** Fills `into` with the derivatives of the loss at the scores, weights included. */
  gradients(scores: Float64Array, into: Gradients): void;
  /** The best step for the rows of a leaf, where one step of Newton's method says little of it. */
  leafValue?(scores: Float64Array, rows: Uint32Array): number;
}

/** As LightGBM's poisson_max_delta_step: a larger second derivative, so that a leaf of zeros does not send the mean to nothing in one step. */
const POISSON_MAX_DELTA_STEP = 0.7;

export const hasRowGradients = (objective: GbdtObjective): boolean => objective !== 'binary' && objective !== 'regression';

/** Undefined for the objectives that the kernel knows. Throws `training_data_insufficient` where all counts are zero. */
export function createRowObjective(rows: GbdtRows, params: GbdtParams, weights: Float32Array | undefined): RowObjective | undefined {
  if (params.objective === 'lambdarank') return { base: 0, gradients: createLambdarank(rows, params.ndcgTruncation, weights).gradients };
  if (params.objective === 'poisson') return poisson(rows.labels, weights);
  if (params.objective === 'quantile') return quantile(rows.labels, weights, params.alpha);
  return undefined;
}

function poisson(labels: Float32Array, weights: Float32Array | undefined): RowObjective {
  let [sum, total] = [0, 0];
  for (let row = 0; row < labels.length; row++) {
    const weight = weights ? weights[row]! : 1;
    sum += weight * labels[row]!;
    total += weight;
  }
  requireData(sum > 0, 'all counts are zero');
  return {
    base: Math.log(sum / total),
    gradients(scores, { gradient, hessian }) {
      for (let row = 0; row < labels.length; row++) {
        const weight = weights ? weights[row]! : 1;
        gradient[row] = weight * (Math.exp(scores[row]!) - labels[row]!);
        hessian[row] = weight * Math.exp(scores[row]! + POISSON_MAX_DELTA_STEP);
      }
    },
  };
}

/** The gradients say on which side of a row its score is, which is enough to find splits; the leaf is then the quantile of what is left over. */
function quantile(labels: Float32Array, weights: Float32Array | undefined, alpha: number): RowObjective {
  return {
    base: quantileOf(Float64Array.from(labels), weights, alpha),
    gradients(scores, { gradient, hessian }) {
      for (let row = 0; row < labels.length; row++) {
        const weight = weights ? weights[row]! : 1;
        gradient[row] = weight * (scores[row]! >= labels[row]! ? 1 - alpha : -alpha);
        hessian[row] = weight;
      }
    },
    leafValue(scores, rows) {
      const left = Float64Array.from(rows, (row) => labels[row]! - scores[row]!);
      return quantileOf(left, weights && Float32Array.from(rows, (row) => weights[row]!), alpha);
    },
  };
}

/** The smallest value that a share `alpha` of the weight is at or below, which minimises the pinball loss; 0 where nothing weighs anything. Sorts `values`. */
export function quantileOf(values: Float64Array, weights: Float32Array | undefined, alpha: number): number {
  if (!weights) return values.sort()[Math.max(0, Math.ceil(alpha * values.length) - 1)] ?? 0;
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]! || a - b);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let below = 0;
  for (const at of order) {
    below += weights[at]!;
    if (weights[at]! > 0 && below >= alpha * total) return values[at]!;
  }
  return 0;
}

/** The loss of a row at its score; the second is its label. */
const ROW_LOSSES: Readonly<Record<Exclude<GbdtObjective, 'lambdarank'>, (score: number, label: number, alpha: number) => number>> = {
  // log(1 + e^-z) without overflow, z being the margin towards the true class.
  binary: (score, label) => {
    const z = label > 0 ? score : -score;
    return Math.max(0, -z) + Math.log1p(Math.exp(-Math.abs(z)));
  },
  regression: (score, label) => (score - label) * (score - label),
  poisson: (score, label) => Math.exp(score) - label * score,
  quantile: (score, label, alpha) => (label >= score ? alpha * (label - score) : (1 - alpha) * (score - label)),
};

/** The weighted mean loss, or for ranking its NDCG, negated. */
export function createRowLoss(rows: GbdtRows, params: GbdtParams, weights: Float32Array | undefined): Loss {
  if (params.objective === 'lambdarank') return createLambdarank(rows, params.ndcgTruncation, weights).loss;
  const { labels, n } = rows;
  const loss = ROW_LOSSES[params.objective];
  return (scores) => {
    let sum = 0;
    let total = 0;
    for (let i = 0; i < n; i++) {
      const weight = weights ? weights[i]! : 1;
      sum += weight * loss(scores[i]!, labels[i]!, params.alpha);
      total += weight;
    }
    return sum / total;
  };
}

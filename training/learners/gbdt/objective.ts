import { requireData } from '../contract.ts';
import type { Gradients } from './grow.ts';
import { createLambdarank } from './lambdarank.ts';
import type { GbdtParams } from './params.ts';

export interface GbdtRows {
  /** Row-major n x f; NaN is missing. Infinite values are ordinary values at the ends. */
  readonly rows: Float32Array;
  readonly n: number;
  readonly f: number;
  /** binary: 0 or 1. regression: any finite. lambdarank: relevance grades 0..31. */
  readonly labels: Float32Array;
  /** One a row, 0 or more. */
  readonly weights?: Float32Array;
  /** lambdarank: sizes of the queries, in order; rows of a query lie together, the sizes sum to n. */
  readonly groups?: Int32Array;
}

export interface Objective {
  /** Margin before the first tree. */
  readonly base: number;
  /** Derivatives of the loss at `scores`, weights included. */
  gradients(scores: Float64Array, out: Gradients): void;
}

/** What early stopping watches on validation rows; smaller is better. */
export type Loss = (scores: Float64Array) => number;

/** The weights that training really uses: `weights` times scalePosWeight; undefined when all are 1. */
export function effectiveWeights(rows: GbdtRows, params: GbdtParams): Float32Array | undefined {
  if (params.objective !== 'binary' || params.scalePosWeight === 1) return rows.weights;
  const weights = rows.weights ? rows.weights.slice() : new Float32Array(rows.n).fill(1);
  for (let i = 0; i < rows.n; i++) if (rows.labels[i]! > 0) weights[i]! *= params.scalePosWeight;
  return weights;
}

export function createObjective(rows: GbdtRows, params: GbdtParams, weights: Float32Array | undefined): Objective {
  if (params.objective === 'lambdarank') return createLambdarank(rows, params.ndcgTruncation, weights);
  return params.objective === 'binary' ? binary(rows, weights) : regression(rows, weights);
}

export function createLoss(rows: GbdtRows, params: GbdtParams): Loss {
  const weights = effectiveWeights(rows, params);
  if (params.objective === 'lambdarank') return createLambdarank(rows, params.ndcgTruncation, weights).loss;
  const { labels, n } = rows;
  const loss =
    params.objective === 'binary'
      ? // log(1 + e^-z) without overflow, z being the margin towards the true class.
        (score: number, label: number) => {
          const z = label > 0 ? score : -score;
          return Math.max(0, -z) + Math.log1p(Math.exp(-Math.abs(z)));
        }
      : (score: number, label: number) => (score - label) * (score - label);
  return (scores) => {
    let sum = 0;
    let total = 0;
    for (let i = 0; i < n; i++) {
      const weight = weights ? weights[i]! : 1;
      sum += weight * loss(scores[i]!, labels[i]!);
      total += weight;
    }
    return sum / total;
  };
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

function binary(rows: GbdtRows, weights: Float32Array | undefined): Objective {
  const { labels, n } = rows;
  const share = weightedMean(labels, weights);
  requireData(share > 0 && share < 1, 'all labels are of one class');
  return {
    base: Math.log(share / (1 - share)),
    gradients(scores, { gradient, hessian }) {
      for (let i = 0; i < n; i++) {
        const p = 1 / (1 + Math.exp(-scores[i]!));
        const weight = weights ? weights[i]! : 1;
        gradient[i] = weight * (p - labels[i]!);
        hessian[i] = weight * p * (1 - p);
      }
    },
  };
}

function regression(rows: GbdtRows, weights: Float32Array | undefined): Objective {
  const { labels, n } = rows;
  return {
    base: weightedMean(labels, weights),
    gradients(scores, { gradient, hessian }) {
      for (let i = 0; i < n; i++) {
        const weight = weights ? weights[i]! : 1;
        gradient[i] = weight * (scores[i]! - labels[i]!);
        hessian[i] = weight;
      }
    },
  };
}

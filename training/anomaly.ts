import type { AnomalyScale } from '../contracts/bundle.ts';
import { rocAuc } from './evaluation/metrics.ts';
import { cutOf } from './fraud.ts';
import type { FraudRows } from './fraud-rows.ts';
import {
  fitIsolationForest,
  ISOLATION_DEFAULTS,
  type IsolationModel,
  type IsolationParams,
  isolationScores,
} from './learners/anomaly/isolationForest.ts';
import type { Progress } from './learners/contract.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import { seededRandom } from './learners/random.ts';

/** Of fewer, each tree would see half of all, and a share would be one of under a hundred measured payments. */
const PAYMENTS_MIN = 500;
/** Shares at which the scale has a knot, the closer the stranger: rules ask for one in a hundred, a thousand, ten thousand. */
const SHARES = [0, 0.9, 0.99, 0.999].flatMap((from, i) => {
  const [steps, width] = i === 0 ? [90, 0.9] : [9, (1 - from) * 0.9];
  return Array.from({ length: steps }, (_, step) => from + (step / steps) * width);
});

export interface FittedAnomaly {
  readonly model: IsolationModel;
  readonly params: IsolationParams;
  /** Of the payments that the fraud model is measured on. */
  readonly scale: AnomalyScale;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * An isolation forest over the payments of the fraud window. It never sees an outcome, so it can find what no fraud was before; the outcomes of the newer
 * payments only say afterwards how well it tells frauds (`anomaly_auc`). A string says why there is none.
 */
export function fitAnomaly(rows: FraudRows, seed: number, progress: Progress): FittedAnomaly | string {
  if (rows.count < PAYMENTS_MIN) return `${rows.count} payments, ${PAYMENTS_MIN} are needed`;
  const all = rows.slice(0, rows.count);
  const model = fitIsolationForest({ values: asTheyCome(all, seed), columns: all.f }, {}, { seed, progress });
  const newer = rows.slice(cutOf(rows), rows.count);
  const scores = isolationScores(model, newer.rows);
  return { model, params: ISOLATION_DEFAULTS, scale: scaleOf(scores, newer.weights), metrics: { anomaly_auc: rocAuc(scores, newer.labels) } };
}

/** Where honest payments were left out, as large a share of the others is left out too: among too many frauds none would be strange. */
function asTheyCome({ rows, n, f, weights }: GbdtRows, seed: number): Float32Array {
  if (!weights) return rows;
  const most = weights.reduce((max, weight) => Math.max(max, weight), 0);
  const random = seededRandom(seed);
  const kept = new Float32Array(n * f);
  let count = 0;
  for (let row = 0; row < n; row++) {
    if (random.next() * most < weights[row]!) kept.set(rows.subarray(row * f, (row + 1) * f), count++ * f);
  }
  return kept.subarray(0, count * f);
}

/** Which share of the rows, each with its weight, scored less: knots at `SHARES` and at the highest score. */
export function scaleOf(scores: Float32Array, weights?: ArrayLike<number>): AnomalyScale {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const total = weights ? Array.from(weights).reduce((sum, weight) => sum + weight, 0) : scores.length;
  const knots: AnomalyScale = { scores: [], shares: [] };
  let [below, next] = [0, 0];
  for (let at = 0; at < order.length; ) {
    const score = scores[order[at]!]!;
    let [end, weight] = [at, 0];
    for (; end < order.length && scores[order[end]!] === score; end++) weight += weights ? weights[order[end]!]! : 1;
    const share = below / total;
    if (end === order.length || (next < SHARES.length && share >= SHARES[next]!)) {
      knots.scores.push(score);
      knots.shares.push(share);
      while (next < SHARES.length && SHARES[next]! <= share) next++;
    }
    below += weight;
    at = end;
  }
  return knots;
}

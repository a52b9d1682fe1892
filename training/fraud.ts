import type { Calibration, RiskThresholds } from '../contracts/bundle.ts';
import { calibrator } from '../scoring/models/calibration.ts';
import { type DriftReference, referenceOf } from '../scoring/risk/drift.ts';
import { decisionsOfRules, savingBesideRules } from './beside-rules.ts';
import { BLOCKS, blockEnds, crossFitted } from './cold-start.ts';
import { RISK_COSTS, type RiskCosts, thresholdsOfActions } from './evaluation/action-thresholds.ts';
import { fitPlatt } from './evaluation/calibration.ts';
import { averagePrecision, calibrationBins, precisionRecallCurve, rocAuc, rocCurve } from './evaluation/metrics.ts';
import type { FraudRows } from './fraud-rows.ts';
import type { Progress } from './learners/contract.ts';
import { fitAveraged } from './learners/gbdt/average.ts';
import type { GbdtModel } from './learners/gbdt/fit.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import { GBDT_DEFAULTS, type GbdtParams } from './learners/gbdt/params.ts';
import { predict } from './learners/gbdt/predict.ts';
import { importanceOf } from './ranker.ts';
import type { ModelReport } from './report/input.ts';

/**
 * Chosen on validation weeks of card payments before the test week (docs/features.md). Of each of the members: four of 100 trees rank payments as two of
 * 300 do, and cost less.
 */
const FRAUD_PARAMS: Partial<GbdtParams> = {
  objective: 'binary',
  numIterations: 100,
  learningRate: 0.1,
  numLeaves: 15,
  minDataInLeaf: 40,
  lambdaL2: 1,
  featureFraction: 0.4,
  baggingFraction: 0.8,
};
const MEMBERS = 4;

/** The model of payments: several boosted ones as one. Throws what `fitGbdt` throws. */
export function fitFraudTrees(rows: GbdtRows, seed: number, progress?: Progress): Promise<GbdtModel> {
  return fitAveraged(rows, FRAUD_PARAMS, MEMBERS, { seed, ...(progress && { progress }) });
}

/** The cut in time leaves this share of the frauds for measure and calibration, and between so many of the payments: frauds come in waves. */
const MEASURED_FRAUDS_SHARE = 0.3;
const MEASURED_SHARE_MIN = 0.15;
const MEASURED_SHARE_MAX = 0.5;
/** What a chart shows. */
const CURVE_POINTS = 200;
const CALIBRATION_BINS = 10;
/** Fewer frauds on either side of the cut, and the older payments teach the newer ones in turn (cold-start.ts). */
const FRAUDS_MIN = 10;
/** Fewer in all, two in each block of time, and neither a model nor its measure means anything. */
const COLD_FRAUDS_MIN = 2 * BLOCKS;
/** A handful of frauds fills few leaves: small trees, and leaves that are drawn far towards nought. */
const COLD_PARAMS: Partial<GbdtParams> = { ...FRAUD_PARAMS, learningRate: 0.05, numLeaves: 4, lambdaL2: 10 };

/** By what the thresholds of review, challenge and decline are chosen. */
export interface RiskPolicy {
  readonly costs?: Partial<RiskCosts>;
  /** What the analysts can look at; a fiftieth of the payments where not given. */
  readonly reviewsPerDay?: number;
}

const DAY_MS = 86_400_000;
/** Of all payments, a person can look at so many. */
const REVIEW_SHARE_MAX = 0.02;

export interface FittedFraud {
  readonly model: GbdtModel;
  readonly params: GbdtParams & { readonly members: number };
  readonly calibration: Calibration;
  readonly thresholds: RiskThresholds;
  /** False: what it would save beside the rules is not certain, and all that its thresholds do is to ask for a person's look. */
  readonly automatic: boolean;
  /** Of the payments that the model was measured on. */
  readonly reference: DriftReference;
  readonly metrics: Readonly<Record<string, number>>;
  readonly rows: { readonly learned: number; readonly measured: number; readonly frauds: number };
  /** Where the payments that it was measured on begin. */
  readonly cutMs: number;
  /** Measured on all payments, block of time by block; undefined: on those from the cut on. */
  readonly blocks?: number;
  readonly charts: Pick<ModelReport, 'roc' | 'precisionRecall' | 'calibration' | 'importance' | 'scores'>;
}

/** How good the payments say that such models are, before one is fitted on all of them. */
interface Measured {
  /** Of the first row that was measured; all behind it were. */
  readonly from: number;
  readonly raw: Float32Array;
  readonly params: Partial<GbdtParams>;
  readonly members: number;
  readonly learned: number;
  /** Blocks of time of a model of few frauds. */
  readonly ends?: readonly number[];
}

/**
 * Measures and calibrates on the newest payments a model that learned from the older ones, or, of few known frauds, block of time by block; then learns from
 * all of them. Thresholds are chosen for the stronger of model and shipped rules. Where the model may save nothing beside the rules, it challenges and declines
 * nobody; of few frauds there is none then. A string says why there is none.
 */
export async function fitFraud(
  rows: FraudRows,
  names: readonly string[],
  policy: RiskPolicy,
  seed: number,
  progress: Progress,
): Promise<FittedFraud | string> {
  const frauds = rows.frauds();
  if (frauds < COLD_FRAUDS_MIN) return `${frauds} known frauds among the payments, ${COLD_FRAUDS_MIN} are needed`;
  const measured = await measure(rows, seed, (done, total) => progress(done, 2 * total));
  const { from, raw, params, members, ends } = measured;
  const newer = rows.slice(from, rows.count);
  const { weights } = newer;
  const payments = weights ? weights.reduce((sum, weight) => sum + weight, 0) : newer.n;
  const share = rows.frauds(from) / payments;
  const calibration = rows.forAllPayments(fitPlatt(raw, newer.labels));
  const calibrate = calibrator(calibration);
  const probabilities = Float64Array.from(raw, calibrate);
  const amounts = column(newer, names.indexOf('amount'));
  const days = (rows.atMs(rows.count - 1) - rows.atMs(from)) / DAY_MS;
  const reviewsMax = policy.reviewsPerDay === undefined ? REVIEW_SHARE_MAX * payments : policy.reviewsPerDay * days;
  const costs = { ...RISK_COSTS, ...policy.costs };
  const ruled = decisionsOfRules(newer, amounts, names);
  const judged = { probabilities, labels: newer.labels, amounts, ruled, ...(weights && { weights }), atMs: (row: number) => rows.atMs(from + row) };
  const saving = savingBesideRules(judged, ends ?? blockEnds(rows, from), costs, reviewsMax / payments, seed);
  if (ends && saving.low <= 0)
    return `${frauds} known frauds, and a model of so few may save nothing beside the rules: ${saving.low.toFixed(1)} to ${saving.high.toFixed(1)} a day`;
  const model = await fitAveraged(rows.slice(0, rows.count), params, members, {
    seed,
    progress: (done, total) => progress(total + done, 2 * total),
  });
  const automatic = saving.low > 0;
  const chosen = thresholdsOfActions(judged, costs, { reviewsMax, automatic });
  const base = { amount: amounts, 'merchant fraud rate': column(newer, names.indexOf('merchant_fraud_rate_30d')) };
  return {
    model,
    params: { ...GBDT_DEFAULTS, ...params, members },
    calibration,
    thresholds: chosen.thresholds,
    automatic,
    reference: {
      features: names.map((name, i) => referenceOf(name, newer.rows, { column: i, width: newer.f, weights })),
      score: referenceOf('score', raw, { weights }),
    },
    metrics: {
      fraud_auc: rocAuc(raw, newer.labels),
      fraud_average_precision: averagePrecision(raw, newer.labels, weights),
      fraud_share: share,
      fraud_cost_share: chosen.cost / chosen.costOfNone,
      fraud_auc_amount: rocAuc(base.amount, newer.labels),
      fraud_average_precision_amount: averagePrecision(base.amount, newer.labels, weights),
      fraud_auc_merchant_fraud_rate: rocAuc(base['merchant fraud rate'], newer.labels),
      fraud_average_precision_merchant_fraud_rate: averagePrecision(base['merchant fraud rate'], newer.labels, weights),
      fraud_saving_a_day_at_least: saving.low,
    },
    rows: { learned: measured.learned, measured: newer.n, frauds },
    cutMs: rows.atMs(from),
    ...(ends && { blocks: ends.length - 1 }),
    charts: {
      roc: rocCurve(raw, newer.labels),
      precisionRecall: { points: precisionRecallCurve(raw, newer.labels, CURVE_POINTS, weights), positiveShare: share },
      calibration: calibrationBins(probabilities, newer.labels, CALIBRATION_BINS, weights),
      importance: importanceOf(model, names),
      scores: histogramOf(probabilities, newer.labels),
    },
  };
}

async function measure(rows: FraudRows, seed: number, progress: Progress): Promise<Measured> {
  const cut = cutOf(rows);
  if (Math.min(rows.frauds(0, cut), rows.frauds(cut)) < FRAUDS_MIN) {
    const ends = blockEnds(rows);
    return { from: 0, raw: await crossFitted(rows, ends, COLD_PARAMS, seed, progress), params: COLD_PARAMS, members: 1, learned: rows.count, ends };
  }
  const newer = rows.slice(cut, rows.count);
  const model = await fitFraudTrees(rows.slice(0, cut), seed, progress);
  return { from: cut, raw: predict(model, newer.rows), params: FRAUD_PARAMS, members: MEMBERS, learned: cut };
}

/** The row from which on models are measured. */
export function cutOf(rows: FraudRows): number {
  const least = Math.floor(rows.count * (1 - MEASURED_SHARE_MAX));
  const most = Math.floor(rows.count * (1 - MEASURED_SHARE_MIN));
  const wanted = rows.frauds() * (1 - MEASURED_FRAUDS_SHARE);
  let cut = least;
  for (let frauds = rows.frauds(0, least); cut < most && frauds < wanted; cut++) frauds += rows.frauds(cut, cut + 1);
  return cut;
}

/** One feature as a score; missing values last, all of them where the set has no such feature. */
function column({ rows, n, f }: GbdtRows, feature: number): Float64Array {
  if (feature < 0) return new Float64Array(n).fill(Number.NEGATIVE_INFINITY);
  return Float64Array.from({ length: n }, (_, row) => {
    const value = rows[row * f + feature]!;
    return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
  });
}

const SCORE_BINS = 20;

function histogramOf(probabilities: ArrayLike<number>, labels: ArrayLike<number>): NonNullable<ModelReport['scores']> {
  const negatives = new Array<number>(SCORE_BINS).fill(0);
  const positives = new Array<number>(SCORE_BINS).fill(0);
  for (let i = 0; i < labels.length; i++) {
    const bin = Math.min(SCORE_BINS - 1, Math.floor(probabilities[i]! * SCORE_BINS));
    (labels[i]! > 0 ? positives : negatives)[bin]!++;
  }
  return { edges: Array.from({ length: SCORE_BINS + 1 }, (_, i) => i / SCORE_BINS), negatives, positives };
}

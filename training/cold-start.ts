import type { ScoreRequest } from '../contracts/score.ts';
import { decide, modelDecision, stronger } from '../scoring/risk/decision.ts';
import { DEFAULT_RULES } from '../scoring/risk/default-rules.ts';
import { RuleBook } from '../scoring/risk/rules.ts';
import { costOfAction, type PricedAction, type RiskCosts, thresholdsOfActions } from './evaluation/action-thresholds.ts';
import { bootstrapInterval, type Interval } from './evaluation/bootstrap.ts';
import type { FraudRows } from './fraud-rows.ts';
import type { Progress } from './learners/contract.ts';
import { fitGbdt } from './learners/gbdt/fit.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import type { GbdtParams } from './learners/gbdt/params.ts';
import { predict } from './learners/gbdt/predict.ts';

/**
 * A model from few known frauds. A cut in time would leave too few on one side, so each block of time is scored by a model of all the others: every fraud is
 * learned from, and every fraud is measured on, by a model that never saw it.
 *
 *   payments ──────────────────────────────►  time
 *            [ 1 | 2 | 3 | 4 | 5 ]            as many frauds in each
 *              ▲   └───┴───┴───┴── scored by what these taught
 *
 * Blocks and not a shuffle: the payments of one attack lie together, and a model that learned from half of an attack knows the other half.
 */
export const BLOCKS = 5;
/** Of the savings by day that the gate looks at: one in twenty models that save nothing passes by luck. */
const GATE_LEVEL = 0.9;
const DAY_MS = 86_400_000;

/** Where each block begins, and the end: blocks of equally many frauds, the honest payments around them. */
export function blockEnds(rows: FraudRows, blocks = BLOCKS): number[] {
  const frauds = rows.frauds();
  const ends = [0];
  let seen = 0;
  for (let row = 0; row < rows.count && ends.length < blocks; row++) {
    seen += rows.frauds(row, row + 1);
    if (seen >= (frauds * ends.length) / blocks) ends.push(row + 1);
  }
  return [...ends, rows.count];
}

/** The score of each row by a model that learned from the other blocks. */
export async function crossFitted(
  rows: FraudRows,
  ends: readonly number[],
  params: Partial<GbdtParams>,
  seed: number,
  progress: Progress,
): Promise<Float32Array> {
  const raw = new Float32Array(rows.count);
  const all = rows.slice(0, rows.count);
  const blocks = ends.length - 1;
  for (let block = 0; block < blocks; block++) {
    const [from, to] = [ends[block]!, ends[block + 1]!];
    const model = await fitGbdt(without(all, from, to), params, { seed, progress: (done, total) => progress(block * total + done, blocks * total) });
    raw.set(predict(model, all.rows.subarray(from * all.f, to * all.f)), from);
  }
  return raw;
}

function without({ rows, n, f, labels, weights }: GbdtRows, from: number, to: number): GbdtRows {
  const rest = (values: Float32Array, width: number): Float32Array => {
    const kept = new Float32Array((n - (to - from)) * width);
    kept.set(values.subarray(0, from * width));
    kept.set(values.subarray(to * width), from * width);
    return kept;
  };
  return { rows: rest(rows, f), n: n - (to - from), f, labels: rest(labels, 1), ...(weights && { weights: rest(weights, 1) }) };
}

export interface Judged {
  readonly rows: GbdtRows;
  readonly atMs: (row: number) => number;
  /** Calibrated. */
  readonly probabilities: Float64Array;
  readonly amounts: Float64Array;
  readonly names: readonly string[];
}

/**
 * What the model saves a day beside the shipped rules, which decide without it: thresholds for a block are chosen on the others, the stronger of both
 * decides, and days are drawn anew (an attack lasts hours, so that payments of one day are no independent witnesses). The lower end is what it saves at least.
 */
export function savingBesideRules(judged: Judged, ends: readonly number[], costs: RiskCosts, reviewShareMax: number, seed: number): Interval {
  const { rows, atMs, probabilities, amounts } = judged;
  const byRules = rulesOn(judged);
  const days = new Map<number, number>();
  for (let block = 0; block + 1 < ends.length; block++) {
    const [from, to] = [ends[block]!, ends[block + 1]!];
    const others = Array.from({ length: rows.n }, (_, row) => row).filter((row) => row < from || row >= to);
    const of = (values: ArrayLike<number>): number[] => others.map((row) => values[row]!);
    const weights = rows.weights && of(rows.weights);
    const payments = weights ? weights.reduce((sum, weight) => sum + weight, 0) : others.length;
    const { thresholds } = thresholdsOfActions(
      { probabilities: of(probabilities), labels: of(rows.labels), amounts: of(amounts), ...(weights && { weights }) },
      costs,
      reviewShareMax * payments,
    );
    for (let row = from; row < to; row++) {
      const rule = byRules(row);
      const both = stronger(rule, modelDecision(probabilities[row]!, thresholds));
      const cost = (decision: typeof both): number => costOfAction(priced(decision), rows.labels[row]! > 0, amounts[row]!, costs);
      const day = Math.floor(atMs(row) / DAY_MS);
      days.set(day, (days.get(day) ?? 0) + (rows.weights?.[row] ?? 1) * (cost(rule) - cost(both)));
    }
  }
  const savings = [...days.values()];
  const mean = (drawn: Uint32Array): number => drawn.reduce((sum, day) => sum + savings[day]!, 0) / drawn.length;
  return bootstrapInterval(savings.length, mean, seed, { level: GATE_LEVEL });
}

type Decision = ReturnType<typeof modelDecision>;

function priced(decision: Decision): PricedAction {
  return decision === 'approve' || decision === 'review' || decision === 'challenge' ? decision : 'decline';
}

/**
 * What the shipped patterns say of a row. Those that ask a list are left out, because what stood on it then is not known here, and those whose features
 * the set lacks.
 */
function rulesOn({ rows, amounts, names }: Judged): (row: number) => Decision {
  const known = new Set(names);
  const reads = (when: string): string[] => Array.from(when.matchAll(/features\.(\w+)/g), ([, name]) => name!);
  const rules = DEFAULT_RULES.filter(({ when }) => !when.includes('in_list') && reads(when).every((name) => known.has(name)));
  const book = new RuleBook(rules, names);
  const unknown = { score: Number.NaN, probability: Number.NaN, anomaly: Number.NaN, nowMs: 0 };
  return (row) => {
    const request: ScoreRequest = { transaction_id: '', user_id: '', amount: amounts[row]! };
    const vector = rows.rows.subarray(row * rows.f, (row + 1) * rows.f);
    return decide('approve', book.evaluate({ request, vector, ...unknown }).live).decision;
  };
}

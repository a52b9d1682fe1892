import { type BootstrapParams, bootstrapInterval, type Interval } from './bootstrap.ts';

/** What was shown, place by place: places of one decision lie together. */
export interface LoggedPlaces {
  /** Number of decisions. */
  readonly decisions: number;
  /** First row of each decision, and the number of rows behind the last. */
  readonly starts: Uint32Array;
  /** The place of each row, from 0. */
  readonly place: Uint16Array;
  readonly reward: Float64Array;
  /** Probability of the shown item at its place under the policy in question over that under the policy that showed it. */
  readonly weight: Float64Array;
  /** How often the shown item would be looked at under the policy in question, over how often under the one that showed it. */
  readonly lookWeight?: Float64Array | undefined;
}

/** What a model of the reward expects. The model must not have learned from the decisions that it speaks of (cross-fitting). */
export interface ExpectedRewards {
  /** Of the shown item of each row. */
  readonly shown: Float64Array;
  /** Of each decision under the policy in question: the sum over its places. */
  readonly policy: Float64Array;
}

/** Rewards of one decision. */
export interface OffPolicyEstimates {
  /** What the policy that showed them got. */
  readonly logged: Interval;
  /** Inverse propensity scoring: unbiased, and wide where weights are large. */
  readonly ips: Interval;
  /** Self-normalised, place by place (Swaminathan and Joachims 2015): hardly biased, and less wide. */
  readonly snips: Interval;
  /** Doubly robust (Dudik, Langford and Li 2011): unbiased whatever the model says, and the less wide the better it is. */
  readonly dr: Interval | undefined;
  /**
   * By the position-based click model (Li, Abbasi-Yadkori, Kveton et al. 2018): a click is as likely as its place is looked at times the appeal of its item, so
   * that an item tells of all its places at once. Less wide than `ips`, and as wrong as the model or the curve is.
   */
  readonly pbm: Interval | undefined;
  /** How many places of the policy in question the log is worth: (sum of weights)^2 / sum of squared weights (Kish 1965). */
  readonly effectivePlaces: number;
  readonly weightMax: number;
}

/**
 * The value of a policy from what another one showed, place by place: a place's reward is taken to depend on its own item and on where it stands, not
 * on its neighbours (the item-position model of Li, Abbasi-Yadkori, Kveton et al. 2018). `groups` of `params`, one a decision, are drawn together:
 * give the visitor.
 */
export function estimateValue(
  log: LoggedPlaces,
  expected: ExpectedRewards | undefined,
  seed: number,
  params: Partial<BootstrapParams> = {},
): OffPolicyEstimates {
  const { decisions } = log;
  const sumOf = (value: (row: number) => number): Float64Array => sums(log, value);
  const logged = sumOf((row) => log.reward[row]!);
  const ips = sumOf((row) => log.weight[row]! * log.reward[row]!);
  const interval = (metric: (rows: Uint32Array) => number): Interval => bootstrapInterval(decisions, metric, seed, params);
  const average =
    (values: Float64Array) =>
    (rows: Uint32Array): number =>
      mean(values, rows);
  const { lookWeight } = log;
  const corrections = expected && sumOf((row) => log.weight[row]! * (log.reward[row]! - expected.shown[row]!));
  const [weights, squares] = [sum(log.weight), sum(log.weight.map((weight) => weight * weight))];
  return {
    logged: interval(average(logged)),
    ips: interval(average(ips)),
    snips: interval((rows) => selfNormalised(log, rows)),
    dr: corrections && expected && interval(average(expected.policy.map((value, n) => value + corrections[n]!))),
    pbm: lookWeight && interval(average(sumOf((row) => lookWeight[row]! * log.reward[row]!))),
    effectivePlaces: squares > 0 ? (weights * weights) / squares : 0,
    weightMax: log.weight.reduce((most, weight) => Math.max(most, weight), 0),
  };
}

function sums({ decisions, starts }: LoggedPlaces, value: (row: number) => number): Float64Array {
  const totals = new Float64Array(decisions);
  for (let n = 0; n < decisions; n++) for (let row = starts[n]!; row < starts[n + 1]!; row++) totals[n]! += value(row);
  return totals;
}

/** Each place's weighted reward over its weights, times how often there is such a place. */
function selfNormalised({ starts, place, reward, weight }: LoggedPlaces, decisions: Uint32Array): number {
  const weights: number[] = [];
  const rewards: number[] = [];
  const counts: number[] = [];
  for (const n of decisions) {
    for (let row = starts[n]!; row < starts[n + 1]!; row++) {
      const at = place[row]!;
      weights[at] = (weights[at] ?? 0) + weight[row]!;
      rewards[at] = (rewards[at] ?? 0) + weight[row]! * reward[row]!;
      counts[at] = (counts[at] ?? 0) + 1;
    }
  }
  let value = 0;
  for (const [at, count] of counts.entries()) if (weights[at]! > 0) value += (rewards[at]! / weights[at]!) * (count / decisions.length);
  return value;
}

function mean(values: Float64Array, rows: Uint32Array): number {
  let total = 0;
  for (const row of rows) total += values[row]!;
  return total / rows.length;
}

function sum(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0);
}

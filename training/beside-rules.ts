import type { DecisionName, ScoreRequest } from '../contracts/score.ts';
import { decide, modelDecision, stronger } from '../scoring/risk/decision.ts';
import { DEFAULT_RULES } from '../scoring/risk/default-rules.ts';
import { RuleBook } from '../scoring/risk/rules.ts';
import { type ActionRows, costOfDecision, type RiskCosts, thresholdsOfActions } from './evaluation/action-thresholds.ts';
import { bootstrapInterval, type Interval } from './evaluation/bootstrap.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';

/** Of the savings by day that the gate looks at: one in twenty models that save nothing passes by luck. */
const GATE_LEVEL = 0.9;
const DAY_MS = 86_400_000;

/** Payments with what a model that never saw them said, and what the shipped rules decide of each without it. */
export interface Judged extends ActionRows {
  readonly atMs: (row: number) => number;
  readonly ruled: readonly DecisionName[];
}

/**
 * What the model saves a day beside the shipped rules, which decide without it: thresholds for a block of time are chosen on the others, the stronger of
 * both decides, and days are drawn anew (an attack lasts hours, so that payments of one day are no independent witnesses). The lower end is what it saves at
 * least.
 */
export function savingBesideRules(judged: Judged, ends: readonly number[], costs: RiskCosts, reviewShareMax: number, seed: number): Interval {
  const { atMs, probabilities, labels, amounts, weights, ruled } = judged;
  const days = new Map<number, number>();
  for (let block = 0; block + 1 < ends.length; block++) {
    const [from, to] = [ends[block]!, ends[block + 1]!];
    const others = Array.from({ length: labels.length }, (_, row) => row).filter((row) => row < from || row >= to);
    const of = (values: ArrayLike<number>): number[] => others.map((row) => values[row]!);
    const { thresholds } = thresholdsOfActions(
      {
        probabilities: of(probabilities),
        labels: of(labels),
        amounts: of(amounts),
        ruled: others.map((row) => ruled[row]!),
        ...(weights && { weights: of(weights) }),
      },
      costs,
      { reviewsMax: reviewShareMax * others.reduce((sum, row) => sum + (weights?.[row] ?? 1), 0) },
    );
    for (let row = from; row < to; row++) {
      const rule = ruled[row]!;
      const both = stronger(rule, modelDecision(probabilities[row]!, thresholds));
      const cost = (decision: DecisionName): number => costOfDecision(decision, labels[row]! > 0, amounts[row]!, costs);
      const day = Math.floor(atMs(row) / DAY_MS);
      days.set(day, (days.get(day) ?? 0) + (weights?.[row] ?? 1) * (cost(rule) - cost(both)));
    }
  }
  const savings = [...days.values()];
  const mean = (drawn: Uint32Array): number => drawn.reduce((sum, day) => sum + savings[day]!, 0) / drawn.length;
  return bootstrapInterval(savings.length, mean, seed, { level: GATE_LEVEL });
}

/**
 * What the shipped patterns decide of each row. Those that ask a list are left out, because what stood on it then is not known here, and those whose
 * features the set lacks.
 */
export function decisionsOfRules(rows: GbdtRows, amounts: ArrayLike<number>, names: readonly string[]): DecisionName[] {
  const known = new Set(names);
  const reads = (when: string): string[] => Array.from(when.matchAll(/features\.(\w+)/g), ([, name]) => name!);
  const rules = DEFAULT_RULES.filter(({ when }) => !when.includes('in_list') && reads(when).every((name) => known.has(name)));
  const book = new RuleBook(rules, names);
  const unknown = { score: Number.NaN, probability: Number.NaN, anomaly: Number.NaN, nowMs: 0 };
  return Array.from({ length: rows.n }, (_, row) => {
    const request: ScoreRequest = { transaction_id: '', user_id: '', amount: amounts[row]! };
    const vector = rows.rows.subarray(row * rows.f, (row + 1) * rows.f);
    return decide('approve', book.evaluate({ request, vector, ...unknown }).live).decision;
  });
}

import { requireData, requireParam } from '../learners/contract.ts';

/** What each outcome costs, in any unit; a gain is negative. */
export interface Costs {
  /** A bad row let pass. */
  readonly missed: number;
  /** A good row acted on. */
  readonly falseAlarm: number;
  /** A bad row acted on: the work of acting, say. */
  readonly caught?: number;
  /** A good row let pass. */
  readonly passed?: number;
}

export interface ChosenThreshold {
  /** Act on rows that score at least so much; Infinity: on none. */
  readonly threshold: number;
  readonly acted: number;
  /** Mean cost of a row. */
  readonly cost: number;
}

/**
 * The threshold with the least total cost on the given rows; of equal ones the highest, which acts on the fewest. `weights` are what each row
 * stands for: an amount, or how often it was sampled down. Throws `training_data_insufficient` for no rows or a score that is no number.
 */
export function thresholdByCost(scores: ArrayLike<number>, labels: ArrayLike<number>, costs: Costs, weights?: ArrayLike<number>): ChosenThreshold {
  const { missed, falseAlarm, caught = 0, passed = 0 } = costs;
  requireParam([missed, falseAlarm, caught, passed].every(Number.isFinite), 'costs must be numbers');
  requireParam(labels.length === scores.length && (weights?.length ?? scores.length) === scores.length, `there must be ${scores.length} labels`);
  const order = byScore(scores);
  const weightOf = (row: number) => (weights ? weights[row]! : 1);
  let [cost, total] = [0, 0];
  for (const row of order) {
    cost += weightOf(row) * (labels[row]! > 0 ? missed : passed);
    total += weightOf(row);
  }
  requireData(total > 0, 'all weights are zero');
  let best = { threshold: Number.POSITIVE_INFINITY, acted: 0, cost };
  order.forEach((row, place) => {
    cost += weightOf(row) * (labels[row]! > 0 ? caught - missed : falseAlarm - passed);
    const isLast = place + 1 === order.length || scores[order[place + 1]!] !== scores[row];
    if (isLast && cost < best.cost) best = { threshold: scores[row]!, acted: place + 1, cost };
  });
  return { ...best, cost: best.cost / total };
}

/**
 * The lowest threshold at which no more than `capacity` rows are acted on; rows of equal score share their fate, so that it may be fewer.
 * Infinity where the highest score alone comes too often.
 */
export function thresholdByCapacity(scores: ArrayLike<number>, capacity: number): number {
  requireParam(Number.isInteger(capacity) && capacity >= 0, `capacity must be a whole number, not ${capacity}`);
  const order = byScore(scores);
  if (capacity >= order.length) return scores[order.at(-1)!]!;
  const over = scores[order[capacity]!]!;
  let last = capacity - 1;
  while (last >= 0 && scores[order[last]!] === over) last--;
  return last < 0 ? Number.POSITIVE_INFINITY : scores[order[last]!]!;
}

function byScore(scores: ArrayLike<number>): Uint32Array {
  requireData(scores.length > 0, 'there are no rows to choose a threshold on');
  for (let i = 0; i < scores.length; i++) if (Number.isNaN(scores[i]!)) requireData(false, `the score of row ${i} is no number`);
  return Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

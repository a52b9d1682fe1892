import { requireData, requireParam } from '../contract.ts';

/** A table of numbers with what is to be learned from each row. */
export interface TableRows {
  /** Row-major n x f; NaN is missing. A category is a number too. */
  readonly rows: Float32Array;
  readonly n: number;
  readonly f: number;
  /** A class (0, 1, ...), a count, or any finite number, as the learner says. */
  readonly labels: Float32Array;
  /** One a row, 0 or more; all 1 when absent. */
  readonly weights?: Float32Array;
}

/** Throws a RangeError where the arrays do not fit, `training_data_insufficient` for labels or weights that are no numbers. */
export function checkTable({ rows, n, f, labels, weights }: TableRows): void {
  requireData(n > 0 && f > 0, 'the table has no rows or no features');
  requireParam(rows.length === n * f, `rows must hold ${n} x ${f} values, not ${rows.length}`);
  requireParam(labels.length === n, `there must be ${n} labels, not ${labels.length}`);
  for (let i = 0; i < n; i++) if (!Number.isFinite(labels[i]!)) requireData(false, `the label of row ${i} is ${labels[i]}`);
  checkWeights(weights, n);
}

export function checkWeights(weights: Float32Array | undefined, n: number): void {
  if (weights === undefined) return;
  requireParam(weights.length === n, `there must be ${n} weights, not ${weights.length}`);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    if (!(weights[i]! >= 0 && weights[i]! < Number.POSITIVE_INFINITY)) requireData(false, `the weight of row ${i} is ${weights[i]}`);
    sum += weights[i]!;
  }
  requireData(sum > 0, 'all weights are zero');
}

/** Rows of these numbers, in their order; a number may come again. */
export function takeRows({ rows, f, labels, weights }: TableRows, wanted: ArrayLike<number>): TableRows {
  const taken = new Float32Array(wanted.length * f);
  for (let i = 0; i < wanted.length; i++) taken.set(rows.subarray(wanted[i]! * f, (wanted[i]! + 1) * f), i * f);
  const pick = (from: Float32Array) => Float32Array.from({ length: wanted.length }, (_, i) => from[wanted[i]!]!);
  return { rows: taken, n: wanted.length, f, labels: pick(labels), ...(weights ? { weights: pick(weights) } : {}) };
}

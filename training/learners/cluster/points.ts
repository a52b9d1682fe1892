import { requireData, requireParam } from '../contract.ts';

/** Row-major rows x columns. */
export interface PointRows {
  readonly values: Float32Array | Float64Array;
  readonly columns: number;
}

/** A point of more columns should be reduced first (PCA): distances say little there. */
export const COLUMNS_MAX = 4096;

/**
 * Number of rows. Throws a RangeError for lengths that do not fit, `training_data_insufficient` for fewer rows than `least` or a bad value: an infinite
 * one, or one that is missing (NaN) where the learner cannot do without it.
 */
export function checkPoints({ values, columns }: PointRows, least: number, mayMiss = false): number {
  requireParam(Number.isInteger(columns) && columns >= 1 && columns <= COLUMNS_MAX, `columns must be 1 to ${COLUMNS_MAX}, not ${columns}`);
  requireParam(values.length % columns === 0, `values must hold a multiple of ${columns}, not ${values.length}`);
  const rows = values.length / columns;
  requireData(rows >= least, `there must be ${least} rows or more, not ${rows}`);
  for (let i = 0; i < values.length; i++) {
    const isGood = Number.isFinite(values[i]!) || (mayMiss && Number.isNaN(values[i]!));
    if (!isGood) requireData(false, `value ${i} is ${values[i]}`);
  }
  return rows;
}

/** Squared Euclidean distance of row i of `a` and row j of `b`. */
export function squaredDistance(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, columns: number): number {
  let sum = 0;
  const [from, other] = [i * columns, j * columns];
  for (let c = 0; c < columns; c++) {
    const d = a[from + c]! - b[other + c]!;
    sum += d * d;
  }
  return sum;
}

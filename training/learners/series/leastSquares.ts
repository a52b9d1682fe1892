import { cholesky, solveLower, solveLowerTransposed } from '../../../scoring/cholesky.ts';

/** Added to the diagonal, relative to it: a column that repeats others then gets a share instead of a failure. */
const RIDGE = 1e-10;

export interface LeastSquares {
  readonly coefficients: Float64Array;
  /** Squared errors. */
  readonly squares: number;
  /** x' (X'X)^-1 x of a row: how far the coefficients' own uncertainty widens a prediction there, in units of the error variance. */
  leverage(row: ArrayLike<number>): number;
}

/** Ordinary least squares of `values` on `columns`, each as long as `values`. */
export function leastSquares(columns: readonly ArrayLike<number>[], values: Float64Array): LeastSquares {
  const k = columns.length;
  const gram = new Float64Array(k * k);
  const coefficients = new Float64Array(k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let t = 0; t < values.length; t++) sum += columns[i]![t]! * columns[j]![t]!;
      gram[i * k + j] = sum;
    }
    for (let t = 0; t < values.length; t++) coefficients[i]! += columns[i]![t]! * values[t]!;
  }
  for (let i = 0; i < k; i++) gram[i * k + i] = gram[i * k + i]! * (1 + RIDGE) + Number.MIN_VALUE / RIDGE;
  cholesky(gram, k);
  solveLower(gram, coefficients);
  solveLowerTransposed(gram, coefficients);
  let squares = 0;
  for (let t = 0; t < values.length; t++) {
    let error = values[t]!;
    for (let i = 0; i < k; i++) error -= coefficients[i]! * columns[i]![t]!;
    squares += error * error;
  }
  return {
    coefficients,
    squares,
    leverage(row) {
      const z = Float64Array.from(row);
      solveLower(gram, z);
      return z.reduce((sum, value) => sum + value * value, 0);
    },
  };
}

/** Intercept and slope over t = 1, 2, ... of the first `count` values. */
export function line(values: ArrayLike<number>, count = values.length): { intercept: number; slope: number } {
  let [sum, weighted] = [0, 0];
  for (let t = 0; t < count; t++) {
    sum += values[t]!;
    weighted += (t + 1) * values[t]!;
  }
  const mean = sum / count;
  const slope = count < 2 ? 0 : (6 * ((2 * weighted) / count - (count + 1) * mean)) / (count * count - 1);
  return { intercept: mean - (slope * (count + 1)) / 2, slope };
}

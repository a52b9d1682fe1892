import { requireParam } from '../contract.ts';

export interface NelderMeadOptions {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  readonly iterationsMax?: number;
  /** Stops when the values at the corners have a smaller standard deviation. */
  readonly tolerance?: number;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  readonly iterations: number;
}

/** As the reference implementations of exponential smoothing use. */
const ITERATIONS_MAX = 1000;
const TOLERANCE = 1e-4;
const STEP = 0.05;
/** First step of a coordinate that starts at zero. */
const ZERO_STEP = 1e-4;

/**
 * Minimum of a function of few variables inside a box, by Nelder and Mead with the dimension-dependent coefficients of Gao and Han (2012).
 * A corner outside the box is moved to its edge. `objective` may answer Infinity, and must not keep the array it is given: one is reused.
 */
export function nelderMead(objective: (x: Float64Array) => number, start: Float64Array, options: NelderMeadOptions): Minimum {
  const { lower, upper, iterationsMax = ITERATIONS_MAX, tolerance = TOLERANCE } = options;
  const n = start.length;
  requireParam(n >= 1 && lower.length === n && upper.length === n, `start, lower and upper must be of one length, 1 or more, not ${n}`);
  const expand = 1 + 2 / n;
  const contract = 0.75 - 1 / (2 * n);
  const shrink = n > 1 ? 1 - 1 / n : 0.5;
  const corners = firstCorners(start, lower, upper);
  const values = corners.map(objective);
  const centroid = new Float64Array(n);
  let reflected: Float64Array = new Float64Array(n);
  let trial: Float64Array = new Float64Array(n);
  /** Fills `out` with centroid + by (from - centroid), inside the box; gives its value. */
  const move = (out: Float64Array, by: number, from: Float64Array): number => {
    for (let i = 0; i < n; i++) out[i] = clamp(centroid[i]! + by * (from[i]! - centroid[i]!), lower[i]!, upper[i]!);
    return objective(out);
  };

  let iterations = 0;
  let best = 0;
  for (; iterations < iterationsMax; iterations++) {
    const ranks = rank(values);
    best = ranks.best;
    const { worst, second } = ranks;
    if (spread(values) < tolerance) break;
    centroid.fill(0);
    for (let c = 0; c <= n; c++) if (c !== worst) for (let i = 0; i < n; i++) centroid[i]! += corners[c]![i]! / n;

    const reflectedValue = move(reflected, -1, corners[worst]!);
    if (reflectedValue < values[best]!) {
      const value = move(trial, expand, reflected);
      if (value < reflectedValue) [corners[worst], trial, values[worst]] = [trial, corners[worst]!, value];
      else [corners[worst], reflected, values[worst]] = [reflected, corners[worst]!, reflectedValue];
      continue;
    }
    if (reflectedValue < values[second]!) {
      [corners[worst], reflected, values[worst]] = [reflected, corners[worst]!, reflectedValue];
      continue;
    }
    const outside = reflectedValue < values[worst]!;
    const value = outside ? move(trial, contract, reflected) : move(trial, contract, corners[worst]!);
    if (outside ? value <= reflectedValue : value < values[worst]!) {
      [corners[worst], trial, values[worst]] = [trial, corners[worst]!, value];
      continue;
    }
    for (let c = 0; c <= n; c++) {
      if (c === best) continue;
      const corner = corners[c]!;
      for (let i = 0; i < n; i++) corner[i] = clamp(corners[best]![i]! + shrink * (corner[i]! - corners[best]![i]!), lower[i]!, upper[i]!);
      values[c] = objective(corner);
    }
  }
  best = rank(values).best;
  return { x: corners[best]!, value: values[best]!, iterations };
}

function firstCorners(start: Float64Array, lower: Float64Array, upper: Float64Array): Float64Array[] {
  const inside = start.map((x, i) => clamp(x, lower[i]!, upper[i]!));
  const corners = [inside];
  for (let i = 0; i < start.length; i++) {
    const corner = inside.slice();
    corner[i] = clamp(corner[i] === 0 ? ZERO_STEP : corner[i]! * (1 + STEP), lower[i]!, upper[i]!);
    // At the upper edge the step goes back inside, or the simplex would be flat in this direction for good.
    if (corner[i] === inside[i]) corner[i] = clamp(inside[i]! * (1 - STEP), lower[i]!, upper[i]!);
    corners.push(corner);
  }
  return corners;
}

function rank(values: readonly number[]): { best: number; second: number; worst: number } {
  let [best, worst] = [0, 0];
  for (let i = 1; i < values.length; i++) {
    if (values[i]! < values[best]!) best = i;
    if (values[i]! >= values[worst]!) worst = i;
  }
  let second = worst === 0 ? 1 : 0;
  for (let i = 0; i < values.length; i++) if (i !== worst && values[i]! > values[second]!) second = i;
  return { best, second, worst };
}

/** Standard deviation; NaN, which stops nothing, while a corner is infinite. */
function spread(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / values.length);
}

function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}

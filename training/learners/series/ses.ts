import { requireData, requireParam } from '../contract.ts';

export interface SesParams {
  /** Bounds of the smoothing parameter. */
  alphaMin: number;
  alphaMax: number;
}

export interface SesModel {
  readonly alpha: number;
  /** The forecast of every step ahead. */
  readonly level: number;
  /** Mean squared one-step error, from the second value on. */
  readonly sigma2: number;
}

export const SES_DEFAULTS: SesParams = { alphaMin: 0.01, alphaMax: 0.99 };

/** A coarse grid finds the right valley, as the error may have several; golden sections then find its bottom. */
const GRID = 25;
const GOLDEN_STEPS = 24;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Simple exponential smoothing from the first value on; alpha has the least squared one-step errors. */
export function fitSes(values: Float64Array, given: Partial<SesParams>): SesModel {
  const { alphaMin, alphaMax } = { ...SES_DEFAULTS, ...given };
  requireParam(alphaMin > 0 && alphaMax <= 1 && alphaMin <= alphaMax, `0 < alphaMin <= alphaMax <= 1 must hold, not ${alphaMin}, ${alphaMax}`);
  requireData(values.length > 0 && values.every(Number.isFinite), 'simple smoothing needs finite values');
  const step = (alphaMax - alphaMin) / GRID;
  let best = alphaMin;
  let least = Infinity;
  for (let i = 0; i <= GRID; i++) {
    const squares = smooth(values, alphaMin + i * step).squares;
    if (squares < least) [best, least] = [alphaMin + i * step, squares];
  }
  let [low, high] = [Math.max(alphaMin, best - step), Math.min(alphaMax, best + step)];
  for (let i = 0; i < GOLDEN_STEPS && high > low; i++) {
    const [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
    if (smooth(values, left).squares <= smooth(values, right).squares) high = right;
    else low = left;
  }
  const middle = (low + high) / 2;
  const alpha = smooth(values, middle).squares < least ? middle : best;
  const { level, squares } = smooth(values, alpha);
  return { alpha, level, sigma2: values.length > 1 ? squares / (values.length - 1) : 0 };
}

/** Level after the last value, and the squared one-step errors. */
export function smooth(values: Float64Array, alpha: number): { level: number; squares: number } {
  let level = values[0]!;
  let squares = 0;
  for (let t = 1; t < values.length; t++) {
    const error = values[t]! - level;
    squares += error * error;
    level += alpha * error;
  }
  return { level, squares };
}

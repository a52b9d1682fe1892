import { requireParam } from '../contract.ts';
import type { CompleteSeriesOptions, Forecaster, SeriesForecast } from './contract.ts';
import { sortedQuantile } from './normal.ts';

/** Weights are 0 or more and add up to 1, one a member. */
export type Combination = 'mean' | 'median' | Float64Array;

export interface RollingOptions {
  /** Forecasts from the last so many starts, `step` apart; fewer where a start would leave under `trainMin` values. */
  readonly origins: number;
  readonly step: number;
  readonly trainMin: number;
}

/** One past start: what each member said, and what came (both of length horizon). */
export interface RollingOrigin {
  readonly at: number;
  readonly forecasts: readonly Float64Array[];
  readonly actual: Float64Array;
}

const WEIGHT_STEPS = 500;

/** Members' forecasts combined step by step, lower and upper bounds likewise: so the interval is as wide as a typical member's. */
export function combined(members: readonly Forecaster[], how: Combination): Forecaster {
  requireParam(members.length > 0, 'a combination needs a member');
  if (how instanceof Float64Array) requireParam(how.length === members.length, `there must be ${members.length} weights, not ${how.length}`);
  return (values, options) => {
    const forecasts = members.map((member) => member(values, options));
    return combineForecasts(forecasts, how);
  };
}

export function combineForecasts(forecasts: readonly SeriesForecast[], how: Combination): SeriesForecast {
  const part = (name: keyof SeriesForecast) =>
    combineSteps(
      forecasts.map((forecast) => forecast[name]),
      how,
    );
  return { mean: part('mean'), lower: part('lower'), upper: part('upper') };
}

/** Combines arrays of one length, element by element. */
export function combineSteps(parts: readonly Float64Array[], how: Combination): Float64Array {
  const column = new Float64Array(parts.length);
  return Float64Array.from({ length: parts[0]!.length }, (_, h) => {
    if (how === 'median') {
      for (let i = 0; i < parts.length; i++) column[i] = parts[i]![h]!;
      return sortedQuantile(column.sort(), 0.5);
    }
    let sum = 0;
    for (let i = 0; i < parts.length; i++) sum += parts[i]![h]! * (how === 'mean' ? 1 / parts.length : how[i]!);
    return sum;
  });
}

/** Forecasts from past starts, the latest first, each made of the values before it alone. */
export function rollingOrigins(
  values: Float64Array,
  members: readonly Forecaster[],
  options: CompleteSeriesOptions,
  { origins, step, trainMin }: RollingOptions,
): RollingOrigin[] {
  requireParam(origins >= 1 && step >= 1 && trainMin >= 1, `origins, step and trainMin must be 1 or more, not ${origins}, ${step}, ${trainMin}`);
  const found: RollingOrigin[] = [];
  for (let i = 0; i < origins; i++) {
    const at = values.length - options.horizon - i * step;
    if (at < trainMin) break;
    const past = values.slice(0, at);
    const forecasts = members.map((member) => member(past, options).mean);
    found.push({ at, forecasts, actual: values.slice(at, at + options.horizon) });
  }
  return found;
}

/**
 * Weights of least squared error over past starts, on the simplex (projected gradient from equal weights). `scales[i]` divides the errors
 * of origin i, so that series of several sizes can be pooled. Equal weights without an origin.
 */
export function learnWeights(origins: readonly RollingOrigin[], members: number, scales?: ArrayLike<number>): Float64Array {
  const gram = new Float64Array(members * members);
  const right = new Float64Array(members);
  origins.forEach(({ forecasts, actual }, o) => {
    const square = (scales?.[o] ?? 1) ** -2;
    for (let h = 0; h < actual.length; h++) {
      for (let i = 0; i < members; i++) {
        right[i]! += square * forecasts[i]![h]! * actual[h]!;
        for (let j = 0; j < members; j++) gram[i * members + j]! += square * forecasts[i]![h]! * forecasts[j]![h]!;
      }
    }
  });
  let weights: Float64Array = new Float64Array(members).fill(1 / members);
  let curvature = 0;
  for (let i = 0; i < members; i++) curvature += gram[i * members + i]!;
  if (!(curvature > 0)) return weights;
  // The members nearly agree, so the valley is narrow and long: momentum (Nesterov) gets along it.
  let ahead = weights;
  for (let k = 1; k <= WEIGHT_STEPS; k++) {
    const moved = ahead.map((weight, i) => {
      let gradient = -right[i]!;
      for (let j = 0; j < members; j++) gradient += gram[i * members + j]! * ahead[j]!;
      return weight - gradient / curvature;
    });
    const next = ontoSimplex(moved);
    ahead = next.map((weight, i) => weight + ((k - 1) / (k + 2)) * (weight - weights[i]!));
    weights = next;
  }
  return weights;
}

/** The nearest point with no negative part and sum 1 (Duchi et al. 2008). */
function ontoSimplex(point: Float64Array): Float64Array {
  const sorted = point.slice().sort().reverse();
  let sum = 0;
  let shift = 0;
  for (let i = 0; i < sorted.length; i++) {
    sum += sorted[i]!;
    const candidate = (sum - 1) / (i + 1);
    if (sorted[i]! > candidate) shift = candidate;
  }
  return Float64Array.from(point, (x) => Math.max(0, x - shift));
}

/** A combination whose weights each series learns from its own past; one too short for that takes equal weights. */
export function learnedCombination(members: readonly Forecaster[], rolling: Partial<RollingOptions> = {}): Forecaster {
  return (values, options) => {
    const settings = { origins: 3, step: options.horizon, trainMin: Math.max(10, 3 * options.period), ...rolling };
    const weights = learnWeights(rollingOrigins(values, members, options, settings), members.length);
    return combined(members, weights)(values, options);
  };
}

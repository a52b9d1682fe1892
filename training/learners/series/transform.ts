import { requireParam } from '../contract.ts';
import type { Forecaster } from './contract.ts';

/** Beyond these a power hardly differs from its neighbours, or wrecks the large values. */
const LAMBDA_MIN = -1;
const LAMBDA_MAX = 2;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
const GOLDEN_STEPS = 30;

/**
 * Forecasts the Box-Cox transform of the series, (y^lambda - 1) / lambda, the logarithm at lambda 0, and turns back: the point forecast is
 * then the median of the futures, and the intervals keep their share. 'auto' chooses lambda by Guerrero's method. A series with a value
 * of zero or less is forecast as it is.
 */
export function boxCox(inner: Forecaster, lambda: number | 'auto'): Forecaster {
  if (lambda !== 'auto') requireParam(lambda >= LAMBDA_MIN && lambda <= LAMBDA_MAX, `lambda must be ${LAMBDA_MIN} to ${LAMBDA_MAX}, not ${lambda}`);
  return (values, options) => {
    if (!values.every((value) => value > 0)) return inner(values, options);
    const power = lambda === 'auto' ? guerrero(values, options.period) : lambda;
    const forecast = inner(
      values.map((value) => forward(value, power)),
      options,
    );
    const back = (part: Float64Array) => part.map((value) => backward(value, power));
    return { mean: back(forecast.mean), lower: back(forecast.lower), upper: back(forecast.upper) };
  };
}

/** On the scale of logarithms; see `boxCox`. */
export function logarithm(inner: Forecaster): Forecaster {
  return boxCox(inner, 0);
}

function forward(value: number, lambda: number): number {
  return lambda === 0 ? Math.log(value) : (value ** lambda - 1) / lambda;
}

function backward(value: number, lambda: number): number {
  if (lambda === 0) return Math.exp(value);
  // Nothing maps to the other side of the pole: the edge of the scale stands for it.
  const base = Math.max(0, lambda * value + 1);
  return base ** (1 / lambda);
}

/** Lambda at which the spread within a season depends least on its level (Guerrero 1993); 1 with under two seasons. */
export function guerrero(values: Float64Array, period: number): number {
  const length = Math.max(2, period);
  const groups: { mean: number; sd: number }[] = [];
  for (let end = values.length; end - length >= 0; end -= length) {
    const group = values.subarray(end - length, end);
    const mean = group.reduce((a, b) => a + b, 0) / length;
    groups.push({ mean, sd: Math.sqrt(group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (length - 1)) });
  }
  if (groups.length < 2) return 1;
  const variation = (lambda: number): number => {
    const ratios = groups.map(({ mean, sd }) => sd / mean ** (1 - lambda));
    const centre = ratios.reduce((a, b) => a + b, 0) / ratios.length;
    const spread = Math.sqrt(ratios.reduce((sum, ratio) => sum + (ratio - centre) ** 2, 0) / (ratios.length - 1));
    return centre > 0 ? spread / centre : 0;
  };
  let [low, high] = [LAMBDA_MIN, LAMBDA_MAX];
  for (let i = 0; i < GOLDEN_STEPS; i++) {
    const [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
    if (variation(left) <= variation(right)) high = right;
    else low = left;
  }
  return (low + high) / 2;
}

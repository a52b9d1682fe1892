import { requireParam } from '../contract.ts';
import type { Forecaster } from './contract.ts';
import { fitSes, smooth } from './ses.ts';
import { empiricalForecast } from './simple.ts';

/** Croston's parameters: what practice found for slow movers, whose few demands cannot tell more. */
const CROSTON_ALPHA = { alphaMin: 0.1, alphaMax: 0.3 };
/** Teunter, Syntetos and Babai's common choice. */
const TSB_ALPHA = 0.2;

/**
 * Croston's method for demand with many zeros: smoothed size of a demand over smoothed interval between demands, each with its own learned
 * alpha. Without any demand the forecast is zero. Negative values count as no demand. Intervals: spread of the series around its forecasts.
 */
export const croston: Forecaster = (values, options) => {
  const { sizes, intervals } = demands(values);
  if (sizes.length === 0) return empiricalForecast(0, new Float64Array(0), options);
  const rate = fitSes(sizes, CROSTON_ALPHA).level / fitSes(intervals, CROSTON_ALPHA).level;
  return nonNegative(
    empiricalForecast(
      rate,
      values.map((value) => value - rate),
      options,
    ),
  );
};

/** Teunter-Syntetos-Babai: smoothed size times smoothed probability of a demand, which falls while none comes. Otherwise as Croston. */
export function tsb(alphaSize = TSB_ALPHA, alphaProbability = TSB_ALPHA): Forecaster {
  for (const alpha of [alphaSize, alphaProbability]) requireParam(alpha > 0 && alpha <= 1, `alpha must lie in (0, 1], not ${alpha}`);
  return (values, options) => {
    const { sizes } = demands(values);
    if (sizes.length === 0) return empiricalForecast(0, new Float64Array(0), options);
    const probability = smooth(
      values.map((value) => (value > 0 ? 1 : 0)),
      alphaProbability,
    ).level;
    const rate = probability * smooth(sizes, alphaSize).level;
    return nonNegative(
      empiricalForecast(
        rate,
        values.map((value) => value - rate),
        options,
      ),
    );
  };
}

function nonNegative<T extends { lower: Float64Array }>(forecast: T): T {
  return { ...forecast, lower: forecast.lower.map((value) => Math.max(0, value)) };
}

/** Sizes of the demands, and steps from each to the one before (from the start for the first). */
function demands(values: Float64Array): { sizes: Float64Array; intervals: Float64Array } {
  const sizes: number[] = [];
  const intervals: number[] = [];
  let before = -1;
  for (let t = 0; t < values.length; t++) {
    if (!(values[t]! > 0)) continue;
    sizes.push(values[t]!);
    intervals.push(t - before);
    before = t;
  }
  return { sizes: Float64Array.from(sizes), intervals: Float64Array.from(intervals) };
}

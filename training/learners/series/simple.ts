import type { CompleteSeriesOptions, Forecaster, SeriesForecast } from './contract.ts';
import { normalQuantile, sortedQuantile } from './normal.ts';
import { fitSes } from './ses.ts';

/** mean +- z sd(h); `variance` is that of the forecast error h + 1 steps ahead. */
export function normalForecast(mean: Float64Array, variance: (h: number) => number, level: number): SeriesForecast {
  const z = normalQuantile((1 + level) / 2);
  const width = mean.map((_, h) => z * Math.sqrt(variance(h)));
  return { mean, lower: mean.map((value, h) => value - width[h]!), upper: mean.map((value, h) => value + width[h]!) };
}

/** The same forecast for each step, with the spread of past errors: for methods without a model of their errors. */
export function empiricalForecast(value: number, errors: Float64Array, { horizon, level }: CompleteSeriesOptions): SeriesForecast {
  const sorted = errors.length > 0 ? errors.slice().sort() : Float64Array.of(0);
  const flat = (x: number) => new Float64Array(horizon).fill(x);
  // Quantiles of few or skewed errors may both lie on one side of zero; an interval that leaves out its own forecast helps nobody.
  const low = Math.min(0, sortedQuantile(sorted, (1 - level) / 2));
  const high = Math.max(0, sortedQuantile(sorted, (1 + level) / 2));
  return { mean: flat(value), lower: flat(value + low), upper: flat(value + high) };
}

/** The last value. */
export const naive: Forecaster = (values, options) => seasonalNaive(values, { ...options, period: 1 });

/** The value of the same season one period ago; with less than one period of values the last value. */
export const seasonalNaive: Forecaster = (values, { horizon, period: wanted, level }) => {
  const n = values.length;
  const period = n >= wanted ? wanted : 1;
  const mean = Float64Array.from({ length: horizon }, (_, h) => values[n - period + (h % period)]!);
  let squares = 0;
  for (let t = period; t < n; t++) squares += (values[t]! - values[t - period]!) ** 2;
  const sigma2 = n > period ? squares / (n - period) : 0;
  return normalForecast(mean, (h) => sigma2 * (Math.floor(h / period) + 1), level);
};

/** Mean of the last `window` values, or of all. */
export function meanOf(window = Infinity): Forecaster {
  return (all, { horizon, level }) => {
    const values = all.subarray(Math.max(0, all.length - window));
    const n = values.length;
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const sigma2 = n > 1 ? values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1) : 0;
    return normalForecast(new Float64Array(horizon).fill(mean), () => sigma2 * (1 + 1 / n), level);
  };
}

/** Median of the last `window` values, or of all. */
export function medianOf(window = Infinity): Forecaster {
  return (all, options) => {
    const values = all.subarray(Math.max(0, all.length - window));
    const median = sortedQuantile(values.slice().sort(), 0.5);
    return empiricalForecast(
      median,
      values.map((value) => value - median),
      options,
    );
  };
}

/** Simple exponential smoothing, alpha learned. */
export const ses: Forecaster = (values, { horizon, level: share }) => {
  const { alpha, level, sigma2 } = fitSes(values, {});
  return normalForecast(new Float64Array(horizon).fill(level), (h) => sigma2 * (1 + h * alpha * alpha), share);
};

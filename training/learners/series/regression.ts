import { requireData, requireParam } from '../contract.ts';
import type { Terms } from './calendar.ts';
import type { Forecaster } from './contract.ts';
import { leastSquares } from './leastSquares.ts';
import { fitSes } from './ses.ts';
import { normalForecast } from './simple.ts';
import { stl } from './stl.ts';

/** A line through the terms would follow every value with fewer degrees of freedom left. */
const FREEDOM_MIN = 3;

/**
 * Least squares on a constant, a line and `terms` (each as long as values and horizon), with simply smoothed errors: what the regression
 * missed of late goes on. A term that never changes is left out. Intervals hold the uncertainty of coefficients and of the error's level.
 * Throws `training_data_insufficient` when there are hardly more values than terms.
 */
export function regression(terms: Terms, trend = true): Forecaster {
  return (values, { horizon, level: share }) => {
    const n = values.length;
    const columns = changing(withLine(terms, n + horizon, trend), n);
    requireData(n >= columns.length + FREEDOM_MIN, `a regression on ${columns.length} terms needs ${columns.length + FREEDOM_MIN} values, not ${n}`);
    const fit = leastSquares(columns, values);
    const predict = (t: number) => columns.reduce((sum, column, i) => sum + fit.coefficients[i]! * column[t]!, 0);
    const errors = fitSes(
      values.map((value, t) => value - predict(t)),
      {},
    );
    const sigma2 = fit.squares / (n - columns.length);
    const mean = Float64Array.from({ length: horizon }, (_, h) => predict(n + h) + errors.level);
    const variance = (h: number) => errors.sigma2 * (1 + h * errors.alpha ** 2) + sigma2 * fit.leverage(columns.map((column) => column[n + h]!));
    return normalForecast(mean, variance, share);
  };
}

/**
 * Takes the effect of `terms` out, forecasts what is left with `inner`, and puts the effect of the steps ahead back in. The effect is
 * learned from the remainder of an STL decomposition, so that neither trend nor season can pass for it. For terms beside the season:
 * trading days, movable holidays. Series of under three periods, or hardly longer than the terms are many, go to `inner` as they are.
 */
export function adjusted(terms: Terms, inner: Forecaster): Forecaster {
  return (values, options) => {
    const n = values.length;
    const { period, horizon } = options;
    const columns = changing(withLine(terms, n + horizon, false), n);
    if (period < 2 || n < 3 * period || n < 2 * columns.length + FREEDOM_MIN) return inner(values, options);
    const fit = leastSquares(columns, stl(values, period).remainder);
    const effect = (t: number) => columns.reduce((sum, column, i) => (i === 0 ? sum : sum + fit.coefficients[i]! * column[t]!), 0);
    const forecast = inner(
      values.map((value, t) => value - effect(t)),
      options,
    );
    const add = (part: Float64Array) => part.map((value, h) => value + effect(n + h));
    return { mean: add(forecast.mean), lower: add(forecast.lower), upper: add(forecast.upper) };
  };
}

/** Constant first, then the line, then the terms. */
function withLine(terms: Terms, length: number, trend: boolean): Float64Array[] {
  for (const term of terms) requireParam(term.length >= length, `each term must hold ${length} values, not ${term.length}`);
  const constant = new Float64Array(length).fill(1);
  // Around zero, or its square would drown the constant's.
  const slope = Float64Array.from({ length }, (_, t) => (2 * t) / length - 1);
  return [constant, ...(trend ? [slope] : []), ...terms];
}

/** The constant, and what changes among the first n values. */
function changing(columns: readonly Float64Array[], n: number): Float64Array[] {
  return columns.filter((column, i) => i === 0 || column.subarray(0, n).some((value) => value !== column[0]));
}

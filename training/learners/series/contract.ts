import { requireData, requireParam } from '../contract.ts';

/**
 * Forecasts of single series. A forecast is computed offline and shipped as a table of horizon rows, so no learner in this folder has an
 * ONNX form: between two trainings nothing online could change it.
 */
export interface SeriesOptions {
  /** Observations in a season: 12 for months, 7 for days, 1 for none. */
  readonly period: number;
  /** Steps ahead. */
  readonly horizon: number;
  /** Share of futures that should fall between `lower` and `upper`. */
  readonly level?: number;
  /** Seeds the simulated intervals. */
  readonly seed?: number;
}

export type CompleteSeriesOptions = Required<SeriesOptions>;

/** Each of length horizon, in the units of the series. */
export interface SeriesForecast {
  readonly mean: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** `values` are finite: `prepareSeries` came first. */
export type Forecaster = (values: Float64Array, options: CompleteSeriesOptions) => SeriesForecast;

export const LEVEL_DEFAULT = 0.9;
/** Ten years of days; further ahead no method here says anything but its trend. */
export const HORIZON_MAX = 3660;
/** Hours of a year. */
export const PERIOD_MAX = 8784;
/** Some 300 years of days; a longer series should be aggregated first. */
export const LENGTH_MAX = 100_000;

/** Throws a RangeError for an option out of its bounds. */
export function completeOptions({ period, horizon, level = LEVEL_DEFAULT, seed = 0 }: SeriesOptions): CompleteSeriesOptions {
  requireParam(Number.isInteger(period) && period >= 1 && period <= PERIOD_MAX, `period must be 1 to ${PERIOD_MAX}, not ${period}`);
  requireParam(Number.isInteger(horizon) && horizon >= 1 && horizon <= HORIZON_MAX, `horizon must be 1 to ${HORIZON_MAX}, not ${horizon}`);
  requireParam(level > 0 && level < 1, `level must lie between 0 and 1, not ${level}`);
  return { period, horizon, level, seed };
}

/**
 * A copy without missing values (NaN). Missing at the start is cut off; elsewhere a value is put in: linear between its neighbours (level
 * after the last), plus what its season usually adds, where there are two seasons to learn that from.
 * Throws `training_data_insufficient` when nothing is left, or for an infinite value.
 */
export function prepareSeries(values: ArrayLike<number>, period: number): Float64Array {
  requireParam(values.length <= LENGTH_MAX, `a series may hold ${LENGTH_MAX} values, not ${values.length}`);
  let first = 0;
  while (first < values.length && Number.isNaN(values[first]!)) first++;
  requireData(first < values.length, 'the series holds no value');
  const series = Float64Array.from(values).subarray(first).slice();
  const missing: number[] = [];
  for (let t = 0; t < series.length; t++) {
    if (Number.isNaN(series[t]!)) missing.push(t);
    else requireData(Number.isFinite(series[t]!), `value ${first + t} is ${series[t]}`);
  }
  if (missing.length === 0) return series;
  const holes = new Set(missing);
  const line = linear(series, holes);
  if (period === 1 || series.length < 2 * period) return line;
  const season = seasonOf(line, holes, period);
  const adjusted = linear(
    series.map((value, t) => value - season[t % period]!),
    holes,
  );
  for (const t of missing) line[t] = adjusted[t]! + season[t % period]!;
  return line;
}

function linear(series: Float64Array, holes: ReadonlySet<number>): Float64Array {
  const out = series.slice();
  let before = 0;
  for (let t = 1; t <= out.length; t++) {
    if (t < out.length && holes.has(t)) continue;
    const end = t < out.length ? series[t]! : series[before]!;
    for (let k = before + 1; k < t; k++) out[k] = series[before]! + ((end - series[before]!) * (k - before)) / (t - before);
    before = t;
  }
  return out;
}

/** Mean distance of each season's seen values from the moving average of one period around them. */
function seasonOf(line: Float64Array, holes: ReadonlySet<number>, period: number): Float64Array {
  const sums = new Float64Array(period);
  const counts = new Float64Array(period);
  let window = 0;
  for (let t = 0; t < period; t++) window += line[t]!;
  for (let end = period; end < line.length; end++) {
    const middle = end - Math.ceil(period / 2);
    // Half weight at both ends of an even period, so that the average is centred.
    const centred = period % 2 === 1 ? window : window + (line[end]! - line[end - period]!) / 2;
    if (!holes.has(middle)) {
      sums[middle % period]! += line[middle]! - centred / period;
      counts[middle % period]! += 1;
    }
    window += line[end]! - line[end - period]!;
  }
  const means = sums.map((sum, season) => (counts[season]! > 0 ? sum / counts[season]! : 0));
  const level = means.reduce((a, b) => a + b, 0) / period;
  return means.map((mean) => mean - level);
}

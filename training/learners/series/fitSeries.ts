import { combined, learnedCombination } from './combine.ts';
import { completeOptions, type Forecaster, prepareSeries, type SeriesForecast, type SeriesOptions } from './contract.ts';
import { ets, theta } from './forecasters.ts';
import { croston, tsb } from './intermittent.ts';
import { mstlEts } from './mstl.ts';
import { meanOf, medianOf, naive, seasonalNaive, ses } from './simple.ts';
import { boxCox, logarithm } from './transform.ts';

/** On the scale of logarithms seasons and errors add up, so the additive season is asked for. */
const logEts = logarithm(ets({ season: 'A' }));
const MEMBERS: readonly Forecaster[] = [ets(), mstlEts(), logarithm(mstlEts()), logEts];

/** The models by name. What needs terms (`regression`, `adjusted`) is made by its own function. */
export const SERIES_MODELS = {
  naive,
  seasonalNaive,
  mean: meanOf(),
  median: medianOf(),
  ses,
  ets: ets(),
  logEts,
  boxCoxEts: boxCox(ets({ season: 'A' }), 'auto'),
  theta: theta(),
  dynamicOptimisedTheta: theta({ kind: 'dynamicOptimised' }),
  logTheta: logarithm(theta()),
  mstlEts: mstlEts(),
  logMstlEts: logarithm(mstlEts()),
  croston,
  tsb: tsb(),
  meanOfMembers: combined(MEMBERS, 'mean'),
  medianOfMembers: combined(MEMBERS, 'median'),
  learnedWeights: learnedCombination(MEMBERS),
} as const satisfies Readonly<Record<string, Forecaster>>;

export type SeriesModelName = keyof typeof SERIES_MODELS;

export interface FitSeriesOptions extends SeriesOptions {
  /** A name, or any forecaster of this folder. */
  readonly model?: SeriesModelName | Forecaster;
}

/**
 * Forecast of one series, computed here and shipped as a table (see `SeriesOptions`). What is odd about a series is handled so:
 * - missing values (NaN): put in, see `prepareSeries`;
 * - short: parts of models that need more values are left out, down to the last value;
 * - constant, all zero: that constant, with intervals of no width;
 * - zero or negative: multiplicative parts and logarithms are left out.
 * Throws `training_data_insufficient` without a value or for an infinite one, a RangeError for an option out of its bounds.
 */
export function fitSeries(values: ArrayLike<number>, { model = 'medianOfMembers', ...rest }: FitSeriesOptions): SeriesForecast {
  const options = completeOptions(rest);
  const series = prepareSeries(values, options.period);
  return (typeof model === 'string' ? SERIES_MODELS[model] : model)(series, options);
}

import { requireParam } from '../contract.ts';
import type { Forecaster } from './contract.ts';
import type { EtsParams } from './ets.ts';
import { ets } from './forecasters.ts';
import { stl } from './stl.ts';

export interface MstlDecomposition {
  /** The periods that two seasons of values were there for, ascending, each with its season beside it. */
  readonly periods: readonly number[];
  readonly seasonal: readonly Float64Array[];
  readonly trend: Float64Array;
  readonly remainder: Float64Array;
}

/** Several seasons are taken out in turns; a second round moves what the first put into the wrong one (Bandara et al. 2021). */
const ROUNDS = 2;
const PERIODS_MAX = 6;

/**
 * STL for several periods: shorter ones first, windows 11, 15, 19, ... Periods without two full seasons are left out; with none left the
 * whole series is remainder.
 */
export function mstl(values: Float64Array, wanted: readonly number[]): MstlDecomposition {
  requireParam(wanted.length <= PERIODS_MAX, `there may be ${PERIODS_MAX} periods, not ${wanted.length}`);
  const periods = [...new Set(wanted)].filter((period) => period > 1 && values.length >= 2 * period).sort((a, b) => a - b);
  const seasonal = periods.map(() => new Float64Array(values.length));
  const rest = values.slice();
  let trend = new Float64Array(values.length);
  for (let round = 0; round < (periods.length > 1 ? ROUNDS : 1); round++) {
    periods.forEach((period, i) => {
      const own = seasonal[i]!;
      for (let t = 0; t < rest.length; t++) rest[t]! += own[t]!;
      const found = stl(rest, period, { seasonal: 7 + 4 * (i + 1) });
      own.set(found.seasonal);
      trend = Float64Array.from(found.trend);
      for (let t = 0; t < rest.length; t++) rest[t]! -= own[t]!;
    });
  }
  return { periods, seasonal, trend, remainder: rest.map((value, t) => value - trend[t]!) };
}

/**
 * The series without its seasons by a non-seasonal ETS, each season by its last period. Intervals are those of the ETS: the season is
 * taken as known. `periods` default to the one of the options.
 */
export function mstlEts(params: Partial<EtsParams> = {}, periods?: readonly number[]): Forecaster {
  const model = ets({ ...params, season: 'N' });
  return (values, options) => {
    const parts = mstl(values, periods ?? [options.period]);
    const adjusted = values.map((value, t) => value - parts.seasonal.reduce((sum, season) => sum + season[t]!, 0));
    const forecast = model(adjusted, options);
    const season = forecast.mean.map((_, h) =>
      parts.seasonal.reduce((sum, own, i) => sum + own[values.length - parts.periods[i]! + (h % parts.periods[i]!)]!, 0),
    );
    const add = (part: Float64Array) => part.map((value, h) => value + season[h]!);
    return { mean: add(forecast.mean), lower: add(forecast.lower), upper: add(forecast.upper) };
  };
}

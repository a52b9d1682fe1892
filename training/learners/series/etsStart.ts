import type { EtsSpec } from './etsFilter.ts';
import { leastSquares, line } from './leastSquares.ts';
import { classicalSeason } from './seasonal.ts';

/** A start inside the model's ground: multiplicative seasons this far above zero. */
const SEASON_MIN = 1e-2;

export interface EtsStart {
  readonly level: number;
  readonly slope: number;
  /** Length period (1 without a season), index t mod period. */
  readonly seasons: Float64Array;
}

/** States before the first value, from the first seasons: what the optimiser starts with. `values` are longer than `period`. */
export function startStates(values: Float64Array, period: number, spec: EtsSpec): EtsStart {
  const seasons = spec.season === 'N' ? new Float64Array(1) : startSeasons(values, period, spec.season === 'M');
  const m = seasons.length;
  const adjusted =
    spec.season === 'N'
      ? values
      : values.map((value, t) => (spec.season === 'A' ? value - seasons[t % m]! : value / Math.max(seasons[t % m]!, SEASON_MIN)));
  const count = Math.min(Math.max(10, 2 * m), values.length);
  if (spec.trend === 'N') return { level: adjusted.subarray(0, count).reduce((a, b) => a + b, 0) / count, slope: 0, seasons };
  const { intercept, slope } = line(adjusted, count);
  if (spec.trend === 'A') return { level: intercept === 0 && slope === 0 ? 1e-6 : intercept, slope, seasons };
  const growth = (intercept + 2 * slope) / (intercept + slope);
  if (intercept > 0 && growth > 0.5 && growth < 2) return { level: (intercept + slope) / growth, slope: growth, seasons };
  return { level: Math.max(adjusted[0]!, 1e-3), slope: 1, seasons };
}

function startSeasons(values: Float64Array, period: number, multiplicative: boolean): Float64Array {
  const season =
    values.length >= 3 * period
      ? classicalSeason(values, period, multiplicative ? 'multiplicative' : 'additive')
      : firstSeason(values, period, multiplicative);
  if (!multiplicative) return season;
  const clipped = season.map((s) => Math.max(s, SEASON_MIN));
  const mean = clipped.reduce((a, b) => a + b, 0) / period;
  return clipped.map((s) => s / mean);
}

/** With under three seasons: the first one's distance (or ratio) from a line fitted beside one wave of a period. */
function firstSeason(values: Float64Array, period: number, multiplicative: boolean): Float64Array {
  const n = values.length;
  const wave = (2 * Math.PI) / period;
  const columns = [
    new Float64Array(n).fill(1),
    Float64Array.from({ length: n }, (_, t) => t + 1),
    Float64Array.from({ length: n }, (_, t) => Math.sin(wave * (t + 1))),
    Float64Array.from({ length: n }, (_, t) => Math.cos(wave * (t + 1))),
  ];
  // Two steps a season: the sine is zero throughout.
  const { coefficients } = leastSquares(period === 2 ? [columns[0]!, columns[1]!, columns[3]!] : columns, values);
  const trend = (t: number): number => coefficients[0]! + coefficients[1]! * (t + 1);
  const season = Float64Array.from({ length: period }, (_, t) => (multiplicative ? values[t]! / trend(t) : values[t]! - trend(t)));
  const mean = season.reduce((a, b) => a + b, 0) / period;
  return season.map((s) => (multiplicative ? s / mean : s - mean));
}

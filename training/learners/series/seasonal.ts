/** How a season meets the rest of a series: added to it or multiplied with it. */
export type SeasonKind = 'additive' | 'multiplicative';

/** One-sided 5 %: the quantile of |r| at which the season counts as there, as the theta method's authors test it. */
const SEASONAL_Z = 1.6448536269514722;

/** Whether the autocorrelation at one period stands out of what shorter lags explain. Never for periods under 4 or under two seasons. */
export function isSeasonal(values: Float64Array, period: number): boolean {
  const n = values.length;
  if (period < 4 || n < 2 * period) return false;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const covariance = (lag: number): number => {
    let sum = 0;
    for (let t = lag; t < n; t++) sum += (values[t]! - mean) * (values[t - lag]! - mean);
    return sum;
  };
  const variance = covariance(0);
  if (variance === 0) return false;
  let squares = 0;
  for (let lag = 1; lag < period; lag++) squares += (covariance(lag) / variance) ** 2;
  return Math.abs(covariance(period) / variance) / Math.sqrt((1 + 2 * squares) / n) > SEASONAL_Z;
}

/**
 * Classical decomposition: each season's mean distance (or ratio) from the centred moving average, normalised to mean 0 (or 1).
 * Index: t mod period. Wants two full seasons.
 */
export function classicalSeason(values: Float64Array, period: number, kind: SeasonKind): Float64Array {
  const n = values.length;
  const sums = new Float64Array(period);
  const counts = new Float64Array(period);
  const half = Math.floor(period / 2);
  const even = period % 2 === 0;
  for (let t = half; t + half < n; t++) {
    let trend = even ? (values[t - half]! + values[t + half]!) / 2 : 0;
    const from = even ? t - half + 1 : t - half;
    for (let k = from; k < from + (even ? period - 1 : period); k++) trend += values[k]!;
    trend /= period;
    sums[t % period]! += kind === 'additive' ? values[t]! - trend : values[t]! / trend;
    counts[t % period]! += 1;
  }
  const season = sums.map((sum, i) => (counts[i]! > 0 ? sum / counts[i]! : kind === 'additive' ? 0 : 1));
  const mean = season.reduce((a, b) => a + b, 0) / period;
  return season.map((value) => (kind === 'additive' ? value - mean : value / mean));
}

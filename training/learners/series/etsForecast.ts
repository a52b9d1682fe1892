import { seededRandom } from '../random.ts';
import type { CompleteSeriesOptions, SeriesForecast } from './contract.ts';
import type { EtsModel } from './ets.ts';
import { normalQuantile, sortedQuantile } from './normal.ts';

/** Futures drawn where no formula is known: the 5 % quantile of so many is within a few hundredths of a standard deviation. */
const PATHS = 2000;

/**
 * Point forecasts with intervals: by formula for models whose forecast variance is known (class 1 and 2 of Hyndman et al. 2008: linear
 * trend, season none or added, either error), otherwise by quantiles of simulated futures.
 */
export function forecastEts(model: EtsModel, options: CompleteSeriesOptions): SeriesForecast {
  const mean = points(model, options.horizon);
  if (model.sigma2 === 0) return { mean, lower: mean.slice(), upper: mean.slice() };
  const linear = model.spec.trend !== 'M' && model.spec.season !== 'M';
  if (!linear) return { mean, ...simulated(model, options) };
  const z = normalQuantile((1 + options.level) / 2);
  const variance = model.spec.error === 'A' ? additiveVariance(model, options.horizon) : relativeVariance(model, mean);
  return {
    mean,
    lower: mean.map((value, h) => value - z * Math.sqrt(variance[h]!)),
    upper: mean.map((value, h) => value + z * Math.sqrt(variance[h]!)),
  };
}

function points({ spec, level, slope, phi, seasons, period }: EtsModel, horizon: number): Float64Array {
  let damping = phi;
  let sum = 0;
  return Float64Array.from({ length: horizon }, (_, h) => {
    sum += damping;
    damping *= phi;
    const base = spec.trend === 'N' ? level : spec.trend === 'A' ? level + sum * slope : level * slope ** sum;
    const season = seasons[h % period]!;
    return spec.season === 'N' ? base : spec.season === 'A' ? base + season : base * season;
  });
}

/** c_j: how much of an error now is left in the forecast j steps later, for linear models. */
function responses({ alpha, beta, gamma, phi, period, spec }: EtsModel, horizon: number): Float64Array {
  let damping = 1;
  let sum = 0;
  return Float64Array.from({ length: horizon }, (_, i) => {
    sum += damping;
    damping *= phi;
    const seasonal = spec.season !== 'N' && (i + 1) % period === 0 ? gamma : 0;
    return alpha + beta * sum + seasonal;
  });
}

function additiveVariance(model: EtsModel, horizon: number): Float64Array {
  const c = responses(model, horizon);
  let sum = 1;
  return Float64Array.from({ length: horizon }, (_, h) => {
    if (h > 0) sum += c[h - 1]! ** 2;
    return model.sigma2 * sum;
  });
}

function relativeVariance(model: EtsModel, mean: Float64Array): Float64Array {
  const c = responses(model, mean.length);
  const second = new Float64Array(mean.length);
  return mean.map((value, h) => {
    let sum = 0;
    for (let j = 1; j <= h; j++) sum += c[j - 1]! ** 2 * second[h - j]!;
    second[h] = value * value + model.sigma2 * sum;
    return (1 + model.sigma2) * second[h]! - value * value;
  });
}

function simulated(model: EtsModel, { horizon, level: share, seed }: CompleteSeriesOptions): { lower: Float64Array; upper: Float64Array } {
  const random = seededRandom(seed);
  const sd = Math.sqrt(model.sigma2);
  const drawn = Array.from({ length: horizon }, () => new Float64Array(PATHS));
  const seasons = new Float64Array(model.period);
  for (let path = 0; path < PATHS; path++) {
    seasons.set(model.seasons);
    let { level, slope } = model;
    for (let h = 0; h < horizon; h++) {
      const k = h % model.period;
      // A relative error of -1 or less would turn the series over; a shop's turnover cannot.
      const noise = sd * random.normal();
      const next = step(model, level, slope, seasons[k]!, model.spec.error === 'M' ? Math.max(noise, -0.999) : noise);
      drawn[h]![path] = next.value;
      ({ level, slope } = next);
      seasons[k] = next.season;
    }
  }
  for (const futures of drawn) futures.sort();
  const quantile = (p: number) => Float64Array.from(drawn, (futures) => sortedQuantile(futures, p));
  return { lower: quantile((1 - share) / 2), upper: quantile((1 + share) / 2) };
}

function step({ spec, alpha, beta, gamma, phi }: EtsModel, level: number, slope: number, season: number, noise: number) {
  const damped = spec.trend === 'A' ? phi * slope : spec.trend === 'M' ? Math.max(slope, 1e-10) ** phi : 0;
  const base = spec.trend === 'N' ? level : spec.trend === 'A' ? level + damped : level * damped;
  const forecast = spec.season === 'N' ? base : spec.season === 'A' ? base + season : base * season;
  const value = spec.error === 'A' ? forecast + noise : forecast * (1 + noise);
  const adjusted = spec.season === 'N' ? value : spec.season === 'A' ? value - season : value / season;
  const nextLevel = base + alpha * (adjusted - base);
  const change = spec.trend === 'M' ? nextLevel / level : nextLevel - level;
  return {
    value,
    level: nextLevel,
    slope: spec.trend === 'N' ? 0 : damped + (beta / alpha) * (change - damped),
    season: spec.season === 'N' ? 0 : season + gamma * ((spec.season === 'A' ? value - base : value / base) - season),
  };
}

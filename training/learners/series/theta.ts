import { type FitOptions, requireData } from '../contract.ts';
import { seededRandom } from '../random.ts';
import type { CompleteSeriesOptions, SeriesForecast } from './contract.ts';
import { line } from './leastSquares.ts';
import { nelderMead } from './nelderMead.ts';
import { sortedQuantile } from './normal.ts';
import { classicalSeason, isSeasonal, type SeasonKind } from './seasonal.ts';

/**
 * standard: theta 2 and one trend line for the whole series (Assimakopoulos and Nikolopoulos 2000); optimised: theta is learned;
 * the dynamic ones learn the line anew with each value (Fiorucci et al. 2016).
 */
export type ThetaKind = 'standard' | 'optimised' | 'dynamic' | 'dynamicOptimised';
export const THETA_KINDS: readonly ThetaKind[] = ['standard', 'optimised', 'dynamic', 'dynamicOptimised'];

export interface ThetaParams {
  /** 'Z': the kind with the least squared one-step errors. */
  kind: ThetaKind | 'Z';
}

/** The season is taken out before, and put back into the forecast. */
interface Season {
  readonly kind: SeasonKind;
  /** Factor (or summand) of step h ahead at (h - 1) mod period. */
  readonly ahead: Float64Array;
}

export interface ThetaModel {
  readonly kind: ThetaKind;
  readonly alpha: number;
  readonly theta: number;
  readonly start: number;
  readonly season: Season | undefined;
  /** Number of values, and states after the last one: smoothed level, mean, intercept and slope of the line. */
  readonly n: number;
  readonly level: number;
  readonly average: number;
  readonly intercept: number;
  readonly slope: number;
  /** Variance of the one-step errors from the fourth on, without the season. */
  readonly sigma2: number;
  readonly mse: number;
}

const ALPHA_MIN = 0.1;
const ALPHA_MAX = 0.99;
/** Beyond so large a theta the second line is that of theta = Infinity to nine digits. */
const THETA_MAX = 1e10;
/** The first errors say more of the start than of the model. */
const BURN_IN = 3;
/** Under it a factor of the season would blow up what it divides. */
const FACTOR_MIN = 0.01;
const PATHS = 1000;

/**
 * Theta method by least squared one-step errors, on the series without its season where one shows (classical decomposition, multiplicative
 * for positive values). Throws `training_data_insufficient` with fewer than four values.
 */
export function fitTheta({ values, period }: { values: Float64Array; period: number }, given: Partial<ThetaParams>, options: FitOptions): ThetaModel {
  requireData(values.length > BURN_IN && values.every(Number.isFinite), 'the theta method needs four finite values');
  const { season, adjusted } = withoutSeason(values, period);
  const kinds = given.kind === undefined || given.kind === 'Z' ? THETA_KINDS : [given.kind];
  let best: ThetaModel | undefined;
  kinds.forEach((kind, i) => {
    const model = { ...fitKind(adjusted, kind), season };
    if (!best || model.mse < best.mse) best = model;
    options.progress?.(i + 1, kinds.length);
  });
  return best!;
}

function withoutSeason(values: Float64Array, period: number): { season: Season | undefined; adjusted: Float64Array } {
  if (!isSeasonal(values, period)) return { season: undefined, adjusted: values };
  let kind: SeasonKind = values.every((value) => value > 0) ? 'multiplicative' : 'additive';
  let parts = classicalSeason(values, period, kind);
  if (kind === 'multiplicative' && !parts.every((factor) => factor >= FACTOR_MIN)) {
    kind = 'additive';
    parts = classicalSeason(values, period, kind);
  }
  const adjusted = values.map((value, t) => (kind === 'additive' ? value - parts[t % period]! : value / parts[t % period]!));
  return { season: { kind, ahead: parts.map((_, h) => parts[(values.length + h) % period]!) }, adjusted };
}

/** Runs the recursion; its states after the last value. */
class ThetaFilter {
  readonly #values: Float64Array;
  readonly #dynamic: boolean;
  readonly #line: { intercept: number; slope: number };
  level = 0;
  average = 0;
  intercept = 0;
  slope = 0;

  constructor(values: Float64Array, dynamic: boolean) {
    this.#values = values;
    this.#dynamic = dynamic;
    this.#line = line(values);
  }

  /** Sum of squared one-step errors after the burn-in. */
  run(start: number, alpha: number, theta: number): number {
    const values = this.#values;
    const first = values[0]!;
    let level = alpha * first + (1 - alpha) * start;
    let average = first;
    let intercept = this.#dynamic ? first : this.#line.intercept;
    let slope = this.#dynamic ? 0 : this.#line.slope;
    const weight = 1 - 1 / theta;
    let power = 1;
    let squares = 0;
    for (let i = 1; i < values.length; i++) {
      const y = values[i]!;
      power *= 1 - alpha;
      const error = y - (level + weight * (intercept * power + (slope * (1 - power * (1 - alpha))) / alpha));
      if (i >= BURN_IN) squares += error * error;
      level = alpha * y + (1 - alpha) * level;
      const before = average;
      average = (i * average + y) / (i + 1);
      if (this.#dynamic) {
        slope = ((i - 1) * slope + (6 * (y - before)) / (i + 1)) / (i + 2);
        intercept = average - (slope * (i + 2)) / 2;
      }
    }
    this.level = level;
    this.average = average;
    this.intercept = intercept;
    this.slope = slope;
    return squares;
  }
}

function fitKind(values: Float64Array, kind: ThetaKind): Omit<ThetaModel, 'season'> {
  const learned = kind === 'optimised' || kind === 'dynamicOptimised';
  const filter = new ThetaFilter(values, kind === 'dynamic' || kind === 'dynamicOptimised');
  // The stopping rule is an absolute one, so the errors are measured in units of the series.
  const scale = values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length || 1;
  const found = nelderMead(
    (x) => filter.run(x[0]!, x[1]!, learned ? x[2]! : 2) / scale,
    Float64Array.of(values[0]! / 2, 0.5, ...(learned ? [2] : [])),
    {
      lower: Float64Array.of(-Infinity, ALPHA_MIN, ...(learned ? [1] : [])),
      upper: Float64Array.of(Infinity, ALPHA_MAX, ...(learned ? [THETA_MAX] : [])),
    },
  );
  const [start, alpha, theta] = [found.x[0]!, found.x[1]!, learned ? found.x[2]! : 2];
  const squares = filter.run(start, alpha, theta);
  const { level, average, intercept, slope } = filter;
  const sigma2 = squares / Math.max(1, values.length - BURN_IN - 1);
  return { kind, alpha, theta, start, n: values.length, level, average, intercept, slope, sigma2, mse: squares / scale };
}

/** Point forecasts; intervals by quantiles of simulated futures with normal errors. */
export function forecastTheta(model: ThetaModel, { horizon, level: share, seed }: CompleteSeriesOptions): SeriesForecast {
  const mean = new Float64Array(horizon);
  future(model, mean, () => 0);
  const random = seededRandom(seed);
  const sd = Math.sqrt(model.sigma2);
  const drawn = mean.map(() => 0);
  const futures = Array.from({ length: horizon }, () => new Float64Array(PATHS));
  for (let path = 0; path < PATHS; path++) {
    future(model, drawn, () => sd * random.normal());
    for (let h = 0; h < horizon; h++) futures[h]![path] = drawn[h]!;
  }
  for (const values of futures) values.sort();
  const season = (values: Float64Array): Float64Array => {
    if (!model.season) return values;
    const { kind, ahead } = model.season;
    return values.map((value, h) => (kind === 'additive' ? value + ahead[h % ahead.length]! : value * ahead[h % ahead.length]!));
  };
  const quantile = (p: number) => season(Float64Array.from(futures, (values) => sortedQuantile(values, p)));
  return { mean: season(mean), lower: quantile((1 - share) / 2), upper: quantile((1 + share) / 2) };
}

/** Fills `out` with one future, whose values move the states as seen ones do. */
function future(model: ThetaModel, out: Float64Array, noise: () => number): void {
  const { alpha, kind } = model;
  const dynamic = kind === 'dynamic' || kind === 'dynamicOptimised';
  let { level, average, intercept, slope } = model;
  for (let h = 0; h < out.length; h++) {
    const i = model.n + h;
    const power = (1 - alpha) ** i;
    const y = level + (1 - 1 / model.theta) * (intercept * power + (slope * (1 - power * (1 - alpha))) / alpha) + noise();
    out[h] = y;
    level = alpha * y + (1 - alpha) * level;
    const before = average;
    average = (i * average + y) / (i + 1);
    if (dynamic) {
      slope = ((i - 1) * slope + (6 * (y - before)) / (i + 1)) / (i + 2);
      intercept = average - (slope * (i + 2)) / 2;
    }
  }
}

/** Error, trend and season of an exponential smoothing model: N none, A additive, M multiplicative (Hyndman et al. 2008). */
export interface EtsSpec {
  readonly error: 'A' | 'M';
  readonly trend: 'N' | 'A' | 'M';
  readonly season: 'N' | 'A' | 'M';
  readonly damped: boolean;
}

const KIND = { N: 0, A: 1, M: 2 } as const;
/** Divisors under this are not divided by: the candidate answers Infinity instead. */
const TINY = 1e-10;
/** The product of many forecasts is folded into its logarithm before it leaves what a double can hold. */
const PRODUCT_MAX = 1e150;
const PRODUCT_MIN = 1e-150;

/** What the parameters say, in the model's own terms. */
export interface EtsParameters {
  readonly alpha: number;
  readonly beta: number;
  readonly gamma: number;
  readonly phi: number;
}

/**
 * The recursion of one model over one series, as fast as it can be: it runs some hundred thousand times in an automatic choice, so it keeps
 * its buffers and allocates nothing.
 *
 * Parameters x: alpha, then, where the model has them, beta / min(alpha, betaMax), gamma / (1 - alpha), phi, the level before the first
 * value, the slope, and the seasons 1 to m - 1 (season 0 is what makes them add up to 0, or m). With the first four in (0, 1) this is the
 * usual region 0 < beta < alpha < 1, 0 < gamma < 1 - alpha, all of which is admissible (forgets its start).
 */
export class EtsFilter {
  readonly values: Float64Array;
  readonly period: number;
  readonly spec: EtsSpec;
  /** Season of the next step k ahead is at (values.length + k) mod period. */
  readonly seasons: Float64Array;
  level = 0;
  slope = 0;
  squares = 0;
  readonly #betaMax: number;
  readonly #floor: number;

  constructor(values: Float64Array, period: number, spec: EtsSpec, betaMax = 1) {
    this.values = values;
    this.period = spec.season === 'N' ? 1 : period;
    this.spec = spec;
    this.seasons = new Float64Array(this.period);
    this.#betaMax = betaMax;
    // A model that is exact up to rounding would otherwise win or lose by its rounding errors.
    this.#floor = Number.MIN_VALUE + 1e-24 * (spec.error === 'A' ? values.reduce((sum, value) => sum + value * value, 0) : values.length);
  }

  /** Number of x. */
  get size(): number {
    const { trend, season } = this.spec;
    return this.smoothing + 1 + (trend === 'N' ? 0 : 1) + (season === 'N' ? 0 : this.period - 1);
  }

  /** Number of smoothing parameters: the first of x. */
  get smoothing(): number {
    const { trend, season, damped } = this.spec;
    return 1 + (trend === 'N' ? 0 : 1) + (season === 'N' ? 0 : 1) + (damped ? 1 : 0);
  }

  parameters(x: Float64Array): EtsParameters {
    const { trend, season, damped } = this.spec;
    let at = 0;
    const alpha = x[at++]!;
    const beta = trend === 'N' ? 0 : x[at++]! * Math.min(alpha, this.#betaMax);
    const gamma = season === 'N' ? 0 : x[at++]! * (1 - alpha);
    return { alpha, beta, gamma, phi: damped ? x[at]! : 1 };
  }

  /** -2 log likelihood up to a constant: n log(sum e^2), for multiplicative errors plus 2 sum log |forecast|. Infinity where the model breaks. */
  evaluate(x: Float64Array): number {
    const { values, seasons, period } = this;
    const n = values.length;
    const trend = KIND[this.spec.trend];
    const season = KIND[this.spec.season];
    const relative = this.spec.error === 'M';
    let at = 0;
    const alpha = x[at++]!;
    const betaOfAlpha = trend === 0 ? 0 : (x[at++]! * Math.min(alpha, this.#betaMax)) / alpha;
    const gamma = season === 0 ? 0 : x[at++]! * (1 - alpha);
    const phi = this.spec.damped ? x[at++]! : 1;
    let level = x[at++]!;
    let slope = trend === 0 ? 0 : x[at++]!;
    if (season !== 0 && !this.#startSeasons(x, at)) return Infinity;
    let squares = 0;
    let logs = 0;
    let product = 1;
    let k = 0;
    for (let t = 0; t < n; t++) {
      const y = values[t]!;
      let damped = 0;
      let base = level;
      if (trend === 1) {
        damped = phi * slope;
        base = level + damped;
      } else if (trend === 2) {
        damped = phi === 1 ? slope : slope ** phi;
        base = level * damped;
      }
      const s = seasons[k]!;
      const forecast = season === 0 ? base : season === 1 ? base + s : base * s;
      let error = y - forecast;
      if (relative) {
        if (!(forecast > TINY)) return Infinity;
        error /= forecast;
        product *= forecast;
        if (product > PRODUCT_MAX || product < PRODUCT_MIN) {
          logs += Math.log(product);
          product = 1;
        }
      }
      squares += error * error;
      let adjusted = y;
      if (season === 1) {
        adjusted = y - s;
        seasons[k] = s + gamma * (y - base - s);
      } else if (season === 2) {
        if (!(s > TINY) || !(Math.abs(base) > TINY)) return Infinity;
        adjusted = y / s;
        seasons[k] = s + gamma * (y / base - s);
      }
      const before = level;
      level = base + alpha * (adjusted - base);
      if (trend === 1) slope = damped + betaOfAlpha * (level - before - damped);
      else if (trend === 2) slope = damped + betaOfAlpha * (level / before - damped);
      if (++k === period) k = 0;
    }
    this.level = level;
    this.slope = slope;
    this.squares = squares;
    if (!(squares < Infinity) || (trend === 2 && !(slope > 0))) return Infinity;
    const fit = n * Math.log(squares + this.#floor);
    return relative ? fit + 2 * (logs + Math.log(product)) : fit;
  }

  /** Fills the seasons from x; false where a multiplicative one would not be positive. */
  #startSeasons(x: Float64Array, from: number): boolean {
    const { seasons, period } = this;
    const multiplicative = this.spec.season === 'M';
    let first = multiplicative ? period : 0;
    for (let k = 1; k < period; k++) {
      const s = x[from + k - 1]!;
      seasons[k] = s;
      first -= s;
      if (multiplicative && !(s > 0)) return false;
    }
    seasons[0] = first;
    return !multiplicative || first > 0;
  }
}

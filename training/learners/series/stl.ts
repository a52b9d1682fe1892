import { requireData, requireParam } from '../contract.ts';
import { type LoessDegree, loess, loessAt } from './loess.ts';

/** Named as in the paper (Cleveland et al. 1990) and its Fortran. Windows are odd. */
export interface StlParams {
  /** Seasons of a cycle-subseries smoothed together: larger is a steadier season. */
  seasonal: number;
  seasonalDegree: LoessDegree;
  /** 0: the next odd number after 1.5 period / (1 - 1.5 / seasonal). */
  trend: number;
  trendDegree: LoessDegree;
  lowPassDegree: LoessDegree;
  innerIterations: number;
  /** Rounds of robustness weights; 0 for none. */
  outerIterations: number;
}

export const STL_DEFAULTS: StlParams = {
  seasonal: 11,
  seasonalDegree: 0,
  trend: 0,
  trendDegree: 1,
  lowPassDegree: 1,
  innerIterations: 5,
  outerIterations: 0,
};

/** Each as long as the series; they add up to it. */
export interface Decomposition {
  readonly seasonal: Float64Array;
  readonly trend: Float64Array;
  readonly remainder: Float64Array;
}

const ITERATIONS_MAX = 100;

/** Seasonal-trend decomposition by loess. Throws `training_data_insufficient` with fewer than two full periods. */
export function stl(values: Float64Array, period: number, given: Partial<StlParams> = {}): Decomposition {
  const params = completeParams(period, given);
  requireData(values.length >= 2 * period && values.every(Number.isFinite), `STL needs two periods (${2 * period}) of finite values`);
  const n = values.length;
  const seasonal = new Float64Array(n);
  const trend = new Float64Array(n);
  let robustness: Float64Array | undefined;
  const work = new StlWork(n, period);
  for (let outer = 0; outer <= params.outerIterations; outer++) {
    for (let inner = 0; inner < params.innerIterations; inner++) work.iterate(values, params, seasonal, trend, robustness);
    if (outer < params.outerIterations) robustness = bisquare(values, seasonal, trend);
  }
  return { seasonal, trend, remainder: values.map((value, t) => value - seasonal[t]! - trend[t]!) };
}

class StlWork {
  readonly #n: number;
  readonly #period: number;
  readonly #detrended: Float64Array;
  readonly #extended: Float64Array;
  readonly #averaged: Float64Array;
  readonly #second: Float64Array;
  readonly #weights: Float64Array;
  readonly #cycle: Float64Array;
  readonly #smoothed: Float64Array;
  readonly #cycleRobustness: Float64Array;

  constructor(n: number, period: number) {
    this.#n = n;
    this.#period = period;
    this.#detrended = new Float64Array(n);
    this.#extended = new Float64Array(n + 2 * period);
    this.#averaged = new Float64Array(n + 2 * period);
    this.#second = new Float64Array(n + 2 * period);
    this.#weights = new Float64Array(n + 2 * period + 1);
    const cycle = Math.ceil(n / period) + 1;
    this.#cycle = new Float64Array(cycle);
    this.#smoothed = new Float64Array(cycle);
    this.#cycleRobustness = new Float64Array(cycle);
  }

  /** One round: the season from the detrended series, then the trend from the deseasonalised one. */
  iterate(values: Float64Array, params: StlParams, seasonal: Float64Array, trend: Float64Array, robustness?: Float64Array): void {
    const n = this.#n;
    const period = this.#period;
    const detrended = this.#detrended;
    for (let t = 0; t < n; t++) detrended[t] = values[t]! - trend[t]!;
    this.#smoothCycles(params, robustness);
    // What the smoothed cycles share with the trend is taken out of the season: three moving averages and a loess.
    movingAverage(this.#extended, n + 2 * period, period, this.#averaged);
    movingAverage(this.#averaged, n + period + 1, period, this.#second);
    movingAverage(this.#second, n + 2, 3, this.#averaged);
    loess(this.#averaged, n, nextOdd(period + 1), params.lowPassDegree, this.#second, this.#weights);
    for (let t = 0; t < n; t++) seasonal[t] = this.#extended[period + t]! - this.#second[t]!;
    for (let t = 0; t < n; t++) detrended[t] = values[t]! - seasonal[t]!;
    loess(detrended, n, params.trend, params.trendDegree, trend, this.#weights, robustness);
  }

  /** Smooths each cycle-subseries (all Januaries, ...) and extends it by one season at both ends. */
  #smoothCycles({ seasonal: window, seasonalDegree: degree }: StlParams, robustness?: Float64Array): void {
    const period = this.#period;
    const cycle = this.#cycle;
    const weights = this.#weights;
    for (let phase = 0; phase < period; phase++) {
      const k = Math.floor((this.#n - phase - 1) / period) + 1;
      const own = robustness ? this.#cycleRobustness : undefined;
      for (let i = 0; i < k; i++) {
        cycle[i] = this.#detrended[phase + i * period]!;
        if (own) own[i] = robustness![phase + i * period]!;
      }
      loess(cycle, k, window, degree, this.#smoothed, weights, own);
      const before = loessAt(cycle, k, window, degree, 0, 1, Math.min(window, k), weights, own);
      const after = loessAt(cycle, k, window, degree, k + 1, Math.max(1, k - window + 1), k, weights, own);
      this.#extended[phase] = Number.isNaN(before) ? this.#smoothed[0]! : before;
      for (let i = 0; i < k; i++) this.#extended[phase + (i + 1) * period] = this.#smoothed[i]!;
      this.#extended[phase + (k + 1) * period] = Number.isNaN(after) ? this.#smoothed[k - 1]! : after;
    }
  }
}

/** Averages of `length` of the first n values: n - length + 1 of them. */
function movingAverage(values: Float64Array, n: number, length: number, out: Float64Array): void {
  let sum = 0;
  for (let t = 0; t < length; t++) sum += values[t]!;
  out[0] = sum / length;
  for (let t = length; t < n; t++) {
    sum += values[t]! - values[t - length]!;
    out[t - length + 1] = sum / length;
  }
}

/** Cleveland's robustness weights: 0 beyond six median absolute remainders. */
function bisquare(values: Float64Array, seasonal: Float64Array, trend: Float64Array): Float64Array {
  const sizes = values.map((value, t) => Math.abs(value - seasonal[t]! - trend[t]!));
  const sorted = sizes.slice().sort();
  const middle = sorted.length >> 1;
  const limit = 3 * (sorted[middle]! + sorted[sorted.length - middle - 1]!);
  return sizes.map((size) => (size <= 0.001 * limit ? 1 : size <= 0.999 * limit ? (1 - (size / limit) ** 2) ** 2 : 0));
}

function nextOdd(x: number): number {
  const whole = Math.ceil(x);
  return whole % 2 === 0 ? whole + 1 : whole;
}

function completeParams(period: number, given: Partial<StlParams>): StlParams {
  const params = { ...STL_DEFAULTS, ...given };
  requireParam(Number.isInteger(period) && period >= 2, `period must be 2 or more, not ${period}`);
  const odd = (name: string, window: number) => requireParam(window >= 3 && window % 2 === 1, `${name} must be odd, 3 or more, not ${window}`);
  odd('seasonal', params.seasonal);
  const trend = params.trend === 0 ? nextOdd((1.5 * period) / (1 - 1.5 / params.seasonal)) : params.trend;
  odd('trend', trend);
  const rounds = params.innerIterations + params.outerIterations;
  requireParam(params.innerIterations >= 1 && rounds <= ITERATIONS_MAX, `there may be 1 to ${ITERATIONS_MAX} iterations, not ${rounds}`);
  return { ...params, trend };
}

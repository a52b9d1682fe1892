import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { EtsFilter, type EtsParameters, type EtsSpec } from './etsFilter.ts';
import { startStates } from './etsStart.ts';
import { nelderMead } from './nelderMead.ts';
import { fitSes } from './ses.ts';

export interface EtsRows {
  /** Finite; `prepareSeries` fills what is missing. */
  readonly values: Float64Array;
  readonly period: number;
}

export interface EtsParams {
  /** 'Z' leaves the choice to the corrected Akaike criterion. */
  error: 'A' | 'M' | 'Z';
  trend: 'N' | 'A' | 'M' | 'Z';
  season: 'N' | 'A' | 'M' | 'Z';
  damped: boolean | 'Z';
  /** 'Z' as trend tries multiplicative ones too. Off as in R: they win in sample and run away out of it. */
  multiplicativeTrend: boolean;
  /** The slope's smoothing beta stays under this, besides under alpha. */
  betaMax: number;
  /**
   * The states before the first value: 'estimated' together with the smoothing parameters, as R does, or left as the first seasons give them
   * ('heuristic'): many times faster, and steadier where seasons change, as a start that explains everything leaves nothing to smooth.
   */
  initial: 'estimated' | 'heuristic';
  /** Iterations of the optimiser for each candidate. */
  iterationsMax: number;
}

export interface EtsModel extends EtsParameters {
  readonly spec: EtsSpec;
  /** 1 without a season. */
  readonly period: number;
  /** States after the last value. The season of step h ahead (from 1) is `seasons[(h - 1) % period]`. */
  readonly level: number;
  readonly slope: number;
  readonly seasons: Float64Array;
  /** Variance of the one-step errors, relative ones where the error is multiplicative. */
  readonly sigma2: number;
  /** -2 log likelihood up to a constant of the series; comparable between models of one series. */
  readonly deviance: number;
  readonly aicc: number;
}

export const ETS_DEFAULTS: EtsParams = {
  error: 'Z',
  trend: 'Z',
  season: 'Z',
  damped: 'Z',
  multiplicativeTrend: false,
  betaMax: 1,
  initial: 'estimated',
  iterationsMax: 1000,
};

const SMOOTHING_MIN = 1e-4;
const SMOOTHING_MAX = 0.9999;
/** Damping outside these is a constant level or no damping at all, and the likelihood is flat there (R's bounds). */
const PHI_MIN = 0.8;
const PHI_MAX = 0.98;
/** Longer seasons have more start values than a likelihood can tell apart; take them out with `mstl` first. */
export const ETS_PERIOD_MAX = 24;

/**
 * Exponential smoothing by maximum likelihood (Nelder and Mead in the usual region of the parameters), the model chosen among the allowed
 * ones by AICc. Without enough values for a part (season: more than a period; each model: more than its parameters) that part is left out;
 * multiplicative parts need positive values and are left out otherwise, unless asked for by name: then `training_data_insufficient`.
 * What is too short for any model is smoothed simply; a constant series is forecast by its constant, with intervals of no width.
 */
export function fitEts(rows: EtsRows, given: Partial<EtsParams>, options: FitOptions): EtsModel {
  const params = { ...ETS_DEFAULTS, ...given };
  const { values, period } = rows;
  requireParam(params.betaMax > 0 && params.betaMax <= 1, `betaMax must lie in (0, 1], not ${params.betaMax}`);
  requireData(values.length > 0 && values.every(Number.isFinite), 'exponential smoothing needs finite values');
  const positive = values.every((value) => value > 0);
  const asked = params.error === 'M' || params.trend === 'M' || params.season === 'M';
  requireData(positive || !asked, 'multiplicative models need positive values');
  if (values.every((value) => value === values[0])) return constantModel(values[0]!);
  const candidates = specs(params, positive, values.length > period && period > 1 && period <= ETS_PERIOD_MAX);
  let best: EtsModel | undefined;
  candidates.forEach((spec, i) => {
    const model = fitSpec(values, period, spec, params);
    if (model && (!best || model.aicc < best.aicc)) best = model;
    options.progress?.(i + 1, candidates.length);
  });
  return best ?? simplest(values);
}

/** The candidates: all combinations allowed, without those whose forecasts have infinite variance (A with M). */
function specs(params: EtsParams, positive: boolean, seasonal: boolean): EtsSpec[] {
  const errors = params.error === 'Z' ? (positive ? (['A', 'M'] as const) : (['A'] as const)) : [params.error];
  const trends = params.trend === 'Z' ? (['N', 'A', ...(params.multiplicativeTrend && positive ? (['M'] as const) : [])] as const) : [params.trend];
  const allSeasons = positive ? (['N', 'A', 'M'] as const) : (['N', 'A'] as const);
  const seasons = seasonal ? (params.season === 'Z' ? allSeasons : [params.season]) : (['N'] as const);
  const found: EtsSpec[] = [];
  for (const error of errors) {
    for (const trend of trends) {
      for (const season of seasons) {
        const unstable = (error === 'A' && (trend === 'M' || season === 'M')) || (error === 'M' && trend === 'M' && season === 'A');
        if (unstable && (params.error === 'Z' || params.trend === 'Z' || params.season === 'Z')) continue;
        for (const damped of trend === 'N' ? [false] : params.damped === 'Z' ? [true, false] : [params.damped]) {
          found.push({ error, trend, season, damped });
        }
      }
    }
  }
  return found;
}

function fitSpec(values: Float64Array, period: number, spec: EtsSpec, params: EtsParams): EtsModel | undefined {
  const filter = new EtsFilter(values, period, spec, params.betaMax);
  const n = values.length;
  const count = filter.size + 1;
  if (count >= n - 1) return undefined;
  const { start, lower, upper } = searchBox(filter, values);
  // The states come last, so that leaving them alone is searching over the first few parameters.
  const free = params.initial === 'heuristic' ? filter.smoothing : start.length;
  const x = start.slice();
  const objective = (part: Float64Array): number => {
    x.set(part);
    return filter.evaluate(x);
  };
  const box = { lower: lower.subarray(0, free), upper: upper.subarray(0, free), iterationsMax: params.iterationsMax };
  const deviance = objective(nelderMead(objective, start.subarray(0, free), box).x);
  if (!(deviance < Infinity)) return undefined;
  const m = filter.period;
  return {
    spec,
    period: m,
    ...filter.parameters(x),
    level: filter.level,
    slope: filter.slope,
    seasons: Float64Array.from({ length: m }, (_, k) => filter.seasons[(n + k) % m]!),
    sigma2: filter.squares / (n - count),
    deviance,
    aicc: deviance + 2 * count + (2 * count * (count + 1)) / (n - count - 1),
  };
}

function searchBox(filter: EtsFilter, values: Float64Array): { start: Float64Array; lower: Float64Array; upper: Float64Array } {
  const { spec, period, size } = filter;
  const states = startStates(values, period, spec);
  const start = new Float64Array(size);
  const lower = new Float64Array(size).fill(-Infinity);
  const upper = new Float64Array(size).fill(Infinity);
  let at = 0;
  const smoothing = (value: number, low = SMOOTHING_MIN, high = SMOOTHING_MAX): void => {
    [start[at], lower[at], upper[at]] = [value, low, high];
    at++;
  };
  // A smooth level at first: a season is then learned as a season. One season long memory is what R starts from, too.
  smoothing(0.2 / period);
  if (spec.trend !== 'N') smoothing(0.1);
  if (spec.season !== 'N') smoothing(0.05);
  if (spec.damped) smoothing(PHI_MIN + 0.99 * (PHI_MAX - PHI_MIN), PHI_MIN, PHI_MAX);
  start[at++] = states.level;
  if (spec.trend !== 'N') start[at++] = states.slope;
  if (spec.season !== 'N') start.set(states.seasons.subarray(1), at);
  return { start, lower, upper };
}

const SIMPLE: EtsSpec = { error: 'A', trend: 'N', season: 'N', damped: false };

function constantModel(level: number): EtsModel {
  const seasons = new Float64Array(1);
  return { spec: SIMPLE, period: 1, alpha: 1, beta: 0, gamma: 0, phi: 1, level, slope: 0, seasons, sigma2: 0, deviance: -Infinity, aicc: -Infinity };
}

/** A handful of values: simple smoothing from the first one. */
function simplest(values: Float64Array): EtsModel {
  const { alpha, level, sigma2 } = fitSes(values, {});
  return { ...constantModel(level), alpha, sigma2, deviance: Number.NaN, aicc: Number.NaN };
}

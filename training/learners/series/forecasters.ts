import type { Forecaster } from './contract.ts';
import { type EtsParams, fitEts } from './ets.ts';
import { forecastEts } from './etsForecast.ts';
import { seasonalNaive } from './simple.ts';
import { fitTheta, forecastTheta, type ThetaParams } from './theta.ts';

/** Exponential smoothing, chosen by AICc among what `params` allow. */
export function ets(params: Partial<EtsParams> = {}): Forecaster {
  return (values, options) => forecastEts(fitEts({ values, period: options.period }, params, options), options);
}

/** Theta method, chosen by its squared errors unless `params` name one; under four values the naive forecast. */
export function theta(params: Partial<ThetaParams> = {}): Forecaster {
  return (values, options) => {
    if (values.length < 4) return seasonalNaive(values, options);
    return forecastTheta(fitTheta({ values, period: options.period }, params, options), options);
  };
}

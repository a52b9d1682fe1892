import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { AIR_PASSENGERS } from './airPassengers.testing.ts';
import { ETS_DEFAULTS, type EtsParams, fitEts } from './ets.ts';
import { EtsFilter } from './etsFilter.ts';
import { forecastEts } from './etsForecast.ts';

const air = { values: AIR_PASSENGERS, period: 12 };
const seed = { seed: 1 };
const year = { period: 12, horizon: 12, level: 0.9, seed: 1 };
const named = (name: string, damped = false): Partial<EtsParams> =>
  ({ error: name[0], trend: name[1], season: name[2], damped }) as Partial<EtsParams>;

describe('fitEts', () => {
  // -2 log likelihood and AICc of statsforecast 2.1.1; lower is better. Given as many steps as they take, where both stop after 1,000 by
  // default: from there the two simplexes have not always got to one valley.
  test.each([
    ['ANN', false, 1727.7867, 1733.9582],
    ['AAN', false, 1727.1651, 1737.5999],
    ['AAN', true, 1727.4172, 1740.0304],
    ['MNN', false, 1667.9002, 1674.0716],
    ['AAA', false, 1479.8319, 1518.689],
    ['MNM', false, 1424.3518, 1458.1018],
    ['MAM', false, 1473.1355, 1511.9926],
    ['MAM', true, 1541.3194, 1582.7914],
  ])('%s, damped %s: at least as likely as the reference', (name, damped, deviance, aicc) => {
    const model = fitEts(air, { ...named(name, damped), iterationsMax: 8000 }, seed);
    expect(model.deviance).toBeLessThan(deviance + 1);
    // The same number of parameters is counted.
    expect(model.aicc - model.deviance).toBeCloseTo(aicc - deviance, 3);
    expect(model.spec).toEqual({ error: name[0], trend: name[1], season: name[2], damped });
    expect(model.alpha).toBeGreaterThan(0);
    expect(model.beta).toBeLessThanOrEqual(model.alpha);
    expect(model.gamma).toBeLessThanOrEqual(1 - model.alpha);
  });

  test('simple smoothing equals the reference, forecast and 90 % interval', () => {
    const model = fitEts(air, named('ANN'), seed);
    // Its variance divides by one degree of freedom less.
    expect(Math.abs(model.sigma2 / 1160.81 - 1)).toBeLessThan(0.01);
    const { mean, lower, upper } = forecastEts(model, year);
    expect(mean[0]).toBeCloseTo(431.9958, 2);
    [375.954, 294.735, 237.881].forEach((bound, i) => {
      expect(Math.abs(lower[[0, 5, 11][i]!]! - bound)).toBeLessThan(1);
    });
    [488.037, 569.257, 626.11].forEach((bound, i) => {
      expect(Math.abs(upper[[0, 5, 11][i]!]! - bound)).toBeLessThan(1);
    });
  });

  test('the choice is the candidate of the least AICc', () => {
    const best = fitEts(air, {}, seed);
    expect(best.spec.season).toBe('M');
    for (const name of ['ANN', 'AAA', 'MAM', 'MNM', 'MAA']) expect(best.aicc).toBeLessThanOrEqual(fitEts(air, named(name), seed).aicc);
    expect(fitEts(air, {}, seed)).toEqual(best);
  });

  test('finds the parameters of a series made by the model', () => {
    const random = seededRandom(8);
    let [level, slope] = [100, 0.5];
    const values = Float64Array.from({ length: 600 }, () => {
      const noise = random.normal();
      const value = level + slope + noise;
      level += slope + 0.4 * noise;
      slope += 0.05 * noise;
      return value;
    });
    const model = fitEts({ values, period: 1 }, named('AAN'), seed);
    expect(Math.abs(model.alpha - 0.4)).toBeLessThan(0.1);
    expect(Math.abs(model.beta - 0.05)).toBeLessThan(0.03);
    expect(Math.abs(model.sigma2 - 1)).toBeLessThan(0.15);
  });

  test('a start left to the first seasons is quick, and no likelier than an estimated one', () => {
    const plain = fitEts(air, { ...named('AAA'), initial: 'heuristic' }, seed);
    expect(plain.deviance).toBeGreaterThan(fitEts(air, named('AAA'), seed).deviance - 1);
    expect(plain.sigma2).toBeLessThan(1000);
  });

  test('constant, short and non-positive series', () => {
    const flat = forecastEts(fitEts({ values: new Float64Array(30).fill(7), period: 12 }, {}, seed), year);
    expect([...flat.mean, ...flat.lower, ...flat.upper].every((value) => value === 7)).toBe(true);
    for (let n = 1; n <= 14; n++) {
      const { mean, lower, upper } = forecastEts(fitEts({ values: AIR_PASSENGERS.slice(0, n), period: 12 }, {}, seed), year);
      expect([...mean, ...lower, ...upper].every(Number.isFinite)).toBe(true);
    }
    const crossing = AIR_PASSENGERS.map((value) => value - 250);
    expect(fitEts({ values: crossing, period: 12 }, {}, seed).spec).toMatchObject({ error: 'A', season: 'A' });
    expect(() => fitEts({ values: crossing, period: 12 }, { season: 'M' }, seed)).toThrow(/training_data_insufficient/);
    expect(() => fitEts({ values: Float64Array.of(1, Number.NaN), period: 1 }, {}, seed)).toThrow(/training_data_insufficient/);
    expect(() => fitEts(air, { betaMax: 0 }, seed)).toThrow(RangeError);
  });

  test('a multiplicative trend grows by a factor, and is tried only when asked for', () => {
    const values = Float64Array.from({ length: 60 }, (_, t) => 10 * 1.05 ** t * (1 + 0.01 * Math.sin(t * 7)));
    const { mean } = forecastEts(fitEts({ values, period: 1 }, named('MMN'), seed), { ...year, period: 1 });
    expect(mean[11]! / mean[0]!).toBeCloseTo(1.05 ** 11, 1);
    expect(ETS_DEFAULTS.multiplicativeTrend).toBe(false);
    expect(fitEts({ values, period: 1 }, {}, seed).spec.trend).not.toBe('M');
    expect(fitEts({ values, period: 1 }, { multiplicativeTrend: true }, seed).spec.trend).toBe('M');
  });
});

describe('EtsFilter', () => {
  test('the sum of logarithms is that of one forecast after another, however many', () => {
    const values = Float64Array.from({ length: 3000 }, (_, t) => 1e9 * (2 + Math.sin(t)));
    const filter = new EtsFilter(values, 1, { error: 'M', trend: 'N', season: 'N', damped: false });
    let [level, squares, logs] = [2e9, 0, 0];
    for (const y of values) {
      const error = (y - level) / level;
      squares += error * error;
      logs += Math.log(level);
      level *= 1 + 0.3 * error;
    }
    expect(filter.evaluate(Float64Array.of(0.3, 2e9))).toBeCloseTo(values.length * Math.log(squares) + 2 * logs, 4);
  });

  test('what breaks a model is infinitely unlikely', () => {
    const filter = new EtsFilter(AIR_PASSENGERS, 12, { error: 'M', trend: 'N', season: 'M', damped: false });
    const x = new Float64Array(filter.size).fill(1);
    expect(filter.evaluate(Float64Array.from(x, (_, i) => [0.1, 0.1, 120][i] ?? 1))).toBeLessThan(Infinity);
    expect(filter.evaluate(Float64Array.from(x, (_, i) => [0.1, 0.1, -120][i] ?? 1))).toBe(Infinity);
    expect(filter.evaluate(Float64Array.from(x, (_, i) => [0.1, 0.1, 120][i] ?? 2))).toBe(Infinity);
  });
});

describe('intervals', () => {
  // The formula (linear models) and the simulation must tell the same story: AAA by formula against its own futures.
  test.each(['AAA', 'MAA'])('%s: formula and simulated futures agree', (name) => {
    const model = fitEts(air, named(name), seed);
    const { mean, lower, upper } = forecastEts(model, { ...year, horizon: 24 });
    const random = seededRandom(5);
    const inside = new Float64Array(24);
    const paths = 3000;
    for (let path = 0; path < paths; path++) {
      let { level, slope } = model;
      const seasons = model.seasons.slice();
      for (let h = 0; h < 24; h++) {
        const k = h % 12;
        const forecast = level + slope + seasons[k]!;
        const noise = Math.sqrt(model.sigma2) * random.normal() * (name === 'AAA' ? 1 : forecast);
        const value = forecast + noise;
        if (value > lower[h]! && value < upper[h]!) inside[h]! += 1 / paths;
        level += slope + model.alpha * noise;
        slope += model.beta * noise;
        seasons[k]! += model.gamma * noise;
      }
    }
    inside.forEach((share, h) => {
      expect(Math.abs(share - 0.9)).toBeLessThan(0.025);
      expect(lower[h]).toBeLessThan(mean[h]!);
    });
  });

  test('multiplicative seasons: simulated, the same for the same seed, wider further ahead', () => {
    const model = fitEts(air, named('MAM'), seed);
    const forecast = forecastEts(model, year);
    expect(forecastEts(model, year)).toEqual(forecast);
    expect(forecastEts(model, { ...year, seed: 2 }).lower).not.toEqual(forecast.lower);
    forecast.mean.forEach((value, h) => {
      expect(value).toBeGreaterThan(forecast.lower[h]!);
      expect(value).toBeLessThan(forecast.upper[h]!);
    });
  });
});

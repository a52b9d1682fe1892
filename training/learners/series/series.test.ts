import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { AIR_PASSENGERS } from './airPassengers.testing.ts';
import { dailyTerms, monthlyTerms } from './calendar.ts';
import { completeOptions, type Forecaster, prepareSeries } from './contract.ts';
import { fitSeries, SERIES_MODELS, type SeriesModelName } from './fitSeries.ts';
import { mstl } from './mstl.ts';
import { nelderMead } from './nelderMead.ts';
import { normalQuantile } from './normal.ts';
import { adjusted, regression } from './regression.ts';
import { isSeasonal } from './seasonal.ts';
import { fitSes } from './ses.ts';
import { ses } from './simple.ts';
import { stl } from './stl.ts';
import { fitTheta, forecastTheta, type ThetaKind } from './theta.ts';
import { boxCox, guerrero } from './transform.ts';

const year = completeOptions({ period: 12, horizon: 12 });
const names = Object.keys(SERIES_MODELS) as SeriesModelName[];

describe('fitSeries, every model', () => {
  const random = seededRandom(3);
  const wave = Float64Array.from({ length: 60 }, (_, t) => 50 + 10 * Math.sin(t) + random.normal());
  const odd: Readonly<Record<string, ArrayLike<number>>> = {
    usual: wave,
    negative: wave.map((value) => value - 60),
    'one value': [4],
    'two values': [4, 6],
    'five values': [4, 6, 5, 9, 1],
    'just over a period': wave.slice(0, 14),
    constant: new Float64Array(40).fill(0.1),
    'all zero': new Float64Array(40),
    'mostly zero': Float64Array.from({ length: 40 }, (_, t) => (t % 9 === 4 ? 1 + (t % 3) : 0)),
    'with holes': wave.map((value, t) => (t < 3 || t % 11 === 5 || t > 57 ? Number.NaN : value)),
    'a line': Float64Array.from({ length: 40 }, (_, t) => 5 + 2 * t),
    'huge and tiny': wave.map((value, t) => value * (t < 30 ? 1e12 : 1e-9)),
  };

  test.each(names)('%s answers every odd series with finite bounds in order', (model) => {
    for (const [what, values] of Object.entries(odd)) {
      const { mean, lower, upper } = fitSeries(values, { period: 12, horizon: 14, model });
      for (let h = 0; h < 14; h++) {
        const told = `${what}, step ${h}: ${lower[h]} ${mean[h]} ${upper[h]}`;
        expect(Number.isFinite(mean[h]! + lower[h]! + upper[h]!), told).toBe(true);
        expect(lower[h]! <= upper[h]! + 1e-9, told).toBe(true);
      }
      if (what === 'all zero') expect([...mean, ...lower, ...upper].every((value) => Math.abs(value) < 1e-9)).toBe(true);
      if (what === 'constant' && model !== 'croston' && model !== 'tsb')
        for (const value of [...mean, ...lower, ...upper]) expect(value).toBeCloseTo(0.1, 6);
    }
  });

  test.each(names)('%s is the same each time', (model) => {
    expect(fitSeries(wave, { period: 12, horizon: 6, model })).toEqual(fitSeries(wave, { period: 12, horizon: 6, model }));
  });

  test('bad series and options are refused', () => {
    const options = { period: 12, horizon: 3 };
    expect(() => fitSeries([], options)).toThrow(/training_data_insufficient/);
    expect(() => fitSeries([Number.NaN, Number.NaN], options)).toThrow(/training_data_insufficient/);
    expect(() => fitSeries([1, Infinity, 2], options)).toThrow(/training_data_insufficient/);
    expect(() => fitSeries([1], { ...options, horizon: 0 })).toThrow(RangeError);
    expect(() => fitSeries([1], { ...options, period: 1.5 })).toThrow(RangeError);
    expect(() => fitSeries([1], { ...options, level: 1 })).toThrow(RangeError);
  });
});

test('prepareSeries puts the season into what is missing', () => {
  const whole = Float64Array.from({ length: 48 }, (_, t) => 100 + t + 20 * Math.sin((t * Math.PI) / 6));
  const holes = whole.map((value, t) => ([7, 20, 21, 47].includes(t) ? Number.NaN : value));
  const filled = prepareSeries(holes, 12);
  for (const t of [7, 20, 21]) expect(Math.abs(filled[t]! - whole[t]!)).toBeLessThan(1);
  expect(Math.abs(filled[47]! - whole[47]!)).toBeLessThan(2);
  expect([...prepareSeries([Number.NaN, 2, Number.NaN, 6, Number.NaN], 1)]).toEqual([2, 4, 6, 6]);
});

describe('theta', () => {
  // Scaled squared errors and forecasts 1, 6 and 12 steps ahead of statsforecast 2.1.1.
  const reference: [ThetaKind, number, number[]][] = [
    ['standard', 54.46286, [440.969, 546.456, 448.525]],
    ['optimised', 53.08941, [442.943, 555.581, 462.402]],
    ['dynamic', 55.28875, [440.774, 546.243, 448.392]],
    ['dynamicOptimised', 53.68039, [442.927, 556.122, 463.477]],
  ];
  test.each(reference)('%s', (kind, mse, forecasts) => {
    const model = fitTheta({ values: AIR_PASSENGERS, period: 12 }, { kind }, { seed: 1 });
    expect(model.mse).toBeLessThan(mse * 1.002);
    const { mean, lower, upper } = forecastTheta(model, year);
    forecasts.forEach((value, i) => {
      const h = [0, 5, 11][i]!;
      expect(Math.abs(mean[h]! / value - 1)).toBeLessThan(0.004);
      expect(lower[h]!).toBeLessThan(mean[h]!);
      expect(upper[h]!).toBeGreaterThan(mean[h]!);
    });
  });

  test('chooses the least error, sees a season where there is one', () => {
    expect(fitTheta({ values: AIR_PASSENGERS, period: 12 }, {}, { seed: 1 }).kind).toBe('optimised');
    expect(isSeasonal(AIR_PASSENGERS, 12)).toBe(true);
    const random = seededRandom(6);
    expect(
      isSeasonal(
        Float64Array.from({ length: 144 }, () => random.normal()),
        12,
      ),
    ).toBe(false);
  });
});

describe('stl', () => {
  // Of statsmodels' STL at places 0, 70 and 143.
  test.each([
    [{}, [122.887635150073, 254.86185062432395, 497.06356462622324], [-16.520518686318407, -53.97751820542954, -44.7880862559062]],
    [
      { seasonal: 7, seasonalDegree: 1 as const, innerIterations: 2, outerIterations: 15 },
      [122.55173778889521, 255.19191930798758, 500.71081255851686],
      [-11.148577392625317, -53.79742318459809, -68.68219113232689],
    ],
  ])('equals statsmodels with %o', (params, trend, seasonal) => {
    const parts = stl(AIR_PASSENGERS, 12, params);
    [0, 70, 143].forEach((t, i) => {
      expect(parts.trend[t]).toBeCloseTo(trend[i]!, 6);
      expect(parts.seasonal[t]).toBeCloseTo(seasonal[i]!, 6);
    });
    AIR_PASSENGERS.forEach((value, t) => {
      expect(parts.trend[t]! + parts.seasonal[t]! + parts.remainder[t]!).toBeCloseTo(value, 9);
    });
  });

  test('mstl tells two seasons apart, and leaves out what is too long', () => {
    const values = Float64Array.from({ length: 200 }, (_, t) => 10 + 3 * Math.sin((2 * Math.PI * t) / 7) + 5 * Math.cos((2 * Math.PI * t) / 30));
    const { periods, seasonal } = mstl(values, [30, 7, 150]);
    expect(periods).toEqual([7, 30]);
    for (let t = 60; t < 140; t++) {
      expect(Math.abs(seasonal[0]![t]! - 3 * Math.sin((2 * Math.PI * t) / 7))).toBeLessThan(0.5);
      expect(Math.abs(seasonal[1]![t]! - 5 * Math.cos((2 * Math.PI * t) / 30))).toBeLessThan(0.5);
    }
    expect(() => stl(values.slice(0, 10), 7)).toThrow(/training_data_insufficient/);
    expect(() => stl(values, 7, { seasonal: 8 })).toThrow(RangeError);
  });
});

describe('simple methods', () => {
  const intermittent = [0, 0, 3, 0, 0, 1, 0, 0, 0, 4, 2, 0, 0, 0, 0, 5, 0, 1, 0, 0, 2, 0, 0, 0, 3];
  test.each([
    ['croston', 0.89921901],
    ['tsb', 0.989391],
  ] as const)('%s equals statsforecast', (model, value) => {
    const { mean, lower, upper } = fitSeries(intermittent, { period: 1, horizon: 2, model });
    for (let h = 0; h < 2; h++) {
      expect(mean[h]).toBeCloseTo(value, 4);
      expect(lower[h]).toBeGreaterThanOrEqual(0);
      expect(upper[h]).toBeGreaterThanOrEqual(mean[h]!);
    }
  });

  test('simple smoothing equals statsforecast, and no alpha of a fine grid is better', () => {
    const values = AIR_PASSENGERS.slice(0, 40);
    expect(ses(values, year).mean[0]).toBeCloseTo(181.11869, 2);
    const wave = Float64Array.from({ length: 30 }, (_, t) => Math.sin(t * t));
    const { sigma2 } = fitSes(wave, {});
    for (let alpha = 0.01; alpha < 0.99; alpha += 0.003) {
      let [level, squares] = [wave[0]!, 0];
      for (const value of wave.subarray(1)) {
        squares += (value - level) ** 2;
        level += alpha * (value - level);
      }
      expect(sigma2).toBeLessThanOrEqual(squares / 29 + 1e-9);
    }
  });

  test('naive, seasonal naive, mean and median by hand', () => {
    const values = [1, 5, 3, 2, 7, 4];
    const mean = (model: SeriesModelName) => [...fitSeries(values, { period: 3, horizon: 4, model }).mean];
    expect(mean('naive')).toEqual([4, 4, 4, 4]);
    expect(mean('seasonalNaive')).toEqual([2, 7, 4, 2]);
    expect(mean('median')).toEqual([3.5, 3.5, 3.5, 3.5]);
    expect(mean('mean')[0]).toBeCloseTo(22 / 6, 12);
    const { upper } = fitSeries(values, { period: 3, horizon: 4, model: 'seasonalNaive' });
    // Three changes of 1, 2 and 1: sd sqrt(2), times sqrt(2) in the second season.
    expect(upper[0]! - 2).toBeCloseTo(1.6448536 * Math.sqrt(2), 5);
    expect(upper[3]! - 2).toBeCloseTo(1.6448536 * 2, 5);
  });
});

describe('transform', () => {
  test('Box-Cox at 1 changes nothing, and the logarithm keeps an interval positive', () => {
    const plain = ses(AIR_PASSENGERS, year);
    boxCox(ses, 1)(AIR_PASSENGERS, year).mean.forEach((value, h) => {
      expect(value).toBeCloseTo(plain.mean[h]!, 6);
    });
    const shaky = Float64Array.from({ length: 30 }, (_, t) => Math.exp(3 * Math.sin(t * t)));
    expect(boxCox(ses, 0)(shaky, year).lower.every((value) => value > 0)).toBe(true);
    expect(() => boxCox(ses, 3)).toThrow(RangeError);
  });

  test('Guerrero finds the power that evens out the spread', () => {
    const random = seededRandom(1);
    const grown = (power: number) =>
      Float64Array.from({ length: 240 }, (_, t) => (10 + 0.2 * t + Math.sin((t * Math.PI) / 6) + 0.1 * random.normal()) ** power);
    // The spread of x^2 grows with its level as that of a square root's inverse does.
    expect(Math.abs(guerrero(grown(2), 12) - 0.5)).toBeLessThan(0.15);
    expect(Math.abs(guerrero(grown(1), 12) - 1)).toBeLessThan(0.25);
  });
});

describe('regression', () => {
  const first = Date.UTC(2020, 11, 1) / 86_400_000;
  const christmas = [2020, 2021].map((y) => Date.UTC(y, 11, 25) / 86_400_000);
  const terms = dailyTerms({ firstDay: first, length: 400 + 20, month: false, holidays: [christmas] });
  const random = seededRandom(7);
  const truth = Float64Array.from({ length: 420 }, (_, t) => 100 + 0.1 * t + (new Date((first + t) * 86_400_000).getUTCDay() === 6 ? 30 : 0));
  for (const day of christmas) truth[day - first]! -= 80;
  const values = truth.slice(0, 390).map((value) => value + random.normal());

  test('weekdays and holidays come back in the forecast', () => {
    const { mean, lower, upper } = regression(terms)(values, completeOptions({ period: 7, horizon: 20 }));
    let inside = 0;
    mean.forEach((value, h) => {
      expect(Math.abs(value - truth[390 + h]!)).toBeLessThan(3);
      if (truth[390 + h]! > lower[h]! && truth[390 + h]! < upper[h]!) inside++;
    });
    expect(inside).toBe(20);
    expect(390).toBe(christmas[1]! - first + 1);
    expect(() => regression(terms)(values.slice(0, 8), completeOptions({ period: 7, horizon: 20 }))).toThrow(/training_data_insufficient/);
    expect(() => regression(terms)(values, completeOptions({ period: 7, horizon: 60 }))).toThrow(RangeError);
  });

  test('trading days: counts of 2024, and their effect taken out and put back', () => {
    const [monday] = monthlyTerms({ firstYear: 2024, firstMonth: 1, length: 2, month: false });
    // February 2024: 29 days from a Thursday, five Thursdays and four of each other day; March: five Fridays, Saturdays and Sundays.
    expect([...monday!]).toEqual([0, -1]);
    const length = 132;
    const trading = monthlyTerms({ firstYear: 2010, firstMonth: 0, length, month: false });
    const series = Float64Array.from({ length }, (_, t) => 200 + t + 20 * Math.sin((t * Math.PI) / 6) + 6 * trading[4]![t]!);
    const naiveSeason: Forecaster = (past, options) => SERIES_MODELS.mstlEts(past, options);
    const error = (model: Forecaster) =>
      model(series.slice(0, 120), year).mean.reduce((sum, value, h) => sum + Math.abs(value - series[120 + h]!), 0) / 12;
    expect(error(adjusted(trading, naiveSeason))).toBeLessThan(0.5 * error(naiveSeason));
  });
});

test('nelderMead: Rosenbrock’s valley, and a minimum on the edge', () => {
  const rosenbrock = (x: Float64Array) => (1 - x[0]!) ** 2 + 100 * (x[1]! - x[0]! ** 2) ** 2;
  const box = (low: number, high: number) => ({ lower: new Float64Array(2).fill(low), upper: new Float64Array(2).fill(high) });
  const free = nelderMead(rosenbrock, Float64Array.of(-1.2, 1), { ...box(-5, 5), tolerance: 1e-12 });
  expect(free.x[0]).toBeCloseTo(1, 4);
  expect(free.x[1]).toBeCloseTo(1, 4);
  const edge = nelderMead((x) => (x[0]! - 3) ** 2 + (x[1]! + 2) ** 2, Float64Array.of(0.5, 0.5), { ...box(0, 1), tolerance: 1e-12 });
  expect(edge.x[0]).toBeCloseTo(1, 6);
  expect(edge.x[1]).toBeCloseTo(0, 6);
});

test('quantiles of the normal distribution, both sides', () => {
  [
    [0.001, -3.090232306],
    [0.025, -1.959963985],
    [0.3, -0.524400513],
    [0.9, 1.281551566],
  ].forEach(([p, z]) => {
    expect(normalQuantile(p!)).toBeCloseTo(z!, 7);
    expect(normalQuantile(1 - p!)).toBeCloseTo(-z!, 7);
  });
});

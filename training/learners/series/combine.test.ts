import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { combined, combineSteps, learnedCombination, learnWeights, rollingOrigins } from './combine.ts';
import { completeOptions, type Forecaster } from './contract.ts';
import { meanOf, naive } from './simple.ts';

const options = completeOptions({ period: 1, horizon: 3 });
const flat =
  (value: number): Forecaster =>
  (_, { horizon }) => {
    const all = new Float64Array(horizon).fill(value);
    return { mean: all, lower: all.map((x) => x - 1), upper: all.map((x) => x + 1) };
  };

describe('combined', () => {
  test('mean, median and weights, step by step', () => {
    const parts = [Float64Array.of(1, 10), Float64Array.of(2, 0), Float64Array.of(9, 5)];
    expect([...combineSteps(parts, 'mean')]).toEqual([4, 5]);
    expect([...combineSteps(parts, 'median')]).toEqual([2, 5]);
    expect([...combineSteps(parts, Float64Array.of(0.5, 0, 0.5))]).toEqual([5, 7.5]);
    expect([...parts[0]!]).toEqual([1, 10]);
    const { mean, lower, upper } = combined([flat(1), flat(2), flat(6)], 'mean')(new Float64Array(1), options);
    [mean[0], lower[0], upper[0]].forEach((value, i) => {
      expect(value).toBeCloseTo([3, 2, 4][i]!, 12);
    });
    expect(() => combined([], 'mean')).toThrow(RangeError);
    expect(() => combined([flat(1)], Float64Array.of(1, 0))).toThrow(RangeError);
  });
});

describe('rollingOrigins', () => {
  test('shows each start the values before it alone, the latest first', () => {
    const seen: number[] = [];
    const spy: Forecaster = (values, given) => {
      seen.push(values.length);
      return naive(values, given);
    };
    const values = Float64Array.from({ length: 12 }, (_, t) => t);
    const origins = rollingOrigins(values, [spy], options, { origins: 9, step: 2, trainMin: 4 });
    expect(seen).toEqual([9, 7, 5]);
    expect(origins.map(({ at }) => at)).toEqual([9, 7, 5]);
    expect([...origins[1]!.actual]).toEqual([7, 8, 9]);
    expect([...origins[1]!.forecasts[0]!]).toEqual([6, 6, 6]);
  });
});

describe('learnWeights', () => {
  test('finds the mixture that made the series, and none outside the simplex', () => {
    const random = seededRandom(2);
    const draw = () => Float64Array.from({ length: 10 }, () => random.normal());
    const origins = Array.from({ length: 8 }, (_, at) => {
      const forecasts = [draw(), draw(), draw()];
      return { at, forecasts, actual: combineSteps(forecasts, Float64Array.of(0.6, 0.3, 0.1)) };
    });
    const weights = learnWeights(origins, 3);
    [0.6, 0.3, 0.1].forEach((weight, i) => {
      expect(weights[i]).toBeCloseTo(weight, 6);
    });
    const opposed = origins.map((origin) => ({ ...origin, actual: origin.forecasts[0]!.map((x, h) => 2 * x - origin.forecasts[1]![h]!) }));
    const bounded = learnWeights(opposed, 3);
    expect(bounded[0]).toBeCloseTo(1, 6);
    expect(bounded.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect([...learnWeights([], 4)]).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  test('a series learns whom to trust', () => {
    const level = Float64Array.from({ length: 60 }, (_, t) => 5 + (t % 2 === 0 ? 1 : -1));
    const { mean } = learnedCombination([naive, meanOf()])(level, options);
    for (const value of mean) expect(Math.abs(value - 5)).toBeLessThan(0.2);
    const short = learnedCombination([flat(0), flat(4)])(Float64Array.of(1, 2, 3), options);
    expect([...short.mean]).toEqual([2, 2, 2]);
  });
});

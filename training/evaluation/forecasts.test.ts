import { describe, expect, test } from 'vitest';
import { forecastErrors, summarise } from './forecasts.ts';

describe('forecastErrors', () => {
  test('by hand: a season of two', () => {
    // Seasonal changes of the training part: 2, -4, 3: mean size 3, mean square 29 / 3.
    const errors = forecastErrors(Float64Array.of(1, 5, 3, 1, 6), Float64Array.of(2, 0), Float64Array.of(5, 0), 2);
    expect(errors.mase).toBeCloseTo(1.5 / 3, 12);
    expect(errors.rmsse).toBeCloseTo(Math.sqrt(4.5 / (29 / 3)), 12);
    // 200 x 3 / 7 and, where both are zero, nothing.
    expect(errors.smape).toBeCloseTo(600 / 7 / 2, 12);
    expect([errors.absolute, errors.total]).toEqual([3, 2]);
  });

  test('no scale: no scaled error, and none in the mean', () => {
    const flat = forecastErrors(new Float64Array(5).fill(2), Float64Array.of(3), Float64Array.of(2), 1);
    expect(flat.mase).toBeNaN();
    expect(flat.rmsse).toBeNaN();
    const usual = [1, 3, 11].map((error) => forecastErrors(Float64Array.of(0, 1, 0), Float64Array.of(10), Float64Array.of(10 - error), 1));
    const all = summarise([flat, ...usual]);
    expect(all.mase).toBe(5);
    expect(all.medianMase).toBe(3);
    expect(all.rmsse).toBe(5);
    expect(all.wape).toBeCloseTo(16 / 33, 12);
  });
});

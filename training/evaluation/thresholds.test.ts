import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Costs, thresholdByCapacity, thresholdByCost } from './thresholds.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });
const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.boolean(), fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 30 });

describe('threshold by cost', () => {
  test('a fraud missed costs 100, a look 10: one in ten is worth it', () => {
    const scores = [0.9, 0.5, 0.5, 0.5, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3];
    const labels = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    // From 0.5 on: 4 looks, none missed. Higher misses a fraud, lower looks in vain.
    expect(thresholdByCost(scores, labels, { missed: 100, falseAlarm: 10, caught: 10 })).toEqual({ threshold: 0.5, acted: 4, cost: 4 });
  });

  test('nothing is acted on where it never pays, everything where it always does', () => {
    expect(thresholdByCost([0.9, 0.1], [1, 0], { missed: 1, falseAlarm: 5, caught: 2 })).toEqual({
      threshold: Number.POSITIVE_INFINITY,
      acted: 0,
      cost: 0.5,
    });
    expect(thresholdByCost([0.9, 0.1], [0, 1], { missed: 9, falseAlarm: 1 })).toEqual({ threshold: 0.1, acted: 2, cost: 0.5 });
  });

  test('no other threshold costs less', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 0, max: 9 }), fc.integer({ min: -3, max: 9 }), (given, missed, caught) => {
        const [scores, labels, weights] = [given.map(([s]) => s), given.map(([, l]) => Number(l)), given.map(([, , w]) => w)];
        const costs: Costs = { missed, falseAlarm: 4, caught, passed: -1 };
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const costAt = (threshold: number) =>
          given.reduce((sum, [score, isBad, weight]) => {
            const cost = score >= threshold ? (isBad ? caught : 4) : isBad ? missed : -1;
            return sum + weight * cost;
          }, 0) / total;
        const chosen = thresholdByCost(scores, labels, costs, weights);
        expect(chosen.cost).toBeCloseTo(costAt(chosen.threshold), 10);
        for (const threshold of [0, 1, 2, 3, 4, 5, 6, 7]) expect(chosen.cost).toBeLessThanOrEqual(costAt(threshold) + 1e-12);
        expect(chosen.acted).toBe(scores.filter((score) => score >= chosen.threshold).length);
      }),
      { seed: 3 },
    );
  });

  test('refuses no rows, no weight, no number', () => {
    const costs = { missed: 1, falseAlarm: 1 };
    expect(() => thresholdByCost([], [], costs)).toThrow(insufficient);
    expect(() => thresholdByCost([1], [1], costs, [0])).toThrow(insufficient);
    expect(() => thresholdByCost([Number.NaN], [1], costs)).toThrow(insufficient);
    expect(() => thresholdByCost([1, 2], [1], costs)).toThrow(RangeError);
    expect(() => thresholdByCost([1], [1], { missed: Number.NaN, falseAlarm: 1 })).toThrow(RangeError);
  });
});

describe('threshold by capacity', () => {
  test('as many as people can look at, and never more', () => {
    expect(thresholdByCapacity([0.1, 0.9, 0.5, 0.7], 2)).toBe(0.7);
    expect(thresholdByCapacity([0.5, 0.5, 0.5, 0.9], 2)).toBe(0.9);
    expect(thresholdByCapacity([0.5, 0.5, 0.5], 2)).toBe(Number.POSITIVE_INFINITY);
    expect(thresholdByCapacity([0.5, 0.1], 9)).toBe(0.1);
    expect(thresholdByCapacity([0.5], 0)).toBe(Number.POSITIVE_INFINITY);
  });

  test('a lower one would be too many', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 30 }), fc.integer({ min: 0, max: 31 }), (scores, capacity) => {
        const threshold = thresholdByCapacity(scores, capacity);
        const actedAt = (at: number) => scores.filter((score) => score >= at).length;
        expect(actedAt(threshold)).toBeLessThanOrEqual(capacity);
        const lower = scores.filter((score) => score < threshold);
        if (lower.length > 0) expect(actedAt(Math.max(...lower))).toBeGreaterThan(capacity);
      }),
      { seed: 4 },
    );
  });

  test('refuses no rows and half a person', () => {
    expect(() => thresholdByCapacity([], 1)).toThrow(insufficient);
    expect(() => thresholdByCapacity([1], 0.5)).toThrow(RangeError);
  });
});

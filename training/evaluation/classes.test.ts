import { expect, test } from 'vitest';
import { classMetrics, largestClass } from './classes.ts';

test('the largest value says the class, the first of equal ones', () => {
  expect([...largestClass([0.2, 0.5, 0.3, 0.4, 0.4, 0.2, 0, 0, 1], 3)]).toEqual([1, 0, 2]);
  expect(() => largestClass([1, 2], 3)).toThrow(RangeError);
});

test('the hand-computed confusion', () => {
  // True 0 0 0 1 1 2, said 0 0 1 1 2 1: class 0 has precision 2/2 and recall 2/3, class 1 has 1/3 and 1/2, class 2 has none.
  const metrics = classMetrics([0, 0, 1, 1, 2, 1], [0, 0, 0, 1, 1, 2], 3);
  expect(metrics.confusion).toEqual([
    [2, 1, 0],
    [0, 1, 1],
    [0, 1, 0],
  ]);
  expect(metrics.accuracy).toBe(0.5);
  expect(metrics.precision).toEqual([1, 1 / 3, 0]);
  expect(metrics.recall).toEqual([2 / 3, 1 / 2, 0]);
  expect(metrics.f1[0]).toBeCloseTo(0.8, 12);
  expect(metrics.f1[1]).toBeCloseTo(0.4, 12);
  expect(metrics.macroF1).toBeCloseTo(0.4, 12);
});

test('a class that never came nor was said has F1 0; classes out of range are refused', () => {
  expect(classMetrics([0], [0], 2)).toMatchObject({ accuracy: 1, macroF1: 0.5, f1: [1, 0] });
  expect(() => classMetrics([2], [0], 2)).toThrow(RangeError);
  expect(() => classMetrics([], [], 2)).toThrow(RangeError);
});

import { describe, expect, test } from 'vitest';
import { chooseThresholds, maturityMs } from './fraud-rows.ts';

describe('thresholds', () => {
  const same = { kind: 'platt', a: 1, b: 0 } as const;

  test('review rises until it fits what people can look at', () => {
    const raw = Array.from({ length: 1000 }, (_, i) => (i < 100 ? 0.3 : 0.01));
    const { review, challenge, decline } = chooseThresholds(raw, same);
    expect(review).toBeCloseTo(0.3, 6);
    expect(raw.filter((p) => p > review)).toHaveLength(0);
    expect(challenge).toBeGreaterThanOrEqual(review);
    expect(decline).toBeGreaterThan(challenge);
  });

  test('review stays where it pays when few payments are suspicious', () => {
    expect(chooseThresholds(new Array(1000).fill(0.001), same).review).toBe(0.125);
    expect(chooseThresholds([], same).review).toBe(0.125);
  });

  test('review never passes the step-up', () => {
    expect(chooseThresholds(new Array(1000).fill(0.9), same).review).toBe(0.5);
  });
});

test('maturity is the delay within which 95 % of the outcomes came', () => {
  const delays = Float64Array.from({ length: 100 }, (_, i) => 99 - i);
  expect(maturityMs({ outcomeDelaysMs: delays })).toBe(95);
  expect(maturityMs({ outcomeDelaysMs: new Float64Array(0) })).toBe(0);
  expect(delays[0]).toBe(99);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calibrator } from '../scoring/models/calibration.ts';
import { chooseThresholds, fitPlatt, maturityMs } from './fraud-rows.ts';
import { seededRandom } from './learners/random.ts';

describe('Platt calibration', () => {
  test('finds the sigmoid that the labels were drawn from', () => {
    const random = seededRandom(1);
    const raw = Array.from({ length: 20_000 }, () => 0.01 + 0.98 * random.next());
    const truth = calibrator({ kind: 'platt', a: 0.6, b: -1.5 });
    const labels = raw.map((p) => (random.next() < truth(p) ? 1 : 0));
    const fitted = fitPlatt(raw, labels);
    expect(fitted).toMatchObject({ kind: 'platt', a: expect.closeTo(0.6, 1), b: expect.closeTo(-1.5, 1) });
    const calibrate = calibrator(fitted);
    for (const p of [0.05, 0.3, 0.7, 0.95]) expect(calibrate(p)).toBeCloseTo(truth(p), 1);
  });

  test('is a number and keeps the order, whatever the model gave', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean()), { minLength: 1, maxLength: 50 }), (rows) => {
        const calibrate = calibrator(
          fitPlatt(
            rows.map(([p]) => p),
            rows.map(([, label]) => Number(label)),
          ),
        );
        const [low, high] = [calibrate(0.1), calibrate(0.9)];
        expect(Number.isFinite(low) && Number.isFinite(high)).toBe(true);
        expect(low).toBeLessThanOrEqual(high);
      }),
      { seed: 4 },
    );
  });

  test('does not promise certainty from a handful of frauds', () => {
    const calibrate = calibrator(fitPlatt([0.9, 0.8, 0.1, 0.2], [1, 1, 0, 0]));
    expect(calibrate(0.99)).toBeLessThan(0.999);
  });
});

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

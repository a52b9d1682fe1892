import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { calibrator } from '../../scoring/models/calibration.ts';
import { seededRandom } from '../learners/random.ts';
import { fitIsotonic, fitPlatt, fitSigmoid } from './calibration.ts';

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

  test('stays sane where the model all but separates the classes', () => {
    const random = seededRandom(8);
    const labels = Array.from({ length: 5_000 }, (_, i) => (i % 100 === 0 ? 1 : 0));
    // The frauds score 2 to 10 %, the others half a per cent: a whole Newton step from the start leaves the range where anything has a slope.
    const raw = labels.map((label) => (label === 1 ? 0.02 + 0.08 * random.next() : 0.004 + 0.001 * random.next()));
    const { a, b } = fitPlatt(raw, labels);
    expect(a).toBeCloseTo(5.4588, 3);
    expect(b).toBeCloseTo(21.2083, 3);
    const calibrate = calibrator({ kind: 'platt', a, b });
    expect(calibrate(0.06)).toBeGreaterThan(0.9);
    expect(calibrate(0.0045)).toBeLessThan(0.01);
    expect(calibrate(0.0045)).toBeGreaterThan(1e-6);
  });

  test('does not promise certainty from a handful of frauds', () => {
    const calibrate = calibrator(fitPlatt([0.9, 0.8, 0.1, 0.2], [1, 1, 0, 0]));
    expect(calibrate(0.99)).toBeLessThan(0.999);
  });

  test('takes scores of any scale', () => {
    const random = seededRandom(2);
    const scores = Array.from({ length: 20_000 }, () => 0.02 * random.normal());
    const labels = scores.map((score) => Number(random.next() < 1 / (1 + Math.exp(-(100 * score + 1)))));
    const { a, b } = fitSigmoid(scores, labels);
    expect(a).toBeGreaterThan(93);
    expect(a).toBeLessThan(107);
    expect(b).toBeCloseTo(1, 1);
  });
});

/** The definition itself: y_i = max over a <= i of min over b >= i of the mean of a..b. */
function minMax(labels: readonly number[]): number[] {
  const meanOf = (a: number, b: number) => labels.slice(a, b + 1).reduce((sum, y) => sum + y, 0) / (b - a + 1);
  return labels.map((_, i) => {
    let most = Number.NEGATIVE_INFINITY;
    for (let a = 0; a <= i; a++) {
      let least = Number.POSITIVE_INFINITY;
      for (let b = i; b < labels.length; b++) least = Math.min(least, meanOf(a, b));
      most = Math.max(most, least);
    }
    return most;
  });
}

describe('isotonic calibration', () => {
  test('the hand-computed case, equal scores pooled first', () => {
    // Scores 1 2 2 3 4 with labels 0 1 0 0 1: the pair at 2 has mean 1/2, 3 falls below it, together 1/3.
    const fitted = fitIsotonic([3, 1, 2, 4, 2], [0, 0, 1, 1, 0]);
    expect(fitted).toEqual({ kind: 'isotonic', x: [1, 2, 3, 4], y: [0, 1 / 3, 1 / 3, 1] });
    expect(calibrator(fitted)(2.5)).toBeCloseTo(1 / 3, 12);
    expect(calibrator(fitted)(3.5)).toBeCloseTo(2 / 3, 12);
  });

  test('is the best never-falling fit, by its definition', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 25 }), (rows) => {
        const labels = rows.map(Number);
        const calibrate = calibrator(
          fitIsotonic(
            labels.map((_, i) => i / 30),
            labels,
          ),
        );
        minMax(labels).forEach((wanted, i) => {
          expect(calibrate(i / 30)).toBeCloseTo(wanted, 12);
        });
      }),
      { seed: 5 },
    );
  });

  test('weights count as rows do, and a weight of zero not at all', () => {
    const weighted = fitIsotonic([1, 2, 3, 4], [1, 0, 1, 1], [2, 1, 1, 0]);
    expect(weighted).toEqual(fitIsotonic([1, 1, 2, 3], [1, 1, 0, 1]));
  });

  test('follows a shape that no sigmoid has, in few steps', () => {
    const random = seededRandom(7);
    const raw = Array.from({ length: 50_000 }, () => random.next());
    const truth = (p: number) => (p < 0.5 ? 0.1 : 0.1 + 0.8 * (p - 0.5));
    const labels = raw.map((p) => Number(random.next() < truth(p)));
    const fitted = fitIsotonic(raw, labels);
    expect(fitted.x.length).toBeLessThanOrEqual(2000);
    const calibrate = calibrator(fitted);
    for (const p of [0.1, 0.3, 0.6, 0.8, 0.95]) expect(Math.abs(calibrate(p) - truth(p))).toBeLessThan(0.05);
    expect(Math.abs(calibrator(fitPlatt(raw, labels))(0.3) - truth(0.3))).toBeGreaterThan(0.02);
  });

  test('refuses no rows, no weight and scores that are no numbers', () => {
    const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });
    expect(() => fitIsotonic([], [])).toThrow(insufficient);
    expect(() => fitIsotonic([1], [1], [0])).toThrow(insufficient);
    expect(() => fitIsotonic([Number.NaN], [1])).toThrow(insufficient);
    expect(() => fitIsotonic([1, 2], [1])).toThrow(RangeError);
  });
});

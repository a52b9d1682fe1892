import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Calibration } from '../../contracts/bundle.ts';
import { calibrator } from './calibration.ts';

const probability = fc.double({ min: 0, max: 1, noNaN: true });
const sorted = (length: number) => fc.array(probability, { minLength: length, maxLength: length }).map((values) => values.sort((a, b) => a - b));
const anyCalibration: fc.Arbitrary<Calibration> = fc.oneof(
  fc.record({
    kind: fc.constant('platt' as const),
    a: fc.double({ min: 0, max: 10, noNaN: true }),
    b: fc.double({ min: -20, max: 20, noNaN: true }),
  }),
  fc.integer({ min: 1, max: 8 }).chain((n) => fc.record({ kind: fc.constant('isotonic' as const), x: sorted(n), y: sorted(n) })),
);

test('every calibration gives a probability, and never a smaller one for a larger raw one', () => {
  fc.assert(
    fc.property(anyCalibration, probability, probability, (calibration, p, q) => {
      const calibrate = calibrator(calibration);
      const [low, high] = [calibrate(Math.min(p, q)), calibrate(Math.max(p, q))];
      expect(low).toBeGreaterThanOrEqual(0);
      expect(high).toBeLessThanOrEqual(1);
      expect(high - low).toBeGreaterThanOrEqual(-1e-12);
    }),
    { seed: 7, numRuns: 500 },
  );
});

describe('Platt scaling', () => {
  test('works on the log-odds: slope 1 and offset 0 change nothing, an offset multiplies the odds', () => {
    const same = calibrator({ kind: 'platt', a: 1, b: 0 });
    const tripled = calibrator({ kind: 'platt', a: 1, b: Math.log(3) });
    for (const p of [0.001, 0.2, 0.5, 0.9]) {
      expect(same(p)).toBeCloseTo(p, 12);
      const odds = tripled(p) / (1 - tripled(p));
      expect(odds).toBeCloseTo((3 * p) / (1 - p), 9);
    }
  });

  test('keeps exact 0 and 1 finite, and NaN what it is', () => {
    const calibrate = calibrator({ kind: 'platt', a: 2, b: 0.5 });
    expect(calibrate(0)).toBeGreaterThan(0);
    expect(calibrate(0)).toBeLessThan(1e-10);
    expect(calibrate(1)).toBeGreaterThan(1 - 1e-10);
    expect(calibrate(Number.NaN)).toBeNaN();
  });
});

describe('isotonic calibration', () => {
  const calibrate = calibrator({ kind: 'isotonic', x: [0.1, 0.3, 0.3, 0.8], y: [0, 0.2, 0.4, 1] });

  test.each([
    [0, 0],
    [0.1, 0],
    [0.2, 0.1],
    [0.3, 0.4],
    [0.55, 0.7],
    [0.8, 1],
    [1, 1],
  ])('joins its knots by lines and holds outside of them: %d -> %d', (raw, expected) => {
    expect(calibrate(raw)).toBeCloseTo(expected, 12);
  });

  test('of one knot is a constant, of none changes nothing, and NaN stays what it is', () => {
    expect([0, 0.5, 1].map(calibrator({ kind: 'isotonic', x: [0.5], y: [0.25] }))).toEqual([0.25, 0.25, 0.25]);
    expect([0, 0.5, 1].map(calibrator({ kind: 'isotonic', x: [], y: [] }))).toEqual([0, 0.5, 1]);
    expect(calibrate(Number.NaN)).toBeNaN();
  });
});

test.each<[string, Calibration]>([
  ['a falling slope', { kind: 'platt', a: -0.1, b: 0 }],
  ['a slope that is no number', { kind: 'platt', a: Number.NaN, b: 0 }],
  ['an offset that is no number', { kind: 'platt', a: 1, b: Number.NaN }],
  ['too few values', { kind: 'isotonic', x: [0, 1], y: [0] }],
  ['falling values', { kind: 'isotonic', x: [0, 1], y: [0.5, 0.4] }],
  ['knots in no order', { kind: 'isotonic', x: [1, 0], y: [0, 1] }],
  ['a knot that is no number', { kind: 'isotonic', x: [0, Number.NaN], y: [0, 1] }],
  ['a value above 1', { kind: 'isotonic', x: [0, 1], y: [0, 1.1] }],
  ['a value below 0', { kind: 'isotonic', x: [0, 1], y: [-0.1, 1] }],
])('%s is refused', (_, calibration) => {
  expect(() => calibrator(calibration)).toThrow('bundle_corrupt');
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shareOf } from './anomaly.ts';

const SCALE = { scores: [0.4, 0.5, 0.7], shares: [0, 0.5, 0.99] };

describe('shareOf', () => {
  test('is the share of a knot, a straight line between two, 0 below the first and 1 above the last', () => {
    const share = shareOf('a.onnx', SCALE);
    expect([0.1, 0.4, 0.5, 0.7, 0.7001].map(share)).toEqual([0, 0, 0.5, 0.99, 1]);
    expect(share(0.45)).toBeCloseTo(0.25, 12);
    expect(share(0.6)).toBeCloseTo(0.745, 12);
    expect(share(Number.NaN)).toBeNaN();
    expect(shareOf('a.onnx', { scores: [0.5], shares: [0] })(0.5)).toBe(0);
  });

  test('never falls where the score rises', () => {
    const number = fc.double({ min: 0, max: 1, noNaN: true });
    const scale = fc
      .uniqueArray(number, { minLength: 1, maxLength: 20, comparator: (a, b) => a === b })
      .chain((scores) =>
        fc.record({
          scores: fc.constant(scores.toSorted((a, b) => a - b)),
          shares: fc.array(number, { minLength: scores.length, maxLength: scores.length }),
        }),
      )
      .map(({ scores, shares }) => ({ scores, shares: shares.toSorted((a, b) => a - b) }));
    fc.assert(
      fc.property(scale, fc.array(number, { minLength: 2 }), (given, tried) => {
        const shares = tried.toSorted((a, b) => a - b).map(shareOf('a.onnx', given));
        for (const [i, share] of shares.entries()) {
          expect(share).toBeGreaterThanOrEqual(i === 0 ? 0 : shares[i - 1]!);
          expect(share).toBeLessThanOrEqual(1);
        }
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  test.each([
    ['no knots', { scores: [], shares: [] }],
    ['lists of two lengths', { scores: [0.4, 0.5], shares: [0] }],
    ['a score that stands still', { scores: [0.4, 0.4], shares: [0, 0.5] }],
    ['a share that falls', { scores: [0.4, 0.5], shares: [0.5, 0.4] }],
    ['a share above 1', { scores: [0.4, 0.5], shares: [0, 1.5] }],
    ['a score that is no number', { scores: [Number.NaN], shares: [0] }],
  ])('refuses %s', (_, scale) => {
    expect(() => shareOf('a.onnx', scale)).toThrow(/bundle_corrupt/);
  });
});

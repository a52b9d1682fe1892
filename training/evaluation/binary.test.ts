import fc from 'fast-check';
import { expect, test } from 'vitest';
import { averagePrecision, bestF1Threshold, f1, rocAuc } from './binary.ts';

const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.constantFrom(0, 1)), { minLength: 2, maxLength: 40 });

test('AUC is the share of pairs in the right order, ties half', () => {
  fc.assert(
    fc.property(rows, (given) => {
      const [positives, negatives] = [1, 0].map((wanted) => given.filter(([, label]) => label === wanted).map(([score]) => score)) as [
        number[],
        number[],
      ];
      fc.pre(positives.length > 0 && negatives.length > 0);
      const wins = positives.flatMap((p) => negatives.map((n): number => (p > n ? 1 : p === n ? 0.5 : 0)));
      const expected = wins.reduce((a, b) => a + b, 0) / wins.length;
      expect(
        rocAuc(
          given.map(([score]) => score),
          given.map(([, label]) => label),
        ),
      ).toBeCloseTo(expected, 12);
    }),
    { seed: 1 },
  );
});

test('average precision and the best F1, by hand and by trying all thresholds', () => {
  // At .9: 1 of 1; at .8: 1 of 2; at .7: 3 of 4.
  const [scores, labels] = [
    [0.9, 0.8, 0.7, 0.7, 0.1],
    [1, 0, 1, 1, 0],
  ];
  expect(averagePrecision(scores, labels)).toBeCloseTo(1 / 3 + (2 / 3) * (3 / 4), 12);
  expect(bestF1Threshold(scores, labels)).toBe(0.7);
  expect(f1(scores, labels, 0.7)).toBeCloseTo(6 / 7, 12);
  fc.assert(
    fc.property(rows, (given) => {
      const [all, truth] = [given.map(([score]) => score), given.map(([, label]) => label)];
      const best = Math.max(...all.map((threshold) => f1(all, truth, threshold)));
      expect(f1(all, truth, bestF1Threshold(all, truth))).toBeCloseTo(best, 12);
    }),
    { seed: 2 },
  );
});

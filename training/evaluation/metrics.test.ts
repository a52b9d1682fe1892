import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { averagePrecision, bestF1Threshold, calibrationBins, f1, mean, ndcgAt, precisionRecallCurve, recallAt, rocAuc, rocCurve } from './metrics.ts';

const rows = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.boolean()), { minLength: 2, maxLength: 60 })
  .map((list) => ({ scores: list.map(([score]) => score / 8), labels: list.map(([, label]) => Number(label)) }))
  .filter(({ labels }) => labels.includes(1) && labels.includes(0));

describe('AUC', () => {
  test('is the share of pairs in the right order, ties half', () => {
    fc.assert(
      fc.property(rows, ({ scores, labels }) => {
        let [right, pairs] = [0, 0];
        for (let i = 0; i < scores.length; i++) {
          for (let j = 0; j < scores.length; j++) {
            if (labels[i] !== 1 || labels[j] !== 0) continue;
            pairs++;
            right += scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0;
          }
        }
        expect(rocAuc(scores, labels)).toBeCloseTo(right / pairs, 12);
      }),
      { seed: 1 },
    );
  });

  test('has no value with one class', () => {
    expect(rocAuc([0.1, 0.2], [1, 1])).toBeNaN();
    expect(rocAuc([], [])).toBeNaN();
  });
});

describe('average precision', () => {
  test('is the sum over distinct thresholds of recall gained times precision', () => {
    fc.assert(
      fc.property(rows, ({ scores, labels }) => {
        const positives = labels.filter(Boolean).length;
        let [sum, recallBefore] = [0, 0];
        for (const threshold of [...new Set(scores)].sort((a, b) => b - a)) {
          const taken = labels.filter((_, i) => scores[i]! >= threshold);
          const hits = taken.filter(Boolean).length;
          sum += (hits / positives - recallBefore) * (hits / taken.length);
          recallBefore = hits / positives;
        }
        expect(averagePrecision(scores, labels)).toBeCloseTo(sum, 12);
      }),
      { seed: 2 },
    );
  });

  test('is worked out by hand', () => {
    expect(averagePrecision([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])).toBeCloseTo((1 + 2 / 3) / 2, 12);
    expect(averagePrecision([0.5], [0])).toBeNaN();
  });
});

test('the best F1 is the best of all thresholds', () => {
  const [scores, labels] = [
    [0.9, 0.8, 0.7, 0.7, 0.1],
    [1, 0, 1, 1, 0],
  ];
  expect(bestF1Threshold(scores, labels)).toBe(0.7);
  expect(f1(scores, labels, 0.7)).toBeCloseTo(6 / 7, 12);
  expect(f1([0.1], [0], 0.5)).toBe(0);
  fc.assert(
    fc.property(rows, (given) => {
      const best = Math.max(...given.scores.map((threshold) => f1(given.scores, given.labels, threshold)));
      expect(f1(given.scores, given.labels, bestF1Threshold(given.scores, given.labels))).toBeCloseTo(best, 12);
    }),
    { seed: 3 },
  );
});

test('curves end where all rows are taken, and are thinned', () => {
  const scores = Array.from({ length: 1000 }, (_, i) => i);
  const labels = scores.map((i) => (i % 3 === 0 ? 1 : 0));
  const roc = rocCurve(scores, labels, 50);
  expect(roc).toHaveLength(50);
  expect(roc[0]).toEqual({ x: 0, y: 0 });
  expect(roc.at(-1)).toEqual({ x: 1, y: 1 });
  const curve = precisionRecallCurve(scores, labels, 50);
  expect(curve.at(-1)!.x).toBe(1);
  expect(curve.at(-1)!.y).toBeCloseTo(334 / 1000, 12);
});

test('ranking metrics are worked out by hand', () => {
  const wanted = new Set(['a', 'b', 'c']);
  expect(recallAt(2, ['a', 'x', 'b'], wanted)).toBe(0.5);
  expect(recallAt(20, ['a', 'x', 'b'], wanted)).toBeCloseTo(2 / 3, 12);
  expect(ndcgAt(20, ['a', 'x', 'b'], wanted)).toBeCloseTo((1 + 1 / 2) / (1 + 1 / Math.log2(3) + 1 / 2), 12);
  expect(ndcgAt(20, [], wanted)).toBe(0);
  expect(recallAt(20, ['a'], new Set())).toBeNaN();
  expect(mean([])).toBeNaN();
  expect(mean([1, 2])).toBe(1.5);
});

test('calibration bins hold equal shares in rising order', () => {
  const probabilities = [0.1, 0.9, 0.2, 0.8];
  expect(calibrationBins(probabilities, [0, 1, 0, 0], 2)).toEqual([
    { predicted: expect.closeTo(0.15, 12), observed: 0, count: 2 },
    { predicted: expect.closeTo(0.85, 12), observed: 0.5, count: 2 },
  ]);
});

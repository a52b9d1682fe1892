import { afterAll, describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { rocAuc } from '../../evaluation/metrics.ts';
import { isolationForestToOnnx } from '../../onnx/isolationForest.ts';
import { blobs } from '../minstd.testing.ts';
import { fitIsolationForest, isolationScores, meanPathLength } from './isolationForest.ts';

const { values: inliers, next } = blobs();
const outliers = Array.from({ length: 15 }, () => [8 * next() - 1, 14 * next() - 5, 10 * next() - 6]).flat();
const values = Float32Array.from([...inliers, ...outliers]);
const labels = Uint8Array.from({ length: 315 }, (_, row) => (row < 300 ? 0 : 1));
const rows = { values, columns: 3 };
const model = fitIsolationForest(rows, { trees: 200 }, { seed: 1 });
const onnx = await loadOnnx(isolationForestToOnnx(model));
afterAll(() => onnx.release());

describe('fitIsolationForest', () => {
  test('tells odd rows from usual ones as scikit-learn’s does', () => {
    // IsolationForest(n_estimators=200), four seeds: AUC 0.870 to 0.880; mean scores 0.459 and 0.554.
    const scores = isolationScores(model, values);
    expect(rocAuc(scores, labels)).toBeGreaterThan(0.86);
    const mean = (from: number, to: number) => scores.slice(from, to).reduce((a, b) => a + b, 0) / (to - from);
    expect(Math.abs(mean(0, 300) - 0.459)).toBeLessThan(0.02);
    expect(Math.abs(mean(300, 315) - 0.554)).toBeLessThan(0.03);
  });

  test('a leaf holds its depth and what its rows would still take', () => {
    expect(meanPathLength(1)).toBe(0);
    expect(meanPathLength(2)).toBe(1);
    expect(meanPathLength(256)).toBeCloseTo(10.24477092012, 10);
    // Two rows: one split, each leaf at depth 1, and the mean path of two rows is 1: the score is exactly a half.
    const two = fitIsolationForest({ values: Float32Array.of(1, 5), columns: 1 }, { trees: 3 }, { seed: 1 });
    for (const score of isolationScores(two, Float32Array.of(1, 5, 100))) expect(score).toBeCloseTo(0.5, 6);
  });

  test('every split parts the rows, and no tree is deeper than its sample allows', () => {
    for (const tree of model.trees) {
      tree.feature.forEach((feature, node) => {
        if (feature < 0) return;
        expect(tree.cover[tree.left[node]!]! + tree.cover[tree.right[node]!]!).toBe(tree.cover[node]);
        expect(Math.min(tree.cover[tree.left[node]!]!, tree.cover[tree.right[node]!]!)).toBeGreaterThan(0);
      });
      const depth = (node: number): number => (tree.feature[node]! < 0 ? 0 : 1 + Math.max(depth(tree.left[node]!), depth(tree.right[node]!)));
      expect(depth(0)).toBeLessThanOrEqual(8);
    }
  });

  test('neighbouring float32 values and constant rows do no harm', () => {
    const close = Float32Array.of(1, 1 + 2 ** -23, 1, 1 + 2 ** -23);
    const scores = isolationScores(fitIsolationForest({ values: close, columns: 1 }, { trees: 5 }, { seed: 2 }), close);
    expect(scores.every((score) => score > 0 && score < 1)).toBe(true);
    const same = fitIsolationForest({ values: new Float32Array(10).fill(4), columns: 2 }, { trees: 5 }, { seed: 2 });
    expect(isolationScores(same, Float32Array.of(4, 4))[0]).toBeCloseTo(0.5, 6);
  });

  test('the same seed gives the same forest; bad data and parameters are refused', () => {
    expect(fitIsolationForest(rows, { trees: 200 }, { seed: 1 })).toEqual(model);
    expect(fitIsolationForest(rows, { trees: 200 }, { seed: 2 })).not.toEqual(model);
    expect(() => fitIsolationForest({ values: Float32Array.of(1), columns: 1 }, {}, { seed: 1 })).toThrow(/training_data_insufficient/);
    expect(() => fitIsolationForest({ values: Float32Array.of(1, Infinity), columns: 1 }, {}, { seed: 1 })).toThrow(/training_data_insufficient/);
    expect(() => fitIsolationForest(rows, { trees: 0 }, { seed: 1 })).toThrow(RangeError);
    expect(() => fitIsolationForest(rows, { sampleRows: 1 }, { seed: 1 })).toThrow(RangeError);
  });
});

test('missing values in training go with the others: where most went, and no row is lost', async () => {
  const holed = values.slice();
  for (let i = 0; i < holed.length; i += 5) holed[i] = Number.NaN;
  const withAnEmptyColumn = Float32Array.from({ length: 4 * 315 }, (_, at) =>
    at % 4 === 3 ? Number.NaN : holed[3 * Math.floor(at / 4) + (at % 4)]!,
  );
  const forest = fitIsolationForest({ values: withAnEmptyColumn, columns: 4 }, { trees: 200 }, { seed: 1 });
  for (const { feature, left, right, cover, missingLeft } of forest.trees) {
    feature.forEach((tested, node) => {
      expect(tested).not.toBe(3);
      if (tested < 0) return;
      const [below, above] = [cover[left[node]!]!, cover[right[node]!]!];
      expect(below + above).toBe(cover[node]);
      expect(missingLeft[node] === 1 ? below : above).toBeGreaterThanOrEqual(missingLeft[node] === 1 ? above : below);
    });
  }
  // A fifth of the values is gone, and with them some of what was odd.
  expect(rocAuc(isolationScores(forest, withAnEmptyColumn), labels)).toBeGreaterThan(0.75);
});

test('the served forest scores as the trainer does, missing values included', async () => {
  const given = values.slice();
  for (let i = 0; i < given.length; i += 7) given[i] = Number.NaN;
  for (const data of [values, given]) {
    const { score } = await onnx.run({ features: { data, dims: [315, 3] } });
    const truth = isolationScores(model, data);
    (score!.data as Float32Array).forEach((x, row) => {
      expect(Math.abs(x - truth[row]!)).toBeLessThan(1e-5);
    });
  }
});

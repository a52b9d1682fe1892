import { describe, expect, test } from 'vitest';
import { LEAF, type Tree } from '../../../contracts/trees.ts';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { createShap, expectedValue } from '../../../scoring/models/treeshap.ts';
import { treeEnsembleToOnnx } from '../../onnx/treeEnsemble.ts';
import { predict, predictMargin } from '../gbdt/predict.ts';
import { syntheticRows } from '../gbdt/synthetic.ts';
import { seededRandom } from '../random.ts';
import { type ForestRows, fitDecisionTree, fitForest } from './forest.ts';

const SEED = { seed: 1 };

function part(data: ForestRows, from: number, to: number): ForestRows {
  return { rows: data.rows.slice(from * data.f, to * data.f), n: to - from, f: data.f, labels: data.labels.slice(from, to) };
}

function brier(probabilities: Float32Array, labels: Float32Array): number {
  return labels.reduce((sum, label, i) => sum + (probabilities[i]! - label) ** 2, 0) / labels.length;
}

const all = syntheticRows(4_000, 8, 5);
const train = part(all, 0, 3_000);
const held = part(all, 3_000, 4_000);

/** The smallest sum of squared errors that one threshold reaches, by trying all; no value is missing. */
function bestStump({ rows, n, f, labels }: ForestRows): number {
  let best = Infinity;
  for (let feature = 0; feature < f; feature++) {
    for (let at = 0; at < n; at++) {
      const threshold = rows[at * f + feature]!;
      const sides = [
        { count: 0, sum: 0 },
        { count: 0, sum: 0 },
      ];
      for (let row = 0; row < n; row++) {
        const side = sides[rows[row * f + feature]! <= threshold ? 0 : 1]!;
        side.count += 1;
        side.sum += labels[row]!;
      }
      // Labels are 0 or 1, so a side's error is count x share x (1 - share).
      best = Math.min(
        best,
        sides.reduce((sum, side) => sum + (side.count > 0 ? side.sum - side.sum ** 2 / side.count : 0), 0),
      );
    }
  }
  return best;
}

describe('a decision tree', () => {
  test('of two leaves is the best of all thresholds', async () => {
    const random = seededRandom(2);
    for (let round = 0; round < 10; round++) {
      const rows = Float32Array.from({ length: 60 * 3 }, () => random.normal());
      const labels = Float32Array.from({ length: 60 }, (_, row) => (rows[row * 3 + (round % 3)]! + random.normal() > 0 ? 1 : 0));
      const data = { rows, n: 60, f: 3, labels };
      const model = await fitDecisionTree(data, { maxLeafNodes: 2 }, SEED);
      expect(60 * brier(predict(model, rows), labels)).toBeCloseTo(bestStump(data), 4);
    }
  });

  test('answers the mean of each leaf, and fits distinct rows to the end', async () => {
    const random = seededRandom(3);
    const rows = Float32Array.from({ length: 200 * 2 }, () => random.normal());
    const labels = Float32Array.from({ length: 200 }, () => random.normal());
    const data = { rows, n: 200, f: 2, labels };
    const deep = predict(await fitDecisionTree(data, { objective: 'regression' }, SEED), rows);
    deep.forEach((answer, row) => {
      expect(answer).toBeCloseTo(labels[row]!, 5);
    });
    const stump = await fitDecisionTree(data, { objective: 'regression', maxDepth: 1, minSamplesLeaf: 20 }, SEED);
    const [tree] = stump.trees as [Tree];
    const isLeft = (row: number) => rows[row * 2 + tree.feature[0]!]! <= tree.threshold[0]!;
    const left = labels.filter((_, row) => isLeft(row));
    expect(left.length).toBe(tree.cover[1]);
    expect(Math.min(left.length, 200 - left.length)).toBeGreaterThanOrEqual(20);
    expect(stump.base + tree.value[1]!).toBeCloseTo(left.reduce((a, b) => a + b, 0) / left.length, 5);
  });
});

test('a node whose drawn features are constant draws again', async () => {
  // One column tells the classes apart, the nine others say nothing below the first split.
  const rows = Float32Array.from({ length: 200 * 10 }, (_, at) => (at % 10 === 4 ? Math.floor(at / 10) : at < 10 ? 1 : 0));
  const labels = Float32Array.from({ length: 200 }, (_, row) => (row >= 120 ? 1 : 0));
  const data = { rows, n: 200, f: 10, labels };
  const forest = await fitForest(data, { nEstimators: 20, maxFeatures: 0.1, bootstrap: false }, SEED);
  expect(predict(forest, rows)).toEqual(labels);
});

describe('a forest', () => {
  const params = { nEstimators: 40, minSamplesLeaf: 3 };

  test('is better than one of its trees, and finds the useful features', async () => {
    const forest = await fitForest(train, params, SEED);
    const tree = await fitDecisionTree(train, { minSamplesLeaf: 3 }, SEED);
    const [ofForest, ofTree] = [forest, tree].map((model) => brier(predict(model, held.rows), held.labels)) as [number, number];
    expect(ofForest).toBeLessThan(0.205); // 0.25 for a coin
    expect(ofForest).toBeLessThan(ofTree - 0.03);
    for (const useful of [0, 3]) expect(forest.gainByFeature[useful]!).toBeGreaterThan(1.3 * forest.gainByFeature[7]!);
    expect(forest.splitsByFeature.reduce((a, b) => a + b, 0)).toBe(
      forest.trees.reduce((sum, t) => sum + t.feature.filter((x) => x !== LEAF).length, 0),
    );
  });

  test('is the same with one thread and with two, and another one with another seed', async () => {
    const few = { ...params, nEstimators: 5 };
    const one = await fitForest(train, few, { seed: 1, threads: 1 });
    expect(await fitForest(train, few, { seed: 1, threads: 2 })).toEqual(one);
    expect((await fitForest(train, few, { seed: 2 })).trees).not.toEqual(one.trees);
  });

  test('a weight of zero is as no row', async () => {
    const weights = Float32Array.from(train.labels, (_, row) => (row < 1_500 ? 1 : 0));
    const options = { nEstimators: 1, maxFeatures: 1, bootstrap: false, maxLeafNodes: 8 };
    const half = await fitForest({ ...train, weights }, options, SEED);
    const cover = half.trees[0]!.cover[0];
    expect(cover).toBe(1_500);
    const flipped = train.labels.map((label, row) => (row < 1_500 ? label : 1 - label));
    expect((await fitForest({ ...train, labels: flipped, weights }, options, SEED)).trees).toEqual(half.trees);
  });

  test.each(['probability', 'regression'] as const)('%s: ONNX and Shapley values agree with it', async (objective) => {
    const data = objective === 'probability' ? train : syntheticRows(2_000, 8, 9, 'regression');
    const forest = await fitForest(data, { ...params, nEstimators: 20, objective }, SEED);
    const onnx = await loadOnnx(treeEnsembleToOnnx(forest));
    const answer = await onnx.run({ features: { data: held.rows, dims: [1_000, 8] } });
    const output = answer[objective === 'probability' ? 'probability' : 'score']!.data as Float32Array;
    predict(forest, held.rows).forEach((expected, row) => {
      expect(Math.abs(output[row]! - expected)).toBeLessThan(1e-5);
      if (objective === 'probability') expect(output[row]).toSatisfy((p: number) => p >= 0 && p <= 1);
    });
    await onnx.release();
    const shap = createShap(forest);
    const row = held.rows.slice(0, 8);
    const sum = shap(row).reduce((a, b) => a + b, expectedValue(forest));
    expect(Math.abs(sum - predictMargin(forest, row)[0]!)).toBeLessThan(1e-6);
  });
});

test('bad data are refused with a code', async () => {
  const refused = (data: ForestRows) => expect(fitForest(data, {}, SEED)).rejects.toMatchObject({ code: 'training_data_insufficient' });
  await refused({ rows: new Float32Array(0), n: 0, f: 3, labels: new Float32Array(0) });
  await refused({ ...train, labels: new Float32Array(train.n) });
  await refused({ ...train, labels: new Float32Array(train.n).fill(Number.NaN) });
  await expect(fitForest(train, { nEstimators: 0 }, SEED)).rejects.toThrow(RangeError);
});

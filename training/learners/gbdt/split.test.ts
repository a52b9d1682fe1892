import { describe, expect, test } from 'vitest';
import { LEAF, type Tree } from '../../../contracts/trees.ts';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { createShap, expectedValue } from '../../../scoring/models/treeshap.ts';
import { treeEnsembleToOnnx } from '../../onnx/treeEnsemble.ts';
import { type Random, seededRandom } from '../random.ts';
import { fitGbdt } from './fit.ts';
import type { GbdtRows } from './objective.ts';
import { predict, predictMargin } from './predict.ts';
import { syntheticRows } from './synthetic.ts';

const SEED = { seed: 1 };
/** One split of full length without any protection: the best one is then defined by the data alone. */
const BARE = { objective: 'regression', numIterations: 1, numLeaves: 2, learningRate: 1, minDataInLeaf: 0, minSumHessianInLeaf: 0 } as const;

/** Sum of squared residuals when each side has its mean. */
function errorOf(labels: Float32Array, isLeft: (row: number) => boolean): number {
  const sides = [
    { count: 0, sum: 0, squares: 0 },
    { count: 0, sum: 0, squares: 0 },
  ];
  labels.forEach((label, row) => {
    const side = sides[isLeft(row) ? 0 : 1]!;
    side.count += 1;
    side.sum += label;
    side.squares += label * label;
  });
  return sides.reduce((sum, side) => sum + (side.count > 0 ? side.squares - side.sum ** 2 / side.count : 0), 0);
}

function errorOfModel(answers: Float64Array, labels: Float32Array): number {
  return labels.reduce((sum, label, row) => sum + (label - answers[row]!) ** 2, 0);
}

describe('the best split is found', () => {
  test('among all thresholds with missing values on either side, and present against missing', async () => {
    const random = seededRandom(1);
    for (let round = 0; round < 30; round++) {
      const [n, f] = [50, 3];
      const rows = Float32Array.from({ length: n * f }, () => (random.next() < 0.2 ? Number.NaN : Math.round(4 * random.normal())));
      const labels = Float32Array.from(
        { length: n },
        (_, row) => (Number.isNaN(rows[row * f]!) ? 2 : rows[row * f + 1]! > 1 ? 1 : 0) + random.normal(),
      );
      let best = Infinity;
      for (let feature = 0; feature < f; feature++) {
        for (const threshold of [...rows.filter((_, i) => i % f === feature), Infinity]) {
          for (const missingLeft of [true, false]) {
            const isLeft = (row: number) => (Number.isNaN(rows[row * f + feature]!) ? missingLeft : rows[row * f + feature]! <= threshold);
            best = Math.min(best, errorOf(labels, isLeft));
          }
        }
      }
      const model = await fitGbdt({ rows, n, f, labels }, BARE, SEED);
      expect(errorOfModel(predictMargin(model, rows), labels)).toBeCloseTo(best, 3);
    }
  });

  test.each([0, 10])('among all sets of categories, sorted or one against all (at most %i)', async (maxCatToOnehot) => {
    const random = seededRandom(2);
    for (let round = 0; round < 20; round++) {
      const n = 60;
      // The kinds 0..6 stand for six categories and missing.
      const kinds = Array.from({ length: n }, () => random.int(7));
      const rows = Float32Array.from(kinds, (kind) => (kind === 6 ? Number.NaN : 3 * kind));
      const effect = Array.from({ length: 7 }, () => 2 * random.normal());
      const labels = Float32Array.from(kinds, (kind) => effect[kind]! + random.normal());
      const sets = maxCatToOnehot > 0 ? Array.from({ length: 7 }, (_, kind) => 1 << kind) : Array.from({ length: 127 }, (_, set) => set);
      const best = Math.min(...sets.map((set) => errorOf(labels, (row) => ((set >> kinds[row]!) & 1) === 1)));
      const params = { ...BARE, categoricalFeature: [0], maxCatToOnehot, catSmooth: 0, catL2: 0, minDataPerGroup: 0 };
      const model = await fitGbdt({ rows, n, f: 1, labels }, params, SEED);
      expect(errorOfModel(predictMargin(model, rows), labels)).toBeCloseTo(best, 3);
    }
  });
});

describe('histograms', () => {
  const data = syntheticRows(6_000, 11, 3);

  test('made by subtraction, built from rows, or given up and built again give the same trees', async () => {
    const params = { numIterations: 5, numLeaves: 40 };
    const kept = await fitGbdt(data, params, SEED);
    // Every node has all features, but no histogram is made by subtraction.
    expect((await fitGbdt(data, { ...params, featureFractionByNode: 0.99 }, SEED)).trees).toEqual(kept.trees);
    // Three histograms at most.
    expect((await fitGbdt(data, { ...params, histogramPoolBytes: 0 }, SEED)).trees).toEqual(kept.trees);
  });

  test('of few features of a group are those of the whole group', async () => {
    // Columns 3 and 8 alone matter; the others are constant and take no part.
    const rows = data.rows.map((value, i) => (i % 11 === 3 || i % 11 === 8 ? value : 1));
    const pairs = Float32Array.from({ length: 2 * data.n }, (_, i) => rows[(i >> 1) * 11 + (i % 2 ? 8 : 3)]!);
    const params = { numIterations: 5, numLeaves: 15 };
    const wide = await fitGbdt({ ...data, rows }, params, SEED);
    const narrow = await fitGbdt({ ...data, rows: pairs, f: 2 }, params, SEED);
    const renamed = narrow.trees.map((tree) => ({ ...tree, feature: tree.feature.map((feature) => [3, 8][feature] ?? LEAF) }));
    expect(wide.trees).toEqual(renamed);
  });
});

/** Categories of very different frequency and effect in column 1, a few in column 2, numbers in column 0. */
function shop(n: number, random: Random): GbdtRows {
  const rows = new Float32Array(3 * n);
  const labels = new Float32Array(n);
  const effect = Array.from({ length: 60 }, (_, category) => 1.5 * Math.sin(category * 7.3));
  for (let row = 0; row < n; row++) {
    const category = Math.floor(60 * random.next() ** 2);
    const kind = random.int(3);
    rows.set([random.normal(), random.next() < 0.1 ? Number.NaN : category, kind], 3 * row);
    const known = Number.isNaN(rows[3 * row + 1]!) ? 1.5 : effect[category]!;
    labels[row] = random.next() < 1 / (1 + Math.exp(-(known + 0.5 * rows[3 * row]! + (kind === 1 ? 1 : 0) - 0.5))) ? 1 : 0;
  }
  return { rows, n, f: 3, labels };
}

describe('categorical features', () => {
  const params = { numIterations: 40, numLeaves: 15, categoricalFeature: [1, 2], minDataPerGroup: 20 };
  const data = shop(5_000, seededRandom(4));
  const held = shop(3_000, seededRandom(5));

  test('learn what numbers in a meaningless order hide', async () => {
    const loss = (answers: Float32Array) => held.labels.reduce((sum, label, i) => sum - Math.log(label ? answers[i]! : 1 - answers[i]!), 0) / held.n;
    const few = { ...params, numIterations: 20, numLeaves: 4 };
    const asSets = loss(predict(await fitGbdt(data, few, SEED), held.rows));
    const asNumbers = loss(predict(await fitGbdt(data, { ...few, categoricalFeature: [] }, SEED), held.rows));
    expect(asSets).toBeLessThan(asNumbers - 0.02);
  });

  test('are the same in ONNX and in Shapley values, with missing and unseen categories', async () => {
    const model = await fitGbdt(data, params, SEED);
    expect(JSON.parse(JSON.stringify(model))).toEqual(model);
    const sets = model.trees.flatMap((tree) => tree.categories ?? []).filter((members) => members !== null);
    expect(sets.some((members) => members.length > 5)).toBe(true);
    expect(model.trees.some((tree) => tree.categories?.some((members, node) => members && tree.missingLeft[node] === 1))).toBe(true);
    const rows = held.rows.slice();
    // Unseen: beyond all, between others, negative, infinite.
    [1_000, 16_777_216, 7.5, -1, Infinity, -Infinity, Number.NaN].forEach((value, i) => {
      rows[3 * i + 1] = value;
      rows[3 * i + 32] = value;
    });
    const answers = predict(model, rows);
    expect(answers[0]).toBe(predict(model, Float32Array.of(rows[0]!, 2_000, rows[2]!))[0]);
    const onnx = await loadOnnx(treeEnsembleToOnnx(model));
    const { probability } = await onnx.run({ features: { data: rows, dims: [3_000, 3] } });
    const worst = answers.reduce((most, answer, row) => Math.max(most, Math.abs(answer - (probability!.data[row] as number))), 0);
    expect(worst).toBeLessThan(1e-5);
    await onnx.release();
    const shap = createShap(model);
    for (const row of [0, 3, 6, 50]) {
      const x = rows.slice(3 * row, 3 * row + 3);
      expect(shap(x).reduce((a, b) => a + b, expectedValue(model))).toBeCloseTo(predictMargin(model, x)[0]!, 9);
    }
  });

  test('send unseen and rare categories right', async () => {
    const model = await fitGbdt(data, params, SEED);
    const [tree] = model.trees as [Tree];
    const node = tree.categories!.findIndex((members) => members !== null);
    expect(tree.categories![node]!.every((member) => member >= 0 && member < 60)).toBe(true);
    // 300 categories, one row each, beyond the 254 that have bins: nothing can be learned of them.
    const rare = Float32Array.from({ length: 300 }, (_, row) => row);
    const labels = Float32Array.from({ length: 300 }, (_, row) => row % 2);
    const nothing = await fitGbdt({ rows: rare, n: 300, f: 1, labels }, { categoricalFeature: [0], numIterations: 3 }, SEED);
    expect(nothing.splitsByFeature).toEqual([0]);
  });

  test('must be whole numbers', async () => {
    for (const bad of [0.5, -1, Infinity, 2 ** 25]) {
      const rows = data.rows.slice();
      rows[4] = bad;
      await expect(fitGbdt({ ...data, rows }, params, SEED)).rejects.toMatchObject({ code: 'training_data_insufficient' });
    }
    await expect(fitGbdt(data, { categoricalFeature: [3] }, SEED)).rejects.toThrow(RangeError);
    await expect(fitGbdt(data, { categoricalFeature: [1], monotoneConstraints: [0, 1, 0] }, SEED)).rejects.toThrow(RangeError);
  });
});

describe('monotone constraints', () => {
  test('hold everywhere, while the free feature is learned as before', async () => {
    const random = seededRandom(6);
    const n = 4_000;
    const rows = Float32Array.from({ length: 3 * n }, () => (random.next() < 0.05 ? Number.NaN : random.normal()));
    // Feature 0 rises with waves on it, feature 1 falls and depends on feature 2.
    const labels = Float32Array.from({ length: n }, (_, row) => {
      const [a, b, c] = [0, 1, 2].map((i) => rows[3 * row + i]!).map((x) => (Number.isNaN(x) ? 0 : x)) as [number, number, number];
      return a + 2 * Math.sin(4 * a) - b * (c > 0 ? 2 : 0.2) + Math.sin(3 * c) + 0.3 * random.normal();
    });
    const data = { rows, n, f: 3, labels };
    const params = { objective: 'regression', numIterations: 60, numLeaves: 15, monotoneConstraints: [1, -1, 0] } as const;
    const model = await fitGbdt(data, params, SEED);
    const free = await fitGbdt(data, { ...params, monotoneConstraints: [] }, SEED);
    const steps = 200;
    let [broken, brokenFree] = [0, 0];
    for (let line = 0; line < 60; line++) {
      const fixed = [random.normal(), random.normal(), random.next() < 0.1 ? Number.NaN : random.normal()];
      for (const feature of [0, 1]) {
        const path = Float32Array.from({ length: 3 * steps }, (_, i) => (i % 3 === feature ? (8 * Math.floor(i / 3)) / steps - 4 : fixed[i % 3]!));
        const falls = (answers: Float64Array) =>
          answers.filter((y, i) => i > 0 && (feature === 0 ? y < answers[i - 1]! : y > answers[i - 1]!)).length;
        broken += falls(predictMargin(model, path));
        brokenFree += falls(predictMargin(free, path));
      }
    }
    expect(broken).toBe(0);
    expect(brokenFree).toBeGreaterThan(100);
    const variance = errorOf(labels, () => true);
    expect(errorOfModel(predictMargin(model, rows), labels)).toBeLessThan(0.4 * variance);
  });
});

describe('regularisation', () => {
  test('L1 shrinks every leaf towards zero, to nothing when it is large', async () => {
    // One threshold is possible, so that only the values can change.
    const { labels } = syntheticRows(1_000, 4, 7, 'regression');
    const rows = labels.map((label) => (label > 0 ? 1 : 0));
    const data = { rows, n: 1_000, f: 1, labels };
    const plain = (await fitGbdt(data, BARE, SEED)).trees[0]!;
    const l1 = (await fitGbdt(data, { ...BARE, lambdaL1: 50 }, SEED)).trees[0]!;
    expect(plain.feature[0]).toBe(0);
    for (const node of [1, 2]) {
      const expected = Math.sign(plain.value[node]!) * (Math.abs(plain.value[node]!) - 50 / plain.cover[node]!);
      expect(l1.value[node]).toBeCloseTo(expected, 5);
    }
    expect((await fitGbdt(data, { ...BARE, lambdaL1: 1e6 }, SEED)).trees[0]!.feature).toEqual([LEAF]);
  });

  test('a split must gain minGainToSplit', async () => {
    const data = syntheticRows(1_000, 4, 7, 'regression');
    const gains = (await fitGbdt(data, BARE, SEED)).gainByFeature;
    const gain = gains.reduce((a, b) => a + b, 0);
    expect((await fitGbdt(data, { ...BARE, minGainToSplit: 1.001 * gain }, SEED)).trees[0]!.feature).toEqual([LEAF]);
    expect((await fitGbdt(data, { ...BARE, minGainToSplit: 0.999 * gain }, SEED)).gainByFeature).toEqual(gains);
  });
});

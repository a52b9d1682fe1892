import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEAF } from '../../../contracts/trees.ts';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { treeEnsembleToOnnx } from '../../onnx/treeEnsemble.ts';
import { seededRandom } from '../random.ts';
import { FLOAT32_MAX, MISSING_BIN } from './borders.ts';
import { fitGbdt, type GbdtModel } from './fit.ts';
import type { GbdtRows } from './objective.ts';
import { createLoss } from './objective.ts';
import { completeParams } from './params.ts';
import { predict, predictMargin } from './predict.ts';
import { syntheticRows } from './synthetic.ts';
import { withTrainer } from './trainer.ts';

const SEED = { seed: 1 };

function slice(data: GbdtRows, from: number, to: number): GbdtRows {
  return { rows: data.rows.slice(from * data.f, to * data.f), n: to - from, f: data.f, labels: data.labels.slice(from, to) };
}

/** Loss on `data` of the model's own predictions. */
function lossOf(model: GbdtModel, data: GbdtRows): number {
  return createLoss(data, completeParams({ objective: model.objective }))(predictMargin(model, data.rows));
}

function lossOfAnswers(answers: Float64Array, labels: Float32Array): number {
  return labels.reduce((sum, label, row) => sum + (answers[row]! - label) ** 2, 0) / labels.length;
}

/** Borders and bins of a table of one column, or of more, column by column. */
async function binsOf(rows: Float32Array, f = 1, categoricalFeature: number[] = [], labels = new Float32Array(rows.length / f)) {
  const n = rows.length / f;
  const params = completeParams({ categoricalFeature });
  const options = { weighted: false, ownGradients: false, scored: true, seed: 1, threads: 1 };
  return await withTrainer({ rows, n, f, labels }, params, undefined, options, async ({ table, shared, at }) => {
    const bins = shared.u8(at.table.bins, 8 * n * Math.ceil(f / 8));
    const column = (feature: number) => Uint8Array.from({ length: n }, (_, row) => bins[8 * (n * (feature >> 3) + row) + (feature & 7)]!);
    return { ...table, columns: Array.from({ length: f }, (_, feature) => column(feature)) };
  });
}

describe('bins', () => {
  test('a value is in the first bin whose border is at or above it, in float32', async () => {
    const value = fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, Number.NaN, Infinity, -Infinity, FLOAT32_MAX, -FLOAT32_MAX));
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 40 }), async (values) => {
        const rows = Float32Array.from(values);
        const table = await binsOf(rows);
        const borders = table.borders[0]!;
        expect(borders.every((border, i) => Number.isFinite(border) && (i === 0 || border >= borders[i - 1]!))).toBe(true);
        rows.forEach((x, row) => {
          const bin = table.columns[0]![row]!;
          expect(bin === MISSING_BIN).toBe(Number.isNaN(x));
          borders.forEach((border, i) => {
            if (!Number.isNaN(x)) expect(bin <= i).toBe(x <= border);
          });
        });
        expect(table.usable.length).toBe(new Set(table.columns[0]!).size > 1 ? 1 : 0);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test('many distinct values share 255 bins of about equal size, in every column and block of rows', async () => {
    const random = seededRandom(3);
    const f = 31;
    const rows = Float32Array.from({ length: 20_000 * f }, () => random.normal());
    const table = await binsOf(rows, f);
    table.columns.forEach((column, feature) => {
      const counts = new Uint32Array(256);
      for (const bin of column) counts[bin]! += 1;
      expect(table.borders[feature]!.length).toBe(254);
      expect(counts[MISSING_BIN]).toBe(0);
      expect(Math.max(...counts)).toBeLessThan(120);
    });
    expect(rows[19_999 * f + 30]! <= table.borders[30]![table.columns[30]![19_999]!]!).toBe(true);
  });

  test('a value that half of the rows have takes one bin and leaves the others to the rest', async () => {
    const random = seededRandom(4);
    const rows = Float32Array.from({ length: 10_000 }, (_, i) => (i % 2 ? 0 : random.normal()));
    expect((await binsOf(rows)).borders[0]!.length).toBeGreaterThan(200);
  });

  test('a rare class has as many bins as the common one, and values of it that lie apart do not share one', async () => {
    const random = seededRandom(5);
    const rows = Float32Array.from({ length: 20_000 }, (_, row) => (row < 40 ? 3.5 + 0.01 * row : Math.min(3, random.normal())));
    const labels = Float32Array.from(rows, (_, row) => (row < 40 ? 1 : 0));
    const ofTail = (bins: Uint8Array) => new Set(bins.subarray(0, 40)).size;
    const [balanced, plain] = [await binsOf(rows, 1, [], labels), await binsOf(rows)];
    expect(ofTail(balanced.columns[0]!)).toBe(40);
    expect(ofTail(plain.columns[0]!)).toBeLessThan(3);
    // No bin has both classes: the first border above the common class's largest value lies below the rare one's smallest.
    const tail = new Set(balanced.columns[0]!.subarray(0, 40));
    expect(balanced.columns[0]!.subarray(40).every((bin) => !tail.has(bin))).toBe(true);
    const weights = Float32Array.from(labels, (label) => 1 - label);
    const weightless = await withTrainer(
      { rows, n: rows.length, f: 1, labels, weights },
      completeParams({}),
      weights,
      { weighted: true, ownGradients: false, scored: true, seed: 1, threads: 1 },
      async ({ table }) => table,
    );
    expect(weightless.borders).toEqual(plain.borders);
  });

  test('the 254 most frequent categories have bins of their own, all others share one', async () => {
    // Category c occurs 300 - c times.
    const rows = Float32Array.from(Array.from({ length: 300 }, (_, c) => new Array(300 - c).fill(c) as number[]).flat());
    const { borders, columns } = await binsOf(rows, 1, [0]);
    expect(borders[0]).toEqual(Float32Array.from({ length: 254 }, (_, c) => c));
    columns[0]!.forEach((bin, row) => {
      expect(bin).toBe(Math.min(254, rows[row]!));
    });
  });
});

describe('boosting', () => {
  const all = syntheticRows(12_000, 10, 5);
  const train = slice(all, 0, 8_000);
  const held = slice(all, 8_000, 12_000);
  const params = { numIterations: 60, numLeaves: 15, lambdaL2: 1 };

  test('learns the planted probabilities, the missing value included', async () => {
    const model = await fitGbdt(train, params, SEED);
    expect(lossOf(model, held)).toBeLessThan(0.56); // 0.69 for a coin, 0.52 for the truth itself
    const gains = model.gainByFeature;
    for (const useful of [0, 1, 2, 3, 6]) for (const noise of [7, 8, 9]) expect(gains[useful]!).toBeGreaterThan(2 * gains[noise]!);
  });

  test('the same seed gives the same model, another seed another one', async () => {
    const drawn = { ...params, numIterations: 10, featureFraction: 0.5, baggingFraction: 0.5 };
    const first = await fitGbdt(train, drawn, SEED);
    expect(await fitGbdt(train, drawn, SEED)).toEqual(first);
    expect(treeEnsembleToOnnx(await fitGbdt(train, drawn, SEED))).toEqual(treeEnsembleToOnnx(first));
    expect((await fitGbdt(train, drawn, { seed: 2 })).trees).not.toEqual(first.trees);
    expect(lossOf(await fitGbdt(train, { ...drawn, numIterations: 60 }, SEED), held)).toBeLessThan(0.57);
  });

  test('regression approaches the noise', async () => {
    const rows = syntheticRows(10_000, 8, 6, 'regression');
    const model = await fitGbdt(slice(rows, 0, 8_000), { objective: 'regression', numIterations: 150, numLeaves: 15 }, SEED);
    expect(lossOf(model, slice(rows, 8_000, 10_000))).toBeLessThan(0.25); // noise variance .09, variance of the target 3.5
  });

  test('leaves respect their limits', async () => {
    const model = await fitGbdt(
      train,
      { ...params, numIterations: 10, numLeaves: 31, maxDepth: 3, objective: 'regression', minDataInLeaf: 50 },
      SEED,
    );
    for (const tree of model.trees) {
      const leaves = tree.feature.filter((feature) => feature === LEAF).length;
      expect(leaves).toBeLessThanOrEqual(8);
      tree.feature.forEach((feature, node) => {
        expect(tree.cover[node]).toBeGreaterThanOrEqual(50);
        if (feature !== LEAF) expect(tree.cover[tree.left[node]!]! + tree.cover[tree.right[node]!]!).toBe(tree.cover[node]);
      });
    }
  });

  test('early stopping keeps the trees up to the smallest validation loss', async () => {
    const calls: number[] = [];
    const model = await fitGbdt(
      slice(train, 0, 1_000),
      { numIterations: 500, numLeaves: 31, learningRate: 0.3, earlyStoppingRounds: 5 },
      { seed: 1, validation: held, progress: (done) => calls.push(done) },
    );
    const best = model.validationLosses.indexOf(Math.min(...model.validationLosses));
    expect(model.trees.length).toBe(best + 1);
    expect(model.validationLosses.length).toBe(best + 6);
    expect(calls).toEqual(model.validationLosses.map((_, i) => i + 1));
    expect(lossOf(model, held)).toBeCloseTo(model.validationLosses[best]!, 9);
  });

  test('a weight of two counts like the row twice', async () => {
    // Few enough that each value has its own bin in both tables.
    const few = slice(train, 0, 250);
    const doubled: GbdtRows = {
      rows: Float32Array.from([...few.rows, ...few.rows.slice(0, 100 * few.f)]),
      n: 350,
      f: few.f,
      labels: Float32Array.from([...few.labels, ...few.labels.slice(0, 100)]),
    };
    const weights = new Float32Array(250).fill(1).fill(2, 0, 100);
    const limits = { numIterations: 5, numLeaves: 8, minDataInLeaf: 0 };
    const byWeight = predictMargin(await fitGbdt({ ...few, weights }, limits, SEED), few.rows);
    const byRows = predictMargin(await fitGbdt(doubled, limits, SEED), few.rows);
    byWeight.forEach((margin, i) => {
      expect(margin).toBeCloseTo(byRows[i]!, 5);
    });
  });

  test('scalePosWeight moves the probabilities up', async () => {
    const plain = predict(await fitGbdt(train, params, SEED), held.rows);
    const scaled = predict(await fitGbdt(train, { ...params, scalePosWeight: 4 }, SEED), held.rows);
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(scaled)).toBeGreaterThan(mean(plain) + 0.15);
  });
});

test('offsets take part in learning and are no part of the model: what they explain is not learned', async () => {
  const random = seededRandom(3);
  const n = 2_000;
  const rows = Float32Array.from({ length: 2 * n }, () => random.next());
  const slopes = (row: number): number => 2 * rows[2 * row]! + 3 * rows[2 * row + 1]!;
  const labels = Float32Array.from({ length: n }, (_, row) => slopes(row));
  const offsets = Float32Array.from({ length: n }, (_, row) => 3 * rows[2 * row + 1]!);
  const model = await fitGbdt({ rows, n, f: 2, labels, offsets }, { objective: 'regression', numLeaves: 8 }, SEED);
  const [low, high] = predictMargin(model, Float32Array.of(0.5, 0.1, 0.5, 0.9));
  expect(Math.abs(high! - low!)).toBeLessThan(0.1);
  const [left, right] = predictMargin(model, Float32Array.of(0.1, 0.5, 0.9, 0.5));
  expect(right! - left!).toBeGreaterThan(1.4);
  await expect(fitGbdt({ rows, n, f: 2, labels, offsets: new Float32Array(n).fill(Number.NaN) }, {}, SEED)).rejects.toThrow();
});

describe('lambdarank', () => {
  test('ranks the relevant rows of each query first', async () => {
    const random = seededRandom(8);
    const [queries, size, f] = [400, 20, 5];
    const rows = new Float32Array(queries * size * f);
    const labels = new Float32Array(queries * size);
    for (let query = 0; query < queries; query++) {
      // A level that differs by query carries nothing within it.
      const level = 5 * random.normal();
      for (let i = 0; i < size; i++) {
        const row = query * size + i;
        for (let feature = 0; feature < f; feature++) rows[row * f + feature] = random.normal();
        rows[row * f + 4] = level;
        const z = rows[row * f]! + 0.7 * rows[row * f + 1]! + 0.5 * random.normal();
        labels[row] = z > 2 ? 2 : z > 1 ? 1 : 0;
      }
    }
    const half = (queries / 2) * size;
    const part = (from: number, to: number): GbdtRows => ({
      rows: rows.slice(from * f, to * f),
      n: to - from,
      f,
      labels: labels.slice(from, to),
      groups: new Int32Array(queries / 2).fill(size),
    });
    const held = part(half, 2 * half);
    const ranker = { objective: 'lambdarank' as const, numIterations: 60, numLeaves: 8, ndcgTruncation: 5, baggingFraction: 0.8 };
    const model = await fitGbdt(part(0, half), ranker, { seed: 1, validation: held });
    const loss = createLoss(held, completeParams(ranker));
    const untrained = -loss(new Float64Array(half).map(() => random.next()));
    expect(untrained).toBeLessThan(0.45);
    expect(-loss(predictMargin(model, held.rows))).toBeGreaterThan(0.8);
    expect(-model.validationLosses[59]!).toBeCloseTo(-loss(predictMargin(model, held.rows)), 9);
    expect(model.gainByFeature[0]!).toBeGreaterThan(5 * model.gainByFeature[4]!);
  });
});

describe('ONNX', () => {
  test.each(['binary', 'regression'] as const)('%s: equals the trainer within 1e-5, missing and infinite values included', async (objective) => {
    const data = syntheticRows(4_000, 8, 9, objective);
    // A column where being present is all that matters, so that this split occurs.
    for (let row = 0; row < data.n; row++) data.rows[row * 8 + 7] = data.labels[row]! > 0.5 && row % 3 > 0 ? Number.NaN : 1;
    data.rows[3] = Infinity;
    data.rows[11] = -Infinity;
    const fitted = await fitGbdt(data, { objective, numIterations: 80, numLeaves: 15 }, SEED);
    expect(fitted.trees.some((tree) => tree.threshold.includes(FLOAT32_MAX))).toBe(true);
    expect(fitted.trees.some((tree) => tree.missingLeft.includes(1))).toBe(true);
    const model = JSON.parse(JSON.stringify(fitted)) as typeof fitted;
    expect(model).toEqual(fitted);
    const unseen = syntheticRows(3_000, 8, 10).rows;
    unseen.fill(Number.NaN, 0, 8);
    unseen.fill(Infinity, 8, 16);
    unseen.fill(-Infinity, 16, 24);
    const onnx = await loadOnnx(treeEnsembleToOnnx(model));
    expect(onnx.inputs).toEqual(['features']);
    expect(onnx.outputs).toEqual(objective === 'binary' ? ['score', 'probability'] : ['score']);
    const answer = await onnx.run({ features: { data: unseen, dims: [3_000, 8] } });
    const margins = predictMargin(model, unseen);
    const answers = predict(model, unseen);
    expect(answer['score']!.dims).toEqual([3_000, 1]);
    const output = answer[objective === 'binary' ? 'probability' : 'score']!.data as Float32Array;
    for (let row = 0; row < 3_000; row++) {
      expect(Math.abs((answer['score']!.data[row] as number) - margins[row]!)).toBeLessThan(1e-5);
      expect(Math.abs(output[row]! - answers[row]!)).toBeLessThan(1e-5);
    }
    await onnx.release();
  });

  test('an ensemble without a tree answers its base', async () => {
    const onnx = await loadOnnx(treeEnsembleToOnnx({ objective: 'regression', featureCount: 2, base: 0.25, trees: [] }));
    const { score } = await onnx.run({ features: { data: Float32Array.of(1, Number.NaN), dims: [1, 2] } });
    expect(score!.data).toEqual(Float32Array.of(0.25));
    await onnx.release();
  });
});

describe('bad data', () => {
  const good = syntheticRows(200, 3, 11);
  const code = async (data: GbdtRows, objective: 'binary' | 'regression' = 'binary') => {
    try {
      await fitGbdt(data, { objective }, SEED);
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).name;
    }
    return 'fitted';
  };

  test('is refused with a code', async () => {
    expect(await code({ rows: new Float32Array(0), n: 0, f: 3, labels: new Float32Array(0) })).toBe('training_data_insufficient');
    expect(await code({ ...good, labels: new Float32Array(200) })).toBe('training_data_insufficient');
    expect(await code({ ...good, labels: new Float32Array(200).fill(2) })).toBe('training_data_insufficient');
    expect(await code({ ...good, labels: new Float32Array(200).fill(Number.NaN) }, 'regression')).toBe('training_data_insufficient');
    expect(await code({ ...good, weights: new Float32Array(200) })).toBe('training_data_insufficient');
    expect(await code({ ...good, labels: new Float32Array(199) })).toBe('RangeError');
  });

  test('constant and all-missing columns are left alone', async () => {
    const rows = good.rows.slice();
    for (let row = 0; row < 200; row++) {
      rows[row * 3 + 1] = 4;
      rows[row * 3 + 2] = Number.NaN;
    }
    const model = await fitGbdt({ ...good, rows }, { numIterations: 5 }, SEED);
    expect(model.gainByFeature.slice(1)).toEqual([0, 0]);
    const nothing = await fitGbdt({ ...good, rows: new Float32Array(600).fill(Number.NaN) }, { numIterations: 2 }, SEED);
    const share = good.labels.reduce((sum, label) => sum + label, 0) / 200;
    expect(predict(nothing, rows)[0]).toBeCloseTo(share, 5);
  });

  test('infinite, huge and tiny values are learned from like any others, and the answers stay finite', async () => {
    const random = seededRandom(12);
    const n = 2_000;
    const extremes = [Infinity, -Infinity, FLOAT32_MAX, -FLOAT32_MAX, 1e-45, -1e-45, 1e30, 0];
    const rows = Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 ? random.normal() : extremes[random.int(8)]!));
    const isHigh = (row: number) => rows[2 * row]! > 1e20;
    const labels = Float32Array.from({ length: n }, (_, row) => (isHigh(row) ? 1 : 0));
    const model = await fitGbdt({ rows, n, f: 2, labels }, { numIterations: 20 }, SEED);
    const answers = predict(model, rows);
    labels.forEach((label, row) => {
      expect(Math.abs(answers[row]! - label)).toBeLessThan(0.2);
    });
    const onnx = await loadOnnx(treeEnsembleToOnnx(model));
    const { probability } = await onnx.run({ features: { data: rows, dims: [n, 2] } });
    for (let row = 0; row < n; row++) expect(Math.abs((probability!.data[row] as number) - answers[row]!)).toBeLessThan(1e-5);
    await onnx.release();
  });

  test.each([1e-30, 1e37])('targets and weights of %f are no trouble', async (scale) => {
    const data = syntheticRows(2_000, 5, 13, 'regression');
    const params = { objective: 'regression', numIterations: 30, minSumHessianInLeaf: 0 } as const;
    const plain = predictMargin(await fitGbdt(data, params, SEED), data.rows);
    const scaled = { ...data, labels: data.labels.map((label) => label * scale) };
    const answers = predictMargin(await fitGbdt(scaled, params, SEED), data.rows);
    const [a, b] = [plain, answers.map((answer) => answer / scale)].map((all) => lossOfAnswers(all, data.labels)) as [number, number];
    expect(Math.abs(a - b)).toBeLessThan(1e-3 * a);
    const weights = new Float32Array(data.n).fill(scale);
    const weighted = predictMargin(await fitGbdt({ ...data, weights }, params, SEED), data.rows);
    expect(Math.abs(lossOfAnswers(weighted, data.labels) - a)).toBeLessThan(1e-3 * a);
  });
});

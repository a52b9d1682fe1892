import { describe, expect, test } from 'vitest';
import { denseDesign, sparseDesign } from './design.ts';
import { BINARY, expectClose, join, MESSY_PARAMS, messy, STRANGE, serve, THREE, WEIGHTS } from './linear.testing.ts';
import { fitLogistic, fitLogisticWeights, logisticToOnnx, predictLogistic } from './logistic.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });
const exact = { tolerance: 1e-9 };

describe('logistic regression', () => {
  test('is scikit-learn 1.9 on the same table', () => {
    const model = fitLogistic(BINARY, { ...exact, l2: 2 }, { seed: 1 });
    expectClose(model.coefficients, [0.53016326, 0.72784995, -1.90380673], 1e-6);
    expect(model.intercepts[0]).toBeCloseTo(-0.02105569, 6);
  });

  test('with balanced classes and weights of rows too', () => {
    const model = fitLogistic({ ...BINARY, weights: WEIGHTS }, { ...exact, l2: 2, classWeights: 'balanced' }, { seed: 1 });
    expectClose(model.coefficients, [0.76373113, 1.07110339, -2.36439019], 1e-6);
    expect(model.intercepts[0]).toBeCloseTo(-0.00465416, 6);
  });

  test('with three classes too', () => {
    const model = fitLogistic(THREE, { ...exact, l2: 0.5 }, { seed: 1 });
    const byClass = [-1.38443231, -1.68098981, -0.19616056, -0.92086522, 0.91019513, -0.21565457, 2.30529752, 0.77079468, 0.41181513];
    expectClose(
      model.coefficients,
      byClass.map((_, i) => byClass[(i % 3) * 3 + Math.floor(i / 3)]!),
      1e-6,
    );
    expectClose(model.intercepts, [0.53681747, 0.35323637, -0.89005385], 1e-6);
  });

  test('the lasso drops what scikit-learn drops', () => {
    const model = fitLogistic(BINARY, { ...exact, l1: 1 / 0.15, l2: 0 }, { seed: 1 });
    expectClose(model.coefficients, [0, 0.09618918, -1.26878159], 1e-6);
    expect(model.coefficients[0]).toBe(0);
    const both = fitLogistic(THREE, { ...exact, l1: 1, l2: 1 }, { seed: 1 });
    const byClass = [-0.50945513, -1.24687044, 0, -0.09985038, 0.69093765, 0, 1.6093055, 0, 0.06872217];
    expectClose(
      both.coefficients,
      byClass.map((_, i) => byClass[(i % 3) * 3 + Math.floor(i / 3)]!),
      1e-6,
    );
  });

  test('weights count as rows do', () => {
    const weights = WEIGHTS.map((weight) => weight - 1);
    const twice = [...weights].flatMap((weight, row) => new Array<number>(weight).fill(row));
    const design = denseDesign(BINARY.rows, 3);
    const repeated = fitLogisticWeights(
      design.take(twice),
      Float32Array.from(twice, (row) => BINARY.labels[row]!),
      undefined,
      exact,
      {},
    );
    const weighted = fitLogisticWeights(design, BINARY.labels, weights, exact, {});
    expectClose(weighted.weights, repeated.weights, 1e-6);
  });

  test('a sparse matrix gives what the dense one gives, and its rows can be taken', () => {
    const indptr = Uint32Array.from({ length: 61 }, (_, i) => 3 * i);
    const sparse = sparseDesign({ indptr, indices: Uint32Array.from({ length: 180 }, (_, at) => at % 3), values: BINARY.rows }, 3);
    const rows = Uint32Array.from({ length: 40 }, (_, i) => i + 10);
    const labels = Float32Array.from(rows, (row) => THREE.labels[row]!);
    const dense = denseDesign(BINARY.rows, 3);
    expect(fitLogisticWeights(sparse.take(rows), labels, undefined, {}, {}).weights).toEqual(
      fitLogisticWeights(dense.take(rows), labels, undefined, {}, {}).weights,
    );
  });

  test.each([
    ['three classes', 2],
    ['two classes', 1],
  ])('served, it answers as the trainer does: %s', async (_, most) => {
    const table = messy(600, 5);
    const labels = table.labels.map((label) => Math.min(label, most));
    const model = fitLogistic({ ...table, labels }, { ...MESSY_PARAMS, l2: 1 }, { seed: 1 });
    const rows = join(table.rows, STRANGE);
    const { score, probability } = await serve(logisticToOnnx(model), rows, 5);
    const predicted = predictLogistic(model, rows);
    expectClose(probability!, predicted, 1e-5);
    expect(score!.every(Number.isFinite)).toBe(true);
    const right = labels.filter((label, row) => {
      const own = predicted.subarray(row * model.outputs, (row + 1) * model.outputs);
      return label === (model.outputs === 1 ? Number(own[0]! > 0.5) : own.indexOf(Math.max(...own)));
    });
    expect(right.length / 600).toBeGreaterThan(0.6);
  });

  test('classes that a line parts end finite, with probabilities at the ends', () => {
    const rows = Float32Array.from({ length: 40 }, (_, i) => i - 19.5);
    const labels = rows.map((x) => Number(x > 0));
    const model = fitLogistic({ rows, n: 40, f: 1, labels }, { l2: 1e-6 }, { seed: 1 });
    const probability = predictLogistic(model, Float32Array.of(-1e30, 1e30));
    expect([...probability]).toEqual([0, 1]);
  });

  test('the same rows give the same model; progress counts iterations', () => {
    const done: number[] = [];
    const first = fitLogistic(BINARY, {}, { seed: 1, progress: (count) => done.push(count) });
    expect(fitLogistic(BINARY, {}, { seed: 2 })).toEqual(first);
    expect(done).toEqual(done.map((_, i) => i + 1));
    expect(done.length).toBeGreaterThan(2);
  });

  test('refuses what it cannot learn from', () => {
    const withLabels = (labels: Float32Array) => () => fitLogistic({ ...BINARY, labels }, {}, { seed: 1 });
    expect(withLabels(new Float32Array(60))).toThrow(insufficient);
    expect(withLabels(BINARY.labels.map((label) => 2 * label))).toThrow('class 1 has no row');
    expect(withLabels(BINARY.labels.map((label) => label - 1))).toThrow(insufficient);
    expect(withLabels(BINARY.labels.map((label) => label / 2))).toThrow(insufficient);
    expect(() => fitLogistic(BINARY, { classWeights: [1] }, { seed: 1 })).toThrow(RangeError);
    expect(() => fitLogistic(BINARY, { l1: Number.NaN }, { seed: 1 })).toThrow(RangeError);
  });
});

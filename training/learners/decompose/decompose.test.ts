import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { projectionToOnnx } from '../../onnx/clusters.ts';
import { blobs } from '../minstd.testing.ts';
import { seededRandom } from '../random.ts';
import { fitFastIca } from './fastIca.ts';
import { symmetricEigen } from './jacobi.ts';
import { fitPca, type Projection, project } from './pca.ts';

const points = blobs();
const seed = { seed: 1 };

async function onnxError(model: Projection, values: Float64Array): Promise<number> {
  const onnx = await loadOnnx(projectionToOnnx(model));
  const rows = Float32Array.from(values);
  const { components } = await onnx.run({ features: { data: rows, dims: [rows.length / model.columns, model.columns] } });
  await onnx.release();
  const truth = project(model, rows);
  expect(components!.data.length).toBe(truth.length);
  return (components!.data as Float32Array).reduce((worst, x, i) => Math.max(worst, Math.abs(x - truth[i]!)), 0);
}

test('symmetricEigen takes a matrix apart, repeated values included', () => {
  const random = seededRandom(2);
  const n = 12;
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) matrix[i * n + j] = matrix[j * n + i] = random.normal();
  const { values, vectors } = symmetricEigen(matrix, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const rebuilt = values.reduce((sum, value, e) => sum + value * vectors[e * n + i]! * vectors[e * n + j]!, 0);
      expect(rebuilt).toBeCloseTo(matrix[i * n + j]!, 10);
    }
    if (i > 0) expect(values[i - 1]).toBeGreaterThanOrEqual(values[i]!);
  }
  expect([...symmetricEigen(Float64Array.of(2, 0, 0, 2), 2).values]).toEqual([2, 2]);
  expect(() => symmetricEigen(new Float64Array(9), 2)).toThrow(RangeError);
});

describe('fitPca', () => {
  test('equals scikit-learn’s PCA', () => {
    const model = fitPca(points, { components: 3 }, seed);
    const variance = [11.914004216480254, 6.219916527206394, 1.6805540202004052];
    const share = [0.6012778213124361, 0.3139077165215869, 0.08481446216597704];
    const first = [0.7203246980646045, 0.5542123306992991, -0.417110323366597];
    variance.forEach((value, i) => {
      expect(model.explainedVariance[i]).toBeCloseTo(value, 9);
      expect(model.explainedShare[i]).toBeCloseTo(share[i]!, 10);
      expect(model.matrix[i]).toBeCloseTo(first[i]!, 9);
    });
  });

  test('whitened components have unit variance and no correlation', () => {
    const z = project(fitPca(points, { components: 3, whiten: true }, seed), points.values);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        let sum = 0;
        for (let row = 0; row < 300; row++) sum += z[row * 3 + i]! * z[row * 3 + j]!;
        expect(sum / 299).toBeCloseTo(i === j ? 1 : 0, 9);
      }
    }
  });

  test('randomised equals exact where a few directions hold the variance', () => {
    const random = seededRandom(4);
    const [n, columns] = [80, 90];
    const directions = Float64Array.from({ length: 3 * columns }, () => random.normal());
    const values = new Float64Array(n * columns);
    for (let row = 0; row < n; row++) {
      for (let d = 0; d < 3; d++) {
        const weight = (4 - d) * random.normal();
        for (let c = 0; c < columns; c++) values[row * columns + c]! += weight * directions[d * columns + c]!;
      }
      for (let c = 0; c < columns; c++) values[row * columns + c]! += 0.1 * random.normal();
    }
    const wide = { values, columns };
    const quick = fitPca(wide, { components: 3, solver: 'randomised' }, seed);
    const exact = fitPca(wide, { components: 3, solver: 'exact' }, seed);
    expect(quick.explainedVariance.length).toBe(3);
    quick.explainedVariance.forEach((value, i) => {
      expect(value / exact.explainedVariance[i]!).toBeCloseTo(1, 8);
    });
    quick.matrix.forEach((value, i) => {
      expect(value).toBeCloseTo(exact.matrix[i]!, 5);
    });
    expect(fitPca(wide, { components: 3, solver: 'randomised' }, seed)).toEqual(quick);
  });

  test('is served as trained, far from the origin too', async () => {
    expect(await onnxError(fitPca(points, { components: 2 }, seed), points.values)).toBeLessThan(1e-5);
    const shifted = { values: points.values.map((x) => Math.fround(x + 1000)), columns: 3 };
    expect(await onnxError(fitPca(shifted, { components: 2 }, seed), shifted.values)).toBeLessThan(1e-5);
  });

  test('refuses what has no variance, and more components than there are', () => {
    const flat = { values: new Float64Array(30).fill(2), columns: 3 };
    expect(() => fitPca(flat, { components: 1 }, seed)).toThrow(/no column varies/);
    const line = { values: Float64Array.of(1, 2, 2, 4, 3, 6), columns: 2 };
    expect(() => fitPca(line, { components: 4 }, seed)).toThrow(RangeError);
    expect(() => fitPca({ values: Float64Array.of(1, Number.NaN, 0, 1), columns: 2 }, {}, seed)).toThrow(/training_data_insufficient/);
  });
});

describe('fitFastIca', () => {
  const n = 500;
  const sources = Array.from({ length: n }, (_, t) => [Math.sign(Math.sin(0.31 * t)), ((0.17 * t) % 1) - 0.5, Math.sin(0.05 * t) ** 3]);
  const weights = [
    [1, 1, 0.5],
    [0.5, 2, 1],
    [1.5, 1, -1],
  ];
  const values = Float64Array.from(sources.flatMap((s) => weights.map((w) => w.reduce((sum, x, i) => sum + x * s[i]!, 0))));
  const model = fitFastIca({ values, columns: 3 }, { components: 3 }, seed);

  test('finds the sources, as well as scikit-learn does (|correlation| 1.000, 0.9995, 0.9997)', () => {
    const found = project(model, values);
    const correlation = (component: number, source: number): number => {
      const a = Array.from({ length: n }, (_, t) => found[t * 3 + component]!);
      const b = sources.map((s) => s[source]!);
      const mean = (x: number[]) => x.reduce((p, q) => p + q, 0) / n;
      const [ma, mb] = [mean(a), mean(b)];
      const dot = (x: number[], mx: number, y: number[], my: number) => x.reduce((sum, value, t) => sum + (value - mx) * (y[t]! - my), 0);
      return Math.abs(dot(a, ma, b, mb)) / Math.sqrt(dot(a, ma, a, ma) * dot(b, mb, b, mb));
    };
    for (let source = 0; source < 3; source++) {
      expect(Math.max(correlation(0, source), correlation(1, source), correlation(2, source))).toBeGreaterThan(0.999);
    }
  });

  test('mixing undoes unmixing', () => {
    const found = project(model, values);
    for (let t = 0; t < n; t += 50) {
      for (let c = 0; c < 3; c++) {
        let rebuilt = model.mean[c]!;
        for (let i = 0; i < 3; i++) rebuilt += model.mixing[c * 3 + i]! * found[t * 3 + i]!;
        expect(rebuilt).toBeCloseTo(values[t * 3 + c]!, 8);
      }
    }
  });

  test('is served as trained, and the same each time', async () => {
    expect(await onnxError(model, values)).toBeLessThan(1e-5);
    expect(fitFastIca({ values, columns: 3 }, { components: 3 }, seed)).toEqual(model);
  });

  test('says when it does not settle', () => {
    expect(() => fitFastIca({ values, columns: 3 }, { components: 3, iterationsMax: 1, tolerance: 1e-12 }, seed)).toThrow(/did not settle/);
  });
});

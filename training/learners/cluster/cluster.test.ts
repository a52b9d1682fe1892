import { afterAll, describe, expect, test } from 'vitest';
import { GatehouseError } from '../../../contracts/errors.ts';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { kmeansToOnnx } from '../../onnx/clusters.ts';
import { blobs } from '../minstd.testing.ts';
import { seededRandom } from '../random.ts';
import { assign, fitKMeans } from './kmeans.ts';
import { fitMiniBatchKMeans } from './miniBatchKmeans.ts';
import { squaredDistance } from './points.ts';
import { silhouette } from './silhouette.ts';
import { cut, fitWard } from './ward.ts';

const points = blobs();
const seed = { seed: 1 };

function inertiaOf(labels: Uint32Array, clusters: number): number {
  let total = 0;
  for (let k = 0; k < clusters; k++) {
    const own = [...labels.keys()].filter((row) => labels[row] === k);
    for (let c = 0; c < 3; c++) {
      const mean = own.reduce((sum, row) => sum + points.values[row * 3 + c]!, 0) / own.length;
      total += own.reduce((sum, row) => sum + (points.values[row * 3 + c]! - mean) ** 2, 0);
    }
  }
  return total;
}

describe('fitKMeans', () => {
  // Inertia and silhouette of scikit-learn's KMeans(k, n_init=50, tol=1e-10) on the same rows.
  test.each([
    [2, 2987.974184, 0.492607],
    [4, 892.707939, 0.546926],
    [6, 762.255546, 0.389806],
  ])('%i clusters are as tight as scikit-learn’s', (clusters, inertia, score) => {
    const model = fitKMeans(points, { clusters, starts: 30, tolerance: 0 }, seed);
    expect(model.inertia).toBeLessThan(inertia * 1.001);
    expect(model.inertia).toBeGreaterThan(inertia * 0.99);
    const labels = assign(model, points.values);
    expect(inertiaOf(labels, clusters)).toBeCloseTo(model.inertia, 6);
    if (clusters < 6) expect(silhouette(points, labels)).toBeCloseTo(score, 4);
    expect([...model.sizes]).toEqual([...model.sizes].sort((a, b) => b - a));
  });

  test('bounds skip rows only where plain Lloyd would leave them', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 20; round++) {
      const values = Float64Array.from({ length: 120 * 2 }, () => random.normal() + 3 * random.int(3));
      const clusters = 1 + random.int(9);
      const model = fitKMeans({ values, columns: 2 }, { clusters, starts: 1, tolerance: 0 }, { seed: round });
      // Settled: each centre is the mean of the rows nearest to it.
      const labels = assign(model, values);
      for (let k = 0; k < clusters; k++) {
        const own = [...labels.keys()].filter((row) => labels[row] === k);
        for (let c = 0; c < 2; c++) {
          const mean = own.reduce((sum, row) => sum + values[row * 2 + c]!, 0) / own.length;
          expect(model.centres[k * 2 + c]).toBeCloseTo(mean, 9);
        }
      }
    }
  });

  test('repeated points, as many clusters as rows, one cluster', () => {
    const same = { values: new Float64Array(20).fill(3), columns: 2 };
    expect(fitKMeans(same, { clusters: 4 }, seed).inertia).toBe(0);
    const few = { values: Float64Array.of(0, 1, 5, 9), columns: 1 };
    expect(fitKMeans(few, { clusters: 4 }, seed).inertia).toBe(0);
    expect(fitKMeans(few, { clusters: 1 }, seed).centres[0]).toBeCloseTo(3.75, 12);
  });

  test('the same seed gives the same model; bad data and parameters are refused', () => {
    expect(fitKMeans(points, { clusters: 5, starts: 2 }, seed)).toEqual(fitKMeans(points, { clusters: 5, starts: 2 }, seed));
    const code = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        return error instanceof GatehouseError ? error.code : error instanceof RangeError ? 'range' : 'other';
      }
      return 'none';
    };
    expect(code(() => fitKMeans({ values: Float64Array.of(1, 2), columns: 1 }, { clusters: 3 }, seed))).toBe('training_data_insufficient');
    expect(code(() => fitKMeans({ values: Float64Array.of(1, Number.NaN), columns: 1 }, { clusters: 1 }, seed))).toBe('training_data_insufficient');
    expect(code(() => fitKMeans({ values: Float64Array.of(1, 2, 3), columns: 2 }, { clusters: 1 }, seed))).toBe('range');
    expect(code(() => fitKMeans(points, { clusters: 0 }, seed))).toBe('range');
    expect(code(() => fitWard({ values: Float64Array.of(1, 2), columns: 2 }, {}, {}))).toBe('training_data_insufficient');
    expect(code(() => silhouette({ values: Float64Array.of(1, 2), columns: 1 }, new Uint32Array(2)))).toBe('training_data_insufficient');
  });
});

test('mini-batches come within five percent of full k-means', () => {
  const full = fitKMeans(points, { clusters: 4 }, seed);
  const batches = fitMiniBatchKMeans(points, { clusters: 4, batch: 64, steps: 200, startRows: 100 }, seed);
  expect(batches.inertia).toBeLessThan(full.inertia * 1.05);
  expect(batches.inertia).toBeGreaterThanOrEqual(full.inertia - 1e-9);
  expect(batches.sizes.reduce((a, b) => a + b)).toBe(300);
  expect(fitMiniBatchKMeans(points, { clusters: 4, batch: 64, steps: 20 }, seed)).toEqual(
    fitMiniBatchKMeans(points, { clusters: 4, batch: 64, steps: 20 }, seed),
  );
});

describe('fitWard', () => {
  const tree = fitWard(points, {}, {});

  test('merges at the heights of SciPy’s linkage', () => {
    const first = [0.08372923074636145, 0.10575659311174233, 0.1128334126179312];
    const last = [10.574710396234567, 10.83925152207722, 11.660349748382577, 34.93976373605267, 54.369671557770666, 76.541367520417];
    first.forEach((height, i) => {
      expect(tree.height[i]).toBeCloseTo(height, 9);
    });
    last.forEach((height, i) => {
      expect(tree.height[293 + i]).toBeCloseTo(height, 9);
    });
    expect(tree.height.reduce((a, b) => a + b)).toBeCloseTo(634.169081678944, 6);
    expect(tree.size[298]).toBe(300);
  });

  // Inertia, silhouette and sizes of scikit-learn's AgglomerativeClustering.
  test.each([
    [2, 2995.237483, 0.494903, [225, 75]],
    [4, 906.813346, 0.540022, [77, 75, 74, 74]],
    [6, 780.086781, 0.382708, [75, 74, 58, 45, 29, 19]],
  ])('cut into %i clusters', (clusters, inertia, score, sizes) => {
    const labels = cut(tree, clusters);
    expect(inertiaOf(labels, clusters)).toBeCloseTo(inertia, 5);
    expect(silhouette(points, labels)).toBeCloseTo(score, 5);
    const counts = new Array(clusters).fill(0);
    for (const label of labels) counts[label]++;
    expect(counts).toEqual(sizes);
  });

  test('equal points merge at height zero, and every cut is a partition', () => {
    const equal = fitWard({ values: Float64Array.of(1, 1, 1, 4, 4), columns: 1 }, {}, {});
    expect([...equal.height.subarray(0, 3)]).toEqual([0, 0, 0]);
    expect([...cut(equal, 2)]).toEqual([0, 0, 0, 1, 1]);
    for (let k = 1; k <= 5; k++) expect(new Set(cut(equal, k)).size).toBe(k);
    expect(() => cut(equal, 6)).toThrow(RangeError);
  });
});

describe('kmeansToOnnx', async () => {
  const model = fitKMeans(points, { clusters: 4 }, seed);
  const onnx = await loadOnnx(kmeansToOnnx(model));
  afterAll(() => onnx.release());

  test('assigns as the trainer does', async () => {
    const rows = Float32Array.from(points.values);
    const answer = await onnx.run({ features: { data: rows, dims: [300, 3] } });
    const labels = assign(model, rows);
    expect([...answer['cluster']!.data].map(Number)).toEqual([...labels]);
    const distances = answer['distance']!.data as Float32Array;
    distances.forEach((distance, row) => {
      expect(Math.abs(distance - Math.sqrt(squaredDistance(rows, row, model.centres, labels[row]!, 3)))).toBeLessThan(1e-5);
    });
    const one = await onnx.run({ features: { data: rows.slice(0, 3), dims: [1, 3] } });
    expect(Number(one['cluster']!.data[0])).toBe(labels[0]);
  });
});

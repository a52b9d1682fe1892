import { expect, test } from 'vitest';
import { expectedFactors } from '../../scoring/recommend/item-fold-in-model.ts';
import { fitContentMap } from './contentMap.ts';
import { seededRandom } from './random.ts';

const WIDTH = 3;
const DIMENSIONS = 6;

/** Items whose factors follow a linear map of their content, with this much noise on them. */
function rowsOf(items: number, noise: number) {
  const random = seededRandom(4);
  const truth = Array.from({ length: WIDTH * (DIMENSIONS + 1) }, () => random.normal());
  const vectors = Array.from({ length: items }, () => Float32Array.from({ length: DIMENSIONS }, () => random.normal()));
  const map = { dimensions: DIMENSIONS, weights: Float32Array.from(truth), r2: 1 };
  const factors = Float32Array.from(vectors.flatMap((vector) => [...expectedFactors(map, vector)].map((value) => value + noise * random.normal())));
  return { rows: { vectors, dimensions: DIMENSIONS, factors, width: WIDTH }, map };
}

test('finds the map, and says how much of held-out items it explains', () => {
  const { rows, map } = rowsOf(400, 0.1);
  const found = fitContentMap(rows, { seed: 1 })!;
  found.weights.forEach((weight, i) => {
    expect(weight).toBeCloseTo(map.weights[i]!, 1);
  });
  expect(found.r2).toBeGreaterThan(0.98);
  expect(found.r2).toBeLessThan(1);
  expect(fitContentMap(rows, { seed: 1 })).toEqual(found);
});

test('of noisy factors it explains the share that is no noise', () => {
  const { rows } = rowsOf(4_000, 0);
  const random = seededRandom(5);
  const noisy = rows.factors.map((x) => x + 2 * random.normal());
  const varianceOf = (values: Float32Array): number => {
    const columns = Array.from({ length: WIDTH }, (_, k) => values.filter((_value, i) => i % WIDTH === k));
    return columns.reduce((sum, column) => {
      const mean = column.reduce((a, b) => a + b, 0) / column.length;
      return sum + column.reduce((a, b) => a + (b - mean) ** 2, 0);
    }, 0);
  };
  expect(fitContentMap({ ...rows, factors: noisy }, { seed: 1 })!.r2).toBeCloseTo(varianceOf(rows.factors) / varianceOf(noisy), 1);
});

test('none where content says nothing, where there are few items, and of items that say nothing of themselves', () => {
  const random = seededRandom(6);
  const { rows } = rowsOf(400, 0);
  expect(fitContentMap({ ...rows, factors: rows.factors.map(() => random.normal()) }, { seed: 1 })).toBeUndefined();
  expect(fitContentMap({ ...rows, factors: rows.factors.fill(1) }, { seed: 1 })).toBeUndefined();
  const few = rowsOf(20, 0).rows;
  expect(fitContentMap(few, { seed: 1 })).toBeUndefined();
  expect(fitContentMap({ ...rows, vectors: rows.vectors.map(() => undefined) }, { seed: 1 })).toBeUndefined();
  expect(() => fitContentMap({ ...rows, width: 4 }, { seed: 1 })).toThrow(RangeError);
});

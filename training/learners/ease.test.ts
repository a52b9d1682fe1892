import { describe, expect, test } from 'vitest';
import { invertSymmetric } from './ease/inverse.ts';
import { EASE_ITEMS_MAX, type EaseRows, easeNeighbours, fitEase } from './ease.ts';
import { seededRandom } from './random.ts';

function randomRows(users: number, items: number, share: number, seed: number): EaseRows {
  const random = seededRandom(seed);
  const indptr = [0];
  const indices: number[] = [];
  for (let user = 0; user < users; user++) {
    for (let item = 0; item < items; item++) if (random.next() < share) indices.push(item);
    indptr.push(indices.length);
  }
  const values = Float32Array.from(indices, () => 1 + random.int(3));
  return { users, items, indptr: Uint32Array.from(indptr), indices: Uint32Array.from(indices), values };
}

const none = () => {};

describe('invertSymmetric', () => {
  // Less than a block, blocks exactly, and some more.
  test.each([1, 5, 64, 65, 128, 200])('of %i rows: the product with the matrix is the unit matrix', async (n) => {
    const random = seededRandom(n);
    const factor = Float64Array.from({ length: n * n }, () => random.normal());
    const value = (i: number, j: number) => {
      let sum = i === j ? 0.1 * n : 0;
      for (let p = 0; p < n; p++) sum += factor[i * n + p]! * factor[j * n + p]!;
      return sum;
    };
    const full = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => value(i, j)));
    const { matrix, stride } = await invertSymmetric(
      n,
      (lower) => {
        for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) lower.matrix[i * lower.stride + j] = full[i]![j]!;
      },
      none,
    );
    const inverse = (i: number, j: number) => matrix[Math.max(i, j) * stride + Math.min(i, j)]!;
    let worst = 0;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < n; p++) sum += full[i]![p]! * inverse(p, j);
        worst = Math.max(worst, Math.abs(sum - (i === j ? 1 : 0)));
      }
    }
    expect(worst).toBeLessThan(1e-9);
  });

  test('says that a matrix is not positive definite, wherever that shows', async () => {
    for (const bad of [0, 100]) {
      const fill = ({ matrix, stride }: { matrix: Float64Array; stride: number }) => {
        for (let i = 0; i < 130; i++) matrix[i * stride + i] = i === bad ? -1 : 1;
      };
      await expect(invertSymmetric(130, fill, none)).rejects.toThrow('not positive definite');
    }
  });
});

describe('fitEase', () => {
  test('each column is the ridge regression of its item on all others', async () => {
    const rows = randomRows(80, 30, 0.2, 1);
    const lambda = 3;
    const { weights } = await fitEase(rows, { lambda }, { seed: 1 });
    const dense = Array.from({ length: rows.users }, (_, user) => {
      const row = new Float64Array(rows.items);
      for (let at = rows.indptr[user]!; at < rows.indptr[user + 1]!; at++) row[rows.indices[at]!] = rows.values[at]!;
      return row;
    });
    for (let target = 0; target < rows.items; target++) {
      expect(weights[target * rows.items + target]).toBe(0);
      // The gradient of |x_j - X b|^2 + lambda |b|^2 is zero for every weight but the one that is held at zero.
      const errors = dense.map((row) => row[target]! - row.reduce((sum, value, i) => sum + value * weights[i * rows.items + target]!, 0));
      for (let i = 0; i < rows.items; i++) {
        if (i === target) continue;
        const gradient = dense.reduce((sum, row, user) => sum + row[i]! * errors[user]!, 0) - lambda * weights[i * rows.items + target]!;
        expect(Math.abs(gradient)).toBeLessThan(1e-4);
      }
    }
  });

  test('one, two and three threads give the same weights, bit for bit; progress counts blocks', async () => {
    const rows = randomRows(400, 200, 0.05, 2);
    const calls: string[] = [];
    const one = await fitEase(rows, {}, { seed: 1, threads: 1, progress: (done, total) => calls.push(`${done}/${total}`) });
    expect(calls).toEqual(['1/4', '2/4', '3/4', '4/4']);
    for (const threads of [2, 3]) expect(await fitEase(rows, {}, { seed: 1, threads })).toEqual(one);
  });

  test('its neighbours are the largest positive weights, in order', async () => {
    const model = await fitEase(randomRows(60, 20, 0.3, 3), { lambda: 5 }, { seed: 1 });
    const { indptr, neighbours, similarities } = easeNeighbours(model, 4);
    for (let item = 0; item < 20; item++) {
      const row = [...model.weights.subarray(item * 20, item * 20 + 20)].map((weight, other) => [other, weight] as const);
      const expected = row.filter(([, weight]) => weight > 0).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
      const given = [...neighbours.subarray(indptr[item], indptr[item + 1])].map((other, i) => [other, similarities[indptr[item]! + i]!]);
      expect(given).toEqual(expected.slice(0, 4));
    }
  });

  test('refuses what it cannot learn from', async () => {
    const rows = randomRows(10, 5, 0.5, 4);
    const refused = (code: string) => expect.objectContaining({ code });
    await expect(fitEase({ ...rows, values: rows.values.with(0, Number.NaN) }, {}, { seed: 1 })).rejects.toThrow(
      refused('training_data_insufficient'),
    );
    const empty = { users: 0, items: 3, indptr: new Uint32Array(1), indices: new Uint32Array(0), values: new Float32Array(0) };
    await expect(fitEase(empty, {}, { seed: 1 })).rejects.toThrow(refused('training_data_insufficient'));
    await expect(fitEase({ ...rows, items: EASE_ITEMS_MAX + 1 }, {}, { seed: 1 })).rejects.toThrow(refused('training_data_too_large'));
    await expect(fitEase(rows, { lambda: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
  });
});

import { expect, test } from 'vitest';
import { dot, norm, similarity, squaredDistance } from './similarity.ts';

test('unrolled sums equal plain ones at every length and offset', () => {
  for (let length = 1; length <= 11; length++) {
    const rows = Float32Array.from({ length: length * 2 }, (_, i) => i - 3);
    const query = Float32Array.from({ length }, (_, i) => 2 * i - 5);
    const row = [...rows.subarray(length)];
    expect(dot(rows, length, query)).toBe(row.reduce((sum, x, i) => sum + x * query[i]!, 0));
    expect(squaredDistance(rows, length, query)).toBe(row.reduce((sum, x, i) => sum + (x - query[i]!) ** 2, 0));
  }
});

test('similarities follow the contract', () => {
  const rows = Float32Array.of(9, 9, 3, 4);
  const query = Float32Array.of(6, 8);
  expect(similarity('ip', rows, 2, 5, query, norm(query))).toBe(50);
  expect(similarity('cosine', rows, 2, 5, query, norm(query))).toBe(1);
  expect(similarity('l2', rows, 2, 5, query, norm(query))).toBe(-25);
});

import { expect, test } from 'vitest';
import { seededRandom } from './clustered.ts';
import { SPREAD_MAX } from './graph-row.ts';
import { LONGEST_MAX, Longest } from './longest.ts';
import { VectorSlab } from './slab.ts';

/** The labels of the longest among vectors of these lengths, put one by one behind a slot that is no part of the graph. */
function longestOf(lengths: readonly number[]): Set<number> {
  const slab = new VectorSlab({ dimensions: 2, metric: 'ip', capacityInitial: 1 + lengths.length });
  slab.put('before', Float32Array.of(1, 0));
  const longest = Longest.of({ radius: 1, spread: SPREAD_MAX })!;
  lengths.forEach((length, i) => {
    slab.put(`i${i}`, Float32Array.of(length, 0));
    longest.add(slab, i + 1, 1);
  });
  return new Set(longest.with([]));
}

test('only where norms spread very far', () => {
  expect(Longest.of({ radius: 1, spread: SPREAD_MAX - 0.1 })).toBeUndefined();
});

test.each(['in any order', 'the longest first', 'the shortest first'])('has the longest, %s', (order) => {
  const random = seededRandom(1);
  const lengths = Array.from({ length: 20_000 }, () => 1 / (0.001 + random()));
  if (order !== 'in any order') lengths.sort((a, b) => (order === 'the longest first' ? b - a : a - b));
  const longest = longestOf(lengths);
  expect(longest.size).toBeGreaterThan(0.03 * lengths.length);
  expect(longest.size).toBeLessThanOrEqual(2 * LONGEST_MAX);
  const ranked = lengths.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]!);
  expect(ranked.slice(0, 600).filter((label) => !longest.has(label))).toEqual([]);
});

test('of equals no more than a search can go through; each label once', () => {
  const slab = new VectorSlab({ dimensions: 2, metric: 'ip', capacityInitial: 10_000 });
  for (let i = 0; i < 10_000; i++) slab.put(`i${i}`, Float32Array.of(1, 0));
  const longest = Longest.of({ radius: 1, spread: SPREAD_MAX })!;
  longest.renew(slab, 10_000, 0);
  const labels = longest.with([0, 1, 9_999]);
  expect(labels.length).toBeLessThanOrEqual(2 * LONGEST_MAX + 3);
  expect(new Set(labels).size).toBe(labels.length);
  expect(labels).toContain(9_999);
});

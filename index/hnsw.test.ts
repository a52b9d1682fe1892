import { describe, expect, test } from 'vitest';
import { clusteredVectors } from './clustered.ts';
import { createExactIndex } from './exact.ts';
import { createHnswIndex } from './hnsw.ts';
import { vectorSuite } from './vector.suite.ts';

vectorSuite('hnsw', createHnswIndex, { recallMin: 0.99 });
vectorSuite('hnsw with a graph from the first vector', (options) => createHnswIndex({ ...options, graphFromSlots: 1 }), {
  recallMin: 0.99,
});

describe('inner products of vectors whose norms differ', () => {
  // Raw inner-product graphs keep .74 at spread 0.5 and .84 at 1 here, with ef 256.
  test.each([
    [0.3, 0.99],
    [0.5, 0.99],
    // So far that the longest vectors are gone through besides.
    [1, 0.99],
    [2, 0.99],
  ])('norm spread %f', (normSpread, recallMin) => {
    const next = clusteredVectors({ dimensions: 32, clusters: 50, seed: 3, normSpread });
    const index = createHnswIndex({ dimensions: 32, metric: 'ip' });
    const oracle = createExactIndex({ dimensions: 32, metric: 'ip' });
    for (let i = 0; i < 5_000; i++) {
      const vector = next();
      index.upsert(`i${i}`, vector);
      oracle.upsert(`i${i}`, vector);
    }
    let found = 0;
    for (let i = 0; i < 40; i++) {
      const query = next();
      const truth = new Set(oracle.search(query, 100).map((n) => n.id));
      found += index.search(query, 100).filter((n) => truth.has(n.id)).length;
    }
    expect(found / 4_000).toBeGreaterThan(recallMin);
  });
});

test('the same seed and order give the same answers', () => {
  const build = () => {
    const next = clusteredVectors({ dimensions: 8, clusters: 10, seed: 5 });
    const index = createHnswIndex({ dimensions: 8, metric: 'cosine', seed: 9 });
    for (let i = 0; i < 2_000; i++) index.upsert(`i${i}`, next());
    return index.search(next(), 50, { ef: 50 });
  };
  expect(build()).toEqual(build());
});

test('still answers, by scanning, when many identical vectors hide others and after release', () => {
  const index = createHnswIndex({ dimensions: 4, metric: 'l2', graphFromSlots: 1 });
  for (let i = 0; i < 3_000; i++) index.upsert(`same${i}`, Float32Array.of(1, 1, 1, 1));
  index.upsert('other', Float32Array.of(5, 5, 5, 5));
  expect(index.search(Float32Array.of(1, 1, 1, 1), 100)).toHaveLength(100);
  expect(index.search(Float32Array.of(5, 5, 5, 5), 1, { filter: (id) => id === 'other' })[0]!.id).toBe('other');
  expect(index.sphere).toBeDefined();
  index.release();
  expect(index.sphere).toBeUndefined();
  expect(index.search(Float32Array.of(5, 5, 5, 5), 1)[0]!.id).toBe('other');
});

test('renews its graph under steady replacement: slots stay bounded and recall stays', () => {
  const next = clusteredVectors({ dimensions: 16, clusters: 30, seed: 8 });
  const index = createHnswIndex({ dimensions: 16, metric: 'ip' });
  const oracle = createExactIndex({ dimensions: 16, metric: 'ip' });
  let slotsMost = 0;
  let found = 0;
  for (let step = 0; step < 12_000; step++) {
    const id = `i${(step * 7919) % 3_000}`;
    const vector = next();
    index.upsert(id, vector);
    oracle.upsert(id, vector);
    slotsMost = Math.max(slotsMost, index.slab.slotCount);
    if (step % 300 === 299) {
      const query = next();
      const truth = new Set(oracle.search(query, 20).map((n) => n.id));
      found += index.search(query, 20).filter((n) => truth.has(n.id)).length;
    }
  }
  expect(index.size).toBe(3_000);
  expect(slotsMost).toBeLessThan(1.9 * 3_000);
  expect(found / (40 * 20)).toBeGreaterThan(0.99);
});

test('survives the removal of everything and starts again', () => {
  const next = clusteredVectors({ dimensions: 8, clusters: 10, seed: 6 });
  const index = createHnswIndex({ dimensions: 8, metric: 'ip', graphFromSlots: 1 });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 1_500; i++) index.upsert(`r${round}-${i}`, next());
    expect(index.search(next(), 20)).toHaveLength(20);
    for (let i = 0; i < 1_500; i++) expect(index.remove(`r${round}-${i}`)).toBe(true);
    expect(index.search(next(), 20)).toEqual([]);
  }
  expect(index.slab.slotCount).toBeLessThan(2_500);
});

test('refuses options out of range', () => {
  const good = { dimensions: 4, metric: 'ip' } as const;
  for (const bad of [{ m: 1 }, { m: 1_000 }, { efConstruction: 0 }, { seed: -1 }, { graphFromSlots: 0 }, { capacityInitial: -1 }]) {
    expect(() => createHnswIndex({ ...good, ...bad })).toThrow(RangeError);
  }
  const index = createHnswIndex(good);
  expect(() => index.search(new Float32Array(4), 1, { ef: 0 })).toThrow(RangeError);
});

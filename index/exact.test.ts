import { expect, test } from 'vitest';
import { createExactIndex } from './exact.ts';
import { VectorSlab } from './slab.ts';
import { vectorSuite } from './vector.suite.ts';

vectorSuite('exact', createExactIndex, { recallMin: 0.999999 });

test('asks a filter only about vectors near enough to be kept', () => {
  const index = createExactIndex({ dimensions: 1, metric: 'ip' });
  for (let i = 1000; i > 0; i--) index.upsert(`i${i}`, Float32Array.of(i));
  let calls = 0;
  const found = index.search(Float32Array.of(1), 5, {
    filter: () => {
      calls++;
      return true;
    },
  });
  expect(found.map((n) => n.similarity)).toEqual([1000, 999, 998, 997, 996]);
  expect(calls).toBe(5);
});

test('a slab keeps slots in place and fills holes before it grows', () => {
  const slab = new VectorSlab({ dimensions: 1, metric: 'l2' });
  for (const id of ['a', 'b', 'c']) slab.put(id, Float32Array.of(id.charCodeAt(0)));
  slab.remove('b');
  expect(slab.idAt(1)).toBeUndefined();
  slab.put('d', Float32Array.of(4));
  expect(slab.slotOf('d')).toBe(1);
  expect(slab.slotOf('c')).toBe(2);
  expect(slab.slotCount).toBe(3);
  expect(slab.putFresh('d', Float32Array.of(4))).toBeUndefined();
  expect(slab.putFresh('d', Float32Array.of(5))).toBe(3);
  expect(slab.rowAt(1)).toEqual(Float32Array.of(4));
  expect(slab.get('d')).toEqual(Float32Array.of(5));
  expect(slab.slotCount).toBe(4);
  expect(slab.size).toBe(3);
});

test('refuses options out of range', () => {
  for (const dimensions of [0, 1.5, 4097, Number.NaN]) expect(() => createExactIndex({ dimensions, metric: 'ip' })).toThrow(RangeError);
  expect(() => createExactIndex({ dimensions: 2, metric: 'ip', capacityMax: 0 })).toThrow(RangeError);
});

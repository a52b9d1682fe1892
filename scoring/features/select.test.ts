import fc from 'fast-check';
import { expect, test } from 'vitest';
import { medianOfFirst, nthSmallest } from './select.ts';

test('gives what sorting gives, with smaller numbers before its place and larger ones behind', () => {
  const numbers = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true })), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(numbers, fc.nat(), (list, pick) => {
      const rank = pick % list.length;
      const kept = Float64Array.from([...list, -1e9]);
      const sorted = Float64Array.from(list).sort();
      const found = nthSmallest(kept, list.length, rank);
      // Not toBe: of two equal zeros either may be found.
      expect(found === sorted[rank]).toBe(true);
      expect([...kept.subarray(0, rank)].every((value) => value <= found)).toBe(true);
      expect([...kept.subarray(rank, list.length)].every((value) => value >= found)).toBe(true);
      expect(kept[list.length]).toBe(-1e9);
      expect(kept.subarray(0, list.length).sort()).toEqual(sorted);
    }),
    { seed: 5, numRuns: 500 },
  );
});

test('the median is that of sorting, however the numbers lie', () => {
  const amounts = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -50_000, max: 2_000_000 }), fc.constantFrom(1e9, -1e9, 1e-9));
  const numbers = fc.oneof(
    fc.array(
      amounts.map((units) => units / 10_000),
      { minLength: 1, maxLength: 200 },
    ),
    fc.array(fc.double({ noNaN: true, min: -1e13, max: 1e13 }), { minLength: 1, maxLength: 200 }),
  );
  fc.assert(
    fc.property(numbers, (list) => {
      const sorted = Float64Array.from(list).sort();
      const half = sorted.length >> 1;
      const expected = sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
      expect(medianOfFirst(Float64Array.from([...list, -1e14]), list.length) === expected).toBe(true);
    }),
    { seed: 6, numRuns: 1_000 },
  );
});

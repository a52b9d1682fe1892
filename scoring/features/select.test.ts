import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nthSmallest } from './select.ts';

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

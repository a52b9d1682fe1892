import fc from 'fast-check';
import { expect, test } from 'vitest';
import { first } from './first.ts';

test('the first of the items in order are those of the sorted list', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 })), fc.nat(12), (values, count) => {
      const items = values.map((value, i) => ({ value, i }));
      const compare = (a: (typeof items)[number], b: (typeof items)[number]): number => a.value - b.value || a.i - b.i;
      expect(first(items, count, compare)).toEqual([...items].sort(compare).slice(0, count));
    }),
    { seed: 4, numRuns: 500 },
  );
});

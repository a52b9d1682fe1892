import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rankOrder } from './rank-order.ts';

test('orders as a sort by comparison does', () => {
  const score = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }),
    fc.constantFrom(0, -0, 1, 1 + 1e-12, 1 - 1e-12, -1, -1 - 1e-12),
    fc.integer({ min: -3, max: 3 }),
    fc.constant(7),
  );
  fc.assert(
    fc.property(fc.array(score, { maxLength: 80 }), (scores) => {
      const order = new Int32Array(scores.length);
      // Ties by another order than that of the positions, so that it shows.
      const tie = (a: number, b: number): number => b - a;
      rankOrder(scores, order, tie);
      const wanted = scores.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]! || tie(a, b));
      expect([...order]).toEqual(wanted);
    }),
    { seed: 2, numRuns: 500 },
  );
});

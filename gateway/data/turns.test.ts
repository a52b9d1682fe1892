import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('work on a name never overlaps and keeps its order; nothing is left behind', async () => {
  const jobs = fc.array(fc.record({ names: fc.subarray(['a', 'b', 'c'], { minLength: 1 }), steps: fc.nat(4), fails: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(jobs, async (plan) => {
      const turns = new Turns();
      const busy = new Set<string>();
      const order: Record<string, number[]> = { a: [], b: [], c: [] };
      const outcomes = await Promise.allSettled(
        plan.map(({ names, steps, fails }, at) =>
          turns.take(names, async () => {
            for (const name of names) {
              expect(busy.has(name)).toBe(false);
              busy.add(name);
              order[name]!.push(at);
            }
            for (let step = 0; step < steps; step++) await Promise.resolve();
            for (const name of names) busy.delete(name);
            if (fails) throw new Error('planned');
            return at;
          }),
        ),
      );
      expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(plan.map(({ fails }) => fails));
      for (const name of ['a', 'b', 'c']) expect(order[name]).toEqual(plan.flatMap(({ names }, at) => (names.includes(name) ? [at] : [])));
      expect(turns.size).toBe(0);
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('work on other names does not wait', async () => {
  const turns = new Turns();
  let finish = (): void => undefined;
  const slow = turns.take(['a'], () => new Promise<void>((resolve) => (finish = resolve)));
  expect(await turns.take(['b'], async () => 'done')).toBe('done');
  finish();
  await slow;
});

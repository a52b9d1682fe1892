import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BATCH_ROWS_MAX, MicroBatcher } from './batcher.ts';

const WIDTH = 3;

/** A model that answers the sum of each row, and notes how many rows came at once. */
function summing() {
  const batches: number[] = [];
  const batcher = new MicroBatcher(WIDTH, async (rows, n) => {
    expect(rows.length).toBe(n * WIDTH);
    batches.push(n);
    return Float32Array.from({ length: n }, (_, i) => rows[i * WIDTH]! + rows[i * WIDTH + 1]! + rows[i * WIDTH + 2]!);
  });
  return { batches, batcher };
}

const row = (i: number): Float32Array => Float32Array.of(i, 2 * i, 0.5);
const answer = (i: number): number => 3 * i + 0.5;
const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('rows', () => {
  test('of one round travel together, and each gets its own answer', async () => {
    const { batches, batcher } = summing();
    const answers = await Promise.all([1, 2, 3].map((i) => batcher.predict(row(i))));
    expect(answers).toEqual([1, 2, 3].map(answer));
    expect(batches).toEqual([3]);
  });

  test('of the next round travel in the next batch', async () => {
    const { batches, batcher } = summing();
    const first = batcher.predict(row(1));
    await round();
    const second = batcher.predict(row(2));
    expect(await Promise.all([first, second])).toEqual([answer(1), answer(2)]);
    expect(batches).toEqual([1, 1]);
  });

  test('leave at once when a batch is full', async () => {
    const { batches, batcher } = summing();
    const waiting = Array.from({ length: 2 * BATCH_ROWS_MAX + 5 }, (_, i) => batcher.predict(row(i)));
    expect(batches).toEqual([BATCH_ROWS_MAX, BATCH_ROWS_MAX]);
    expect(await Promise.all(waiting)).toEqual(waiting.map((_, i) => answer(i)));
    expect(batches).toEqual([BATCH_ROWS_MAX, BATCH_ROWS_MAX, 5]);
  });

  test('of another width are refused alone', async () => {
    const { batches, batcher } = summing();
    const outcomes = await Promise.allSettled([batcher.predict(row(1)), batcher.predict(new Float32Array(WIDTH + 1)), batcher.predict(row(2))]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(batches).toEqual([2]);
  });

  test('get their own answers however they arrive', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(150), { maxLength: 8 }), async (rounds) => {
        const { batches, batcher } = summing();
        const waiting: Promise<number>[] = [];
        for (const count of rounds) {
          for (let i = 0; i < count; i++) waiting.push(batcher.predict(row(waiting.length)));
          await round();
        }
        expect(await Promise.all(waiting)).toEqual(waiting.map((_, i) => answer(i)));
        for (const n of batches) expect(n).toBeLessThanOrEqual(BATCH_ROWS_MAX);
        expect(batches.reduce((total, n) => total + n, 0)).toBe(waiting.length);
      }),
      { seed: 5, numRuns: 30 },
    );
  });
});

test('a batch that fails fails all of its rows, and no other', async () => {
  let calls = 0;
  const batcher = new MicroBatcher(WIDTH, async (_, n) => {
    if (++calls === 1) throw new Error('out of memory');
    return new Float32Array(n).fill(7);
  });
  const failed = await Promise.allSettled([batcher.predict(row(1)), batcher.predict(row(2))]);
  for (const outcome of failed) expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'out of memory' } });
  expect(await batcher.predict(row(3))).toBe(7);
});

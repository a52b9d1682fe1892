import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ErrorCode } from '../contracts/errors.ts';
import type { Event } from '../contracts/event.ts';
import { GatehouseClientError } from './errors.ts';
import { type Dropped, EventQueue, type TrackOptions } from './queue.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const event = (n: number): Event => ({ event_id: `e${n}`, name: 'page_view', user_id: 'u1' });
const down = (): GatehouseClientError => new GatehouseClientError('overloaded', 'busy', { status: 503 });
const refusal = (code: ErrorCode, status: number): GatehouseClientError => new GatehouseClientError(code, 'no', { status });

/** A queue whose gateway keeps what it took, and refuses what `answer` throws for. */
function queueOf(options: TrackOptions = {}, answer: (ids: readonly string[]) => void = () => {}) {
  const batches: string[][] = [];
  const taken: string[] = [];
  const dropped: Dropped[] = [];
  const errors: unknown[] = [];
  const post = async (events: readonly Event[]): Promise<void> => {
    const ids = events.map(({ event_id }) => event_id);
    batches.push(ids);
    await Promise.resolve();
    answer(ids);
    taken.push(...ids);
  };
  const queue = new EventQueue(post, () => 0.5, { onDropped: (what) => dropped.push(what), onError: (error) => errors.push(error), ...options });
  return { queue, batches, taken, dropped, errors };
}

const droppedIds = (dropped: readonly Dropped[]): string[] => dropped.flatMap(({ events }) => events.map(({ event_id }) => event_id));

describe('batches', () => {
  test('by age: what comes within the time travels together', async () => {
    const { queue, batches } = queueOf({ ageMaxMs: 500 });
    queue.push(event(1));
    await vi.advanceTimersByTimeAsync(400);
    queue.push(event(2));
    expect(batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(batches).toEqual([['e1', 'e2']]);
  });

  test('by count: a full batch goes at once, and the rest behind it', async () => {
    const { queue, batches } = queueOf({ batchMax: 2, ageMaxMs: 500 });
    for (let n = 1; n <= 5; n++) queue.push(event(n));
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toEqual([['e1', 'e2'], ['e3', 'e4'], ['e5']]);
    expect(queue.size).toBe(0);
  });

  test('an event that comes in the moment in which the queue was emptied is sent too', async () => {
    const { queue, taken } = queueOf({ ageMaxMs: 500 });
    queue.push(event(1));
    await queue.flush().then(() => queue.push(event(2)));
    await vi.advanceTimersByTimeAsync(500);
    expect(taken).toEqual(['e1', 'e2']);
  });
});

describe('while the gateway is away', () => {
  test('events stay in order and are tried again after growing waits; a full batch does not shorten them', async () => {
    let away = true;
    const { queue, batches, taken, errors } = queueOf({ batchMax: 2, backoff: { firstMs: 1000, maxMs: 8000 } }, () => {
      if (away) throw down();
    });
    queue.push(event(1));
    queue.push(event(2));
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toHaveLength(1);
    queue.push(event(3));
    queue.push(event(4));
    await vi.advanceTimersByTimeAsync(999);
    expect(batches).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(batches).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1499);
    expect(batches).toHaveLength(2);
    away = false;
    await vi.advanceTimersByTimeAsync(1);
    expect(taken).toEqual(['e1', 'e2', 'e3', 'e4']);
    expect(errors).toHaveLength(2);
    // The backoff is over: the next event waits for its age alone.
    queue.push(event(5));
    await vi.advanceTimersByTimeAsync(500);
    expect(taken).toHaveLength(5);
  });

  test('the queue is bounded: what does not fit is told', async () => {
    const { queue, taken, dropped } = queueOf({ queueMax: 3, ageMaxMs: 500 });
    for (let n = 1; n <= 5; n++) queue.push(event(n));
    expect(dropped.map(({ reason }) => reason)).toEqual(['queue_full', 'queue_full']);
    await queue.flush();
    expect([...taken, ...droppedIds(dropped)]).toEqual(['e1', 'e2', 'e3', 'e4', 'e5']);
  });

  test('a flush tells it, and keeps what it could not send', async () => {
    const { queue } = queueOf({}, () => {
      throw down();
    });
    queue.push(event(1));
    await expect(queue.flush()).rejects.toMatchObject({ code: 'overloaded' });
    expect(queue.size).toBe(1);
  });

  test('close tries once, then drops and reports all that is left, and takes nothing more', async () => {
    const { queue, batches, dropped, errors } = queueOf({}, () => {
      throw down();
    });
    queue.push(event(1));
    queue.push(event(2));
    await queue.close();
    queue.push(event(3));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(batches).toHaveLength(1);
    expect(errors).toHaveLength(1);
    expect(dropped.map(({ reason }) => reason)).toEqual(['closed', 'closed']);
    expect(droppedIds(dropped)).toEqual(['e1', 'e2', 'e3']);
  });
});

describe('refused events', () => {
  test.each<ErrorCode>(['invalid_request', 'event_conflict', 'body_too_large'])(
    '%s: the one at fault is dropped, all others are taken',
    async (code) => {
      const { queue, taken, dropped } = queueOf({ batchMax: 10 }, (ids) => {
        if (ids.includes('e7')) throw refusal(code, 422);
      });
      for (let n = 1; n <= 10; n++) queue.push(event(n));
      await vi.advanceTimersByTimeAsync(0);
      expect(taken).toEqual(['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e8', 'e9', 'e10']);
      expect(droppedIds(dropped)).toEqual(['e7']);
      expect(dropped[0]).toMatchObject({ reason: 'refused', error: { code } });
    },
  );

  test('a gateway that goes away while the batch is being halved: nothing is lost, nothing is told twice', async () => {
    let calls = 0;
    const { queue, taken, dropped } = queueOf({ batchMax: 4, backoff: { firstMs: 100, maxMs: 100 } }, (ids) => {
      calls++;
      if (calls === 4) throw down();
      if (ids.includes('e1')) throw refusal('invalid_request', 422);
    });
    for (let n = 1; n <= 4; n++) queue.push(event(n));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(taken).toEqual(['e2', 'e3', 'e4']);
    expect(droppedIds(dropped)).toEqual(['e1']);
  });

  test('a revoked key refuses all: the batch is dropped without being taken apart', async () => {
    const { queue, batches, dropped } = queueOf({ batchMax: 10 }, () => {
      throw refusal('unauthenticated', 401);
    });
    for (let n = 1; n <= 10; n++) queue.push(event(n));
    await vi.advanceTimersByTimeAsync(0);
    expect(batches).toHaveLength(1);
    expect(dropped.map(({ events }) => events.length)).toEqual([10]);
  });
});

import { expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { collect, type ShopLog } from './collect.ts';
import { silentProgress } from './progress.ts';
import { planNextActs } from './queries.ts';
import { isSessionLog } from './session-log.ts';
import { eventFact, sourceOf } from './shop.testing.ts';

function logOf(events: readonly Partial<TimedEvent>[]): Promise<ShopLog> {
  const facts = events.map((event, i) =>
    eventFact({ event_id: `e${i}`, name: 'view_item', timestamp_ms: i, items: [{ item_id: `i${i}` }], ...event }),
  );
  return collect(sourceOf(facts), { outcomesUntilMs: 1e9, progress: silentProgress.task(''), check: () => {} });
}

test('a log is one of sessions where most acts are in a session and of no known user', async () => {
  const anonymous = { session_id: 's1' };
  const known = { session_id: 's2', user_id: 'u1' };
  expect(isSessionLog(await logOf([anonymous, anonymous, known]))).toBe(true);
  expect(isSessionLog(await logOf([anonymous, known, known]))).toBe(false);
  expect(isSessionLog(await logOf([{ user_id: 'u1' }]))).toBe(false);
  expect(isSessionLog(await logOf([]))).toBe(false);
});

test('every act but the first of its visit is asked for, and nothing but its item is wanted', async () => {
  const log = await logOf([
    { session_id: 'a' },
    { session_id: 'b' },
    { session_id: 'a' },
    { session_id: 'a', items: [{ item_id: 'x' }, { item_id: 'y' }] },
    { session_id: 'b', name: 'purchase', user_id: 'u1' },
    { session_id: 'a' },
  ]);
  const queries = planNextActs(log, 1, 5, 100, 1).filter(({ itemId }) => itemId === undefined);
  expect(queries.map(({ record, sessionId, userId, wanted, isOpening }) => [record, sessionId, userId, [...wanted], isOpening])).toEqual([
    [1, 'b', undefined, [['i1', 1]], true],
    [2, 'a', undefined, [['i2', 1]], false],
    [3, 'a', undefined, [['x', 1]], false],
    [4, 'b', 'u1', [['i4', 2]], false],
  ]);
});

test('no more are drawn than there may be, openings being a tenth', async () => {
  const log = await logOf(Array.from({ length: 400 }, (_, i) => ({ session_id: `s${i % 100}` })));
  const queries = planNextActs(log, 0, 400, 50, 1);
  expect([queries.length, queries.filter(({ isOpening }) => isOpening).length]).toEqual([50, 5]);
  expect(queries.map(({ record }) => record)).toEqual(queries.map(({ record }) => record).toSorted((a, b) => a - b));
  expect(planNextActs(log, 0, 400, 50, 1)).toEqual(queries);
});

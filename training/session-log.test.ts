import { expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { collect, type ShopLog } from './collect.ts';
import type { SessionRows } from './learners/vmis.ts';
import { silentProgress } from './progress.ts';
import { planNextActs } from './queries.ts';
import { historySequences, visitSequences } from './sequences.ts';
import { hasUserVisits, isNextActLog } from './session-log.ts';
import { eventFact, sourceOf } from './shop.testing.ts';

const HOUR_MS = 3_600_000;

function logOf(events: readonly Partial<TimedEvent>[]): Promise<ShopLog> {
  const facts = events.map((event, i) =>
    eventFact({ event_id: `e${i}`, name: 'view_item', timestamp_ms: i, items: [{ item_id: `i${i}` }], ...event }),
  );
  return collect(sourceOf(facts), { outcomesUntilMs: 1e9, progress: silentProgress.task(''), check: () => {} });
}

test('next acts are all that is asked for where most acts are in a session and of no known user, or next to nothing is bought', async () => {
  const anonymous = { session_id: 's1' };
  const known = { session_id: 's2', user_id: 'u1', name: 'purchase' } as const;
  expect(isNextActLog(await logOf([anonymous, anonymous, known]))).toBe(true);
  expect(isNextActLog(await logOf([anonymous, known, known]))).toBe(false);
  expect(isNextActLog(await logOf([{ user_id: 'u1' }]))).toBe(true);
  expect(isNextActLog(await logOf([...Array.from({ length: 999 }, () => ({ user_id: 'u1' })), known]))).toBe(false);
  expect(isNextActLog(await logOf([]))).toBe(false);
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

test('acts of a user without session ids follow one another, whatever rests there were; those of nobody are not asked for', async () => {
  const log = await logOf([
    { user_id: 'u1' },
    {},
    { user_id: 'u2' },
    { user_id: 'u1', timestamp_ms: HOUR_MS },
    {},
    { user_id: 'u1', timestamp_ms: HOUR_MS + 1 },
  ]);
  const queries = planNextActs(log, 0, 2 * HOUR_MS, 100, 1);
  // Those by the page of an item besides.
  const onNone = queries.filter(({ itemId }) => itemId === undefined);
  expect(onNone.map(({ record, sessionId, userId, wanted, isOpening }) => [record, sessionId, userId, [...wanted], isOpening])).toEqual([
    [0, undefined, 'u1', [['i0', 1]], true],
    [2, undefined, 'u2', [['i2', 1]], true],
    [3, undefined, 'u1', [['i3', 1]], false],
    [5, undefined, 'u1', [['i5', 1]], false],
  ]);
});

test('visits of users end with a rest, their histories go on; sessions are sequences of their own', async () => {
  const log = await logOf([
    { user_id: 'u1' },
    { session_id: 's', user_id: 'u1' },
    { user_id: 'u1' },
    { session_id: 's' },
    {},
    { user_id: 'u1', timestamp_ms: HOUR_MS },
    { user_id: 'u1', timestamp_ms: 2 * HOUR_MS },
  ]);
  const listed = ({ indptr, indices, ids }: SessionRows): string[] =>
    Array.from({ length: indptr.length - 1 }, (_, s) =>
      Array.from(indices.subarray(indptr[s], indptr[s + 1]), (item) => ids[item]!).join(' '),
    ).filter((items) => items !== '');
  expect(hasUserVisits(log)).toBe(true);
  expect(listed(visitSequences(log, 2 * HOUR_MS))).toEqual(['i0 i2', 'i1 i3', 'i5']);
  expect(listed(historySequences(log, 2 * HOUR_MS))).toEqual(['i0 i2 i5', 'i1 i3']);
});

test('invoices are no visits: their lines have no order', async () => {
  const invoice = { user_id: 'u1', name: 'purchase', items: ['a', 'b', 'c'].map((item_id) => ({ item_id })) } as const;
  const log = await logOf([invoice, invoice, invoice]);
  expect(hasUserVisits(await logOf(Array.from({ length: 20 }, (_, i) => ({ user_id: 'u1', timestamp_ms: Math.floor(i / 5) }))))).toBe(false);
  expect([hasUserVisits(log), visitSequences(log, HOUR_MS).indices.length, historySequences(log, HOUR_MS).indices.length]).toEqual([false, 0, 0]);
});

test('a long history is told in pieces', async () => {
  const { indptr, indices } = historySequences(await logOf(Array.from({ length: 230 }, () => ({ user_id: 'u1' }))), HOUR_MS);
  expect([Array.from(indptr.subarray(0, 4)), indices.length]).toEqual([[0, 100, 200, 230], 230]);
});

test('no more are drawn than there may be, openings being a tenth', async () => {
  const log = await logOf(Array.from({ length: 400 }, (_, i) => ({ session_id: `s${i % 100}` })));
  const queries = planNextActs(log, 0, 400, 50, 1);
  expect([queries.length, queries.filter(({ isOpening }) => isOpening).length]).toEqual([50, 5]);
  expect(queries.map(({ record }) => record)).toEqual(queries.map(({ record }) => record).toSorted((a, b) => a - b));
  expect(planNextActs(log, 0, 400, 50, 1)).toEqual(queries);
});

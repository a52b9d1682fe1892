import { describe, expect, test } from 'vitest';
import type { Event } from '../contracts/event.ts';
import { collect, type ShopLog } from './collect.ts';
import { planQueries } from './queries.ts';
import { END_MS, eventFact, sourceOf } from './shop.testing.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

type Told = Omit<Event, 'event_id'> & { readonly minutes: number };

function logOf(told: readonly Told[], outcomesUntilMs = Number.POSITIVE_INFINITY): Promise<ShopLog> {
  const facts = told.map(({ minutes, ...event }, i) => eventFact({ event_id: `e${i}`, ...event, timestamp_ms: END_MS + minutes * MINUTE_MS }));
  return collect(sourceOf(facts), { outcomesUntilMs, progress: { update: () => {}, end: () => {} }, check: () => {} });
}

const view = (user: string, item: string, minutes: number, session?: string): Told => ({
  name: 'view_item',
  user_id: user,
  items: [{ item_id: item }],
  minutes,
  ...(session === undefined ? {} : { session_id: session }),
});
const buy = (user: string, items: string[], minutes: number): Told => ({
  name: 'purchase',
  user_id: user,
  items: items.map((item_id) => ({ item_id })),
  minutes,
});

describe('visits', () => {
  test('are sessions where the shop sends them, and end after half an hour of rest where it does not', async () => {
    const log = await logOf([
      view('u', 'a', 0),
      view('u', 'b', 20),
      view('u', 'c', 60),
      view('u', 'd', 61, 's'),
      view('u', 'e', 500, 's'),
      view('v', 'a', 501),
    ]);
    expect(Array.from(log.acts.visit)).toEqual([0, 0, 1, 2, 2, 3]);
    expect(log.visits).toEqual([undefined, undefined, 's', undefined]);
  });
});

describe('outcomes', () => {
  const pay = (id: string, minutes: number): Told => ({ name: 'payment_attempt', transaction_id: id, user_id: 'u', value: 1, minutes });
  const label = (id: string, minutes: number, isFraud: boolean): Told => ({ name: 'label', transaction_id: id, is_fraud: isFraud, minutes });

  test('the last word counts, and a chargeback says fraud by itself', async () => {
    const { outcomes } = await logOf([
      pay('t1', 0),
      pay('t2', 0),
      label('t1', 10, true),
      label('t1', 20, false),
      { name: 'chargeback', transaction_id: 't2', minutes: 30 },
    ]);
    expect(outcomes.get('t1')!.isFraud).toBe(false);
    expect(outcomes.get('t2')!.isFraud).toBe(true);
  });

  test('one from before its payment is left out and counted: it could not have been known', async () => {
    const { outcomes, checks } = await logOf([pay('t1', 100), label('t1', 10, true), label('t9', 10, true)]);
    expect(outcomes.has('t1')).toBe(false);
    expect(checks).toMatchObject({ outcomesTooEarly: 1, outcomesAlone: 1 });
  });

  test('what arrives after the limit is not known', async () => {
    const { outcomes } = await logOf([pay('t1', 0), label('t1', 10, true)], END_MS + 9 * MINUTE_MS);
    expect(outcomes.size).toBe(0);
  });
});

describe('questions', () => {
  test('want what was bought within a month before the end and what the visit went on to touch', async () => {
    const told = [
      view('u', 'a', 0),
      view('u', 'b', 5),
      buy('u', ['c', 'd'], 10),
      buy('u', ['e'], 10 * 24 * 60),
      buy('u', ['f'], 40 * 24 * 60),
      buy('u', ['g'], 20 * 24 * 60),
    ];
    const log = await logOf(told);
    const [first] = planQueries(log, END_MS, END_MS + 15 * DAY_MS, 100, 1);
    expect(first).toMatchObject({ record: 0, userId: 'u', atMs: END_MS });
    expect(Object.fromEntries(first!.wanted)).toEqual({ a: 1, b: 1, c: 2, d: 2, e: 2 });
  });

  test('are asked before the record that answers them, never within one purchase', async () => {
    const log = await logOf([buy('u', ['a', 'b', 'c', 'd', 'e', 'f'], 0), view('u', 'g', 1)]);
    const queries = planQueries(log, END_MS, END_MS + DAY_MS, 100, 1);
    expect(queries.map(({ record }) => record)).toEqual([...new Set(queries.map(({ record }) => record))]);
    expect(queries[0]!.wanted.size).toBe(7);
    for (const { record, wanted } of queries.slice(1)) {
      expect(record).toBe(1);
      expect([...wanted.keys()]).toEqual(['g']);
    }
  });

  test('stay within their number and their time, and are the same for the same seed', async () => {
    const log = await logOf(Array.from({ length: 400 }, (_, i) => view(`u${i % 40}`, `i${i % 7}`, i * 7)));
    const queries = planQueries(log, END_MS + 60 * MINUTE_MS, END_MS + 900 * MINUTE_MS, 20, 9);
    expect(queries).toHaveLength(20);
    expect(queries.every(({ atMs }) => atMs >= END_MS + 60 * MINUTE_MS && atMs < END_MS + 900 * MINUTE_MS)).toBe(true);
    expect(planQueries(log, END_MS + 60 * MINUTE_MS, END_MS + 900 * MINUTE_MS, 20, 9)).toEqual(queries);
  });
});

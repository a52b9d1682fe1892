import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { NeighbourTable } from '../scoring/recommend/retrieval.ts';
import { collect, type ShopLog } from './collect.ts';
import { NO_PAGE, pagesBefore } from './pages.ts';
import { silentProgress } from './progress.ts';
import { planNextActs, planQueries } from './queries.ts';
import { RankerRows } from './ranker-rows.ts';
import { Replay } from './replay.ts';
import { END_MS, eventFact, sourceOf } from './shop.testing.ts';

const NONE: readonly string[] = [];

type Act = readonly [name: TimedEvent['name'], items: readonly string[], session?: string];

function factsOf(acts: readonly Act[], userId?: string) {
  return acts.map(([name, items, session_id = 's'], i) =>
    eventFact({
      event_id: `e${i}`,
      name,
      session_id,
      ...(userId !== undefined && { user_id: userId }),
      timestamp_ms: END_MS + 1000 * i,
      items: items.map((item_id) => ({ item_id })),
    }),
  );
}

function logOf(acts: readonly Act[], userId?: string): Promise<ShopLog> {
  const options = { outcomesUntilMs: END_MS, progress: silentProgress.task(''), check: () => {} };
  return collect(sourceOf(factsOf(acts, userId)), options);
}

describe('the page before an act', () => {
  const pagesOf = async (...acts: Act[]): Promise<(string | null)[]> => {
    const log = await logOf(acts);
    return Array.from(pagesBefore(log), (page) => (page === NO_PAGE ? null : log.items.name(page)));
  };

  test('is of the item looked at last in the same visit', async () => {
    const pages = await pagesOf(['view_item', ['a']], ['view_item', ['x'], 'other'], ['view_item', ['b']], ['select_item', ['c']]);
    expect(pages).toEqual([null, null, 'a', 'b']);
  });

  test('stays open while its own item is put aside, which says nothing of what it led to', async () => {
    const pages = await pagesOf(['view_item', ['a']], ['add_to_cart', ['a']], ['add_to_wishlist', ['a']], ['view_item', ['b']], ['view_item', ['b']]);
    expect(pages).toEqual([null, null, null, 'a', null]);
  });

  test('is of no item before and after a purchase, nor after several were looked at at once', async () => {
    const bought = await pagesOf(['view_item', ['a']], ['purchase', ['b', 'c']], ['view_item', ['d']], ['view_item', ['e']]);
    expect(bought).toEqual([null, null, null, null, 'd']);
    expect(await pagesOf(['view_item', ['a']], ['view_item', ['b', 'c']], ['view_item', ['d']])).toEqual([null, 'a', 'a', null]);
  });

  test('of a log without acts there is none', async () => {
    expect(await pagesOf()).toEqual([]);
  });
});

describe('questions', () => {
  const walk = (visits: number): Act[] =>
    Array.from({ length: visits }, (_, visit) =>
      ['a', 'b', 'c', 'd', 'e'].map((item): Act => ['view_item', [`${item}${visit % 7}`], `s${visit}`]),
    ).flat();

  const askedOn = async (plan: typeof planQueries, limit: number, userId?: string) => {
    const log = await logOf(walk(200), userId);
    const queries = plan(log, END_MS, END_MS + 1e9, limit, 1);
    expect(plan(log, END_MS, END_MS + 1e9, limit, 1)).toEqual(queries);
    expect(queries.length).toBeLessThanOrEqual(limit);
    const pages = pagesBefore(log);
    const before = new Map(Array.from(log.acts.record, (record, act) => [record, log.items.name(pages[act]!)]));
    const next = new Map(Array.from(log.acts.record, (record, act) => [record, log.items.name(log.acts.item[act]!)]));
    const asked = queries.filter(({ itemId }) => itemId !== undefined);
    for (const { record, itemId, wanted, isOpening } of asked) {
      expect([itemId, [...wanted], isOpening ?? false]).toEqual([before.get(record), [[next.get(record), 1]], false]);
    }
    return { asked, others: queries.filter(({ itemId }) => itemId === undefined) };
  };

  test('of known shoppers are asked by the page in half of the cases where there is one, for the next item alone', async () => {
    const { asked, others } = await askedOn(planQueries, 10_000, 'u');
    // One at the beginning of each of the 200 visits; all that are in the middle could be asked by a page.
    const middle = asked.length + others.length - 200;
    expect(asked.length).toBeGreaterThan(0.4 * middle);
    expect(asked.length).toBeLessThan(0.6 * middle);
    // What is wanted without the page is the rest of the visit.
    expect(Math.max(...others.map(({ wanted }) => wanted.size))).toBeGreaterThan(1);
  });

  test('of sessions are asked by the page in a fifth, within their number', async () => {
    const { asked, others } = await askedOn(planNextActs, 300);
    expect([asked.length, others.length]).toEqual([60, 240]);
  });

  test('of a log of purchases alone are asked by no page', async () => {
    const log = await logOf(
      Array.from({ length: 90 }, (_, i): Act => ['purchase', [`i${i % 9}`, `i${(i + 1) % 9}`], `s${i >> 1}`]),
      'u',
    );
    const queries = planQueries(log, END_MS, END_MS + 1e9, 100, 1);
    expect(queries.length).toBeGreaterThan(40);
    expect(queries.filter((query) => 'itemId' in query)).toEqual(NONE);
  });
});

test('on its page an item is no candidate, and a row says what it goes with; elsewhere the ranker sees that there is no page', async () => {
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const replay = new Replay(engine);
  const ids = ['a', 'b', 'c'];
  for (const item_id of ids) replay.apply({ kind: 'item_put', at_ms: 0, item: { item_id } });
  for (const fact of factsOf(
    [
      ['view_item', ['b']],
      ['view_item', ['a']],
    ],
    'u',
  ))
    replay.apply(fact);
  // a goes with b.
  const neighbours = new NeighbourTable(replay.catalogue.handles, ids, Uint32Array.of(0, 1, 1, 1), Uint32Array.of(1), Float32Array.of(0.5));
  const rows = new RankerRows({ neighbours });
  const query = { record: 2, atMs: END_MS + 9_000, userId: 'u', sessionId: 's', wanted: new Map([['b', 1 as const]]) };
  await rows.ask(replay, query);
  await rows.ask(replay, { ...query, itemId: 'a' });
  const column = engine.names(RANK_SET).indexOf('page_item');
  const told = rows.stored().answered.map((answered) => {
    const width = answered.rows.length / answered.ids.length;
    return Object.fromEntries(answered.ids.map((id, i) => [id, answered.rows[i * width + column]!]));
  });
  expect(told).toEqual([
    { a: Number.NaN, b: Number.NaN, c: Number.NaN },
    { b: 0.5, c: 0 },
  ]);
});

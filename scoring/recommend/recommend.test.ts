import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import { Handles } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import type { RecommendRequest } from '../../contracts/recommend.ts';
import type { RecommendModels } from './pipeline.ts';
import { DEFAULT_PLACEMENTS, type Placement, parsePlacements } from './placements.ts';
import { NeighbourTable, PopularityTable } from './retrieval.ts';
import { DAY, NOW, testItems, testShop } from './shop.testing.ts';
import { Trending } from './trending.ts';

const HOME = DEFAULT_PLACEMENTS[0]!;
const AGAIN = DEFAULT_PLACEMENTS.find(({ id }) => id === 'again')!;

/** What is said is said by `u1`, a day ago, unless it says otherwise. */
function shop(items: readonly Item[]) {
  const one = testShop(items);
  return {
    ...one,
    say: (event: Partial<TimedEvent> & Pick<TimedEvent, 'name'>): Promise<void> => one.take({ timestamp_ms: NOW - DAY, user_id: 'u1', ...event }),
    ask: (request: RecommendRequest, placement: Placement = HOME, models?: RecommendModels, deadline = 1) =>
      one.ask(request, placement, models, deadline),
  };
}

const catalogueOf = (n: number, change: (i: number) => Partial<Item> = () => ({})): Item[] => testItems(n, (i) => ({ price: 10 + i, ...change(i) }));

const neighbours = (handles: Handles, pairs: Record<string, [string, number][]>): NeighbourTable => {
  const ids = [...new Set([...Object.keys(pairs), ...Object.values(pairs).flatMap((list) => list.map(([id]) => id))])];
  const lists = ids.map((id) => pairs[id] ?? []);
  const indptr = new Uint32Array(ids.length + 1);
  lists.forEach((list, i) => {
    indptr[i + 1] = indptr[i]! + list.length;
  });
  const flat = lists.flat();
  return new NeighbourTable(
    handles,
    ids,
    indptr,
    Uint32Array.from(flat, ([id]) => ids.indexOf(id)),
    Float32Array.from(flat, ([, similarity]) => similarity),
  );
};

describe('an answer', () => {
  test('is never empty while something may be sold, and never has what may not', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ stock: fc.constantFrom(undefined, 0, 5), active: fc.boolean() }), { maxLength: 12 }),
        fc.array(fc.nat(11), { maxLength: 4 }),
        fc.integer({ min: 1, max: 20 }),
        async (kinds, bought, limit) => {
          const items = catalogueOf(kinds.length, (i) => ({
            active: kinds[i]!.active,
            ...(kinds[i]!.stock === undefined ? {} : { stock: kinds[i]!.stock }),
          }));
          const one = shop(items);
          for (const i of bought) if (i < items.length) await one.say({ name: 'purchase', items: [{ item_id: `i${i}` }] });
          const { ids } = await one.ask({ user_id: 'u1', limit });
          const sellable = items.filter((item) => item.active !== false && item.stock !== 0).map((item) => item.item_id);
          expect(ids.length).toBe(Math.min(limit, sellable.length));
          expect(new Set(ids).size).toBe(ids.length);
          for (const id of ids) expect(sellable).toContain(id);
        },
      ),
      { seed: 3, numRuns: 100 },
    );
  });

  test('leaves out the item on the page, what is excluded, other categories, and what was bought lately', async () => {
    const one = shop(catalogueOf(12));
    await one.say({ name: 'purchase', items: [{ item_id: 'i4' }] });
    const { ids } = await one.ask({ user_id: 'u1', item_id: 'i0', exclude: ['i8'], category: 'c0', limit: 12 });
    // Of category c0 (i0, i4, i8) only the bought item is left, and it comes back rather than nothing.
    expect(ids).toEqual(['i4']);
    const wide = await one.ask({ user_id: 'u1', limit: 3 });
    expect(wide.ids).not.toContain('i4');
  });

  test('lets purchases in where the placement says so', async () => {
    const one = shop(catalogueOf(30));
    await one.say({ name: 'purchase', items: [{ item_id: 'i7' }] });
    const { items } = await one.ask({ user_id: 'u1', limit: 5 }, AGAIN);
    expect(items[0]).toMatchObject({ item_id: 'i7', reason: 'Because you bought it before' });
    expect(items[0]!.sources).toContain('buy_again');
  });

  test('follows the last event: what was viewed leads to its neighbours', async () => {
    const one = shop(catalogueOf(30, (i) => (i === 3 ? { title: 'Teapot' } : {})));
    const models = {
      neighbours: neighbours(one.catalogue.handles, {
        i3: [
          ['i20', 0.9],
          ['i21', 0.5],
        ],
      }),
      popularity: new PopularityTable(one.catalogue.handles, ['i1'], Float32Array.of(1)),
    };
    const before = await one.ask({ session_id: 's1', limit: 3 }, HOME, models);
    expect(before.items.flatMap(({ sources }) => sources)).not.toContain('item_to_item');
    expect(before.ids[0]).not.toBe('i20');
    await one.say({ name: 'view_item', session_id: 's1', items: [{ item_id: 'i3' }] });
    const { items } = await one.ask({ session_id: 's1', limit: 3 }, HOME, models);
    expect(items[0]).toMatchObject({ item_id: 'i20', reason: 'Because you viewed Teapot' });
  });

  test('a new item has a place at once', async () => {
    const one = shop(catalogueOf(40));
    for (let i = 0; i < 30; i++) await one.say({ name: 'purchase', user_id: `u${i + 5}`, items: [{ item_id: `i${i}` }] });
    one.catalogue.put({ item_id: 'brand-new', category: 'c9', created_ms: NOW - 1000 });
    const { ids } = await one.ask({ limit: 12 });
    expect(ids).toContain('brand-new');
  });

  test('says what it did without', async () => {
    const one = shop(catalogueOf(5));
    expect((await one.ask({})).degradedBy).toEqual(['bundle_missing']);
    expect((await one.ask({}, HOME, {})).degradedBy).toEqual(['source_item_to_item', 'source_user_vector']);
    const rank = async (_: Float32Array, n: number) => new Float32Array(n);
    const late = await one.ask({}, HOME, { ranker: { rank } }, -1);
    expect(late.degradedBy).toContain('deadline');
    const failing = await one.ask({}, HOME, { ranker: { rank: async () => Promise.reject(new Error('broken')) } });
    expect(failing.degradedBy).toContain('ranker_failed');
    expect(failing.ids.length).toBe(5);
  });

  test('does not wait for a store that hangs', async () => {
    const store = { states: () => new Promise<never>(() => {}) };
    const now = () => performance.now();
    const rank = async (_: Float32Array, n: number) => new Float32Array(n);
    const { items, degradedBy } = await testShop(catalogueOf(5), { store, now }).ask({ user_id: 'u1' }, HOME, { ranker: { rank } }, now() + 20);
    expect(items).toHaveLength(5);
    expect(degradedBy).toContain('state_unavailable');
  });

  test('is in the order of the ranker', async () => {
    const one = shop(catalogueOf(8, () => ({ category: 'c' })));
    const rank = async (rows: Float32Array, n: number) => Float32Array.from({ length: n }, (_, i) => -i + 0 * rows.length);
    const { items } = await one.ask(
      { limit: 8 },
      { ...HOME, diversity: 0, new_share: 0 },
      { ranker: { rank }, neighbours: neighbours(one.catalogue.handles, {}) },
    );
    const scores = items.map((item) => item.score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });
});

function trendingOf(...ids: string[]) {
  const handles = new Handles();
  for (const id of ids) handles.intern(id);
  const trending = new Trending(handles);
  return { handles, trending, top: () => Array.from(trending.top(NOW), (handle) => handles.idOf(handle)) };
}

test('trending forgets by half in a week, whatever the order of events', () => {
  const view = (item: string, days: number): TimedEvent => ({
    event_id: `${item}${days}`,
    name: 'view_item',
    user_id: 'u',
    timestamp_ms: NOW - days * DAY,
    items: [{ item_id: item }],
  });
  const events = [view('old', 7), view('old', 7), view('new', 0), view('new', 0)];
  for (const order of [events, [...events].reverse()]) {
    const { handles, trending, top } = trendingOf('old', 'new');
    for (const event of order) trending.add(event);
    expect(top()).toEqual(['new', 'old']);
    expect(trending.score(handles.find('old'))).toBeCloseTo(0.5, 10);
  }
  const { handles, trending: years, top } = trendingOf('ancient', 'today');
  years.add(view('ancient', 365 * 12));
  years.add(view('today', 0));
  expect(top()).toEqual(['today', 'ancient']);
  expect(Number.isFinite(years.score(handles.find('ancient')))).toBe(true);
});

test('a placements file is checked', () => {
  expect(parsePlacements(JSON.stringify(DEFAULT_PLACEMENTS))).toEqual(DEFAULT_PLACEMENTS);
  expect(() => parsePlacements('[]')).toThrow('config_invalid');
  expect(() => parsePlacements('{')).toThrow('not JSON');
});

test('a table that does not hold together is refused', () => {
  const bytes = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
  const file = { ids: ['a', 'b'], indptr: bytes(0, 1, 1), neighbours: bytes(1), similarities: new Uint8Array(Float32Array.of(0.5).buffer) };
  const handles = new Handles();
  const seen: string[] = [];
  NeighbourTable.fromFile(file, handles).each(handles.find('a'), 10, (handle) => seen.push(handles.idOf(handle)));
  expect(seen).toEqual(['b']);
  for (const broken of [
    { neighbours: bytes(7) },
    { indptr: bytes(0, 5, 1) },
    { indptr: bytes(0, 1) },
    { similarities: new Uint8Array(3) },
    { similarities: new Uint8Array(Float32Array.of(Number.NaN).buffer) },
  ]) {
    expect(() => NeighbourTable.fromFile({ ...file, ...broken }, handles)).toThrow('bundle_corrupt');
  }
});

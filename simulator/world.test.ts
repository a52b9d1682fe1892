import { expect, test } from 'vitest';
import { createShop } from './index.ts';
import { DAY_MS, TASTE_DIMENSIONS } from './params.ts';
import { moodAt } from './world.ts';

const END_MS = 1_764_000_000_000;
const DAYS = 60;
const START_MS = END_MS - DAYS * DAY_MS;
const shop = createShop({ seed: 4, endMs: END_MS, users: 200, items: 150, days: DAYS, visitsPerUserDay: 0.25 });
const events = [...shop.history()];
const users = new Set(shop.userIds());
const itemIds = shop.items().map(({ item_id }) => item_id);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

test('people click what they want: clicked items have a higher affinity than those shown beside them', () => {
  const clicked: number[] = [];
  const passedOver: number[] = [];
  /** The list last shown in each session. */
  const shown = new Map<string, readonly string[]>();
  for (const { name, session_id, user_id, timestamp_ms, items = [] } of events) {
    if (session_id === undefined || user_id === undefined || !users.has(user_id)) continue;
    if (name === 'view_item_list')
      shown.set(
        session_id,
        items.map(({ item_id }) => item_id),
      );
    if (name !== 'select_item') continue;
    const list = shown.get(session_id)!;
    const choice = items[0]!.item_id;
    expect(list).toContain(choice);
    clicked.push(shop.affinity(user_id, choice, timestamp_ms));
    passedOver.push(...list.filter((id) => id !== choice).map((id) => shop.affinity(user_id, id, timestamp_ms)));
  }
  expect(clicked.length).toBeGreaterThan(300);
  expect(mean(clicked)).toBeGreaterThan(1.3 * mean(passedOver));
});

test('people buy what they want: what goes into a basket beats what is only looked at, and that beats chance', () => {
  const by = (name: string): number[] =>
    events.flatMap((event) =>
      event.name === name && event.user_id !== undefined && users.has(event.user_id)
        ? event.items!.map(({ item_id }) => shop.affinity(event.user_id!, item_id, event.timestamp_ms))
        : [],
    );
  const anything = [...users].slice(0, 50).flatMap((user) => itemIds.map((item) => shop.affinity(user, item, END_MS - DAY_MS)));
  const [viewed, taken] = [mean(by('view_item')), mean(by('add_to_cart'))];
  expect(viewed).toBeGreaterThan(1.3 * mean(anything));
  expect(taken).toBeGreaterThan(1.1 * viewed);
  for (const value of anything) {
    expect(value).toBeGreaterThan(0);
    expect(value).toBeLessThan(1);
  }
});

test('tastes drift: a little in a day, visibly in two months, each at its own pace', () => {
  const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, d) => sum + value * b[d]!, 0);
  const turned: number[] = [];
  for (const person of shop.world.people) {
    const at = (days: number) => moodAt(shop.world, person, START_MS + days * DAY_MS).taste;
    expect(at(0)).toHaveLength(TASTE_DIMENSIONS);
    expect(cosine(at(30), at(30))).toBeCloseTo(1, 4);
    expect(cosine(at(0), at(1))).toBeGreaterThan(0.999);
    turned.push(cosine(at(0), at(DAYS)));
  }
  expect(Math.min(...turned)).toBeLessThan(0.85);
  expect(Math.max(...turned)).toBeGreaterThan(0.97);
  expect(Math.min(...turned)).toBeGreaterThan(0.7);
});

test('the drift moves what a person would choose', () => {
  const top = (user: string, atMs: number): string[] =>
    [...itemIds].sort((a, b) => shop.utility(user, b, atMs) - shop.utility(user, a, atMs)).slice(0, 10);
  const kept = [...users].slice(0, 60).map((user) => {
    const later = new Set(top(user, END_MS - 1));
    return top(user, START_MS).filter((item) => later.has(item)).length / 10;
  });
  expect(mean(kept)).toBeGreaterThan(0.4);
  expect(mean(kept)).toBeLessThan(0.97);
});

test('unknown items are wanted by nobody, and unknown users are a mistake', () => {
  expect(shop.affinity('u00001', 'i99999', END_MS)).toBe(0);
  expect(shop.utility('u00001', 'i99999', END_MS)).toBe(Number.NEGATIVE_INFINITY);
  expect(() => shop.affinity('u99999', 'i00001', END_MS)).toThrow(RangeError);
  expect(shop.itemCluster('i99999')).toBeUndefined();
  expect(new Set(itemIds.map((id) => shop.itemCluster(id))).size).toBeGreaterThan(10);
});

test('campaigns reach about half of the people and promote categories that the shop has', () => {
  const categories = new Set(shop.items().map(({ category }) => category));
  const inHistory = shop.campaigns().filter(({ startMs }) => startMs < END_MS);
  expect(inHistory.length).toBeGreaterThan(3);
  for (const { categories: promoted, startMs, endMs, discount } of inHistory) {
    expect(promoted.filter((category) => !categories.has(category))).toEqual([]);
    expect(discount).toBeGreaterThan(0);
    expect(discount).toBeLessThan(0.3);
    const middle = (startMs + endMs) / 2;
    const reached = shop.world.people.filter((person) => moodAt(shop.world, person, middle).campaign !== undefined).length;
    expect(reached / users.size).toBeGreaterThan(0.35);
    // Two that overlap reach three quarters.
    expect(reached / users.size).toBeLessThan(0.85);
  }
});

test('lists are looked down as is said: clicks at each place are its looks times what is wanted there', () => {
  const clicks = new Float64Array(8);
  const expected = new Float64Array(8);
  const lists = new Map<string, readonly string[]>();
  for (const { name, session_id = '', user_id, timestamp_ms, items = [], placement } of events) {
    if (user_id === undefined || !users.has(user_id) || placement !== 'category') continue;
    const ids = items.map(({ item_id }) => item_id);
    if (name === 'select_item') clicks[lists.get(session_id)!.indexOf(ids[0]!)]! += 1;
    if (name !== 'view_item_list') continue;
    lists.set(session_id, ids);
    const looks = shop.examination(user_id, ids, timestamp_ms);
    for (const [place, id] of ids.entries()) expected[place]! += looks[place]! * shop.affinity(user_id, id, timestamp_ms);
  }
  const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
  const perWant = total(clicks) / total(expected);
  expect(total(clicks)).toBeGreaterThan(150);
  for (const [place, count] of clicks.entries())
    expect(Math.abs(count - perWant * expected[place]!)).toBeLessThan(4 * Math.sqrt(perWant * expected[place]!) + 1);
});

test('a shop may be a feed, its items new, and their worth what no catalogue tells', () => {
  const feed = createShop({ seed: 4, endMs: END_MS, users: 60, items: 100, days: 20, feedShare: 1, newShare: 0.8, appeal: 2 });
  expect(feed.items().filter(({ created_ms = 0 }) => created_ms > feed.settings.startMs).length).toBeGreaterThan(65);
  const names = new Set([...feed.history()].flatMap(({ name, placement }) => (name === 'view_item_list' ? [placement] : [])));
  expect([...names].sort()).toEqual(['home', 'product']);
  const spread = (of: typeof shop): number => {
    const means = of.items().map(({ item_id }) => mean(of.userIds().map((user) => of.utility(user, item_id, END_MS))));
    return Math.sqrt(mean(means.map((value) => (value - mean(means)) ** 2)));
  };
  expect(spread(feed)).toBeGreaterThan(1.5 * spread(shop));
  expect(() => createShop({ seed: 1, endMs: END_MS, feedShare: 1.1 })).toThrow(RangeError);
});

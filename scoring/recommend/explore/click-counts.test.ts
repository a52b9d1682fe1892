import { expect, test } from 'vitest';
import type { TimedEvent } from '../../../contracts/event.ts';
import { CLICK_ITEMS_MAX, ClickCounts } from './click-counts.ts';

const NOW = 1_750_000_000_000;
const HALF_LIFE_MS = 14 * 86_400_000;

function say(counts: ClickCounts, name: TimedEvent['name'], ids: readonly string[], atMs = NOW, placement = 'home'): void {
  counts.add({ event_id: 'e', name, timestamp_ms: atMs, user_id: 'u', placement, items: ids.map((item_id) => ({ item_id })) });
}
const mean = ({ a, b }: { a: number; b: number }): number => a / (a + b);
/** Looks that an item had, beyond those that stand for not knowing it. */
const looks = (counts: ClickCounts, id: string, atMs = NOW, placement = 'home'): number => {
  const [known, unknown] = [counts.belief(placement, id, atMs), counts.belief(placement, 'never seen', atMs)];
  return known.a + known.b - unknown.a - unknown.b;
};

test('an unknown item is believed in like the placement, and views outweigh that', () => {
  const counts = new ClickCounts(['home']);
  expect(mean(counts.belief('home', 'new', NOW))).toBeCloseTo(0.05, 12);
  for (let n = 0; n < 400; n++) {
    for (const id of ['good', 'bad']) say(counts, 'view_item_list', [id]);
    if (n % 4 === 0) say(counts, 'select_item', ['good']);
  }
  expect(mean(counts.belief('home', 'good', NOW))).toBeGreaterThan(0.23);
  expect(mean(counts.belief('home', 'bad', NOW))).toBeLessThan(0.01);
  const unknown = counts.belief('home', 'new', NOW);
  // 100 clicks in 800 views, and 5 in 100 to begin with.
  expect(mean(unknown)).toBeCloseTo(105 / 900, 9);
  // One click's worth, however often a view is clicked on there.
  expect(unknown.a).toBe(1);
});

test('what was seen long ago says less, whatever the order of events', () => {
  for (const order of [[0, 1] as const, [1, 0] as const]) {
    const counts = new ClickCounts(['home']);
    for (const n of order) for (let i = 0; i < 100; i++) say(counts, 'view_item_list', [n === 0 ? 'old' : 'fresh'], NOW + n * HALF_LIFE_MS);
    expect(looks(counts, 'fresh', NOW + HALF_LIFE_MS)).toBeCloseTo(100, 6);
    expect(looks(counts, 'old', NOW + HALF_LIFE_MS)).toBeCloseTo(50, 6);
  }
  const years = new ClickCounts(['home']);
  say(years, 'select_item', ['x'], NOW);
  say(years, 'select_item', ['x'], NOW + 600 * HALF_LIFE_MS);
  expect(Number.isFinite(mean(years.belief('home', 'x', NOW + 600 * HALF_LIFE_MS)))).toBe(true);
});

test('clicks without views, other placements and other events', () => {
  const counts = new ClickCounts(['home']);
  for (let n = 0; n < 50; n++) say(counts, 'select_item', ['x']);
  const { a, b } = counts.belief('home', 'x', NOW);
  expect(a).toBeGreaterThan(50);
  expect(b).toBeGreaterThan(0);
  say(counts, 'select_item', ['y'], NOW, 'elsewhere');
  say(counts, 'view_item', ['z']);
  expect(counts.size).toBe(1);
});

test('a view counts as much as its place is looked at, those before the curve was known too', () => {
  const counts = new ClickCounts(['home', 'cart']);
  const list = ['first', 'second', 'third', 'fourth'];
  for (const placement of ['home', 'cart']) for (let n = 0; n < 100; n++) say(counts, 'view_item_list', list, NOW, placement);
  for (let n = 0; n < 10; n++) say(counts, 'select_item', ['third']);
  // By the usual guess until a curve is known.
  expect(list.map((id) => looks(counts, id))).toEqual([100, 50, 100 / 3, 25].map((guessed) => expect.closeTo(guessed, 9)));
  counts.weigh(new Map([['home', [1, 0.5, 0.01]]]));
  // A place counts as a tenth at least, and those behind the curve like its last.
  expect(list.map((id) => looks(counts, id))).toEqual([100, 50, 10, 10].map((learned) => expect.closeTo(learned, 9)));
  // Ten clicks in ten looks: the item of the third place is wanted by everybody who sees it.
  expect(mean(counts.belief('home', 'third', NOW))).toBeGreaterThan(0.3);
  // 10 clicks in 170 looks, and 5 in 100 to begin with.
  expect(mean(counts.belief('home', 'new', NOW))).toBeCloseTo(15 / 270, 9);
  expect(looks(counts, 'fourth', NOW, 'cart')).toBeCloseTo(25, 9);
});

test('is bounded: those that say least go', () => {
  const counts = new ClickCounts(['home']);
  for (let n = 0; n < 30; n++) say(counts, 'view_item_list', ['kept']);
  for (let n = 0; n < CLICK_ITEMS_MAX; n += 1_000) {
    say(
      counts,
      'view_item_list',
      Array.from({ length: 1_000 }, (_, i) => `i${n + i}`),
    );
  }
  expect(counts.size).toBeLessThanOrEqual(CLICK_ITEMS_MAX / 2);
  expect(counts.size).toBeGreaterThan(CLICK_ITEMS_MAX / 4);
  expect(looks(counts, 'kept')).toBeCloseTo(30, 6);
});

test('placements come and go while it counts: what is known of those that stay stays', () => {
  const counts = new ClickCounts(['home', 'gone']);
  for (const placement of ['home', 'gone', 'later']) say(counts, 'view_item_list', ['i1', 'i2'], NOW, placement);
  expect(counts.size).toBe(4);
  const known = counts.belief('home', 'i1', NOW);
  counts.follow(['home', 'later']);
  expect(counts.size).toBe(2);
  expect(counts.belief('home', 'i1', NOW)).toEqual(known);
  say(counts, 'view_item_list', ['i1'], NOW, 'later');
  say(counts, 'view_item_list', ['i1'], NOW, 'gone');
  expect(counts.size).toBe(3);
});

import { expect, test } from 'vitest';
import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { Handles } from '../../contracts/handles.ts';
import { Catalogue } from './catalogue.ts';
import { COUNTRY_DEMAND_MIN } from './country-trends.ts';
import { TRENDING_CATEGORIES_MAX, TRENDING_STRANGERS_MAX, Trending } from './trending.ts';

const NOW = Date.UTC(2026, 0, 31);
const event = (name: EventName, ids: readonly string[], timestamp_ms = NOW): TimedEvent => ({
  event_id: 'e',
  name,
  user_id: 'u',
  timestamp_ms,
  items: ids.map((item_id) => ({ item_id })),
});

test('the list has the most popular of many, ties by id', () => {
  const handles = new Handles();
  const trending = new Trending(handles);
  for (let i = 0; i < 5000; i++) handles.intern(`i${i}`);
  for (let i = 0; i < 5000; i++) trending.add(event('view_item', [`i${i}`]));
  trending.add(event('purchase', ['i4999']));
  const top = Array.from(trending.top(NOW), (handle) => handles.idOf(handle));
  expect(top.length).toBeGreaterThanOrEqual(1000);
  expect(top.length).toBeLessThan(5000);
  const tied = Array.from({ length: 4999 }, (_, i) => `i${i}`).sort();
  expect(top).toEqual(['i4999', ...tied.slice(0, top.length - 1)]);
});

test('what was popular before it was an item is popular once it is one', () => {
  const handles = new Handles();
  const trending = new Trending(handles);
  trending.add(event('purchase', ['early']));
  expect(trending.top(NOW)).toHaveLength(0);
  for (const id of ['other', 'early']) handles.intern(id);
  trending.add(event('view_item', ['other']));
  expect(Array.from(trending.top(NOW + 1000), (handle) => handles.idOf(handle))).toEqual(['early', 'other']);
  expect(trending.score(handles.find('other'))).toBeCloseTo(1 / 6, 10);
  trending.delete('early');
  expect(Array.from(trending.top(NOW + 2000), (handle) => handles.idOf(handle))).toEqual(['other']);
});

test('invented ids do not fill the memory, nor push out what is popular', () => {
  const handles = new Handles();
  const trending = new Trending(handles);
  trending.add(event('purchase', ['hit']));
  const batch = 1000;
  for (let at = 0; at < 3 * TRENDING_STRANGERS_MAX; at += batch) {
    trending.add(
      event(
        'view_item',
        Array.from({ length: batch }, (_, i) => `invented-${at + i}`),
      ),
    );
    expect(trending.strangers).toBeLessThanOrEqual(TRENDING_STRANGERS_MAX);
  }
  expect(trending.strangers).toBeGreaterThanOrEqual(TRENDING_STRANGERS_MAX / 2);
  const hit = handles.intern('hit');
  expect(trending.top(NOW)).toEqual(Int32Array.of(hit));
  expect(trending.score(hit)).toBe(1);
});

const WEEK = 7 * 24 * 3_600_000;

function shopOf(categories: Readonly<Record<string, string>>) {
  const catalogue = new Catalogue();
  for (const [item_id, category] of Object.entries(categories)) catalogue.put({ item_id, category });
  const trending = new Trending(catalogue.handles);
  const named = (top: Int32Array | undefined) => top && Array.from(top, (handle) => catalogue.handles.idOf(handle));
  return {
    catalogue,
    trending,
    inCategory: (category: string, nowMs: number) => named(trending.inCategory(category, catalogue, nowMs)),
    inCountry: (country: string, nowMs: number) => named(trending.inCountry(country, nowMs)),
  };
}

test('a category has the list of its own items, by demand that halves in a week, and follows an item that moves', () => {
  const { catalogue, trending, inCategory } = shopOf({ mug: 'tea', pot: 'tea', bean: 'coffee', filter: 'coffee' });
  for (let i = 0; i < 3; i++) trending.add(event('view_item', ['mug'], NOW - WEEK));
  trending.add(event('view_item', ['pot', 'pot', 'bean']));
  // Three a week ago are worth one and a half.
  expect(inCategory('tea', NOW)).toEqual(['pot', 'mug']);
  expect(inCategory('coffee', NOW)).toEqual(['bean']);
  expect(inCategory('unheard of', NOW)).toEqual([]);
  catalogue.put({ item_id: 'pot', category: 'coffee' });
  expect(inCategory('tea', NOW + 999)).toEqual(['pot', 'mug']);
  expect(inCategory('tea', NOW + 1000)).toEqual(['mug']);
  expect(inCategory('coffee', NOW + 1000)).toEqual(['pot', 'bean']);
});

test('lists of categories are bounded, the one that nobody asked for goes and comes back', () => {
  const all = Object.fromEntries(Array.from({ length: TRENDING_CATEGORIES_MAX + 50 }, (_, i) => [`i${i}`, `c${i}`]));
  const { trending, inCategory } = shopOf(all);
  for (const id of Object.keys(all)) trending.add(event('view_item', [id]));
  for (let i = 0; i < TRENDING_CATEGORIES_MAX + 50; i++) {
    expect(inCategory(`c${i}`, NOW)).toEqual([`i${i}`]);
    expect(inCategory(`invented-${i}`, NOW)).toEqual([]);
  }
  expect(trending.parts).toBe(TRENDING_CATEGORIES_MAX);
  expect(inCategory('c0', NOW)).toEqual(['i0']);
});

test('a country’s demand is told by the shop, or else by the address of the visitor, and fades in weeks', () => {
  const { trending, inCountry } = shopOf({ bread: 'food', rice: 'food' });
  const bought = Math.ceil(COUNTRY_DEMAND_MIN / 6);
  for (let i = 0; i < bought; i++) {
    trending.add({ ...event('purchase', ['bread']), country: 'DE', ip_country: 'JP' });
    trending.add({ ...event('purchase', ['rice']), ip_country: 'JP' });
    trending.add(event('purchase', ['bread']));
  }
  expect(inCountry('DE', NOW)).toEqual(['bread']);
  expect(inCountry('JP', NOW)).toEqual(['rice']);
  expect(inCountry('FR', NOW)).toBeUndefined();
  expect(inCountry('DE', NOW + WEEK)).toBeUndefined();
  // Ten years on, what was counted before has long been scaled away.
  for (let i = 0; i < bought; i++) trending.add({ ...event('purchase', ['rice'], NOW + 600 * WEEK), country: 'DE' });
  expect(inCountry('DE', NOW + 600 * WEEK)).toEqual(['rice', 'bread']);
});

import { expect, test } from 'vitest';
import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { Handles } from '../../contracts/handles.ts';
import { TRENDING_STRANGERS_MAX, Trending } from './trending.ts';

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

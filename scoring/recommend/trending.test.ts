import { expect, test } from 'vitest';
import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { TRENDING_ITEMS_MAX, Trending } from './trending.ts';

const NOW = Date.UTC(2026, 0, 31);
const event = (name: EventName, ids: readonly string[], timestamp_ms = NOW): TimedEvent => ({
  event_id: 'e',
  name,
  user_id: 'u',
  timestamp_ms,
  items: ids.map((item_id) => ({ item_id })),
});

test('the list has the most popular of many, ties by id', () => {
  const trending = new Trending();
  for (let i = 0; i < 5000; i++) trending.add(event('view_item', [`i${i}`]));
  trending.add(event('purchase', ['i4999']));
  const top = trending.top(NOW);
  expect(top.length).toBeGreaterThanOrEqual(1000);
  expect(top.length).toBeLessThan(5000);
  const tied = Array.from({ length: 4999 }, (_, i) => `i${i}`).sort();
  expect(top).toEqual(['i4999', ...tied.slice(0, top.length - 1)]);
});

test('invented ids do not fill the memory, nor push out what is popular', () => {
  const trending = new Trending();
  trending.add(event('purchase', ['hit']));
  const batch = 1000;
  for (let at = 0; at < 1.2 * TRENDING_ITEMS_MAX; at += batch) {
    trending.add(
      event(
        'view_item',
        Array.from({ length: batch }, (_, i) => `invented-${at + i}`),
      ),
    );
    expect(trending.size).toBeLessThanOrEqual(TRENDING_ITEMS_MAX);
  }
  expect(trending.size).toBeGreaterThanOrEqual(TRENDING_ITEMS_MAX / 2);
  expect(trending.top(NOW)[0]).toBe('hit');
  expect(trending.score('hit')).toBe(1);
});

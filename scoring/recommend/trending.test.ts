import { expect, test } from 'vitest';
import { Trending } from './trending.ts';

const NOW = 1_700_000_000_000;

/** More items than the list holds, in an order that is neither up nor down. */
function crowd(items: number): { trending: Trending; counts: Map<string, number> } {
  const trending = new Trending();
  const counts = new Map<string, number>();
  for (let i = 0; i < items; i++) {
    const item_id = `i${i}`;
    const count = 1 + ((i * 7_919) % 11);
    counts.set(item_id, count);
    for (let n = 0; n < count; n++) trending.add({ event_id: `${i}-${n}`, name: 'view_item', timestamp_ms: NOW, user_id: 'u', items: [{ item_id }] });
  }
  return { trending, counts };
}

test('the list holds the most popular of many items, ties by id', () => {
  const { trending, counts } = crowd(9_000);
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([id]) => id);
  const top = trending.top(NOW);
  expect(top).toHaveLength(2_000);
  expect(top).toEqual(sorted.slice(0, 2_000));
});

test('the list is at most a second old, and kept that long', () => {
  const { trending } = crowd(3);
  const before = trending.top(NOW);
  trending.add({
    event_id: 'x',
    name: 'purchase',
    timestamp_ms: NOW,
    user_id: 'u',
    items: [{ item_id: 'fresh' }, { item_id: 'fresh' }, { item_id: 'fresh' }],
  });
  expect(trending.top(NOW + 999)).toBe(before);
  expect(trending.top(NOW + 1_000)[0]).toBe('fresh');
});

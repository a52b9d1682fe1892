import { expect, test } from 'vitest';
import { type CacheEntry, StateCache } from './state-cache.ts';

function entry(id: string, batch = 0): CacheEntry<number> {
  const place = { key: `user:${id}`, segment: undefined, from: 0, to: 0 };
  return { kind: 'user', id, place, state: 1, touchedMs: 0, batch, used: false, newer: undefined, older: undefined };
}
function ids(cache: StateCache<number>, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `u${i}`).filter((id) => cache.peek('user', id) !== undefined);
}

test('what is read again stays, what is not goes, the oldest first', () => {
  const cache = new StateCache<number>(3);
  for (const id of ['u0', 'u1', 'u2']) cache.add(entry(id), 0);
  cache.get('user', 'u0');
  cache.add(entry('u3'), 0);
  expect(ids(cache, 5)).toEqual(['u0', 'u2', 'u3']);
  cache.add(entry('u4'), 0);
  expect(ids(cache, 5)).toEqual(['u0', 'u3', 'u4']);
});

test('nothing is dropped that is ahead of the disk; once it is durable the limit holds again', () => {
  const cache = new StateCache<number>(10);
  for (let i = 0; i < 100; i++) cache.add(entry(`u${i}`, 1), 0);
  expect(cache.size).toBe(100);
  for (let i = 100; i < 120; i++) cache.add(entry(`u${i}`, 0), 1);
  expect(cache.size).toBe(10);
});

test('a busy working set survives a scan of entries that are read once', () => {
  const cache = new StateCache<number>(50);
  for (let i = 0; i < 40; i++) cache.add(entry(`busy${i}`), 0);
  for (let i = 0; i < 2_000; i++) {
    for (let busy = 0; busy < 40; busy++) cache.get('user', `busy${busy}`);
    cache.add(entry(`once${i}`), 0);
    // Each addition looks at a few entries, so with nearly all of them read the cache may pass its limit for a while, by little.
    expect(cache.size).toBeLessThan(60);
  }
  expect(Array.from({ length: 40 }, (_, i) => cache.peek('user', `busy${i}`)).every((found) => found !== undefined)).toBe(true);
});

import { expect, test } from 'vitest';
import { createExactIndex } from '../../index/exact.ts';
import type { Ranker } from './pipeline.ts';
import { DEFAULT_PLACEMENTS } from './placements.ts';
import type { UserTower } from './retrieval.ts';
import { NOW, testItems, testShop } from './shop.testing.ts';

/** One user who viewed i0, six items with vectors, and the tower in question. */
async function answer(userTower: UserTower, ranker?: Ranker) {
  const shop = testShop(testItems(6));
  const itemIndex = createExactIndex({ dimensions: 2, metric: 'ip', handles: shop.catalogue.handles });
  for (let i = 0; i < 6; i++) itemIndex.upsert(`i${i}`, Float32Array.of(i, 1));
  await shop.say('view_item', 'i0', NOW, { user_id: 'u' });
  return shop.ask({ user_id: 'u', limit: 6 }, DEFAULT_PLACEMENTS[0]!, { itemIndex, userTower, ranker });
}

test('the user vector finds items and scores them all', async () => {
  const { items, degradedBy } = await answer({ fold: async () => Float32Array.of(1, 0) });
  expect(degradedBy).toEqual(['source_item_to_item']);
  expect(items[0]).toMatchObject({ item_id: 'i5', reason: 'Picked for you' });
});

test.each<[string, UserTower]>([
  ['rejects', { fold: () => Promise.reject(new Error('broken')) }],
  ['gives NaN', { fold: async () => Float32Array.of(Number.NaN, 0) }],
  ['gives another length', { fold: async () => Float32Array.of(1) }],
])('a user tower that %s leaves the other sources, and the answer says so', async (_, tower) => {
  const { items, degradedBy } = await answer(tower);
  expect(degradedBy).toEqual(['source_item_to_item', 'source_user_vector']);
  expect(items).toHaveLength(6);
  for (const { score } of items) expect(Number.isFinite(score)).toBe(true);
});

test.each<[string, Ranker]>([
  ['rejects', { rank: () => Promise.reject(new Error('broken')) }],
  ['gives NaN', { rank: async (_, n) => new Float32Array(n).fill(1).fill(Number.NaN, n - 1) }],
  ['gives too few scores', { rank: async (_, n) => new Float32Array(n - 1) }],
])('a ranker that %s leaves the order to the sources, and the answer says so', async (_, ranker) => {
  const { items, degradedBy } = await answer({ fold: async () => Float32Array.of(1, 0) }, ranker);
  expect(degradedBy).toEqual(['source_item_to_item', 'ranker_failed']);
  expect(items[0]?.item_id).toBe('i5');
});

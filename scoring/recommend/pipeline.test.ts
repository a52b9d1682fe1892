import { expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import { createExactIndex } from '../../index/exact.ts';
import { openMemoryStore } from '../../store/memory.ts';
import type { EntityState } from '../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { eventUnit } from '../ingest.ts';
import { Catalogue } from './catalogue.ts';
import { ClickCounts } from './explore/click-counts.ts';
import { ItemNumbersTable } from './item-numbers.ts';
import { createRecommender, RANK_SET, type Ranker } from './pipeline.ts';
import { DEFAULT_PLACEMENTS } from './placements.ts';
import type { UserTower } from './retrieval.ts';
import { Trending } from './trending.ts';

const NOW = 1_750_000_000_000;

/** One user who viewed i0, six items with vectors, and the tower in question. */
async function answer(userTower: UserTower, ranker?: Ranker) {
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const store = openMemoryStore<EntityState>();
  const catalogue = new Catalogue();
  const trending = new Trending(catalogue.handles);
  const itemNumbers = new ItemNumbersTable(engine, RANK_SET, catalogue.handles);
  const itemIndex = createExactIndex({ dimensions: 2, metric: 'ip', handles: catalogue.handles });
  for (let i = 0; i < 6; i++) {
    catalogue.put({ item_id: `i${i}`, created_ms: i });
    itemIndex.upsert(`i${i}`, Float32Array.of(i, 1));
  }
  const view: TimedEvent = { event_id: 'e', name: 'view_item', user_id: 'u', timestamp_ms: NOW, items: [{ item_id: 'i0' }] };
  await store.ingest([eventUnit(engine, (id) => catalogue.get(id), view, NOW)]);
  const recommend = createRecommender({
    store,
    engine,
    catalogue,
    trending,
    itemNumbers,
    clicks: new ClickCounts([]),
    candidatesMax: 100,
    onStage: () => {},
    onSource: () => {},
    editorial: { picks: () => [] },
    now: () => 0,
  });
  return recommend({ user_id: 'u', limit: 6 }, DEFAULT_PLACEMENTS[0]!, { itemIndex, userTower, ranker }, NOW, 1, 'r1');
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

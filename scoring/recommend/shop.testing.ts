import type { TimedEvent } from '../../contracts/event.ts';
import type { Item } from '../../contracts/item.ts';
import type { RecommendRequest } from '../../contracts/recommend.ts';
import { openMemoryStore } from '../../store/memory.ts';
import type { EntityState } from '../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { eventUnit } from '../ingest.ts';
import { Catalogue } from './catalogue.ts';
import { ClickCounts } from './explore/click-counts.ts';
import { ItemNumbersTable } from './item-numbers.ts';
import { createRecommender, RANK_SET, type RecommendDeps, type RecommendModels } from './pipeline.ts';
import { DEFAULT_PLACEMENTS, type Placement } from './placements.ts';
import { Trace } from './trace.ts';
import { Trending } from './trending.ts';

export const NOW = Date.UTC(2026, 0, 31);
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** Answers in the order of their scores alone. */
export const PLAIN: Placement = { ...DEFAULT_PLACEMENTS[0]!, diversity: 0, new_share: 0, exploration: { policy: 'none' } };

/** A recommender over a store in memory, at a standing clock. */
export function testShop(items: readonly Item[], overrides: Partial<RecommendDeps> = {}) {
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const store = openMemoryStore<EntityState>();
  const catalogue = new Catalogue();
  const trending = new Trending(catalogue.handles);
  const itemNumbers = new ItemNumbersTable(engine, RANK_SET, catalogue.handles);
  for (const item of items) catalogue.put(item);
  const recommend = createRecommender({
    store,
    engine,
    catalogue,
    trending,
    itemNumbers,
    clicks: new ClickCounts([]),
    editorial: { picks: () => [] },
    candidatesMax: 200,
    onStage: () => {},
    onSource: () => {},
    now: () => 0,
    ...overrides,
  });
  let n = 0;
  const take = async (event: Omit<TimedEvent, 'event_id'>): Promise<void> => {
    const counted: TimedEvent = { event_id: `e${++n}`, ...event };
    await store.ingest([eventUnit(engine, (id) => catalogue.get(id), counted, event.timestamp_ms)]);
    trending.add(counted);
    itemNumbers.touched(counted);
  };
  return {
    engine,
    catalogue,
    trending,
    take,
    /** By `u1` unless said otherwise. */
    say: (name: TimedEvent['name'], itemId: string, atMs: number, who: Partial<TimedEvent> = { user_id: 'u1' }): Promise<void> =>
      take({ name, timestamp_ms: atMs, items: [{ item_id: itemId }], ...who }),
    async ask(request: RecommendRequest, placement: Placement = PLAIN, models?: RecommendModels, deadline = 10_000) {
      const trace = new Trace(catalogue.handles);
      const answer = await recommend(request, placement, models, NOW, deadline, 'r1', trace);
      return { ...answer, ids: answer.items.map(({ item_id }) => item_id), trace };
    },
  };
}

/** Items `i0` and so on, of four categories in turn, a hundred days old. */
export function testItems(n: number, change: (i: number) => Partial<Item> = () => ({})): Item[] {
  return Array.from({ length: n }, (_, i) => ({ item_id: `i${i}`, category: `c${i % 4}`, created_ms: NOW - 100 * DAY + i, ...change(i) }));
}

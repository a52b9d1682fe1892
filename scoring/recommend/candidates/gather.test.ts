import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../../contracts/event.ts';
import type { CandidateSource } from '../../../contracts/recommend.ts';
import { createExactIndex } from '../../../index/exact.ts';
import { openMemoryStore } from '../../../store/memory.ts';
import type { EntityState } from '../../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../../features/defaults.ts';
import { createFeatureEngine } from '../../features/engine.ts';
import { eventUnit } from '../../ingest.ts';
import { Catalogue } from '../catalogue.ts';
import { ClickCounts } from '../explore/click-counts.ts';
import { ItemNumbersTable } from '../item-numbers.ts';
import { createRecommender, RANK_SET, type RecommendModels } from '../pipeline.ts';
import { DEFAULT_PLACEMENTS } from '../placements.ts';
import { PopularityTable } from '../retrieval.ts';
import { Trending } from '../trending.ts';
import type { SourceCaps } from './contract.ts';
import { type CandidateRequest, Gathering } from './gather.ts';

const NOW = Date.UTC(2026, 0, 31);
const DAY = 86_400_000;
const HOME = DEFAULT_PLACEMENTS[0]!;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const CAPS: SourceCaps = { user_vector: 100, item_to_item: 60, buy_again: 0, popular: 40, new: 10 };

/** A shop of `n` items in categories of 25, of which the last ten are new; everything is a little popular. */
function shopOf(n: number) {
  const catalogue = new Catalogue();
  const trending = new Trending(catalogue.handles);
  const index = createExactIndex({ dimensions: 2, metric: 'ip', handles: catalogue.handles });
  for (let i = 0; i < n; i++) {
    catalogue.put({ item_id: `i${i}`, category: `c${Math.floor(i / 25)}`, price: 1, created_ms: NOW - (n - i < 11 ? 1 : 300) * DAY - i });
    index.upsert(`i${i}`, Float32Array.of(Math.cos(i), Math.sin(i)));
    if (i % 3 > 0) trending.add(viewed(`i${i}`, (i * 7919) % 1000));
  }
  const ids = Array.from({ length: n }, (_, i) => `i${(i * 31) % n}`);
  const models: RecommendModels = {
    itemIndex: index,
    userTower: { fold: async () => Float32Array.of(1, 0.5) },
    popularity: new PopularityTable(
      catalogue.handles,
      ids,
      Float32Array.from(ids, (_, i) => 1 / (i + 1)),
    ),
  };
  return { catalogue, trending, models };
}

function viewed(item_id: string, minutes: number): TimedEvent {
  return { event_id: `${item_id}-${minutes}`, name: 'view_item', user_id: 'u1', timestamp_ms: NOW - minutes * 60_000, items: [{ item_id }] };
}

/** The state of a user who viewed these items. */
async function userWho(...items: string[]): Promise<EntityState | undefined> {
  const store = openMemoryStore<EntityState>();
  for (const item of items) await store.ingest([eventUnit(engine, () => undefined, viewed(item, 5), NOW)]);
  return (await store.states([{ kind: 'user', id: 'u1' }]))[0];
}

type Shop = ReturnType<typeof shopOf>;

/** What a fresh gathering finds: the candidates with what their sources said. */
async function gathered(
  { catalogue, trending }: Shop,
  models: RecommendModels,
  { candidatesMax, ...request }: CandidateRequest & { candidatesMax: number },
) {
  const gathering = new Gathering({ engine, catalogue, trending, candidatesMax });
  gathering.begin(request.user, request.session);
  const missing = await gathering.gather(request, models);
  const { set } = gathering;
  const items = Array.from(set.handles.subarray(0, set.count), (handle, i) => ({
    id: catalogue.handles.idOf(handle),
    sources: set.sources(i),
    popular: set.column('popular')[i]!,
    userVector: set.column('user_vector')[i]!,
  }));
  return { items, missing };
}

describe('a gathering', () => {
  test('keeps the places of new items when the other sources could fill all', async () => {
    const one = shopOf(400);
    const user = await userWho('i5');
    const request = { nowMs: NOW, user, session: undefined, caps: CAPS, candidatesMax: 120, allow: () => true };
    const { items } = await gathered(one, one.models, request);
    expect(items.length).toBe(120);
    const fresh = items.filter((item) => item.sources.includes('new'));
    expect(fresh.map((item) => item.id).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `i${390 + i}`));
  });

  test('without new items asked for, the others have all places', async () => {
    const one = shopOf(400);
    const user = await userWho('i5');
    const request = { nowMs: NOW, user, session: undefined, caps: { ...CAPS, new: 0 }, candidatesMax: 110, allow: () => true };
    expect((await gathered(one, one.models, request)).items.length).toBe(110);
  });

  test.each<[string, RecommendModels]>([
    ['tower', { userTower: { fold: async () => Promise.reject(new Error('out of memory')) } }],
    ['search', { userTower: { fold: async () => Float32Array.of(Number.NaN, 0) } }],
  ])('does without the user vector when its %s fails', async (_, broken) => {
    const one = shopOf(60);
    const user = await userWho('i5');
    const request = { nowMs: NOW, user, session: undefined, caps: CAPS, candidatesMax: 200, allow: () => true };
    const { items, missing } = await gathered(one, { ...one.models, ...broken }, request);
    expect(missing).toEqual(['item_to_item', 'user_vector']);
    expect(items.length).toBeGreaterThan(40);
    for (const item of items) expect(item.userVector).toBeNaN();
  });

  test('tells the popularity of a candidate whether or not that source is on', async () => {
    const popularOf = async (popular: number): Promise<Map<string, number>> => {
      const one = shopOf(60);
      const { popularity: _, ...untrained } = one.models;
      const caps = { ...CAPS, popular };
      const request = { nowMs: NOW, user: await userWho('i5'), session: undefined, caps, candidatesMax: 200, allow: () => true };
      const { items } = await gathered(one, untrained, request);
      return new Map(items.map((item) => [item.id, item.popular]));
    };
    const [off, on] = [await popularOf(0), await popularOf(40)];
    expect(off.get('i7')).toBeGreaterThan(0);
    expect(off.get('i7')).toBe(on.get('i7'));
  });

  test('finds the same within a few items as in the whole catalogue', async () => {
    const user = await userWho('i5');
    const one = shopOf(300);
    const { handles } = one.catalogue;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(299), { maxLength: 40 }),
        fc.uniqueArray(fc.nat(299), { maxLength: 40 }),
        fc.record({ user_vector: fc.nat(8), popular: fc.nat(12), new: fc.nat(8) }),
        async (members, barred, some) => {
          const within = new Set(members.map((i) => handles.find(`i${i}`)));
          const out = new Set(barred.map((i) => handles.find(`i${i}`)));
          const allow = (handle: number): boolean => within.has(handle) && !out.has(handle);
          const request = { nowMs: NOW, user, session: undefined, caps: { ...CAPS, ...some }, candidatesMax: 200, allow };
          const told = async (few: Int32Array | undefined): Promise<Map<string, CandidateSource[]>> => {
            const { items } = await gathered(one, one.models, { ...request, few, exact: few });
            return new Map(items.map((item) => [item.id, item.sources]));
          };
          expect(await told(Int32Array.from(within).filter(allow))).toEqual(await told(undefined));
        },
      ),
      { seed: 8, numRuns: 150 },
    );
  });
});

describe('an answer', () => {
  function recommenderOf(n: number) {
    const { catalogue, trending, models } = shopOf(n);
    let looks = 0;
    const sellable = catalogue.sellable.bind(catalogue);
    catalogue.sellable = (handle) => {
      looks++;
      return sellable(handle);
    };
    const itemNumbers = new ItemNumbersTable(engine, RANK_SET, catalogue.handles);
    const deps = {
      store: openMemoryStore<EntityState>(),
      engine,
      trending,
      itemNumbers,
      clicks: new ClickCounts([]),
      candidatesMax: 200,
      onStage: () => {},
      onSource: () => {},
      editorial: { picks: () => [] },
      now: () => 0,
    };
    return { models, recommend: createRecommender({ ...deps, catalogue }), looks: () => looks };
  }

  test('of a category that nobody has, or a small one, does not look at the whole catalogue', async () => {
    const { models, recommend, looks } = recommenderOf(3000);
    const nothing = await recommend({ user_id: 'u1', category: 'nope' }, HOME, models, NOW, 1, 'r1');
    expect(nothing.items).toEqual([]);
    expect(looks()).toBe(0);
    const some = await recommend({ user_id: 'u1', category: 'c7', limit: 100 }, HOME, models, NOW, 1, 'r1');
    expect(some.items.map((item) => item.item_id).sort()).toEqual(Array.from({ length: 25 }, (_, i) => `i${175 + i}`).sort());
    expect(looks()).toBeLessThan(300);
  });

  test('has scores that are numbers, and an order, when the ranker gives NaN', async () => {
    const { models, recommend } = recommenderOf(50);
    const rank = async (_: Float32Array, n: number): Promise<Float32Array> => Float32Array.from({ length: n }, (_, i) => (i === 3 ? Number.NaN : i));
    const { items, degradedBy } = await recommend(
      { limit: 10 },
      { ...HOME, diversity: 0, new_share: 0 },
      { ...models, ranker: { rank } },
      NOW,
      1,
      'r1',
    );
    expect(degradedBy).toContain('ranker_failed');
    const scores = items.map((item) => item.score);
    expect(scores.every(Number.isFinite)).toBe(true);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });
});

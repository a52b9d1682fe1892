import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Filter, FilterCondition } from '../../contracts/filter.ts';
import type { Item } from '../../contracts/item.ts';
import { clusteredVectors, seededRandom } from '../../index/clustered.ts';
import { createHnswIndex } from '../../index/hnsw.ts';
import { openMemoryStore } from '../../store/memory.ts';
import type { EntityState } from '../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { eventUnit } from '../ingest.ts';
import { Catalogue } from './catalogue.ts';
import { ClickCounts } from './explore/click-counts.ts';
import { ItemFilter } from './item-filter.ts';
import { ItemNumbersTable } from './item-numbers.ts';
import { createRecommender, RANK_SET, type RecommendModels } from './pipeline.ts';
import { DEFAULT_PLACEMENTS, type Placement, parsePlacements } from './placements.ts';
import { Trending } from './trending.ts';

const NOW = 1_750_000_000_000;
const DIMENSIONS = 16;

/** What a filter means, by the item alone: the slow definition that answers are compared with. */
function fulfils(item: Item, { field, in: values, not_in: barred, min, max }: FilterCondition): boolean {
  const named: Record<string, unknown> = { ...item, stock: item.stock ?? Number.POSITIVE_INFINITY };
  const value = field.startsWith('attributes.') ? item.attributes?.[field.slice('attributes.'.length)] : named[field];
  if (value === undefined) return values === undefined && min === undefined && max === undefined;
  if (values && !values.includes(value as string)) return false;
  if (barred?.includes(value as string)) return false;
  if (min === undefined && max === undefined) return true;
  return typeof value === 'number' && value >= (min ?? Number.NEGATIVE_INFINITY) && value <= (max ?? Number.POSITIVE_INFINITY);
}

const mayShow = (item: Item, filter: Filter): boolean =>
  item.active !== false && item.stock !== 0 && filter.every((condition) => fulfils(item, condition));

/** Some filters let one item in a thousand through, some nearly all. */
const condition: fc.Arbitrary<FilterCondition> = fc.oneof(
  fc.record({
    field: fc.constant('category'),
    in: fc.uniqueArray(
      fc.integer({ min: 0, max: 12 }).map((i) => `c${i}`),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  fc.record({ field: fc.constant('brand'), not_in: fc.uniqueArray(fc.constantFrom('b0', 'b1', 'b2'), { minLength: 1, maxLength: 2 }) }),
  fc.record({ field: fc.constant('price'), min: fc.integer({ min: 0, max: 100 }), max: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ field: fc.constant('stock'), min: fc.integer({ min: 0, max: 60 }) }),
  fc.record({
    field: fc.constant('attributes.country'),
    in: fc.uniqueArray(fc.constantFrom('DE', 'FR', 'IT', 'XX'), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ field: fc.constant('attributes.rare'), in: fc.constant<boolean[]>([true]) }),
  fc.record({ field: fc.constant('attributes.weight'), in: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3 }) }),
);

function randomItem(i: number, random: () => number): Item {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  return {
    item_id: `i${i}`,
    created_ms: NOW - Math.floor(random() * 1e9),
    active: random() > 0.05,
    ...(random() < 0.9 && { category: `c${Math.floor(random() ** 2 * 13)}` }),
    ...(random() < 0.8 && { brand: pick(['b0', 'b1', 'b2', 'b3']) }),
    ...(random() < 0.95 && { price: Math.floor(random() * 10_000) / 100 }),
    ...(random() < 0.6 && { stock: Math.floor(random() * 50) }),
    attributes: { country: pick(['DE', 'FR', 'IT']), weight: Math.floor(random() * 6), ...(random() < 0.002 && { rare: true }) },
  };
}

/** Items that come, change and go: what is left of a filter's lists must be what is left of the items. */
function changedCatalogue(count: number, seed: number): { catalogue: Catalogue; items: Map<string, Item> } {
  const random = seededRandom(seed);
  const catalogue = new Catalogue();
  const items = new Map<string, Item>();
  for (let i = 0; i < count; i++) items.set(`i${i}`, randomItem(i, random));
  for (const item of items.values()) catalogue.put(item);
  for (const field of ['category', 'brand', 'price', 'stock', 'attributes.country', 'attributes.rare']) catalogue.field(field);
  for (let step = 0; step < count / 2; step++) {
    const i = Math.floor(random() * count);
    if (random() < 0.3) {
      catalogue.delete(`i${i}`);
      items.delete(`i${i}`);
    } else {
      const item = randomItem(i, random);
      catalogue.put(item);
      items.set(item.item_id, item);
    }
  }
  return { catalogue, items };
}

describe('a filter', () => {
  // Above and below the sizes from which values are kept as bits and bitmaps are joined.
  test.each([300, 12_000])('lets through what its conditions say, of %i changing items', (count) => {
    const { catalogue, items } = changedCatalogue(count, 5);
    const filter = new ItemFilter(catalogue);
    fc.assert(
      fc.property(fc.array(condition, { minLength: 1, maxLength: 4 }), (conditions) => {
        const { fits, few } = filter.evaluate([conditions]);
        const wanted = [...items.values()].filter((item) => mayShow(item, conditions)).map(({ item_id }) => item_id);
        const found: string[] = [];
        for (let handle = 0; handle < catalogue.handles.size; handle++) if (fits(handle)) found.push(catalogue.handles.idOf(handle));
        expect(found.sort()).toEqual(wanted.sort());
        if (few) expect(Array.from(few, (handle) => catalogue.handles.idOf(handle)).sort()).toEqual(wanted);
        else expect(wanted.length).toBeGreaterThan(500);
      }),
      { seed: 6, numRuns: 120 },
    );
  });

  test('on an attribute that no item has lets nothing through, until one has it', () => {
    const { catalogue } = changedCatalogue(50, 1);
    const filter = new ItemFilter(catalogue);
    const conditions: Filter = [{ field: 'attributes.colour', in: ['red'] }];
    for (let i = 0; i < 500; i++) filter.evaluate([[{ field: `attributes.invented${i}`, in: ['x'] }]]);
    expect(filter.evaluate([conditions]).few).toHaveLength(0);
    catalogue.put({ item_id: 'rose', attributes: { colour: 'red' } });
    expect(filter.evaluate([conditions]).few).toEqual(Int32Array.of(catalogue.handles.find('rose')));
  });
});

describe('an answer behind a filter', async () => {
  const { catalogue, items } = changedCatalogue(6_000, 9);
  const { handles } = catalogue;
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const store = openMemoryStore<EntityState>();
  const index = createHnswIndex({ dimensions: DIMENSIONS, metric: 'ip', handles });
  const next = clusteredVectors({ dimensions: DIMENSIONS, clusters: 40, seed: 3 });
  for (const id of items.keys()) index.upsert(id, next());
  const user = next();
  const models: RecommendModels = { itemIndex: index, userTower: { fold: async () => user } };
  const deps = {
    store,
    engine,
    catalogue,
    trending: new Trending(handles),
    itemNumbers: new ItemNumbersTable(engine, RANK_SET, handles),
    clicks: new ClickCounts([]),
  };
  const recommend = createRecommender({
    ...deps,
    candidatesMax: 200,
    onStage: () => {},
    onSource: () => {},
    editorial: { picks: () => [] },
    now: () => 0,
  });
  /** The user vector alone, so that an exact search says what the answer has to be. */
  const placement: Placement = {
    ...DEFAULT_PLACEMENTS[0]!,
    sources: { user_vector: 100, item_to_item: 0, buy_again: 0, popular: 0, new: 0 },
    suppress_purchased_days: 0,
    new_share: 0,
    diversity: 0,
  };
  const view = { event_id: 'e', name: 'view_item', user_id: 'u', timestamp_ms: NOW, items: [{ item_id: [...items.keys()][0]! }] } as const;
  await store.ingest([eventUnit(engine, (id) => catalogue.get(id), { ...view, items: [...view.items] }, NOW)]);

  test('is what exact search finds under the same filter, and full while items fit', async () => {
    let found = 0;
    let wanted = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(condition, { maxLength: 3 }), fc.integer({ min: 1, max: 60 }), async (conditions, limit) => {
        const answer = await recommend({ user_id: 'u', limit, filter: conditions }, placement, models, NOW, 1, 'r1');
        const fitting = [...items.values()].filter((item) => mayShow(item, conditions));
        const ids = answer.items.map(({ item_id }) => item_id);
        expect(ids.length).toBe(Math.min(limit, fitting.length));
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of ids) expect(mayShow(items.get(id)!, conditions)).toBe(true);
        const similarities = index.similarities(
          user,
          fitting.map(({ item_id }) => item_id),
        );
        const nearest = fitting.map(({ item_id }, i) => ({ item_id, similarity: similarities[i]! })).sort((a, b) => b.similarity - a.similarity);
        const truth = new Set(nearest.slice(0, limit).map(({ item_id }) => item_id));
        wanted += truth.size;
        found += ids.filter((id) => truth.has(id)).length;
      }),
      { seed: 10, numRuns: 150 },
    );
    expect(found / wanted).toBeGreaterThanOrEqual(0.98);
  });

  test("is narrowed by the placement's filter and the request's together", async () => {
    const cheap: Filter = [{ field: 'price', max: 20 }];
    const german: Filter = [{ field: 'attributes.country', in: ['DE'] }];
    const answer = await recommend({ user_id: 'u', limit: 50, filter: german }, { ...placement, filter: cheap }, models, NOW, 1, 'r1');
    expect(answer.items).toHaveLength(50);
    for (const { item_id } of answer.items) expect(mayShow(items.get(item_id)!, [...cheap, ...german])).toBe(true);
  });

  test("is what the placement's rule lets through, also after items changed", async () => {
    const when = '(item.price < 30.0 && item.brand != "b1") || "rare" in item.attributes';
    const lets = (item: Item): boolean => ((item.price ?? Number.NaN) < 30 && item.brand !== 'b1') || item.attributes?.['rare'] === true;
    const some = { ...placement, when };
    const before = await recommend({ user_id: 'u', limit: 100 }, some, models, NOW, 1, 'r1');
    expect(before.items).toHaveLength(100);
    for (const { item_id } of before.items) expect(mayShow(items.get(item_id)!, []) && lets(items.get(item_id)!)).toBe(true);
    const best = items.get(before.items[0]!.item_id)!;
    catalogue.put({ ...best, price: 31, attributes: {} });
    const after = await recommend({ user_id: 'u', limit: 100 }, some, models, NOW, 1, 'r1');
    expect(after.items.map(({ item_id }) => item_id)).not.toContain(best.item_id);
    catalogue.put(best);
    // A rule that reads what an item lacks is false of it, by itself and behind a negation.
    for (const expression of ['item.attributes.rare == true', '!(item.attributes.rare == true)']) {
      const { items: found } = await recommend({ user_id: 'u', limit: 100 }, { ...placement, when: expression }, models, NOW, 1, 'r1');
      for (const { item_id } of found) expect(items.get(item_id)!.attributes).toHaveProperty('rare');
    }
  });

  test.each(['item.price', 'item.colour == "red"', 'item.price < ', 'price < 3.0', 'item.title.matches("(a+)+b")'])('has no rule %s', (when) => {
    expect(() => parsePlacements(JSON.stringify([{ ...placement, when }]))).toThrow('config_invalid');
  });

  test('loses an item in the moment that it is sold out, and has it again when it is not', async () => {
    const filter: Filter = [{ field: 'attributes.country', in: ['FR'] }];
    const first = async (): Promise<string | undefined> =>
      (await recommend({ user_id: 'u', limit: 1, filter }, placement, models, NOW, 1, 'r1')).items[0]?.item_id;
    const best = (await first())!;
    const before = items.get(best)!;
    catalogue.put({ ...before, stock: 0 });
    expect(await first()).not.toBe(best);
    catalogue.put(before);
    expect(await first()).toBe(best);
    catalogue.put({ ...before, attributes: { country: 'IT' } });
    expect(await first()).not.toBe(best);
    catalogue.put(before);
  });
});

import { expect, test } from 'vitest';
import type { TimedEvent } from '../../../contracts/event.ts';
import type { Item } from '../../../contracts/item.ts';
import { createExactIndex } from '../../../index/exact.ts';
import { DEFAULT_DECLARATIONS } from '../../features/defaults.ts';
import { createFeatureEngine } from '../../features/engine.ts';
import { Catalogue } from '../catalogue.ts';
import { type ContentModel, contentTokens, contentVector } from '../content-vector.ts';
import { reasonOf } from '../explain.ts';
import type { RetrievalModels } from '../retrieval.ts';
import { Trending } from '../trending.ts';
import { blend, Gathering } from './gather.ts';

const NOW = Date.UTC(2026, 0, 31);
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const MODEL: ContentModel = { dimensions: 256, idf: new Float32Array(64).fill(1), idfUnseen: 1 };
const ITEMS: readonly Item[] = [
  { item_id: 'teapot', title: 'Blue teapot', category: 'kitchen', brand: 'ora' },
  { item_id: 'kettle', title: 'Blue kettle', category: 'kitchen', brand: 'ora' },
  { item_id: 'pan', title: 'Iron pan', category: 'kitchen', brand: 'ferro' },
  { item_id: 'boots', title: 'Hiking boots', category: 'shoes', brand: 'alpo' },
  { item_id: 'sandals', title: 'Hiking sandals', category: 'shoes', brand: 'alpo' },
  { item_id: 'blank' },
];
const catalogue = new Catalogue();
const index = createExactIndex({ dimensions: MODEL.dimensions, metric: 'cosine', handles: catalogue.handles });
for (const item of ITEMS) {
  catalogue.put(item);
  const tokens = contentTokens(item);
  if (tokens.size > 0) index.upsert(item.item_id, contentVector(MODEL, tokens));
}
const { handles } = catalogue;

interface Asked {
  readonly page?: string;
  readonly viewed?: readonly string[];
  readonly cap?: number;
  readonly barred?: readonly string[];
  readonly isExact?: boolean;
  readonly models?: RetrievalModels;
  readonly popular?: number;
}

async function gathered({ page, viewed = [], cap = 2, barred = [], isExact = false, models = { content: { index } }, popular = 0 }: Asked) {
  let session: ReturnType<typeof engine.apply> | undefined;
  viewed.forEach((item_id, i) => {
    const event: TimedEvent = { event_id: `e${i}`, name: 'view_item', session_id: 's', timestamp_ms: NOW - 9_000 + i, items: [{ item_id }] };
    session = engine.apply({ kind: 'session', id: 's' }, session, event, () => undefined);
  });
  const trending = new Trending(handles);
  for (const [n, item_id] of ['boots', 'boots', 'pan'].entries())
    if (popular > 0) trending.add({ event_id: `p${n}`, name: 'view_item', timestamp_ms: NOW, items: [{ item_id }] });
  const gathering = new Gathering({ engine, catalogue, trending, candidatesMax: 10 });
  gathering.begin(undefined, session);
  const own = new Set([...viewed, ...barred, ...(page === undefined ? [] : [page])]);
  const allow = (handle: number): boolean => !own.has(handles.idOf(handle));
  const missing = await gathering.gather(
    {
      nowMs: NOW,
      caps: { user_vector: 0, item_to_item: 0, buy_again: 0, popular, new: 0, content: cap },
      allow,
      ...(isExact && { exact: Int32Array.from(ITEMS, ({ item_id }) => handles.find(item_id)) }),
      ...(page !== undefined && { item: handles.find(page) }),
    },
    models,
  );
  return { gathering, missing };
}

async function ask(asked: Asked) {
  const { gathering, missing } = await gathered(asked);
  const { set } = gathering;
  const { page } = asked;
  return Array.from({ length: set.count }, (_, i) => ({
    id: handles.idOf(set.handles[i]!),
    reason: reasonOf(catalogue, gathering, i, page === undefined ? -1 : handles.find(page)),
  })).concat(missing.map((source) => ({ id: `missing ${source}`, reason: '' })));
}
const idsOf = (found: readonly { id: string }[]): string[] => found.map(({ id }) => id);

test('finds what is like the item on the page, the most alike first, and says so', async () => {
  expect(await ask({ page: 'teapot' })).toEqual([
    { id: 'kettle', reason: 'Similar to Blue teapot' },
    { id: 'pan', reason: 'Similar to Blue teapot' },
  ]);
});

test('finds what is like the last items of a visitor elsewhere, each beside the one that it is like', async () => {
  const found = await ask({ viewed: ['boots', 'teapot'] });
  expect(found).toEqual([
    { id: 'kettle', reason: 'Similar to Blue teapot' },
    { id: 'sandals', reason: 'Similar to Hiking boots' },
  ]);
  // The last one counts the most.
  expect(idsOf(await ask({ viewed: ['teapot', 'boots'], cap: 1 }))).toEqual(['sandals']);
});

test('the page says more than the visit, unless its item says nothing of itself', async () => {
  expect(idsOf(await ask({ page: 'boots', viewed: ['teapot'], cap: 1 }))).toEqual(['sandals']);
  expect(idsOf(await ask({ page: 'blank', viewed: ['teapot'], cap: 1 }))).toEqual(['kettle']);
});

test('keeps to what may be shown, in either way of searching', async () => {
  for (const isExact of [false, true]) expect(idsOf(await ask({ page: 'teapot', barred: ['kettle'], cap: 1, isExact }))).toEqual(['pan']);
});

test('has nothing to say to a stranger, and is not missed where it is off, unknown to the bundle or still being opened', async () => {
  expect(await ask({})).toEqual([]);
  expect(await ask({ page: 'teapot', cap: 0 })).toEqual([]);
  expect(await ask({ page: 'teapot', models: {} })).toEqual([]);
  expect(await ask({ page: 'teapot', models: { content: { index: undefined } } })).toEqual([]);
});

test('is not asked where the bundle knows all that a visitor without a page touched, and is where one item is new to it', async () => {
  const itemIndex = createExactIndex({ dimensions: 2, metric: 'ip', handles });
  itemIndex.upsert('teapot', Float32Array.of(1, 0));
  const models = { content: { index }, itemIndex };
  expect(idsOf(await ask({ viewed: ['teapot'], models }))).toEqual([]);
  expect(idsOf(await ask({ viewed: ['teapot', 'kettle'], models }))).not.toEqual([]);
  expect(idsOf(await ask({ page: 'teapot', models }))).not.toEqual([]);
});

test.each<[string, Asked]>([
  ['the page’s item', { page: 'teapot' }],
  ['the visitor’s last items', { viewed: ['boots', 'teapot'] }],
])('where no ranker is, what is like %s is scored by its likeness, beside what is popular', async (_, asked) => {
  const { gathering } = await gathered({ ...asked, popular: 5 });
  const { set } = gathering;
  const scores = blend(set);
  const [likeness, popularity] = [set.column('content'), set.column('popular')];
  const best = Math.max(...likeness.subarray(0, set.count));
  for (let c = 0; c < set.count; c++) {
    expect(likeness[c]! > 0).toBe(set.isFrom(c, 'content'));
    expect(scores[c]!).toBeCloseTo((0.2 * likeness[c]!) / best + 0.3 * popularity[c]!, 9);
  }
  const kettle = Array.from(set.handles.subarray(0, set.count)).indexOf(handles.find('kettle'));
  expect([scores[kettle], likeness[kettle]]).toEqual([expect.closeTo(0.2, 9), best]);
});

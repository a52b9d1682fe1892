import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { indexReaders } from '../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { loadBundle, type OpenContent } from '../scoring/models/bundle.ts';
import { BundleManager } from '../scoring/models/manager.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { type ContentModel, contentTokens, contentVector } from '../scoring/recommend/content-vector.ts';
import { type ContentIndexes, type ContentRefusal, openContentIndexes } from './content.ts';
import { writeTablesBundle } from './data/data.suite.ts';

const MODEL: ContentModel = { dimensions: 16, idf: new Float32Array(64).fill(1), idfUnseen: 1 };
const titled = (i: number, word = `word${i}`) => ({ item_id: `i${i}`, title: `${word} ${i % 10}`, category: `c${i % 7}` });

/** Compactions run in child processes that give way to everything else. */
vi.setConfig({ testTimeout: 120_000 });
let folder: string;
let catalogue: Catalogue;
let indexes: ContentIndexes | undefined;
let opened: OpenContent[];
let refused: ContentRefusal[];
let problems: unknown[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-content-'));
  catalogue = new Catalogue();
  opened = [];
  refused = [];
  problems = [];
});
afterEach(async () => {
  await end();
  await rm(folder, { recursive: true });
  expect(problems).toEqual([]);
});

async function end(): Promise<void> {
  for (const content of opened.splice(0)) await content.close();
  await indexes?.close();
}

function openIndexes(itemsMax = 10_000, deltaSlotsMax = 10_000): void {
  indexes = openContentIndexes({
    dir: join(folder, 'own'),
    catalogue,
    itemsMax,
    deltaSlotsMax,
    now: () => 0,
    onRefused: (reason) => refused.push(reason),
    onError: (error) => problems.push(error),
  });
}

function open(model = MODEL, id = `of-${model.dimensions}`): OpenContent {
  const content = indexes!.open(model, id);
  opened.push(content);
  return content;
}

const indexOf = (content: OpenContent) => vi.waitFor(() => content.index ?? Promise.reject(new Error('not open yet')), 60_000);

/** Whether the index says of every item what the catalogue does, and of no other. */
function expectInStep(content: OpenContent, model = MODEL): void {
  const ids = new Set(content.index!.ids());
  for (let handle = 0; handle < catalogue.end; handle++) {
    const item = catalogue.at(handle);
    if (!item || contentTokens(item).size === 0) continue;
    expect(content.index!.get(item.item_id)).toEqual(contentVector(model, contentTokens(item)));
    ids.delete(item.item_id);
  }
  expect([...ids]).toEqual([]);
}

test('is filled from the catalogue, and in step with each change by the time that it returns', async () => {
  for (let i = 0; i < 20; i++) catalogue.put(titled(i));
  catalogue.put({ item_id: 'blank' });
  openIndexes();
  const content = open();
  const index = await indexOf(content);
  expect(index.size).toBe(20);
  catalogue.put(titled(20));
  const [nearest] = index.search(index.get('i20')!, 1);
  expect(nearest).toMatchObject({ id: 'i20' });
  catalogue.put(titled(3, 'other'));
  catalogue.delete('i4');
  catalogue.put({ item_id: 'i5' });
  expect(index.has('i5')).toBe(false);
  catalogue.put(titled(5));
  expectInStep({ index, close: content.close } as OpenContent);
});

test('a change while it is being filled, and while the graph of a large catalogue is built, is not lost', async () => {
  for (let i = 0; i < 1_500; i++) catalogue.put(titled(i));
  openIndexes();
  const content = open();
  // The filling has begun, and has its next turn behind this.
  await new Promise((resolve) => setImmediate(resolve));
  catalogue.put(titled(0, 'changed'));
  catalogue.delete('i1');
  catalogue.put(titled(1_500));
  const index = await indexOf(content);
  catalogue.put(titled(2, 'changed'));
  catalogue.put(titled(1_501));
  // Found although the graph of the others is still being built.
  expect(index.search(index.get('i1501')!, 1)).toMatchObject([{ id: 'i1501' }]);
  await vi.waitFor(() => expect(indexes!.stats()).toMatchObject({ isCompacting: false, vectors: 1_501 }), 60_000);
  expectInStep(content);
  for (const id of ['i0', 'i2', 'i700', 'i1500', 'i1501']) expect(index.search(index.get(id)!, 3).map((found) => found.id)).toContain(id);
});

test('two bundles side by side follow the catalogue, and of the one that closes first nothing is left', async () => {
  for (let i = 0; i < 50; i++) catalogue.put(titled(i));
  openIndexes();
  const old = open();
  await indexOf(old);
  const wider: ContentModel = { ...MODEL, dimensions: 24 };
  const next = open(wider);
  // While the next one is being opened, and after.
  catalogue.put(titled(50));
  await indexOf(next);
  catalogue.put(titled(51));
  expectInStep(old);
  expectInStep(next, wider);
  expect(await readdir(join(folder, 'own'))).toHaveLength(2);
  await old.close();
  catalogue.put(titled(52));
  expect(old.index).toBeUndefined();
  expectInStep(next, wider);
  expect(await readdir(join(folder, 'own'))).toHaveLength(1);
});

test('bundles with the same weights share one index, which serves whoever has not closed it', async () => {
  for (let i = 0; i < 50; i++) catalogue.put(titled(i));
  openIndexes();
  const old = open();
  const index = await indexOf(old);
  const next = open();
  expect(next.index).toBe(index);
  await old.close();
  await old.close();
  expect(old.index).toBeUndefined();
  catalogue.put(titled(50));
  expectInStep(next);
  // Opened anew while the last one closes.
  const closing = next.close();
  const again = open();
  await closing;
  expect(await indexOf(again)).not.toBe(index);
  expectInStep(again);
});

test('a swap under updates loses none of them, and a request keeps the content that it began with', async () => {
  for (let i = 0; i < 50; i++) catalogue.put(titled(i));
  openIndexes();
  const idf = new Uint8Array(MODEL.idf.buffer);
  for (const [version, dimensions] of [
    ['v1', 16],
    ['v2', 24],
  ] as const)
    await writeTablesBundle(folder, { version, neighbours: {}, popular: [], content: { dimensions, idf, idf_unseen: 1 } });
  const deps = { engine: createFeatureEngine(DEFAULT_DECLARATIONS), ...indexReaders, handles: catalogue.handles, openContent: indexes!.open };
  const manager = new BundleManager({
    dir: join(folder, 'bundles'),
    load: (dir) => loadBundle(dir, deps),
    probe: async () => {},
  });
  await manager.activate('v1');
  const search = (id: string): Promise<string[]> =>
    manager.lease(async (bundle) => {
      const index = await vi.waitFor(() => bundle!.recommend.content?.index ?? Promise.reject(new Error('not open yet')), 60_000);
      return index.search(index.get(id)!, 2).map((found) => found.id);
    });
  expect(await search('i7')).toContain('i7');
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const late = manager.lease(async (bundle) => {
    await ended;
    return bundle!.recommend.content!.index!.search(bundle!.recommend.content!.index!.get('i50')!, 1);
  });
  const swapped = manager.activate('v2');
  for (let i = 50; i < 90; i++) {
    catalogue.put(titled(i));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await swapped;
  for (let i = 0; i < 90; i++) expect(await search(`i${i}`)).toContain(`i${i}`);
  end();
  expect(await late).toMatchObject([{ id: 'i50' }]);
  await vi.waitFor(async () => expect(await readdir(join(folder, 'own'))).toHaveLength(1), 60_000);
  manager.close();
  await vi.waitFor(() => expect(indexes!.stats()).toBeUndefined());
});

test('closed before it is open, it opens no more', async () => {
  for (let i = 0; i < 2_000; i++) catalogue.put(titled(i));
  openIndexes();
  const content = open();
  await content.close();
  expect(content.index).toBeUndefined();
  expect(indexes!.stats()).toBeUndefined();
});

test('over its items it takes no more, counts them, and takes what leaves room', async () => {
  for (let i = 0; i < 3; i++) catalogue.put(titled(i));
  openIndexes(3);
  const index = await indexOf(open());
  catalogue.put(titled(3));
  expect(refused).toEqual(['full']);
  expect(index.has('i3')).toBe(false);
  catalogue.put(titled(0, 'changed'));
  catalogue.delete('i1');
  catalogue.put(titled(3));
  expect([...index.ids()].sort()).toEqual(['i0', 'i2', 'i3']);
  expect(refused).toEqual(['full']);
});

test('an update too many is counted, and follows when a compaction made room', async () => {
  for (let i = 0; i < 3; i++) catalogue.put(titled(i));
  openIndexes(10_000, 5);
  const content = open();
  const index = await indexOf(content);
  for (let i = 3; i < 30; i++) catalogue.put(titled(i));
  expect(refused.slice(0, 25)).toEqual(new Array(25).fill('busy'));
  expect(index.size).toBe(5);
  await vi.waitFor(() => expect(index.size).toBe(30), 60_000);
  expectInStep(content);
});

describe('a restart', () => {
  const COUNT = 1_500;
  const settled = () => vi.waitFor(() => expect(indexes!.stats()).toMatchObject({ isCompacting: false }), 60_000);
  const items = () => Array.from({ length: COUNT }, (_, i) => titled(i));

  /** Another process: the catalogue comes from the store, in whatever order, with handles of its own. */
  function begin(of: readonly { item_id: string; title?: string; category?: string }[], itemsMax?: number): OpenContent {
    catalogue = new Catalogue();
    for (const item of [...of].reverse()) catalogue.put(item);
    openIndexes(itemsMax);
    return open();
  }
  const inStep = (content: OpenContent) => vi.waitFor(() => expectInStep(content), 60_000);
  const compacted = async () => (await readdir(join(folder, 'own', 'of-16'))).filter((name) => name.startsWith('compacted-'));

  async function firstLife(): Promise<string[]> {
    await indexOf(begin(items()));
    await settled();
    return compacted();
  }

  test('begins with what was compacted, and finds the same neighbours', async () => {
    const files = await firstLife();
    const index = opened[0]!.index!;
    const queries = ['i3', 'i400', 'i1499'].map((id) => index.get(id)!);
    const found = queries.map((query) => index.search(query, 20));
    await end();

    const again = await indexOf(begin(items()));
    await inStep(opened[0]!);
    expect(indexes!.stats()).toEqual({ vectors: COUNT, delta: 0, tombstones: 0, isCompacting: false });
    expect(queries.map((query) => again.search(query, 20))).toEqual(found);
    expect(await compacted()).toEqual(files);
  });

  test('knows what changed since, and nothing of what went', async () => {
    const files = await firstLife();
    await end();
    const changed = items().filter(({ item_id }) => item_id !== 'i7' && item_id !== 'i8');
    changed[0] = titled(0, 'changed');
    changed.push(titled(COUNT));
    const content = begin(changed);
    await indexOf(content);
    await inStep(content);
    // An old vector of a changed item, and two of items that went.
    expect(indexes!.stats()).toEqual({ vectors: COUNT - 1, delta: 2, tombstones: 3, isCompacting: false });
    expect(content.index!.search(content.index!.get('i0')!, 1)).toMatchObject([{ id: 'i0' }]);
    expect(await compacted()).toEqual(files);
  });

  test('makes room of what went before it takes what came', async () => {
    await firstLife();
    await end();
    // As many as there is room for, of which some are new.
    const content = begin([...items().slice(10), ...Array.from({ length: 10 }, (_, i) => titled(COUNT + i))], COUNT);
    await indexOf(content);
    await inStep(content);
    expect(refused).toEqual([]);
  });

  test.each([
    ['the rows', (dir: string) => writeFile(join(dir, 'index.f32'), 'no rows')],
    ['the ids', (dir: string) => truncate(join(dir, 'index.ids'), 100)],
    ['the graph', (dir: string) => truncate(join(dir, 'index.hnsw'), 50_000)],
    ['a file', (dir: string) => rm(join(dir, 'index.f32'))],
  ])('without %s that it could read, tells and builds all anew', async (_, damage) => {
    const files = await firstLife();
    await end();
    await damage(join(folder, 'own', 'of-16', files[0]!));
    const content = begin(items());
    await indexOf(content);
    expect(problems.splice(0)).toMatchObject([{ code: 'snapshot_corrupt' }]);
    await settled();
    await inStep(content);
    expect(await compacted()).not.toEqual(files);
    for (const id of ['i0', 'i700']) expect(content.index!.search(content.index!.get(id)!, 3).map((found) => found.id)).toContain(id);
  });

  test('with fewer items allowed than were compacted builds anew', async () => {
    await firstLife();
    await end();
    await indexOf(begin(items().slice(0, 1_200), 1_200));
    expect(problems.splice(0)).toMatchObject([{ code: 'snapshot_corrupt' }]);
    await settled();
    expect(indexes!.stats()).toMatchObject({ vectors: 1_200 });
  });

  test('with other weights begins anew and removes what it has no use for', async () => {
    await firstLife();
    await end();
    await mkdir(join(folder, 'own', 'index-of-an-earlier-version'));
    catalogue = new Catalogue();
    for (const item of items()) catalogue.put(item);
    openIndexes();
    const other: ContentModel = { ...MODEL, idf: new Float32Array(64).fill(3) };
    const content = open(other, 'others');
    await indexOf(content);
    await settled();
    expectInStep(content, other);
    expect(await readdir(join(folder, 'own'))).toEqual(['others']);
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
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

let folder: string;
let catalogue: Catalogue;
let indexes: ContentIndexes | undefined;
let opened: OpenContent[];
let refused: ContentRefusal[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-content-'));
  catalogue = new Catalogue();
  opened = [];
  refused = [];
});
afterEach(async () => {
  for (const content of opened) await content.close();
  await indexes?.close();
  await rm(folder, { recursive: true });
});

async function openIndexes(itemsMax = 10_000, deltaSlotsMax = 10_000): Promise<void> {
  indexes = await openContentIndexes({
    dir: join(folder, 'own'),
    catalogue,
    itemsMax,
    deltaSlotsMax,
    now: () => 0,
    onRefused: (reason) => refused.push(reason),
    onError: (error) => {
      throw error;
    },
  });
}

function open(model = MODEL): OpenContent {
  const content = indexes!.open(model);
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
  await openIndexes();
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
  await openIndexes();
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

test('two bundles side by side follow the catalogue, and one that closes leaves nothing behind', async () => {
  for (let i = 0; i < 50; i++) catalogue.put(titled(i));
  await openIndexes();
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
  await next.close();
  await indexes!.close();
  expect(await readdir(folder)).toEqual([]);
});

test('a swap under updates loses none of them, and a request keeps the content that it began with', async () => {
  for (let i = 0; i < 50; i++) catalogue.put(titled(i));
  await openIndexes();
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
  await vi.waitFor(async () => expect(await readdir(join(folder, 'own'))).toHaveLength(0), 60_000);
});

test('closed before it is open, it opens no more', async () => {
  for (let i = 0; i < 2_000; i++) catalogue.put(titled(i));
  await openIndexes();
  const content = open();
  await content.close();
  expect(content.index).toBeUndefined();
  expect(indexes!.stats()).toBeUndefined();
  expect(await readdir(join(folder, 'own'))).toEqual([]);
});

test('over its items it takes no more, counts them, and takes what leaves room', async () => {
  for (let i = 0; i < 3; i++) catalogue.put(titled(i));
  await openIndexes(3);
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
  await openIndexes(10_000, 5);
  const content = open();
  const index = await indexOf(content);
  for (let i = 3; i < 30; i++) catalogue.put(titled(i));
  expect(refused.slice(0, 25)).toEqual(new Array(25).fill('busy'));
  expect(index.size).toBe(5);
  await vi.waitFor(() => expect(index.size).toBe(30), 60_000);
  expectInStep(content);
});

import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Handles } from '../contracts/handles.ts';
import type { VectorIndex } from '../index/contract.ts';
import { indexReaders } from '../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { loadBundle } from '../scoring/models/bundle.ts';
import { testParts } from '../training/bundle/parts.testing.ts';
import { writeBundle } from '../training/bundle/write.ts';
import { factsOf } from '../training/facts.ts';
import { Replay } from '../training/replay.ts';
import { readConfig } from './config.ts';
import { SECRET_KEY, TestGateway } from './data/data.suite.ts';
import { startGateway } from './main.ts';

// Guarantee 3 (fresh), for the trained space: items that the bundle does not know have a vector there, and what is deleted has none.

const VERSION = 'v1';
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const known = Array.from({ length: 60 }, (_, i) => ({ item_id: `i${i}`, title: `Item ${i}`, category: `c${i % 4}` }));
let shop: TestGateway;
let dir: string;
let events = 0;

beforeAll(async () => {
  shop = await TestGateway.start({}, async (dataDir) => {
    dir = dataDir;
    await mkdir(join(dataDir, 'bundles'), { recursive: true });
    const { trained, ...parts } = await testParts(engine, VERSION);
    await writeBundle(join(dataDir, 'bundles'), { ...parts, trained: { ...trained, journal_offset: 0 } });
    await writeFile(join(dataDir, 'bundles', 'active.json'), JSON.stringify({ active: VERSION }));
  });
  await put(known);
});
afterAll(() => shop.stop());

const put = (items: readonly object[]) => shop.ask('PUT', '/v1/items', { items });
const act = (itemId: string, who: object, name = 'view_item') =>
  shop.ask('POST', '/v1/events', { events: [{ event_id: `e${events++}`, name, items: [{ item_id: itemId }], ...who }] });
/** Of the bundle that serves. */
const vectorOf = (id: string) => shop.gateway.bundles.lease(async (bundle) => bundle?.recommend.itemIndex?.get(id));

/** The index that a replay of the journal makes of the same bundle. */
async function replayed(use: (index: VectorIndex) => void): Promise<void> {
  const handles = new Handles();
  const bundle = await loadBundle(join(dir, 'bundles', VERSION), { engine, ...indexReaders, handles });
  try {
    const replay = new Replay(engine, handles);
    const foldIn = bundle.recommend.foldIn!;
    foldIn.follow(replay.catalogue);
    for await (const { fact } of factsOf(shop.gateway.store)) {
      replay.apply(fact);
      await replay.foldIn(foldIn, fact);
    }
    use(bundle.recommend.itemIndex!);
  } finally {
    await bundle.release();
  }
}

/** Acts are learned behind their answers. */
const learned = async (id: string, before: Float32Array | undefined): Promise<void> => {
  await vi.waitFor(async () => expect(await vectorOf(id)).not.toEqual(before), { timeout: 60_000, interval: 10 });
};

test('a new item has a vector by the time that it is acknowledged, moves with acts, and is what a replay of the journal makes of it, bit for bit', async () => {
  await put([{ item_id: 'new', title: 'Item 7 again', category: 'c3' }]);
  const placed = await vectorOf('new');
  expect(placed).toBeDefined();
  let before = placed;
  for (const i of [1, 2, 3, 4]) {
    for (const item of [i, 10 + i, 20 + 2 * i]) await act(`i${item}`, { user_id: `u${i}`, session_id: `s${i}` }, i === 2 ? 'purchase' : 'view_item');
    await act('new', { user_id: `u${i}`, session_id: `s${i}` });
    // After the third nothing is solved: its act is learned by the time that the fourth one's is.
    if (i === 3) continue;
    await learned('new', before);
    before = await vectorOf('new');
  }
  await replayed((index) => expect(index.get('new')).toEqual(before));
  const { body } = await shop.ask<{ items: { item_id: string }[] }>('POST', '/v1/recommend', { user_id: 'u1', placement: 'again', limit: 60 });
  expect(body.items.map(({ item_id }) => item_id)).toContain('new');
}, 240_000);

test('what is deleted leaves, and a known item that comes back has what was learned of it', async () => {
  const learnedOf = await vectorOf('i5');
  expect(learnedOf).toBeDefined();
  await put([{ item_id: 'brief', title: 'Item 8' }]);
  await shop.ask('DELETE', '/v1/items', { item_ids: ['i5', 'brief'] });
  expect([await vectorOf('i5'), await vectorOf('brief')]).toEqual([undefined, undefined]);
  await put([known[5]!]);
  expect(await vectorOf('i5')).toEqual(learnedOf);
});

test('a gateway that starts again learns from the journal what happened since the training, and leaves nothing behind when it closes', async () => {
  const before = (await vectorOf('new'))!;
  const folder = join(dir, 'items');
  const own = async (): Promise<string[]> =>
    existsSync(folder) ? (await Promise.all((await readdir(folder)).map((name) => readdir(join(folder, name))))).flat() : [];
  expect(await own()).toHaveLength(1);
  await shop.gateway.drain();
  expect(await own()).toEqual([]);
  const again = await startGateway(readConfig({}, { dataDir: dir, port: 0, controlPort: 0, secretKeys: [SECRET_KEY], logLevel: 'silent' }));
  try {
    await vi.waitFor(
      async () => {
        const now = await again.bundles.lease(async (bundle) => bundle?.recommend.itemIndex?.get('new'));
        expect(now).toBeDefined();
        // By people as they are by now, who have not changed, and by as many acts.
        now!.forEach((value, i) => {
          expect(value).toBeCloseTo(before[i]!, 4);
        });
      },
      { timeout: 60_000, interval: 10 },
    );
    expect(await own()).toHaveLength(1);
  } finally {
    await again.drain();
  }
  expect(await own()).toEqual([]);
}, 240_000);

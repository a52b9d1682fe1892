import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ContentFile } from '../../contracts/bundle.ts';
import type { RecommendResponse } from '../../contracts/recommend.ts';
import { writeTablesBundle } from '../../gateway/data/data.suite.ts';
import { GatewayProcess } from './gateway-process.suite.ts';

// Guarantee 3 (fresh), across restarts: the index of content goes on with what an earlier life built, whichever way that ended, and says what the catalogue says.

/** Past what is searched without a graph, so that there is one to build. */
const ITEMS = 2_000;
const BATCH = 500;
const CONTENT: ContentFile = { dimensions: 128, idf: new Uint8Array(new Float32Array(256).fill(1).buffer), idf_unseen: 1 };
/** Compactions run in child processes that give way to everything else. */
vi.setConfig({ testTimeout: 240_000 });
const WAIT = { timeout: 100_000, interval: 50 };

const itemOf = (i: number) => ({ item_id: `i${i}`, title: `Word${i % 40} thing${i}`, category: `c${i % 20}` });

let folder: string;
let running: GatewayProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-content-restart-'));
  await writeTablesBundle(folder, { version: 'v1', neighbours: {}, popular: ['i1'], content: CONTENT });
});
afterEach(async () => {
  await running?.destroy();
  await rm(folder, { recursive: true, maxRetries: 9 });
});

async function start(limit = ''): Promise<GatewayProcess> {
  await running?.destroy();
  running = new GatewayProcess(folder, { GATEHOUSE_LOG_LEVEL: 'error' }, limit);
  return running.ready();
}

async function figures({ controlPort }: GatewayProcess): Promise<Record<string, number>> {
  const metrics = await (await fetch(`http://127.0.0.1:${controlPort}/metrics`)).text();
  return Object.fromEntries(
    [...metrics.matchAll(/^gatehouse_content_index\{figure="(\w+)"\} (\d+)/gm)].map(([, figure, value]) => [figure, Number(value)]),
  );
}
const reached = (gateway: GatewayProcess, wanted: Record<string, number>) =>
  vi.waitFor(async () => expect(await figures(gateway)).toMatchObject(wanted), WAIT);

async function fill(gateway: GatewayProcess): Promise<void> {
  for (let from = 0; from < ITEMS; from += BATCH) {
    const items = Array.from({ length: BATCH }, (_, i) => itemOf(from + i));
    expect((await gateway.ask('PUT', '/v1/items', { items })).status).toBe(200);
  }
}

/** Of what is like the item, the items that the source `content` found. */
async function alike(gateway: GatewayProcess, id: string): Promise<string[]> {
  const { body } = await gateway.ask<RecommendResponse>('POST', '/v1/recommend', { placement: 'product', item_id: id, limit: 50 });
  return body.items.filter(({ sources }) => sources.includes('content')).map(({ item_id }) => item_id);
}

async function compacted(): Promise<string[]> {
  const [model] = await readdir(join(folder, 'content', 'embedded'));
  const dir = join(folder, 'content', 'embedded', model!);
  return (await readdir(dir)).filter((name) => name.startsWith('compacted-')).map((name) => join(dir, name));
}

test('after kill -9 it goes on with what was built and with every change since, and builds anew what it cannot read', async () => {
  await fill(await start());
  const second = await start();
  await reached(second, { vectors: ITEMS, delta: 0, isCompacting: 0 });
  const built = await compacted();
  expect(built).toHaveLength(1);
  await second.ask('PUT', '/v1/items', { items: [{ item_id: 'new', title: 'Word7 thing7 novelty', category: 'c7' }] });
  await second.ask('PATCH', '/v1/items', { items: [{ item_id: 'i8', title: 'Word7 thing7', category: 'c7' }] });
  await second.ask('DELETE', '/v1/items', { item_ids: ['i47'] });
  second.kill('SIGKILL');

  const third = await start();
  await reached(third, { vectors: ITEMS, delta: 2, tombstones: 2, isCompacting: 0 });
  expect(await compacted()).toEqual(built);
  const found = await alike(third, 'i7');
  expect(found).toEqual(expect.arrayContaining(['new', 'i8']));
  expect(found).not.toContain('i47');
  await third.destroy();

  await truncate(join(built[0]!, 'index.hnsw'), 10_000);
  const fourth = await start();
  await reached(fourth, { vectors: ITEMS, delta: 0, tombstones: 0, isCompacting: 0 });
  expect(fourth.log.map(({ err }) => err?.code)).toEqual(['snapshot_corrupt']);
  expect(await compacted()).not.toEqual(built);
  expect(await alike(fourth, 'i7')).toEqual(expect.arrayContaining(['new', 'i8']));
});

test('on a full disk it serves what it holds, says so, and builds once there is room (needs ulimit)', async () => {
  await fill(await start());
  // Half a kilobyte a row: the rows of the index do not fit, and nothing else is written.
  const full = await start("trap '' XFSZ; ulimit -f 1024");
  await vi.waitFor(() => expect(full.log.map(({ msg }) => msg)).toContain('the index of content has a problem, and goes on with what it has'), WAIT);
  const { status, body } = await full.ask<RecommendResponse>('POST', '/v1/recommend', { placement: 'product', item_id: 'i7' });
  expect({ status, some: body.items.length > 0 }).toEqual({ status: 200, some: true });
  expect(await compacted()).toEqual([]);
  const roomy = await start();
  await reached(roomy, { vectors: ITEMS, delta: 0, isCompacting: 0 });
  expect(await alike(roomy, 'i7')).not.toEqual([]);
});

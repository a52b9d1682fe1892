import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examinedMetric, lookedAt } from '../contracts/examined.ts';
import { generateKey } from '../gateway/auth/keys.ts';
import { readConfig } from '../gateway/config.ts';
import { writeTablesBundle } from '../gateway/data/data.suite.ts';
import type { Gateway } from '../gateway/main.ts';

// How often places are looked at is learned with a bundle and counts for what a placement tries out: it has to come, and to go, with the bundle that serves.

const SECRET = generateKey('secret');
const LIST = ['i0', 'i1', 'i2'];
const VIEWS = 40;
/** Fewer places than there are new items, so that something may be tried at the one that is kept for them. */
const LIMIT = 8;
const CURVES = { plain: [], steep: [1, 0.5, 0.25], flat: [1, 0.9, 0.8] } as const;

let dataDir: string;
let gateway: Gateway;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-curve-'));
  for (const [version, curve] of Object.entries(CURVES)) {
    const metrics = Object.fromEntries(curve.map((share, place) => [examinedMetric('home', place), share]));
    await writeTablesBundle(dataDir, { version, neighbours: {}, popular: LIST, metrics });
  }
  // The one that was written last is the active one.
  gateway = await start();
  const created_ms = Date.now();
  await data('PUT', '/v1/items', { items: Array.from({ length: 20 }, (_, i) => ({ item_id: `i${i}`, created_ms })) });
  const items = LIST.map((item_id) => ({ item_id }));
  const events = Array.from({ length: VIEWS }, (_, n) => ({ event_id: `seen-${n}`, name: 'view_item_list', placement: 'home', user_id: 'u', items }));
  await data('POST', '/v1/events', { events });
});
afterAll(async () => {
  await gateway?.drain();
  await rm(dataDir, { recursive: true });
});

async function start(): Promise<Gateway> {
  // The compiled gateway, because its probe is a compiled child process.
  const compiled = new URL('../dist/gateway/main.js', import.meta.url).href;
  const { startGateway } = (await import(compiled)) as typeof import('../gateway/main.ts');
  // The machine that runs the tests may be busy with others.
  const patient = { eventLoopDelayMaxMs: 60_000, recommendDeadlineMs: 10_000, logLevel: 'silent' } as const;
  return startGateway(readConfig({}, { dataDir, port: 0, controlPort: 0, secretKeys: [SECRET], ...patient }));
}

async function data<T>(method: string, path: string, body: unknown): Promise<T> {
  const headers = { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${gateway.dataPort}${path}`, { method, headers, body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

/** Looks at each item of the list, as the next answer of the front page counts them: what its journalled beliefs hold beside that of an item that nobody saw. */
async function looks(): Promise<number[]> {
  const { recommendation_id } = await data<{ recommendation_id: string }>('POST', '/v1/recommend', { user_id: 'u', limit: LIMIT });
  for (let after = 0; ; ) {
    const records = await gateway.store.read(after, 1_000);
    for (const { fact } of records) {
      if (fact.kind !== 'recommendation' || fact.response.recommendation_id !== recommendation_id) continue;
      const { items, beliefs } = fact.exploration!;
      const held = (id: string): number => beliefs![2 * items.indexOf(id)]! + beliefs![2 * items.indexOf(id) + 1]!;
      const unseen = items.find((id) => !LIST.includes(id))!;
      return LIST.map((id) => held(id) - held(unseen));
    }
    if (records.length === 0) throw new Error(`${recommendation_id} is not in the journal`);
    after = records.at(-1)!.offset;
  }
}

const weighed = (curve: readonly number[]): unknown[] => LIST.map((_, place) => expect.closeTo(VIEWS * curve[place]!, 1));

test('views count by the curve of the bundle that serves: from a start, a swap to another, to one without, and back', async () => {
  expect(await looks()).toEqual(weighed(CURVES.flat));
  await gateway.bundles.activate('steep');
  expect(await looks()).toEqual(weighed(CURVES.steep));
  await gateway.bundles.activate('plain');
  // Nothing was learned: the usual guess.
  expect(await looks()).toEqual(weighed(LIST.map((_, place) => lookedAt(place))));
  await gateway.bundles.rollback();
  expect(await looks()).toEqual(weighed(CURVES.steep));
});

test('a bundle that cannot be served leaves the curve as it is', async () => {
  await expect(gateway.bundles.activate('none')).rejects.toMatchObject({ code: 'bundle_not_found' });
  expect(await looks()).toEqual(weighed(CURVES.steep));
});

test('a gateway that starts again weighs what it reads from the journal', async () => {
  await gateway.drain();
  gateway = await start();
  expect(await looks()).toEqual(weighed(CURVES.steep));
});

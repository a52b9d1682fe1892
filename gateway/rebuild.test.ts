import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import type { EntityState, FeatureDeclarations, FeatureEngine } from '../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { eventUnit } from '../scoring/ingest.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import type { EntityRef, Store } from '../store/contract.ts';
import { openLmdbStore } from '../store/lmdb.ts';
import { ITEMS_COLLECTION } from './data/items.ts';
import { openFeatureChange } from './feature-change.ts';
import { Metrics } from './metrics.ts';
import { ERASE_DONE } from './privacy/erasures.ts';
import { type RebuildOptions, rebuildStates } from './rebuild.ts';

const DAY_MS = 86_400_000;
const START_MS = 1_700_000_000_000;
const END_MS = START_MS + 40 * DAY_MS;
const TTL_MS = 20 * DAY_MS;
const EVENTS = 800;

const all: FeatureDeclarations = DEFAULT_DECLARATIONS;
/** Of every set the first third: what a shop had before somebody declared more. */
const few: FeatureDeclarations = {
  version: all.version,
  histories: all.histories.slice(0, 1),
  sets: Object.fromEntries(Object.entries(all.sets).map(([set, features]) => [set, features.filter((feature) => 'entity' in feature).slice(0, 10)])),
};

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-rebuild-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Items that come, change and go; people who buy, pay and charge back; some of them away for longer than their state is kept. */
function* history(): Generator<Fact> {
  const next = random(7);
  const below = (n: number): number => Math.floor(next() * n);
  const item = (n: number, price: number): Item => ({ item_id: `i${n}`, category: `c${n % 4}`, brand: `b${n % 3}`, price });
  for (let n = 0; n < 30; n++) yield { kind: 'item_put', at_ms: START_MS, item: item(n, 5 + n) };
  for (let e = 0; e < EVENTS; e++) {
    const at_ms = START_MS + Math.floor((e / EVENTS) * 40 * DAY_MS);
    if (e % 90 === 50) yield { kind: 'item_put', at_ms, item: item(below(30), 50 + below(50)) };
    if (e % 400 === 350) yield { kind: 'item_delete', at_ms, item_id: `i${below(30)}` };
    const user_id = e % 3 === 0 || at_ms < START_MS + 5 * DAY_MS || at_ms > START_MS + 30 * DAY_MS ? `u${below(40)}` : `v${below(40)}`;
    const common = { event_id: `e${e}`, timestamp_ms: at_ms - below(1_000), user_id, session_id: `s-${user_id}-${below(3)}` };
    const items = [{ item_id: `i${below(30)}`, quantity: 1 + below(3), ...(next() < 0.5 && { price: 1 + below(90) }) }];
    const event: TimedEvent =
      next() < 0.6
        ? { ...common, name: next() < 0.3 ? 'purchase' : 'view_item', items }
        : next() < 0.9
          ? {
              ...common,
              name: 'payment_attempt',
              value: 1 + below(300),
              card_id: `k${below(60)}`,
              device_id: `d${below(30)}`,
              ip: `10.0.0.${below(99)}`,
              country: 'CH',
            }
          : { ...common, name: 'label', transaction_id: `e${below(e + 1)}`, is_fraud: next() < 0.5 };
    yield { kind: 'event', at_ms, event };
  }
}

async function withStore<T>(
  engine: FeatureEngine,
  work: (store: Store<EntityState>, clock: { nowMs: number }) => Promise<T>,
  dir = dataDir,
): Promise<T> {
  const clock = { nowMs: END_MS };
  const retention = { journalRecordsMax: 1_000_000, alertsMax: 1_000, idempotencyMs: DAY_MS, stateTtlMs: TTL_MS };
  const store = await openLmdbStore<EntityState>({ path: join(dir, 'store'), codec: engine.codec, retention, clock: () => clock.nowMs });
  try {
    return await work(store, clock);
  } finally {
    await store.close();
  }
}

/** A shop that took all of it in, as a gateway with these features does. */
async function shop(engine: FeatureEngine, dir: string, facts: Iterable<Fact> = history()): Promise<void> {
  await withStore(
    engine,
    async (store, clock) => {
      const catalogue = new Catalogue();
      for (const fact of facts) {
        clock.nowMs = fact.at_ms;
        if (fact.kind === 'item_put') {
          catalogue.put(fact.item);
          await store.write([fact], [{ collection: ITEMS_COLLECTION, id: fact.item.item_id, value: fact.item }], { durable: false });
        } else if (fact.kind === 'item_delete') {
          catalogue.delete(fact.item_id);
          await store.write([fact], [{ collection: ITEMS_COLLECTION, id: fact.item_id, value: undefined }], { durable: false });
        } else if (fact.kind === 'event') {
          await store.ingest([eventUnit(engine, (id) => catalogue.get(id), fact.event, fact.at_ms)], { durable: false });
        } else await store.write([fact]);
      }
      await store.flush();
    },
    dir,
  );
}

/** The bytes of every state that the events of the history touched. */
async function statesOf(engine: FeatureEngine, dir = dataDir): Promise<Map<string, string>> {
  const refs = new Map<string, EntityRef>();
  for (const fact of history()) if (fact.kind === 'event') for (const ref of engine.entities(fact.event)) refs.set(`${ref.kind}:${ref.id}`, ref);
  return withStore(
    engine,
    async (store) => {
      const found = new Map<string, string>();
      for (const [name, ref] of refs) {
        const [state] = await store.states([ref]);
        if (state) found.set(name, Buffer.from(engine.codec.encode(state)).toString('hex'));
      }
      return found;
    },
    dir,
  );
}

const engines = { few: createFeatureEngine(few), all: createFeatureEngine(all) };
const rebuild = (more: Partial<RebuildOptions> = {}) =>
  rebuildStates({
    config: { store: 'lmdb', dataDir, stateTtlMs: TTL_MS, stateCacheEntries: 20 },
    engine: engines.all,
    anew: false,
    partial: false,
    flushStates: 200,
    onProgress: () => undefined,
    now: () => END_MS,
    ...more,
  });

async function warnings(declarations: FeatureDeclarations): Promise<readonly string[]> {
  const metrics = new Metrics();
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const filling = await withStore(engines.all, (store) =>
    openFeatureChange({ store: store as Store<never>, declarations, log, metrics, now: () => END_MS }),
  );
  metrics.close();
  return filling();
}

// Each makes a shop or two of their own, which a busy machine takes its time for.
describe('a rebuild', { timeout: 120_000 }, () => {
  test('makes the very states of a shop that had the declarations from the start, and its warnings end', async () => {
    const other = await mkdtemp(join(tmpdir(), 'gatehouse-rebuild-'));
    try {
      await shop(engines.all, other);
      await shop(engines.few, dataDir);
      const wanted = await statesOf(engines.all, other);
      expect(new Set([...wanted.keys()].map((name) => name.split(':')[0]!)).size).toBeGreaterThan(5);
      expect(await statesOf(engines.all)).not.toEqual(wanted);
      await warnings(few);
      expect(await warnings(all)).toHaveLength(1);

      const heard: number[] = [];
      const report = await rebuild({ onProgress: (done, total) => heard.push(done / total) });
      expect(report).toEqual({ records: expect.any(Number), states: expect.any(Number), resumed_at: 0 });
      expect(heard.at(-1)).toBe(1);
      expect(await statesOf(engines.all)).toEqual(wanted);
      expect(await warnings(all)).toEqual([]);
      // The gateway goes on from there as the other one does.
      const late: Fact = {
        kind: 'event',
        at_ms: END_MS,
        event: { event_id: 'late', name: 'view_item', timestamp_ms: END_MS, user_id: 'u1', items: [{ item_id: 'i1' }] },
      };
      for (const dir of [dataDir, other]) await shop(engines.all, dir, [late]);
      expect(await statesOf(engines.all)).toEqual(await statesOf(engines.all, other));
    } finally {
      await rm(other, { recursive: true, force: true });
    }
  });

  test('that is stopped leaves the old states, and goes on, unless the declarations or the wish are others', async () => {
    await shop(engines.all, dataDir);
    const wanted = await statesOf(engines.all);
    const stopped = async (more: Partial<RebuildOptions> = {}): Promise<void> => {
      const abort = new AbortController();
      abort.abort();
      await expect(rebuild({ signal: abort.signal, pageRecords: 300, ...more })).rejects.toMatchObject({ code: 'cancelled' });
      expect(await statesOf(engines.all)).toEqual(wanted);
    };
    await stopped();
    expect(await rebuild()).toMatchObject({ resumed_at: 300 });
    expect(await statesOf(engines.all)).toEqual(wanted);
    await stopped();
    expect(await rebuild({ anew: true })).toMatchObject({ resumed_at: 0 });
    await stopped({ engine: engines.few });
    expect(await rebuild()).toMatchObject({ resumed_at: 0 });
    expect(await statesOf(engines.all)).toEqual(wanted);
  });

  test('counts nobody who was erased, also where an earlier try had', async () => {
    await shop(engines.all, dataDir);
    const abort = new AbortController();
    abort.abort();
    await expect(rebuild({ signal: abort.signal, pageRecords: 400 })).rejects.toMatchObject({ code: 'cancelled' });
    await withStore(engines.all, async (store) => {
      const own = (await store.read(0, 10_000)).filter(({ fact }) => fact.kind === 'event' && fact.event.user_id === 'u1');
      await store.erase({
        facts: own.map(({ offset, fact }) => ({ offset, fact: { kind: 'erased', at_ms: fact.at_ms } })),
        states: [{ kind: 'user', id: 'u1' }],
      });
      await store.write([{ kind: 'admin', at_ms: END_MS, actor: 'admin', action: ERASE_DONE, detail: {} }]);
    });
    expect(await rebuild()).toMatchObject({ resumed_at: 0 });
    const states = await statesOf(engines.all);
    expect([states.has('user:u1'), states.has('user:u2')]).toEqual([false, true]);
  });

  test('says what the journal does not reach back to, and loses it only when told to', async () => {
    await shop(engines.all, dataDir);
    const retention = { journalRecordsMax: 500, alertsMax: 1_000, idempotencyMs: DAY_MS, stateTtlMs: TTL_MS };
    const store = await openLmdbStore<EntityState>({ path: join(dataDir, 'store'), codec: engines.all.codec, retention, clock: () => END_MS });
    await store.retain(END_MS);
    const [oldest] = await store.read(0, 1);
    await store.close();
    const before = await statesOf(engines.all);
    await expect(rebuild()).rejects.toMatchObject({ code: 'rebuild_incomplete', detail: expect.stringMatching(/begins on 2023-.* \d+ more$/) });
    expect(await statesOf(engines.all)).toEqual(before);
    const { incomplete } = await rebuild({ partial: true });
    expect(incomplete).toMatchObject({ since: new Date(oldest!.fact.at_ms).toISOString() });
    const features = Object.entries(all.sets).flatMap(([set, list]) =>
      list.flatMap((feature) => ('window' in feature && feature.window === '90d' ? [`${set}.${feature.name}`] : [])),
    );
    expect(incomplete!.features).toEqual(expect.arrayContaining(features));
    expect(incomplete!.features.some((name) => name.endsWith('_1h'))).toBe(false);
    // These are said to be filling from then on.
    expect(await warnings(all)).toHaveLength(1);
  });

  test('is refused while a gateway has the store, on Redis, and where there is none', async () => {
    await expect(rebuild()).rejects.toMatchObject({ code: 'input_unreadable' });
    await withStore(engines.all, async () => {
      await expect(rebuild()).rejects.toMatchObject({ code: 'store_locked' });
    });
    const redis = { store: 'redis', dataDir, stateTtlMs: TTL_MS, stateCacheEntries: 20 } as const;
    await expect(rebuild({ config: redis })).rejects.toMatchObject({ code: 'rebuild_unsupported' });
  });
});

import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { EntityState, FeatureEngine } from '../../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { eventUnit } from '../../scoring/ingest.ts';
import type { EntityRef, Store } from '../../store/contract.ts';
import { openLmdbStore } from '../../store/lmdb.ts';
import { COMMAND } from './gateway-process.suite.ts';

// Promise 9: what is derived from the journal can be made anew, and a rebuild that kill -9 cuts short harms nothing.

const EVENTS = 15_000;
const BATCH = 1_000;
const now = Date.now();
const ref = (n: number): EntityRef => ({ kind: 'user', id: `u${n}` });

async function withStore<T>(dir: string, engine: FeatureEngine, work: (store: Store<EntityState>) => Promise<T>): Promise<T> {
  const retention = { journalRecordsMax: 1e9, alertsMax: 1e6, idempotencyMs: 1e9, stateTtlMs: 1e12 };
  const store = await openLmdbStore<EntityState>({ path: join(dir, 'store'), codec: engine.codec, retention });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

const shop = (dir: string, engine: FeatureEngine): Promise<void> =>
  withStore(dir, engine, async (store) => {
    const unit = (n: number) => {
      const who = { user_id: `u${n % (EVENTS / 2)}`, session_id: `s${n}`, device_id: `d${n}` };
      return eventUnit(
        engine,
        () => undefined,
        { event_id: `e${n}`, name: 'payment_attempt', timestamp_ms: now - EVENTS + n, value: n % 300, ...who },
        now,
      );
    };
    for (let n = 0; n < EVENTS; n += BATCH) await store.ingest(Array.from({ length: BATCH }, (_, i) => unit(n + i)));
  });

const statesOf = (dir: string, engine: FeatureEngine): Promise<string[]> =>
  withStore(dir, engine, async (store) => {
    const states = await store.states(Array.from({ length: EVENTS / 2 }, (_, n) => ref(n)));
    return states.map((state) => (state ? Buffer.from(engine.codec.encode(state)).toString('latin1') : ''));
  });

test('kill -9 in the middle of a rebuild leaves the old states, and the next rebuild makes the new ones', async () => {
  const { sets, version, histories } = DEFAULT_DECLARATIONS;
  const few = createFeatureEngine({ version, histories, sets: { fraud: sets['fraud']!.slice(0, 3) } });
  const all = createFeatureEngine(DEFAULT_DECLARATIONS);
  const [data, other] = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'gatehouse-rebuild-'))));
  try {
    await shop(data!, few);
    await shop(other!, all);
    const [old, wanted] = [await statesOf(data!, few), await statesOf(other!, all)];

    const rebuild = () => spawn(COMMAND[0]!, [COMMAND[1]!, 'rebuild', '--data-dir', data!], { stdio: ['ignore', 'ignore', 'pipe'] });
    const file = join(data!, 'store', 'data.mdb');
    const bytes = statSync(file).size;
    const killed = rebuild();
    const ended = new Promise((resolve) => killed.once('close', (_, signal) => resolve(signal)));
    await expect.poll(() => statSync(file).size, { interval: 1, timeout: 30_000 }).toBeGreaterThan(bytes);
    killed.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
    expect(await statesOf(data!, few)).toEqual(old);

    const whole = rebuild();
    let said = '';
    whole.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    expect([await new Promise((resolve) => whole.once('close', resolve)), said]).toEqual([0, expect.stringContaining('15k records')]);
    expect(await statesOf(data!, all)).toEqual(wanted);
  } finally {
    await Promise.all([data!, other!].map((dir) => rm(dir, { recursive: true, force: true })));
  }
}, 120_000);

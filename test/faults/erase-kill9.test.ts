import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ErasuresResponse } from '../../contracts/privacy.ts';
import { ADMIN_TOKEN, SECRET_KEY } from '../../gateway/data/data.suite.ts';
import { openLmdbJournal } from '../../store/lmdb.ts';
import { GatewayProcess } from './gateway-process.suite.ts';

// Promise 10: an erasure that kill -9 cuts short goes on at the next start.

const BATCHES = 12;
const BATCH = 1_000;
/** Every third event is of the person. */
const OF_PERSON = 3;
const PERSON = 'ann-of-the-test';

async function ask<T>(port: number, method: string, path: string, key: string, body?: unknown): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** Journal records by kind, and how many of them name the person. */
async function journal(data: string): Promise<{ erased: number; named: number; done: number }> {
  const reader = openLmdbJournal(join(data, 'store'));
  try {
    const records = await reader.read(0, 2 * BATCHES * BATCH);
    return {
      erased: records.filter(({ fact }) => fact.kind === 'erased').length,
      named: records.filter((record) => JSON.stringify(record).includes(PERSON)).length,
      done: records.filter(({ fact }) => fact.kind === 'admin' && fact.action === 'user.erase.done').length,
    };
  } finally {
    await reader.close();
  }
}

test('kill -9 in the middle of an erasure leaves work that the next start ends', async () => {
  const data = await mkdtemp(join(tmpdir(), 'gatehouse-erase-'));
  try {
    const first = await new GatewayProcess(data).ready();
    for (let b = 0; b < BATCHES; b++) {
      const events = Array.from({ length: BATCH }, (_, i) => ({
        event_id: `e${b}.${i}`,
        name: 'page_view',
        user_id: i % OF_PERSON === 0 ? PERSON : `u${i}`,
      }));
      await ask(first.dataPort, 'POST', '/v1/events', SECRET_KEY, { events });
    }
    const before = (await journal(data)).named;
    expect(before).toBe(BATCHES * Math.ceil(BATCH / OF_PERSON));
    await ask(first.controlPort, 'DELETE', `/v1/users/${PERSON}`, ADMIN_TOKEN);
    const progress = () => ask<ErasuresResponse>(first.controlPort, 'GET', '/v1/erasures', ADMIN_TOKEN);
    await expect.poll(async () => (await progress()).erasures[0]?.erased, { interval: 1, timeout: 20_000 }).toBeGreaterThan(0);
    first.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    const killed = await journal(data);
    expect(killed.erased).toBeGreaterThan(0);
    expect(killed.erased + killed.named).toBe(before);

    const second = await new GatewayProcess(data).ready();
    const state = async () => (await ask<ErasuresResponse>(second.controlPort, 'GET', '/v1/erasures', ADMIN_TOKEN)).erasures[0]?.state;
    await expect.poll(state, { timeout: 20_000 }).toBe('done');
    second.kill('SIGTERM');
    await second.ended;
    expect(await journal(data)).toEqual({ erased: before, named: 0, done: 1 });
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}, 60_000);

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { ErasuresResponse } from '../../contracts/privacy.ts';
import { readConfig } from '../../gateway/config.ts';
import { ADMIN_TOKEN, SECRET_KEY } from '../../gateway/data/data.suite.ts';
import { type JournalSettings, openJournalOf } from '../../gateway/rules/journal.ts';
import { RedisServer } from '../../store/redis-server.testing.ts';
import { describeWith } from '../describe-with.ts';
import { REDIS } from '../services.ts';
import { GatewayProcess, type Settings } from './gateway-process.suite.ts';

// Promise 10: an erasure that kill -9 cuts short goes on at the next start.

const BATCHES = 24;
const BATCH = 250;
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
async function journal(settings: JournalSettings): Promise<{ erased: number; named: number; done: number }> {
  const reader = await openJournalOf(settings);
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

let running: GatewayProcess[] = [];
afterEach(async () => {
  for (const one of running) await one.destroy();
  running = [];
});
const started = (one: GatewayProcess): GatewayProcess => {
  running.push(one);
  return one;
};

async function killedAndEnded(data: string, redisUrl: string | undefined): Promise<void> {
  const settings: Settings = redisUrl === undefined ? {} : { GATEHOUSE_STORE: 'redis', GATEHOUSE_REDIS_URL: redisUrl };
  const reading = readConfig({ ...settings, GATEHOUSE_DATA_DIR: data });
  const first = await started(new GatewayProcess(data, settings)).ready();
  for (let b = 0; b < BATCHES; b++) {
    const events = Array.from({ length: BATCH }, (_, i) => ({
      event_id: `e${b}.${i}`,
      name: 'page_view',
      user_id: i % OF_PERSON === 0 ? PERSON : `u${i}`,
    }));
    // Redis may be late on a busy machine; sending again is safe.
    const sent = () => ask(first.dataPort, 'POST', '/v1/events', SECRET_KEY, { events }).then(Boolean, () => false);
    await expect.poll(sent, { timeout: 20_000 }).toBe(true);
  }
  const before = (await journal(reading)).named;
  expect(before).toBe(BATCHES * Math.ceil(BATCH / OF_PERSON));
  await ask(first.controlPort, 'DELETE', `/v1/users/${PERSON}`, ADMIN_TOKEN);
  const progress = () => ask<ErasuresResponse>(first.controlPort, 'GET', '/v1/erasures', ADMIN_TOKEN);
  await expect.poll(async () => (await progress()).erasures[0]?.erased, { interval: 1, timeout: 20_000 }).toBeGreaterThan(0);
  first.kill('SIGKILL');
  expect((await first.ended).signal).toBe('SIGKILL');
  const killed = await journal(reading);
  expect(killed.erased).toBeGreaterThan(0);
  expect(killed.erased + killed.named).toBe(before);

  const second = await started(new GatewayProcess(data, settings)).ready();
  const state = async () => (await ask<ErasuresResponse>(second.controlPort, 'GET', '/v1/erasures', ADMIN_TOKEN)).erasures[0]?.state;
  await expect.poll(state, { timeout: 20_000 }).toBe('done');
  second.kill('SIGTERM');
  await second.ended;
  expect(await journal(reading)).toEqual({ erased: before, named: 0, done: 1 });
}

test('kill -9 in the middle of an erasure leaves work that the next start ends', async () => {
  const data = await mkdtemp(join(tmpdir(), 'gatehouse-erase-'));
  try {
    await killedAndEnded(data, undefined);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}, 60_000);

describeWith(REDIS, 'on Redis', () => {
  test('the same', async () => {
    const data = await mkdtemp(join(tmpdir(), 'gatehouse-erase-'));
    const server = new RedisServer();
    try {
      await server.start();
      await killedAndEnded(data, server.url);
      expect(server.fileBytes().includes(PERSON)).toBe(false);
    } finally {
      await server.destroy();
      await rm(data, { recursive: true, force: true });
    }
  }, 60_000);
});

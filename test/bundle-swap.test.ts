import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TreeEnsemble } from '../contracts/trees.ts';
import { generateKey } from '../gateway/auth/keys.ts';
import { readConfig } from '../gateway/config.ts';
import type { Gateway } from '../gateway/main.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { testParts } from '../training/bundle/parts.testing.ts';
import { writeBundle } from '../training/bundle/write.ts';

// Guarantee 6 (bundles swap whole): under load no request fails, and each is answered by one bundle from end to end.

const SWAPS = 20;
const CONNECTIONS = 200;
/** Between two requests of a caller: as many are under way as a busy shop has, and the machine has room for the swap's child process. */
const THINK_MS = 50;
const CHILD = fileURLToPath(new URL('./bundle-swap-child.mjs', import.meta.url));
const ADMIN = generateKey('admin');
const SECRET = generateKey('secret');
const ITEMS = 60;

/** What tells a bundle's answers: a constant model, so that a decision made of one bundle's model and another one's thresholds would show. */
const SIGN = {
  v1: { probability: 0.25, decision: 'approve', rank: 1 },
  v2: { probability: 0.75, decision: 'decline', rank: 2 },
} as const;
type Version = keyof typeof SIGN;
const THRESHOLDS = { v1: { review: 0.3, challenge: 0.4, decline: 0.5 }, v2: { review: 0.6, challenge: 0.7, decline: 0.74 } };

let dataDir: string;
let gateway: Gateway;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-swap-'));
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  for (const version of ['v1', 'v2'] as const) await writeBundle(join(dataDir, 'bundles'), await partsOf(version));
  // The compiled gateway, because its probe is a compiled child process.
  const compiled = new URL('../dist/gateway/main.js', import.meta.url).href;
  const { startGateway } = (await import(compiled)) as typeof import('../gateway/main.ts');
  gateway = await startGateway(
    readConfig(
      {},
      {
        dataDir,
        port: 0,
        controlPort: 0,
        adminToken: ADMIN,
        secretKeys: [SECRET],
        logLevel: 'silent',
        // Shedding and deadlines are tested elsewhere: here a slow machine must not look like a bad swap.
        eventLoopDelayMaxMs: 60_000,
        recommendDeadlineMs: 10_000,
        scoreDeadlineMs: 10_000,
        requestTimeoutMs: 60_000,
      },
    ),
  );
  await data('PUT', '/v1/items', { items: Array.from({ length: ITEMS }, (_, i) => ({ item_id: `i${i}`, category: `c${i % 5}`, price: i + 1 })) });

  async function partsOf(version: Version) {
    const parts = await testParts(engine, version);
    const constant = (set: string, objective: TreeEnsemble['objective'], base: number): TreeEnsemble => ({
      objective,
      featureCount: engine.names(set).length,
      base: Math.fround(base),
      trees: [],
    });
    const { probability, rank } = SIGN[version];
    return {
      ...parts,
      fraud: {
        ...parts.fraud,
        model: constant('fraud', 'binary', Math.log(probability / (1 - probability))),
        calibration: { kind: 'platt' as const, a: 1, b: 0 },
        thresholds: THRESHOLDS[version],
      },
      ranker: { ...parts.ranker, model: constant('rank', 'regression', rank) },
    };
  }
});

afterAll(async () => {
  await gateway?.drain();
  await rm(dataDir, { recursive: true });
});

async function call<T>(port: number, token: string, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}
const data = <T>(method: string, path: string, body: unknown): Promise<T> => call<T>(gateway.dataPort, SECRET, method, path, body);
const activate = (version: Version) => call<{ current: string }>(gateway.controlPort, ADMIN, 'POST', `/v1/bundles/${version}/activate`);

/** What the shop got: how often each distinct answer. */
async function underLoad(work: () => Promise<void>): Promise<Record<string, number>> {
  const shop = fork(CHILD, [gateway.dataPort, SECRET, CONNECTIONS, THINK_MS].map(String), { execArgv: [] });
  const answered = new Promise<Record<string, number>>((resolve, reject) => {
    shop.once('message', (counts) => resolve(counts as Record<string, number>));
    shop.once('exit', (code) => reject(new Error(`the shop ended with ${code}`)));
  });
  try {
    await work();
    shop.send('stop');
    return await answered;
  } finally {
    shop.kill();
  }
}

test('20 swaps under 200 connections: no request fails, and each answer is that of one bundle from end to end', async () => {
  await activate('v1');
  const counts = await underLoad(async () => {
    for (let swap = 1; swap <= SWAPS; swap++) {
      const version = swap % 2 === 0 ? 'v1' : 'v2';
      expect(await activate(version)).toEqual({ current: version });
    }
  });
  const whole = (['v1', 'v2'] as const).flatMap((version) => {
    const { probability, decision, rank } = SIGN[version];
    const shown = probability.toFixed(4);
    return [`score ${version} ${decision} ${shown} ${shown} false`, `recommend ${version} ${Array(5).fill(rank).join(' ')} false`];
  });
  // Nothing else came, and each of the four came often.
  expect(Object.keys(counts).sort()).toEqual(whole.sort());
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(CONNECTIONS);
  expect(gateway.bundles.current!.version).toBe('v1');
}, 180_000);

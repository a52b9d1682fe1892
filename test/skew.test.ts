import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event } from '../contracts/event.ts';
import type { ScoreRequest } from '../contracts/score.ts';
import { readConfig } from '../gateway/config.ts';
import { openFeatures } from '../gateway/features-file.ts';
import { type Gateway, startGateway } from '../gateway/main.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import { createShop } from '../simulator/index.ts';
import { factsOf } from '../training/facts.ts';
import { Replay } from '../training/replay.ts';
import { KEYS } from './e2e/command-line.ts';

/** What is sent of a simulated shop: enough that every entity has been seen again and again. */
const EVENTS = 3_000;

/** The shipped features use every operator but these; the entities that they leave out are here as well. */
const ATTEMPTS = { text: '{value}', events: ['payment_attempt'] };
const MORE_FEATURES = {
  version: 2,
  extends: 'default',
  sets: {
    fraud: [
      { name: 'network_customers', ...ATTEMPTS, aggregate: 'distinct', entity: 'network', window: '24h', of: 'user_id' },
      { name: 'network_amount', ...ATTEMPTS, aggregate: 'sum', entity: 'network', window: '14d', of: 'amount' },
      { name: 'domain_median', ...ATTEMPTS, aggregate: 'recent', entity: 'email_domain', of: 'amount', statistic: 'median', last: 200 },
      { name: 'card_last', ...ATTEMPTS, aggregate: 'last', entity: 'card', of: 'amount' },
      { name: 'user_least', ...ATTEMPTS, aggregate: 'min', entity: 'user', window: '14d', of: 'amount' },
      { name: 'user_currency_share', ...ATTEMPTS, aggregate: 'share', entity: 'user', of: 'currency' },
      { name: 'abroad', text: '{value}', aggregate: 'differs', left: 'country', right: 'ip_country' },
    ],
  },
};

let dir: string;
let featuresFile: string;
let gateway: Gateway;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-skew-'));
  featuresFile = join(dir, 'features.json');
  await writeFile(featuresFile, JSON.stringify(MORE_FEATURES));
  gateway = await startGateway(
    readConfig({}, { dataDir: dir, featuresFile, port: 0, controlPort: 0, secretKeys: [KEYS.secret], adminToken: KEYS.admin, logLevel: 'silent' }),
  );
});
afterAll(async () => {
  await gateway?.drain();
  await rm(dir, { recursive: true, force: true });
});

async function send(method: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${gateway.dataPort}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEYS.secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

test('the vector that a payment was scored on is, bit for bit, the one that a replay of the journal computes', async () => {
  const shop = createShop({ seed: 11, endMs: Date.now(), users: 40, items: 60, days: 30, fraudRate: 0.1 });
  await send('PUT', '/v1/items', { items: shop.items() });
  let sent = 0;
  let batch: Event[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await send('POST', '/v1/events', { events: batch });
    batch = [];
  };
  for (const event of shop.history()) {
    if (++sent > EVENTS) break;
    if (event.name !== 'payment_attempt') batch.push(event);
    else {
      await flush();
      const { event_id: _id, name: _name, value, ...rest } = event;
      // What the simulated shop does not say, said for it.
      const places = {
        merchant_id: `m${sent % 3}`,
        email_domain: `mail${sent % 7}.example`,
        country: 'DE',
        ip_country: sent % 5 === 0 ? 'FR' : 'DE',
      };
      await send('POST', '/v1/score', { ...places, ...rest, amount: sent % 4 === 0 ? 8 * value! : value } as ScoreRequest);
    }
    if (batch.length === 100) await flush();
  }
  await flush();

  const engine = await openFeatures(featuresFile);
  const replay = new Replay(engine);
  const vector = new Float32Array(engine.names(FRAUD_SET).length);
  const replayed = new Map<string, string>();
  const seen = new Array<boolean>(vector.length).fill(false);
  let decisions = 0;
  const different: string[] = [];
  for await (const { fact } of factsOf(gateway.store)) {
    replay.apply(fact);
    if (fact.kind === 'event' && fact.event.name === 'payment_attempt') {
      engine.vector(FRAUD_SET, replay.paymentSubject(fact.event), [], vector, 0);
      replayed.set(fact.event.event_id, bits(vector));
      for (const [i, value] of vector.entries()) seen[i] ||= !Number.isNaN(value);
    } else if (fact.kind === 'decision') {
      decisions++;
      if (replayed.get(fact.request.transaction_id) !== bits(Float32Array.from(fact.vector!))) different.push(fact.request.transaction_id);
    }
  }
  expect(decisions).toBeGreaterThan(30);
  // Each operator gave a number somewhere: an equality of nothing but missing values would prove little.
  expect(engine.names(FRAUD_SET).filter((_, i) => !seen[i])).toEqual([]);
  expect(different).toEqual([]);
}, 60_000);

function bits(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex');
}

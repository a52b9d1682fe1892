/**
 * What networks and mail domains cost a payment, with the very declarations that docs/features.md shows: CPU of states, vector and encoding beside the
 * shipped set, in pairs, and the bytes that a payment writes.
 *
 *   node dist/loadtests/bench/shared-entities.js
 */
import { readFileSync } from 'node:fs';
import type { EntityState, FeatureEngine } from '../../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { parseFeatureFile } from '../../scoring/features/file.ts';
import { paymentEvent } from '../../scoring/ingest.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import type { EntityKind } from '../../store/contract.ts';
import { seededRandom } from '../../training/learners/random.ts';

const PAYMENTS = 60_000;
const ROUNDS = 5;
const START_MS = 1_750_000_000_000;
const USERS = 5_000;
const NETWORKS = 500;
/** A few domains have nearly all customers. */
const DOMAINS = 30;
/** Payments at a steady pace over ten days. */
const STEP_MS = 14_400;

const random = seededRandom(1);
const payments = Array.from({ length: PAYMENTS }, (_, i) => {
  const user = random.int(USERS);
  const network = Math.floor(random.next() ** 2 * NETWORKS);
  const request = {
    ...{ transaction_id: `t${i}`, user_id: `u${user}`, session_id: `s${i >> 1}`, amount: 1 + random.next() * 200, payment_method: 'card' },
    ...{
      card_id: `c${user}`,
      device_id: `d${user}`,
      ip: `10.${network >> 8}.${network & 255}.${random.int(256)}`,
      merchant_id: `m${random.int(50)}`,
    },
    email_domain: `mail${Math.floor(random.next() ** 4 * DOMAINS)}.example`,
  };
  return paymentEvent(request, START_MS + i * STEP_MS);
});

/** One pass over all payments, as the gateway does each: states forward, vector, states encoded. */
function pass(engine: FeatureEngine): { readonly us: number; readonly bytes: number; readonly largest: ReadonlyMap<EntityKind, number> } {
  const states = new Map<string, EntityState>();
  const largest = new Map<EntityKind, number>();
  const out = new Float32Array(engine.names(FRAUD_SET).length);
  let bytes = 0;
  const cpu = process.cpuUsage();
  for (const event of payments) {
    const own: Partial<Record<EntityKind, EntityState>> = {};
    for (const ref of engine.entities(event)) {
      const key = `${ref.kind}:${ref.id}`;
      const state = engine.apply(ref, states.get(key), event, () => undefined);
      states.set(key, state);
      own[ref.kind] = state;
      const { length } = engine.codec.encodeShared(state);
      bytes += length;
      if (length > (largest.get(ref.kind) ?? 0)) largest.set(ref.kind, length);
    }
    engine.vector(FRAUD_SET, { nowMs: event.timestamp_ms, states: own, event }, [], out, 0);
  }
  const { user, system } = process.cpuUsage(cpu);
  return { us: (user + system) / PAYMENTS, bytes: bytes / PAYMENTS, largest };
}

const docs = readFileSync(new URL('../../../docs/features.md', import.meta.url), 'utf8');
const declared = /## Networks and mail domains[\s\S]*?```json\n([\s\S]*?)```/.exec(docs)?.[1];
if (declared === undefined) throw new Error('docs/features.md declares no networks');
const engines = { shipped: createFeatureEngine(DEFAULT_DECLARATIONS), 'with networks and domains': createFeatureEngine(parseFeatureFile(declared)) };
// To warm up the compiler.
for (const engine of Object.values(engines)) pass(engine);
const best = new Map<string, ReturnType<typeof pass>>();
for (let round = 0; round < ROUNDS; round++)
  for (const [name, engine] of Object.entries(engines)) {
    const one = pass(engine);
    if (one.us < (best.get(name)?.us ?? Number.POSITIVE_INFINITY)) best.set(name, one);
  }
for (const [name, { us, bytes, largest }] of best) {
  const shared = (['network', 'email_domain'] as const).map((kind) => `${kind} ${largest.get(kind) ?? 0}`).join(', ');
  process.stdout.write(
    `${name}: ${us.toFixed(1)} us of CPU and ${Math.round(bytes)} bytes of states a payment; the largest state: ${shared} bytes\n`,
  );
}

/**
 * Feature engine with the default declarations: update, read, and size of the stored state, one line a figure. The mix is seeded.
 *
 *   node dist/loadtests/bench/features.js
 */
import type { TimedEvent } from '../../contracts/event.ts';
import type { Candidate, EntityState, ItemFacts, Subject } from '../../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import type { EntityKind } from '../../store/contract.ts';

const SEED = 7;
const START_MS = 1_750_000_000_000;
const STEP_MS = 90_000;
const EVENTS = 50_000;
const READ_ROUNDS = 20_000;
const RANK_ROUNDS = 500;
const CANDIDATES = 200;
const ITEM_EVENTS = 150;

/** Small seeded generator (mulberry32). */
function generator(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const random = generator(SEED);
const pick = (n: number): number => Math.floor(random() * n);
const facts: readonly ItemFacts[] = Array.from({ length: 2000 }, (_, i) => ({
  category: `category-${i % 20}`,
  brand: `brand-${i % 50}`,
  price: 5 + (i % 90),
  stock: 10,
  created_ms: START_MS - i * 1_000_000,
}));
const lookup = (id: string): ItemFacts | undefined => facts[Number(id.slice(5))];

function makeEvent(i: number, name: TimedEvent['name']): TimedEvent {
  const common = { event_id: `event-${i}`, name, timestamp_ms: START_MS + i * STEP_MS, user_id: 'user-1', session_id: 'session-1' };
  if (name === 'payment_attempt') {
    const party = { card_id: `card-${pick(4)}`, device_id: `device-${pick(3)}`, ip: `10.0.0.${pick(30)}`, merchant_id: 'merchant-1' };
    return { ...common, ...party, payment_method: pick(2) === 0 ? 'card' : 'wallet', value: 5 + random() * 200 };
  }
  return { ...common, items: [{ item_id: `item-${pick(2000)}`, quantity: 1 + pick(3) }] };
}

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const payments = Array.from({ length: EVENTS }, (_, i) => makeEvent(i, 'payment_attempt'));
const shopping = Array.from({ length: EVENTS }, (_, i) => makeEvent(i, (['view_item', 'view_item', 'add_to_cart', 'purchase'] as const)[pick(4)]!));

/** Seconds for one run of `work`, the best of three after one to warm up. */
function bestSeconds(work: () => void): number {
  let best = Infinity;
  for (let i = 0; i < 4; i++) {
    const from = process.hrtime.bigint();
    work();
    const seconds = Number(process.hrtime.bigint() - from) / 1e9;
    if (i > 0) best = Math.min(best, seconds);
  }
  return best;
}

function print(what: string, value: number, unit: string): void {
  process.stdout.write(`${what.padEnd(62)} ${value.toFixed(value < 100 ? 2 : 0).padStart(10)} ${unit}\n`);
}

function fill(kind: EntityKind, id: string, events: readonly TimedEvent[]): EntityState {
  let state: EntityState | undefined;
  for (const event of events) state = engine.apply({ kind, id }, state, event, lookup);
  if (!state) throw new Error('no events');
  return state;
}

function benchApply(kind: EntityKind, id: string, what: string, events: readonly TimedEvent[]): void {
  const seconds = bestSeconds(() => fill(kind, id, events));
  print(`apply, ${what}`, events.length / seconds, 'events/s');
}

function benchRoundTrip(kind: EntityKind, id: string, what: string, events: readonly TimedEvent[]): void {
  let bytes = engine.codec.encode(fill(kind, id, events));
  const tail = events.slice(0, EVENTS / 10).map((event) => ({ ...event, timestamp_ms: event.timestamp_ms + EVENTS * STEP_MS }));
  const seconds = bestSeconds(() => {
    for (const event of tail) bytes = engine.codec.encode(engine.apply({ kind, id }, engine.codec.decode(bytes), event, lookup));
  });
  print(`decode + apply + encode, ${what}`, tail.length / seconds, 'events/s');
  print(`encoded state, ${what}`, bytes.length, 'bytes');
}

benchApply('user', 'user-1', 'user, payments', payments);
benchApply('merchant', 'merchant-1', 'merchant, payments', payments);
benchApply('card', 'card-1', 'card, payments', payments);
benchApply('user', 'user-1', 'user, shopping with histories', shopping);
benchApply(
  'item',
  'item-1',
  'item, views and purchases',
  shopping.map((event) => ({ ...event, items: [{ item_id: 'item-1' }] })),
);

const busyUser = fill('user', 'user-1', shopping.slice(0, 2000));
for (const event of payments) engine.apply({ kind: 'user', id: 'user-1' }, busyUser, event, lookup);
benchRoundTrip('user', 'user-1', 'hot user, payments', payments);
benchRoundTrip('user', 'user-1', 'hot user, shopping with histories', shopping);
benchRoundTrip('merchant', 'merchant-1', 'hot merchant', payments);
print('encoded state, user of 10 payments', engine.codec.encode(fill('user', 'user-1', payments.slice(0, 10))).length, 'bytes');
print(
  'encoded state, item of 10 views',
  engine.codec.encode(
    fill(
      'item',
      'item-1',
      shopping.slice(0, 10).map((event) => ({ ...event, items: [{ item_id: 'item-1' }] })),
    ),
  ).length,
  'bytes',
);

const last = payments.at(-1)!;
const fraudStates = {
  user: busyUser,
  card: fill('card', 'card-1', payments),
  device: fill('device', 'device-1', payments),
  ip: fill('ip', 'ip-1', payments),
  merchant: fill('merchant', 'merchant-1', payments),
  session: fill('session', 'session-1', shopping),
};
const fraudSubject: Subject = { nowMs: last.timestamp_ms, states: fraudStates, event: last };
const fraud = new Float32Array(engine.names('fraud').length);
const fraudSeconds = bestSeconds(() => {
  for (let i = 0; i < READ_ROUNDS; i++) engine.vector('fraud', fraudSubject, [], fraud, 0);
});
print(`vector, fraud set of ${fraud.length}, six hot entities`, (fraudSeconds / READ_ROUNDS) * 1e6, 'us');

const candidates: Candidate[] = Array.from({ length: CANDIDATES }, (_, i) => {
  const id = `item-${i}`;
  const events = Array.from({ length: ITEM_EVENTS }, (_, j) => ({
    ...makeEvent(j, 'view_item'),
    name: (['view_item', 'add_to_cart', 'purchase'] as const)[pick(3)]!,
    timestamp_ms: last.timestamp_ms - pick(90 * 86_400_000),
    items: [{ item_id: id }],
  }));
  return { item: facts[i], state: fill('item', id, events), context: [random(), random(), random(), random(), 0, Number.NaN] };
});
const matrix = new Float32Array(CANDIDATES * engine.names('rank').length);
const rankSubject: Subject = { nowMs: last.timestamp_ms, states: fraudStates };
const rankSeconds = bestSeconds(() => {
  for (let i = 0; i < RANK_ROUNDS; i++) engine.vectors('rank', rankSubject, candidates, matrix);
});
print(`vectors, rank set of ${engine.names('rank').length}, ${CANDIDATES} items of ${ITEM_EVENTS} events`, (rankSeconds / RANK_ROUNDS) * 1e6, 'us');

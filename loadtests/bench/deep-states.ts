/**
 * The feature engine on states with a long past: payments of the Fraud Detection Handbook's size (5,000 customers, 10,000 terminals, some 9,600 payments a
 * day, a report on each a week later), replayed in memory as a backtest of imported payments does. After the days that fill every window and list, each
 * stage is measured in CPU time on the days that follow: states brought forward, vector, states encoded; then the stored states are decoded.
 *
 *   node --expose-gc dist/loadtests/bench/deep-states.js [days] [customers]
 */
import type { TimedEvent } from '../../contracts/event.ts';
import { EntityReplay } from '../../scoring/entity-replay.ts';
import type { EntityState } from '../../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import type { EntityKind } from '../../store/contract.ts';
import { seededRandom } from '../../training/learners/random.ts';

const TERMINALS_A_CUSTOMER = 2;
const PAYMENTS_A_CUSTOMER_AND_DAY = 1.92;
/** A customer pays at terminals near by. */
const TERMINALS_NEAR = 100;
const DAY_MS = 86_400_000;
const FRAUD_SHARE = 0.01;
/** The widest window, and what makes every list full. */
const FILL_DAYS = 97;
const START_MS = Date.UTC(2026, 0, 1);
/** A stage after the other is added, each for this part of a day in turn, so that what warms up or drifts meets all alike. */
const CHUNKS_A_DAY = 4;
const COLLECTIONS = 4;
const STAGES = ['states brought forward', 'vector', 'states encoded'] as const;

const days = Number(process.argv[2] ?? 21);
const CUSTOMERS = Number(process.argv[3] ?? 5_000);
const TERMINALS = CUSTOMERS * TERMINALS_A_CUSTOMER;
const PAYMENTS_A_DAY = CUSTOMERS * PAYMENTS_A_CUSTOMER_AND_DAY;
const STEP_MS = DAY_MS / PAYMENTS_A_DAY;
const LABEL_DELAY = 7 * PAYMENTS_A_DAY;
const CHUNK = PAYMENTS_A_DAY / CHUNKS_A_DAY;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const random = seededRandom(1);
const usual = Array.from({ length: CUSTOMERS }, () => 5 + random.next() * 95);
const homes = Array.from({ length: CUSTOMERS }, () => random.int(TERMINALS));

function paymentAt(i: number): TimedEvent {
  const customer = random.int(CUSTOMERS);
  const terminal = (homes[customer]! + random.int(TERMINALS_NEAR)) % TERMINALS;
  return {
    event_id: `p${i}`,
    name: 'payment_attempt',
    timestamp_ms: START_MS + i * STEP_MS,
    transaction_id: `p${i}`,
    user_id: `c${customer}`,
    merchant_id: `t${terminal}`,
    value: Math.round(usual[customer]! * (0.5 + random.next()) * 100) / 100,
  };
}

function labelOf(payment: TimedEvent): TimedEvent {
  const { event_id, timestamp_ms } = payment;
  return {
    ...{ ...payment, event_id: `l${event_id}`, name: 'label', timestamp_ms: timestamp_ms + LABEL_DELAY * STEP_MS },
    is_fraud: random.next() < FRAUD_SHARE,
  };
}

const replay = new EntityReplay(engine);
const vector = new Float32Array(engine.names(FRAUD_SET).length);
const reported: TimedEvent[] = [];
let next = 0;

/** The next payment, and the report on one of a week ago, as far as `stages` goes. */
function step(stages: number): void {
  const payment = paymentAt(next);
  reported[next % LABEL_DELAY] ??= payment;
  if (next >= LABEL_DELAY) {
    const label = labelOf(reported[next % LABEL_DELAY]!);
    reported[next % LABEL_DELAY] = payment;
    replay.apply({ kind: 'event', at_ms: label.timestamp_ms, event: label });
  }
  next++;
  replay.apply({ kind: 'event', at_ms: payment.timestamp_ms, event: payment });
  if (stages < 2) return;
  const subject = replay.paymentSubject(payment);
  engine.vector(FRAUD_SET, subject, [], vector, 0);
  if (stages < 3) return;
  for (const kind of ['user', 'merchant'] as const) engine.codec.encodeShared(subject.states[kind]!);
}

/** CPU time of one call of `work`, in microseconds. */
function costUs(count: number, work: (i: number) => void): number {
  const cpu = process.cpuUsage();
  for (let i = 0; i < count; i++) work(i);
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / count;
}

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

const print = (what: string, value: number, unit: string): void => {
  process.stdout.write(`${what.padEnd(44)} ${value.toFixed(value < 1000 ? 2 : 0).padStart(9)} ${unit}\n`);
};

const fillUs = costUs(FILL_DAYS * PAYMENTS_A_DAY, () => step(1));
print('filling: a payment and a report', fillUs, 'us');
const costs = STAGES.map((): number[] => []);
for (let chunk = 0; chunk < (days * PAYMENTS_A_DAY) / CHUNK; chunk++) {
  const stage = chunk % STAGES.length;
  costs[stage]!.push(costUs(CHUNK, () => step(stage + 1)));
}
let before = 0;
for (const [stage, what] of STAGES.entries()) {
  const sum = medianOf(costs[stage]!);
  print(stage === 0 ? `${what} (payment and report)` : what, sum - before, 'us a payment');
  before = sum;
}
print('all of it', before, 'us a payment');

const kinds: readonly (readonly [EntityKind, string, number])[] = [
  ['user', 'c', CUSTOMERS],
  ['merchant', 't', TERMINALS],
];
/** What is still referred to after a collection; undefined without --expose-gc. */
async function heldBytes(): Promise<number | undefined> {
  if (!globalThis.gc) return undefined;
  // Buffers are given back by a thread of their own, and only after the collection that follows.
  for (let i = 0; i < COLLECTIONS; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const stored = kinds.map(([kind, prefix, count]) =>
  Array.from({ length: count }, (_, i) => engine.codec.encode(replay.state(kind, `${prefix}${i}`)!)),
);
for (const [k, [kind]] of kinds.entries()) {
  const bytes = stored[k]!;
  print(`a stored state of a ${kind}`, bytes.reduce((sum, { length }) => sum + length, 0) / bytes.length, 'bytes');
  for (const one of bytes) engine.codec.decode(one);
  const before = await heldBytes();
  const decoded: EntityState[] = new Array(bytes.length);
  print(
    'reading it',
    costUs(bytes.length, (i) => {
      decoded[i] = engine.codec.decode(bytes[i]!);
    }),
    'us',
  );
  const after = await heldBytes();
  if (before !== undefined && after !== undefined) print('what it then holds in memory', (after - before) / decoded.length, 'bytes');
}

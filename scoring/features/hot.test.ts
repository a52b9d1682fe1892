import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityKind } from '../../store/contract.ts';
import type { EntityState } from './contract.ts';
import { DEFAULT_DECLARATIONS } from './defaults.ts';
import { createFeatureEngine } from './engine.ts';

/** What an attack looks like: everything within one minute. */
const T0 = 1_750_000_000_000;
const MINUTE_MS = 60_000;
const NEW_ENTITIES = 1_000_000;
const HOT_EVENTS = 50_000;
/** Of the shipped declarations: lists of 64 ids, 101 amounts and 50 reports, tiles of few numbers. */
const STATE_BYTES_MAX = 8_000;
const NEW_STATE_BYTES_MAX = 400;
/** Room for what the runtime keeps; a million states would be over 500 MB. */
const HEAP_BYTES_MAX = 32 * 1024 * 1024;

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const noItems = () => undefined;

/** Bytes in use after a collection: what is still referred to. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}

function pay(i: number, of: number): TimedEvent {
  return {
    event_id: `p${i}`,
    name: 'payment_attempt',
    timestamp_ms: T0 + Math.floor((i * MINUTE_MS) / of),
    user_id: `user-${i}`,
    card_id: `card-${i}`,
    device_id: `device-${i}`,
    ip: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
    merchant_id: `merchant-${i}`,
    value: 1 + (i % 5_000) / 7,
  };
}

test('a million new customers in a minute leave nothing behind in the engine, and each state is small', () => {
  const before = heapBytes();
  let largest = 0;
  for (let i = 0; i < NEW_ENTITIES; i++) {
    const state = engine.apply({ kind: 'user', id: `user-${i}` }, undefined, pay(i, NEW_ENTITIES), noItems);
    if (i % 1_000 === 0) largest = Math.max(largest, engine.codec.encode(state).length);
  }
  expect(largest).toBeGreaterThan(50);
  expect(largest).toBeLessThan(NEW_STATE_BYTES_MAX);
  expect(heapBytes() - before).toBeLessThan(HEAP_BYTES_MAX);
}, 60_000);

test('an entity that all of them hit stays bounded, whatever its kind', () => {
  const kinds: readonly EntityKind[] = ['user', 'card', 'device', 'ip', 'merchant'];
  for (const kind of kinds) {
    let state: EntityState | undefined;
    let largest = 0;
    for (let i = 0; i < HOT_EVENTS; i++) {
      const payment = pay(i, HOT_EVENTS);
      const label: TimedEvent = { ...payment, event_id: `l${i}`, name: 'label', transaction_id: payment.event_id, is_fraud: i % 3 === 0 };
      state = engine.apply({ kind, id: 'hot' }, state, i % 4 === 3 ? label : payment, noItems);
      if (i % 5_000 === 4_999) largest = Math.max(largest, engine.codec.encode(state).length);
    }
    expect(largest, kind).toBeGreaterThan(200);
    expect(largest, kind).toBeLessThan(STATE_BYTES_MAX);
  }
}, 60_000);

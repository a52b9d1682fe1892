import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { factsOf } from '../training/facts.ts';
import { Replay } from '../training/replay.ts';
import { configOf, openShop, takeIn } from './shared.ts';

const NOW_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

/** Payments of one customer, the last two far above the others, and the report of one of these: all in one batch. */
const amounts = [20, 22, 18, 21, 400, 500];
const events = [
  ...amounts.map((value, i): TimedEvent => ({ ...payment(i), name: 'payment_attempt', value, timestamp_ms: NOW_MS + i * HOUR_MS })),
  { ...payment(4), event_id: 'report', name: 'chargeback' as const, timestamp_ms: NOW_MS + 9 * HOUR_MS },
];

function payment(i: number) {
  return { event_id: `p${i}`, transaction_id: `p${i}`, user_id: 'u', merchant_id: 'm' };
}

test('what is taken in knows all that was before it in its batch, as it would have online', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-take-in-'));
  const shop = await openShop(configOf(dir));
  try {
    expect(await takeIn(shop, [], events, NOW_MS)).toEqual({ duplicates: 0, conflicts: 0 });
    expect(await takeIn(shop, [], events, NOW_MS)).toEqual({ duplicates: events.length, conflicts: 0 });
    const replay = new Replay(shop.engine);
    const facts: TimedEvent[] = [];
    for await (const { fact } of factsOf(shop.store)) {
      replay.apply(fact);
      if (fact.kind === 'event') facts.push(fact.event);
    }
    expect(facts).toEqual(events.map((event) => (event.event_id === 'report' ? { ...event, carried: 2 } : event)));
    const names = shop.engine.names('fraud');
    const vector = new Float32Array(names.length);
    const next: TimedEvent = { ...payment(9), user_id: 'other', name: 'payment_attempt', value: 5, timestamp_ms: NOW_MS + 10 * HOUR_MS };
    replay.apply({ kind: 'event', at_ms: NOW_MS, event: next });
    shop.engine.vector('fraud', replay.paymentSubject(next), [], vector, 0);
    expect(vector[names.indexOf('merchant_fraud_large_last')]).toBe(2);
  } finally {
    await shop.close();
    await rm(dir, { recursive: true, force: true });
  }
});

import { beforeEach, expect, test } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import type { Store } from '../store/contract.ts';
import { openMemoryStore } from '../store/memory.ts';
import { createLateOutcomes, type LateOutcomes, READ_EVERY_MS } from './late-outcomes.ts';

let store: Store<never>;
let nowMs: number;
let pages: number;
let found: string[];
let late: LateOutcomes;
beforeEach(() => {
  [store, nowMs, pages, found] = [openMemoryStore<never>(), 1_700_000_000_000, 0, []];
  late = createLateOutcomes({
    store,
    now: () => nowMs,
    pause: async () => void pages++,
    known: ({ response: { decision, probability } }, { fraud }) => void found.push(`${decision} ${probability} ${fraud}`),
  });
});

const decision = (n: number): Fact => ({
  kind: 'decision',
  at_ms: n,
  request: { transaction_id: `t${n}`, user_id: 'u', amount: 1, timestamp_ms: n },
  response: {
    ...{ transaction_id: `t${n}`, decision: n % 2 === 0 ? 'review' : 'approve', score: 0.5, probability: n / 1000 },
    ...{ reasons: [], rule_hits: [], bundle: 'b', degraded: false },
  },
  vector: null,
  feature_hash: 'h',
});

test('labels meet the decisions that the journal has, the last word of a payment counts, and others are dropped', async () => {
  await store.write(Array.from({ length: 450 }, (_, n) => decision(n)));
  await late.look();
  expect(pages).toBe(0);
  late.add({ transactionId: 't300', fraud: false, counted: false });
  late.add({ transactionId: 't300', fraud: true, counted: false });
  late.add({ transactionId: 't1', fraud: false, counted: false });
  late.add({ transactionId: 'long gone', fraud: true, counted: false });
  await late.look();
  expect(found).toEqual(['approve 0.001 false', 'review 0.3 true']);
  expect(pages).toBe(5);
});

test('a reading ends where the last label has met its decision, and the next one is an hour later', async () => {
  await store.write(Array.from({ length: 450 }, (_, n) => decision(n)));
  late.add({ transactionId: 't1', fraud: true, counted: false });
  await late.look();
  expect([found.length, pages]).toEqual([1, 1]);
  late.add({ transactionId: 't2', fraud: true, counted: false });
  await late.look();
  expect(found).toHaveLength(1);
  nowMs += READ_EVERY_MS;
  await Promise.all([late.look(), late.look()]);
  expect(found).toEqual(['approve 0.001 true', 'review 0.002 true']);
});

test('it is bounded, and a gateway that closes does not wait for a whole journal', async () => {
  let taken = 0;
  while (late.add({ transactionId: `x${taken}`, fraud: true, counted: false })) taken++;
  expect(taken).toBe(10_000);
  expect(late.add({ transactionId: 'new', fraud: true, counted: true })).toBe(false);
  expect(late.add({ transactionId: 'x0', fraud: false, counted: false })).toBe(true);
  await store.write(Array.from({ length: 450 }, (_, n) => decision(n)));
  const reading = late.look();
  await late.close();
  await reading;
  expect(pages).toBeLessThan(5);
  nowMs += READ_EVERY_MS;
  late.add({ transactionId: 't1', fraud: true, counted: false });
  await late.look();
  expect(found).toEqual([]);
});

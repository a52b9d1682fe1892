import type { TimedEvent } from '../../../contracts/event.ts';
import { EntityReplay } from '../../../scoring/entity-replay.ts';
import type { FeatureEngine } from '../../../scoring/features/contract.ts';
import { hash53 } from '../../../scoring/features/hash.ts';
import { Column } from '../../columns.ts';
import type { GbdtRows } from '../../learners/gbdt/objective.ts';
import { DELAY_DAYS, type Payment } from './fraud-handbook.ts';

const DELAY_MS = DELAY_DAYS * 86_400_000;
/** One past the largest hash. */
const HASH_END = 2 ** 53;

/** Payments with the vectors that the gateway would have scored them on. Spans are [fromMs, toMs). */
export interface PaymentVectors {
  payments(fromMs: number, toMs: number): readonly Payment[];
  all(fromMs: number, toMs: number): GbdtRows;
  /** All frauds and a share of the honest payments, each of which then stands for 1 / share. */
  sample(fromMs: number, toMs: number, honestShare: number): GbdtRows;
}

/**
 * The handbook's payments through the serving feature engine: payments and labels in the order in which a gateway would have heard of them, a label
 * seven days after its payment. `payments` are in order of time, vectors are kept from `startMs` on.
 */
export function vectorsOf(payments: readonly Payment[], engine: FeatureEngine, set: string, startMs: number): PaymentVectors {
  const replay = new EntityReplay(engine);
  const hear = (event: TimedEvent): void => replay.apply({ kind: 'event', at_ms: event.timestamp_ms, event: replay.carrying(event) });
  const width = engine.names(set).length;
  const vector = new Float32Array(width);
  const columns = new Column((length) => new Float32Array(length), width * 1024);
  const first = firstAt(payments, startMs);
  let heard = 0;
  for (const [i, payment] of payments.entries()) {
    for (; payments[heard]!.atMs + DELAY_MS < payment.atMs; heard++) hear(labelOf(payments[heard]!, heard));
    const event = attemptOf(payment, i);
    hear(event);
    if (i < first) continue;
    engine.vector(set, replay.paymentSubject(event), [], vector, 0);
    columns.append(vector);
  }
  const rows = columns.view();
  const labels = Float32Array.from(payments.slice(first), ({ isFraud }) => (isFraud ? 1 : 0));

  const span = (fromMs: number, toMs: number) => [firstAt(payments, fromMs) - first, firstAt(payments, toMs) - first] as const;
  return {
    payments: (fromMs, toMs) => payments.slice(firstAt(payments, fromMs), firstAt(payments, toMs)),
    all(fromMs, toMs) {
      const [from, to] = span(fromMs, toMs);
      return { rows: rows.subarray(from * width, to * width), n: to - from, f: width, labels: labels.subarray(from, to) };
    },
    sample(fromMs, toMs, honestShare) {
      const [from, to] = span(fromMs, toMs);
      const taken: number[] = [];
      for (let i = from; i < to; i++) if (labels[i]! > 0 || hash53(idOf(first + i)) < honestShare * HASH_END) taken.push(i);
      const sampled = new Float32Array(taken.length * width);
      for (const [at, i] of taken.entries()) sampled.set(rows.subarray(i * width, (i + 1) * width), at * width);
      const ofTaken = Float32Array.from(taken, (i) => labels[i]!);
      return { rows: sampled, n: taken.length, f: width, labels: ofTaken, weights: ofTaken.map((label) => (label > 0 ? 1 : 1 / honestShare)) };
    },
  };
}

/** The first payment at or after a time. */
function firstAt(payments: readonly Payment[], ms: number): number {
  let [low, high] = [0, payments.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (payments[middle]!.atMs < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

const idOf = (number: number): string => `tx${number}`;

function attemptOf({ customer, terminal, atMs, amount }: Payment, number: number): TimedEvent {
  const parties = { user_id: `c${customer}`, merchant_id: `t${terminal}` };
  return { event_id: idOf(number), name: 'payment_attempt', timestamp_ms: atMs, transaction_id: idOf(number), value: amount, ...parties };
}

function labelOf(payment: Payment, number: number): TimedEvent {
  const { atMs, isFraud } = payment;
  return { ...attemptOf(payment, number), event_id: `label-${idOf(number)}`, name: 'label', timestamp_ms: atMs + DELAY_MS, is_fraud: isFraud };
}

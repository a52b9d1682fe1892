import type { TimedEvent } from '../contracts/event.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { FraudRows } from './fraud-rows.ts';
import { seededRandom } from './learners/random.ts';
import { Replay } from './replay.ts';

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
export const NAMES = engine.names('fraud');
export const FROM_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
export const PAYMENTS = 1_200;

/** Payments of many customers, one an hour; what `frauds` picks is fraud and large, or looks like the rest. */
export function rowsOf(
  frauds: (i: number) => boolean,
  amountOf: (i: number, isFraud: boolean) => number,
  aged?: { readonly newAccounts: boolean },
): FraudRows {
  const payments = Array.from({ length: PAYMENTS }, (_, i): TimedEvent => {
    const common = { event_id: `p${i}`, transaction_id: `p${i}`, name: 'payment_attempt', user_id: `u${i}` } as const;
    return { ...common, timestamp_ms: FROM_MS + i * HOUR_MS, value: amountOf(i, frauds(i)) };
  });
  const log = {
    outcomes: new Map(payments.map(({ event_id }, i) => [event_id, { isFraud: frauds(i), atMs: 0 }])),
    paymentsMs: Float64Array.from(payments, (event) => event.timestamp_ms),
  };
  const rows = new FraudRows(NAMES.length, { fromMs: 0, toMs: Number.POSITIVE_INFINITY }, log);
  const replay = new Replay(engine);
  const apply = (event: TimedEvent): void => replay.apply({ kind: 'event', at_ms: event.timestamp_ms, event });
  for (const [i, event] of payments.entries()) {
    if (aged?.newAccounts && frauds(i)) apply({ event_id: `s${i}`, name: 'sign_up', user_id: `u${i}`, timestamp_ms: event.timestamp_ms - 1_000 });
    apply(event);
    rows.take(replay, event);
  }
  return rows;
}

const random = seededRandom(7);
export const ordinary = Array.from({ length: PAYMENTS }, () => 10 + 80 * random.next());
export const large = (i: number, isFraud: boolean): number => (isFraud ? 240 + ordinary[i]! : ordinary[i]!);

import { hash } from 'node:crypto';
import { Event, type TimedEvent } from '../contracts/event.ts';
import { ScoreRequest } from '../contracts/score.ts';
import type { Store, Unit } from '../store/contract.ts';
import type { EntityState, FeatureEngine, ItemLookup } from './features/contract.ts';

/** The fields of a digest in their order, with what stands before the value of each. */
const DIGEST_FIELDS = (Object.keys(Event.properties).sort() as (keyof TimedEvent)[])
  .filter((field) => field !== 'timestamp_ms')
  .map((field) => ({ field, label: `${field}=` }));

/** The idempotency key of an event. A transaction's payment attempt is the event whose id is the transaction id. */
export function eventKey(eventId: string): string {
  return `e:${eventId}`;
}

/**
 * What the client said, in one fixed order of fields, so that a retry in another encoding has the same digest. The time is left out:
 * where the client sends none, the gateway fills in its own, and a retry would get another one.
 */
export function eventDigest(event: TimedEvent): string {
  let text = '';
  for (const { field, label } of DIGEST_FIELDS) {
    const value = event[field];
    if (value !== undefined) text += `${label}${typeof value === 'object' ? JSON.stringify(value) : value}\n`;
  }
  return hash('sha1', text, 'base64').slice(0, 22);
}

/**
 * The one way in which an event reaches the journal and entity state, online and at import. `sent` is what the client said where the gateway added to it:
 * a retry is told by that, because what is added may have changed in between.
 */
export function eventUnit(engine: FeatureEngine, items: ItemLookup, event: TimedEvent, atMs: number, sent: TimedEvent = event): Unit<EntityState> {
  return {
    key: eventKey(event.event_id),
    digest: eventDigest(sent),
    fact: { kind: 'event', at_ms: atMs, event },
    entities: engine.entities(event),
    apply: (ref, state) => engine.apply(ref, state, event, items),
  };
}

/** The event with what it takes along of the states as they are now. */
export async function carrying(engine: FeatureEngine, store: Pick<Store<EntityState>, 'states'>, event: TimedEvent): Promise<TimedEvent> {
  const carriers = engine.carriers(event);
  return carriers.length === 0 ? event : engine.carry(event, await store.states(carriers));
}

/** Of a score request, what its payment attempt does not have as it is. */
const NOT_OF_PAYMENT = ['amount', 'timestamp_ms', 'explain'] as const;
type PaymentField = Exclude<keyof ScoreRequest, (typeof NOT_OF_PAYMENT)[number]>;
const PAYMENT_EVENT_FIELDS = (Object.keys(ScoreRequest.properties) as (keyof ScoreRequest)[]).filter((field): field is PaymentField =>
  NOT_OF_PAYMENT.every((other) => other !== field),
);

/** The payment attempt that a score request stands for. Field by field: an object spread of so many costs fifteen times as much. */
export function paymentEvent(request: ScoreRequest, timestampMs: number): TimedEvent {
  const event: Record<string, unknown> = {
    event_id: request.transaction_id,
    name: 'payment_attempt',
    value: request.amount,
    timestamp_ms: timestampMs,
  };
  for (const field of PAYMENT_EVENT_FIELDS) {
    const value = request[field];
    if (value !== undefined) event[field] = value;
  }
  return event as TimedEvent;
}

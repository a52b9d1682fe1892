import { hash } from 'node:crypto';
import { Event, type TimedEvent } from '../contracts/event.ts';
import type { ScoreRequest } from '../contracts/score.ts';
import type { Unit } from '../store/contract.ts';
import type { EntityState, FeatureEngine, ItemLookup } from './features/contract.ts';

const EVENT_FIELDS = Object.keys(Event.properties).sort() as (keyof TimedEvent)[];

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
  for (const field of EVENT_FIELDS) {
    if (field === 'timestamp_ms') continue;
    const value = event[field];
    if (value !== undefined) text += `${field}=${typeof value === 'object' ? JSON.stringify(value) : value}\n`;
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

/** The payment attempt that a score request stands for. */
export function paymentEvent(request: ScoreRequest, timestampMs: number): TimedEvent {
  const { amount, ...rest } = request;
  return { ...rest, event_id: request.transaction_id, name: 'payment_attempt', value: amount, timestamp_ms: timestampMs };
}

import { GatehouseError } from '../../contracts/errors.ts';
import {
  type Event,
  type EventsRequest,
  type EventsResponse,
  eventProblem,
  PAYMENT_EVENTS,
  SERVER_EVENTS,
  type TimedEvent,
} from '../../contracts/event.ts';
import { FIELD_ERRORS_MAX } from '../../contracts/wire.ts';
import { carrying, eventKey, eventUnit } from '../../scoring/ingest.ts';
import { withRate } from '../../scoring/rates.ts';
import { ERASED_ANSWER } from '../../store/contract.ts';
import type { Principal } from '../auth/keyring.ts';
import type { DataDeps } from './plane.ts';
import { settleTime } from './time.ts';

/** What a later event takes over from the payment where it does not say it itself. */
const INHERITED = ['user_id', 'session_id', 'card_id', 'device_id', 'ip', 'email_domain', 'address_id', 'merchant_id', 'payment_method'] as const;

/** `POST /v1/events`: checks the whole batch before any of it is taken, then counts each event once. */
export function createEventsHandler(deps: DataDeps) {
  const { store, engine, catalogue, trending, itemNumbers, config, metrics, now, rates } = deps;
  const accepted = metrics.counter('eventsAccepted');
  const duplicated = metrics.counter('eventsDuplicate');
  const durable = config.durability === 'sync';

  return async function handleEvents(request: EventsRequest, { kind }: Pick<Principal, 'kind'>): Promise<EventsResponse> {
    const atMs = now();
    const sent: TimedEvent[] = [];
    const events: TimedEvent[] = [];
    const answers: (Uint8Array | undefined)[] = [];
    for (const [i, event] of request.events.entries()) {
      const problem = eventProblem(event);
      if (problem !== undefined) throw new GatehouseError('invalid_request', problem, { errors: [{ path: `/events/${i}`, message: problem }] });
      if (kind === 'publishable' && SERVER_EVENTS.has(event.name)) throw serverOnly(event, i);
      const timed = withRate(settleTime(event, atMs, config.clockSkewMaxMs, `/events/${i}/timestamp_ms`), rates);
      sent.push(timed);
      if (!PAYMENT_EVENTS.has(event.name)) {
        events.push(timed);
        continue;
      }
      const { attached, answer } = await attach(timed);
      answers[events.length] = answer;
      events.push(await carrying(engine, store, attached));
    }
    const results = await store
      .ingest(
        events.map((event, i) => eventUnit(engine, (id) => catalogue.get(id), event, atMs, sent[i])),
        { durable },
      )
      // After a failure too: nobody knows what the store took.
      .finally(() => {
        for (const event of events) itemNumbers.touched(event);
      });
    // One event's conflict does not undo the others: they are in the journal, so they count before it is reported.
    const conflicts: number[] = [];
    let duplicates = 0;
    for (const [i, result] of results.entries()) {
      if (result.conflict) conflicts.push(i);
      else if (result.duplicate) duplicates++;
      else {
        const event = events[i]!;
        trending.add(event);
        deps.clicks.add(event);
        deps.countries.add(event);
        deps.items.acted(event);
        if (PAYMENT_EVENTS.has(event.name)) deps.onPaymentEvent(event, answers[i]);
      }
    }
    const taken = events.length - duplicates - conflicts.length;
    accepted.inc(taken);
    if (duplicates > 0) duplicated.inc(duplicates);
    if (conflicts.length > 0) throw conflictError(events, conflicts);
    return { accepted: taken, duplicates };
  };

  /** Adds the payment's entities to a label or refund that does not name them; `answer` is what the payment was answered, if it was scored. */
  async function attach(event: TimedEvent): Promise<{ readonly attached: TimedEvent; readonly answer: Uint8Array | undefined }> {
    if (event.transaction_id === undefined) return { attached: event, answer: undefined };
    const known = await store.lookup(eventKey(event.transaction_id));
    if (!known) {
      if (event.user_id === undefined && event.session_id === undefined) {
        throw new GatehouseError('transaction_not_found', `${event.transaction_id} was never scored, and the ${event.name} names no user`);
      }
      return { attached: event, answer: undefined };
    }
    const answer = known.answer?.length === ERASED_ANSWER.length ? undefined : known.answer;
    const [record] = await store.read(known.offset - 1, 1);
    if (record?.offset !== known.offset || record.fact.kind !== 'event') return { attached: event, answer };
    const attached = { ...event };
    const payment = record.fact.event;
    for (const field of INHERITED) if (attached[field] === undefined && payment[field] !== undefined) attached[field] = payment[field];
    return { attached, answer };
  }
}

function serverOnly(event: Event, i: number): GatehouseError {
  const problem = `${event.name} events come from servers: a publishable key may not send them`;
  return new GatehouseError('forbidden', problem, { errors: [{ path: `/events/${i}/name`, message: problem }] });
}

function conflictError(events: readonly TimedEvent[], conflicts: readonly number[]): GatehouseError {
  const errors = conflicts
    .slice(0, FIELD_ERRORS_MAX)
    .map((i) => ({ path: `/events/${i}/event_id`, message: 'used before with another content; the other events of the batch were taken' }));
  return new GatehouseError('event_conflict', `the event_id ${events[conflicts[0]!]!.event_id} was sent before with another content`, { errors });
}

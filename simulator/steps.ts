import type { Event, EventName, TimedEvent } from '../contracts/event.ts';
import type { FraudKind } from './attacks.ts';

/** A page wants a list for a placement. History leaves it to the shop's own listing; live traffic asks the gateway. */
export interface ListAsk {
  readonly ask: 'list';
  readonly placement: string;
  readonly userId: string | undefined;
  readonly sessionId: string;
  readonly itemId: string | undefined;
  readonly limit: number;
}

/** A checkout wants to be paid. `authorised` is what the payment provider will say. */
export interface PayAsk {
  readonly ask: 'pay';
  readonly attempt: PaymentAttempt;
  readonly authorised: boolean;
  readonly fraud: FraudKind | undefined;
}

export type PaymentAttempt = TimedEvent & {
  readonly name: 'payment_attempt';
  readonly transaction_id: string;
  readonly user_id: string;
  readonly value: number;
};

/** What a visit or an attack does next: an event that happens, or a question whose answer it waits for. */
export type Step = TimedEvent | ListAsk | PayAsk;

export interface Shown {
  readonly itemIds: readonly string[];
  readonly recommendationId: string;
}

/** Answer to a question; empty where nobody answered: the shop lists by itself, and the payment goes to its provider. */
export interface Reply {
  readonly shown?: Shown | undefined;
  /** False: the gateway refused the payment. */
  readonly allowed?: boolean | undefined;
}
export const NO_REPLY: Reply = {};

export type Play = Generator<Step, void, Reply>;

/** What a session's events have in common. */
export interface Guest {
  /** Undefined while nobody has logged in. */
  userId: string | undefined;
  readonly sessionId: string;
  readonly country: string;
}

/** Makes the events of one session: their ids, their clock (strictly rising) and the fields that all of them carry. */
export class Diary {
  readonly guest: Guest;
  atMs: number;
  private count = 0;

  constructor(guest: Guest, atMs: number) {
    this.guest = guest;
    this.atMs = Math.floor(atMs);
  }

  pass(ms: number): void {
    this.atMs += 1 + Math.floor(Math.max(0, ms));
  }

  event(name: EventName, fields: Partial<Event>): TimedEvent {
    const { guest } = this;
    this.count += 1;
    const event: TimedEvent = {
      event_id: `${guest.sessionId}.${this.count}`,
      name,
      timestamp_ms: this.atMs,
      session_id: guest.sessionId,
      country: guest.country,
      ...fields,
    };
    if (guest.userId !== undefined) event.user_id = guest.userId;
    return event;
  }
}

/** Whether a step is something that happened, not a question. */
export function isEvent(step: Step): step is TimedEvent {
  return !('ask' in step);
}

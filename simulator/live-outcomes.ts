import type { TimedEvent } from '../contracts/event.ts';
import { DAY_MS } from './params.ts';

/** A day of waiting for a label, a refund or a review: so that a dispute of three weeks is seen within minutes. */
const OUTCOME_DAY_MS = 10_000;
/** Some 10 MB; at a hundred payments a second, the outcomes of their slowest three minutes. */
export const OUTCOMES_MAX = 20_000;

interface Pending {
  readonly dueMs: number;
  readonly event: TimedEvent;
}

/** What is known of purchases and payments only later, kept until it is due. */
export class Outcomes {
  #pending: Pending[] = [];

  get size(): number {
    return this.#pending.length;
  }

  /** `event` says by its own time how many days behind `fromMs` it comes. False: there is no room. */
  add(event: TimedEvent, fromMs: number, nowMs: number): boolean {
    if (this.#pending.length >= OUTCOMES_MAX) return false;
    this.#pending.push({ dueMs: nowMs + ((event.timestamp_ms - fromMs) / DAY_MS) * OUTCOME_DAY_MS, event });
    return true;
  }

  /** Takes out at most `limit` events that are due, each with the time at which it became known. */
  take(nowMs: number, limit: number): TimedEvent[] {
    const taken: TimedEvent[] = [];
    const left: Pending[] = [];
    for (const pending of this.#pending) {
      if (pending.dueMs <= nowMs && taken.length < limit) taken.push({ ...pending.event, timestamp_ms: Math.floor(pending.dueMs) });
      else left.push(pending);
    }
    this.#pending = left;
    return taken;
  }

  /** Back in, because they could not be sent now. */
  putBack(events: readonly TimedEvent[]): void {
    for (const event of events) this.#pending.push({ dueMs: event.timestamp_ms, event });
  }
}

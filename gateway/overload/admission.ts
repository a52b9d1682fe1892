import { GatehouseError } from '../../contracts/errors.ts';

/** Least dispensable last: a page without recommendations still sells, a checkout without a verdict does not. */
export const PRIORITIES = ['recommend', 'items', 'events', 'score'] as const;
export type Priority = (typeof PRIORITIES)[number];

/**
 * Share of the in-flight limit that each priority may fill, and multiple of the delay limit up to which it is let in. The gaps keep room for what matters
 * more: when recommendations are shed, scores still have a fifth of the limit.
 */
const SHARE: Readonly<Record<Priority, number>> = { recommend: 0.8, items: 0.85, events: 0.9, score: 1 };
const DELAY: Readonly<Record<Priority, number>> = { recommend: 1, items: 1.5, events: 2, score: 4 };

export interface AdmissionOptions {
  readonly inFlightMax: number;
  readonly queueDelayMaxMs: number;
  /** How long the request that asks has waited already (`createQueueDelay`). */
  readonly queueDelayMs: () => number;
  readonly onShed?: (reason: 'in_flight' | 'event_loop') => void;
}

export interface Admission {
  /** Lets a request in; call what it returns once when the request is done. Throws `overloaded`. */
  enter(priority: Priority): () => void;
  inFlight(): number;
}

/** Refuses work early, least important first, while what is refused still costs next to nothing. */
export function createAdmission(options: AdmissionOptions): Admission {
  const { inFlightMax, queueDelayMaxMs, queueDelayMs, onShed } = options;
  let inFlight = 0;
  const leave = (): void => {
    inFlight--;
  };
  return {
    enter(priority) {
      if (inFlight >= inFlightMax * SHARE[priority]) {
        onShed?.('in_flight');
        throw new GatehouseError('overloaded', `${inFlight} requests are in work`);
      }
      if (queueDelayMs() > queueDelayMaxMs * DELAY[priority]) {
        onShed?.('event_loop');
        throw new GatehouseError('overloaded', 'answers would come late');
      }
      inFlight++;
      return leave;
    },
    inFlight: () => inFlight,
  };
}

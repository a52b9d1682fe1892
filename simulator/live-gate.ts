import { type Backoff, backoffMs, type GatehouseClientError } from '../client/index.ts';
import type { Rng } from './prng.ts';

export interface LiveClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** After a stall or a pause the missed requests are not made up for: a burst would be the next overload. */
const LAG_MAX_MS = 1_000;
/** A restarted gateway is back within seconds; one that stays away is asked some six times a minute. */
const BACKOFF: Backoff = { firstMs: 250, maxMs: 10_000 };
/** A key that is refused stays refused until somebody changes it: asking at the full rate would only fill logs. */
const HOPELESS: ReadonlySet<number> = new Set([401, 403]);

/**
 * Lets requests through at a rate, as arrivals of independent visitors (Poisson), and stops them all while the gateway is away. Every slot is offered to
 * those who wait, the oldest first; one that nobody wants goes to `onIdle`, which may bring in somebody new:
 *
 *   slot ─► waiter? ─yes─► its request
 *              └─no──► onIdle()
 *
 * So the rate holds whatever a visit needs, and never more plays run than the rate can carry.
 */
export class Gate {
  readonly #clock: LiveClock;
  readonly #signal: AbortSignal;
  readonly #gapMs: number;
  readonly #rng: Rng;
  readonly #onIdle: () => void;
  readonly #waiters: { readonly resolve: () => void; readonly reject: (reason: unknown) => void }[] = [];
  #pausedUntilMs = 0;
  #failures = 0;

  constructor(clock: LiveClock, signal: AbortSignal, ratePerS: number, rng: Rng, onIdle: () => void) {
    this.#clock = clock;
    this.#signal = signal;
    this.#gapMs = 1000 / ratePerS;
    this.#rng = rng;
    this.#onIdle = onIdle;
  }

  /** Resolves when it is the caller's turn. Rejects when the run ends. */
  turn(): Promise<void> {
    if (this.#signal.aborted) return Promise.reject(this.#signal.reason);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** What passes, and what is hopeless, stops everybody for as long as the gateway asks and a backoff more; a request that was at fault itself stops nobody. */
  failed(error: GatehouseClientError): void {
    if (!error.isTransient && error.status < 500 && !HOPELESS.has(error.status)) return;
    const nowMs = this.#clock.now();
    // Requests that were on their way together fail together: that is one failure.
    if (nowMs < this.#pausedUntilMs) return;
    this.#failures++;
    this.#pausedUntilMs = nowMs + (error.retryAfterMs ?? 0) + backoffMs(this.#failures, () => this.#rng.float(), BACKOFF);
  }

  /** Hands out turns until the run ends. */
  async run(): Promise<void> {
    let dueMs = this.#clock.now();
    try {
      for (;;) {
        await this.#clock.sleep(Math.max(0, Math.max(dueMs, this.#pausedUntilMs) - this.#clock.now()), this.#signal);
        const nowMs = this.#clock.now();
        if (nowMs < this.#pausedUntilMs) continue;
        if (nowMs - dueMs > LAG_MAX_MS) dueMs = nowMs;
        for (; dueMs <= nowMs; dueMs += this.#rng.exponential(this.#gapMs)) {
          const waiter = this.#waiters.shift();
          if (waiter) waiter.resolve();
          else this.#onIdle();
        }
      }
    } catch (error) {
      if (!this.#signal.aborted) throw error;
    } finally {
      for (const { reject } of this.#waiters.splice(0)) reject(this.#signal.reason);
    }
  }
}

import type { ErrorCode } from '../contracts/errors.ts';
import type { Event } from '../contracts/event.ts';
import { type Backoff, backoffMs } from './backoff.ts';
import type { CallOptions } from './caller.ts';
import { type ClientCode, GatehouseClientError } from './errors.ts';

/** Events that will never be sent, and why. */
export interface Dropped {
  readonly events: readonly Event[];
  /** `queue_full`: the gateway was away for too long. `refused`: `error` says what is wrong with them. `closed`: still waiting at `close`. */
  readonly reason: 'queue_full' | 'refused' | 'closed';
  readonly error?: GatehouseClientError;
}

export interface TrackOptions {
  /** Events of one request. */
  readonly batchMax?: number | undefined;
  /** The longest that an event waits for others. */
  readonly ageMaxMs?: number | undefined;
  /** Events waiting at most. */
  readonly queueMax?: number | undefined;
  readonly backoff?: Backoff | undefined;
  readonly onDropped?: ((dropped: Dropped) => void) | undefined;
  /** A batch could not be sent now; its events stay and are sent later. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** A page's events of a moment travel together; a full batch of these is some 20 KB, well within what a closing page may send. */
const BATCH_MAX = 50;
/** Fresh enough that the next page's recommendations know of this one. */
const AGE_MAX_MS = 500;
/** Some 4 MB: minutes of a server's events while its gateway is away. */
const QUEUE_MAX = 10_000;
const BACKOFF: Backoff = { firstMs: 500, maxMs: 30_000 };

/** One event of a batch can be at fault here, and the gateway takes none of the others with it: halve the batch to find it. */
const FAULTS_OF_CONTENT: ReadonlySet<ErrorCode | ClientCode> = new Set([
  'invalid_request',
  'timestamp_out_of_range',
  'event_conflict',
  'transaction_not_found',
  'malformed_body',
  'forbidden_key',
  'nesting_too_deep',
  'body_too_large',
]);

/**
 * A bounded queue of events, sent in order, one request at a time. An event leaves the queue when the gateway has it or has refused it; while the
 * gateway is away it stays. Sending twice is safe, because an event counts once by its id.
 */
export class EventQueue {
  readonly #post: (events: readonly Event[], call: CallOptions) => Promise<unknown>;
  readonly #random: () => number;
  readonly #batchMax: number;
  readonly #ageMaxMs: number;
  readonly #queueMax: number;
  readonly #backoff: Backoff;
  readonly #onDropped: (dropped: Dropped) => void;
  readonly #onError: (error: unknown) => void;
  readonly #waiting: Event[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = 0;
  #draining: Promise<void> | undefined;
  #failures = 0;
  #closed = false;

  constructor(post: (events: readonly Event[], call: CallOptions) => Promise<unknown>, random: () => number, options: TrackOptions) {
    this.#post = post;
    this.#random = random;
    this.#batchMax = options.batchMax ?? BATCH_MAX;
    this.#ageMaxMs = options.ageMaxMs ?? AGE_MAX_MS;
    this.#queueMax = options.queueMax ?? QUEUE_MAX;
    this.#backoff = options.backoff ?? BACKOFF;
    this.#onDropped = options.onDropped ?? (() => {});
    this.#onError = options.onError ?? (() => {});
  }

  get size(): number {
    return this.#waiting.length;
  }

  push(event: Event): void {
    if (this.#closed || this.#waiting.length >= this.#queueMax) {
      this.#onDropped({ events: [event], reason: this.#closed ? 'closed' : 'queue_full' });
      return;
    }
    this.#waiting.push(event);
    // While the gateway is away the timer stands for its backoff: a full batch does not shorten it.
    if (this.#failures === 0) this.#schedule(this.#waiting.length >= this.#batchMax ? 0 : this.#ageMaxMs);
  }

  /** Sends all that waits. Rejects when the gateway cannot take it now; what is left then stays in the queue. */
  flush(call: CallOptions = {}): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    this.#draining ??= this.#drain(call);
    return this.#draining;
  }

  /** Tries to send what waits, once; what cannot be sent is dropped and reported. Later events are dropped too. */
  async close(call: CallOptions = {}): Promise<void> {
    this.#closed = true;
    try {
      await this.flush(call);
    } catch (error) {
      this.#onError(error);
    }
    this.#stopTimer();
    const events = this.#waiting.splice(0);
    if (events.length > 0) this.#onDropped({ events, reason: 'closed' });
  }

  async #drain(call: CallOptions): Promise<void> {
    this.#stopTimer();
    try {
      while (this.#waiting.length > 0) await this.#send(this.#waiting.slice(0, this.#batchMax), call);
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      if (!this.#closed) this.#schedule(backoffMs(this.#failures, this.#random, this.#backoff));
      throw error;
    } finally {
      // In the same turn in which the queue was seen empty: an event pushed a moment later starts its own timer.
      this.#draining = undefined;
    }
  }

  /** Sends the head of the queue and takes it off. Rejects with what may pass, leaving the rest where it is. */
  async #send(events: readonly Event[], call: CallOptions): Promise<void> {
    try {
      await this.#post(events, call);
    } catch (error) {
      if (!(error instanceof GatehouseClientError) || !isRefusal(error)) throw error;
      if (events.length > 1 && FAULTS_OF_CONTENT.has(error.code)) {
        const half = events.length >> 1;
        await this.#send(events.slice(0, half), call);
        await this.#send(events.slice(half), call);
        return;
      }
      this.#waiting.splice(0, events.length);
      this.#onDropped({ events, reason: 'refused', error });
      return;
    }
    this.#waiting.splice(0, events.length);
  }

  /** One timer: the earliest wish counts. */
  #schedule(ms: number): void {
    if (this.#draining !== undefined && this.#failures === 0) return;
    if (this.#timer !== undefined && this.#timerMs <= ms) return;
    this.#stopTimer();
    this.#timerMs = ms;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.flush().catch(this.#onError);
    }, ms);
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Whether the gateway said no for good. What has no answer, and what is the gateway's own trouble (5xx), is tried again. */
function isRefusal(error: GatehouseClientError): boolean {
  return error.status >= 400 && error.status < 500 && !error.isTransient;
}

import type { Socket } from '../transport/socket.ts';

export interface OutboxLimits {
  /** Bytes that may wait for the peer to read. */
  readonly outboxBytesMax: number;
  /** How long anything may wait. */
  readonly outboxAgeMs: number;
}

/** A replay stops reading ahead at this share of the byte limit, so that catching up never looks like being slow. */
const REPLAY_SHARE = 0.5;

/**
 * What waits for one peer. Nothing is ever dropped: a peer that falls behind either limit is closed, and recovers from its last position when it comes
 * back. The bytes wait in the socket's own buffer; this keeps the limits.
 */
export class Outbox {
  readonly #socket: Socket;
  readonly #limits: OutboxLimits;
  readonly #now: () => number;
  readonly #onOverflow: () => void;
  /** Since when something has been waiting; undefined while nothing is. */
  #waitingSinceMs: number | undefined;
  #overflowed = false;

  constructor(socket: Socket, limits: OutboxLimits, now: () => number, onOverflow: () => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#now = now;
    this.#onOverflow = onOverflow;
  }

  push(frame: string | Uint8Array): void {
    if (this.#overflowed) return;
    this.#socket.send(frame);
    this.check();
  }

  /** Call after the socket drained, and now and then: a peer that reads nothing at all makes no event. */
  check(): void {
    if (this.#overflowed) return;
    const waiting = this.#socket.bufferedBytes();
    if (waiting === 0) {
      this.#waitingSinceMs = undefined;
      return;
    }
    const nowMs = this.#now();
    this.#waitingSinceMs ??= nowMs;
    if (waiting > this.#limits.outboxBytesMax || nowMs - this.#waitingSinceMs > this.#limits.outboxAgeMs) {
      this.#overflowed = true;
      this.#onOverflow();
    }
  }

  /** Whether a replay may go on. */
  hasRoom(): boolean {
    return this.#socket.bufferedBytes() <= this.#limits.outboxBytesMax * REPLAY_SHARE;
  }
}

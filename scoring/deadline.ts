/**
 * Work that took longer than it was given. It has no stack: a timer's says nothing, and under overload, when there is least time, each request would
 * have one built.
 */
export class LateError extends Error {
  constructor(message: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

interface Waiting {
  readonly dueMs: number;
  readonly late: () => void;
  settled: boolean;
  next: Waiting | undefined;
}

/**
 * Waits that may all take equally long, the oldest first, so that one timer serves them: under load hundreds of payments wait for a model at once, and to set and
 * clear a timer for each took longer than the rules.
 *
 *   oldest -> ... -> newest      what has settled leaves when it is the oldest
 */
class Line {
  readonly limitMs: number;
  #oldest: Waiting | undefined;
  #newest: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  add(late: () => void): Waiting {
    const waiting: Waiting = { dueMs: performance.now() + this.limitMs, late, settled: false, next: undefined };
    if (this.#newest) this.#newest.next = waiting;
    else this.#oldest = waiting;
    this.#newest = waiting;
    this.#timer ??= setTimeout(() => this.#due(), this.limitMs);
    return waiting;
  }

  settle(waiting: Waiting): void {
    waiting.settled = true;
    while (this.#oldest?.settled) this.#leave(this.#oldest);
    if (this.#oldest !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #due(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    // A timer may fire a fraction of a millisecond early.
    for (let oldest = this.#oldest; oldest !== undefined && (oldest.settled || oldest.dueMs < nowMs + 1); oldest = this.#oldest) {
      this.#leave(oldest);
      if (!oldest.settled) oldest.late();
    }
    if (this.#oldest !== undefined) this.#timer = setTimeout(() => this.#due(), Math.max(1, this.#oldest.dueMs - nowMs));
  }

  #leave(oldest: Waiting): void {
    this.#oldest = oldest.next;
    if (oldest.next === undefined) this.#newest = undefined;
  }
}

/** The line of the limit that was asked for last: payments have one limit, and what has limits of its own gets lines of its own. */
let line = new Line(0);

/** The value, or a LateError where it takes longer than `limitMs` (undefined: no limit). What comes after that is dropped. */
export function inTime<T>(work: Promise<T>, limitMs: number | undefined, what: string): Promise<T> {
  if (limitMs === undefined) return work;
  if (line.limitMs !== limitMs) line = new Line(limitMs);
  const own = line;
  // One promise and two callbacks: a race makes five more, for every score.
  return new Promise((resolve, reject) => {
    const waiting = own.add(() => reject(new LateError(`${what} took longer than ${limitMs} ms`)));
    work.then(
      (value) => {
        own.settle(waiting);
        resolve(value);
      },
      (cause) => {
        own.settle(waiting);
        reject(cause);
      },
    );
  });
}

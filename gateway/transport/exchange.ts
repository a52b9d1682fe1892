import type { HttpRequest } from './http.ts';
import type { NativeResponse } from './native.ts';

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});
const NO_BODY = new Uint8Array(0);
/** A client's own request id is taken over when it is short and printable, so that its log and ours join. */
const REQUEST_ID = /^[!-~]{1,64}$/;
/** First allocation for a body of unknown length; it doubles from there, so that many tiny chunks cost no more than their bytes. */
const BODY_BYTES_FIRST = 4096;

const ascii = new TextDecoder('latin1');

/** One request on its way through the transport: the handler's view of it, and what is needed to answer it. */
export class Exchange implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly route: string;
  readonly query: string;
  readonly native: NativeResponse;
  readonly startedMs: number;
  params: Readonly<Record<string, string>> = NO_PARAMS;
  body: Uint8Array = NO_BODY;
  /** True once answered or aborted: the native response must not be touched any more. */
  done = false;
  aborted = false;
  /** The connection ends with this answer. */
  closes = false;
  hasOrigin = false;
  /** Neighbours in the list of requests whose body is still arriving, oldest first. */
  previous: Exchange | undefined;
  next: Exchange | undefined;
  waiting = false;
  readonly #lines: readonly string[];
  readonly #newId: () => string;
  #received = 0;
  #address: string | undefined;
  #requestId: string | undefined;
  #search: URLSearchParams | undefined;

  constructor(
    native: NativeResponse,
    what: { readonly method: string; readonly path: string; readonly route: string; readonly query: string },
    lines: readonly string[],
    startedMs: number,
    newId: () => string,
  ) {
    this.native = native;
    this.method = what.method;
    this.path = what.path;
    this.route = what.route;
    this.query = what.query;
    this.startedMs = startedMs;
    this.#lines = lines;
    this.#newId = newId;
  }

  get remoteAddress(): string {
    if (this.#address === undefined) {
      if (this.done) return '';
      this.#address = ascii.decode(this.native.getRemoteAddressAsText());
    }
    return this.#address;
  }

  get requestId(): string {
    if (this.#requestId === undefined) {
      const sent = this.header('x-request-id');
      this.#requestId = sent !== undefined && REQUEST_ID.test(sent) ? sent : this.#newId();
    }
    return this.#requestId;
  }

  header(name: string): string | undefined {
    const lines = this.#lines;
    for (let index = 0; index < lines.length; index += 2) if (lines[index] === name) return lines[index + 1];
    return undefined;
  }

  queryValue(name: string): string | undefined {
    if (this.query === '') return undefined;
    this.#search ??= new URLSearchParams(this.query);
    return this.#search.get(name) ?? undefined;
  }

  isAborted(): boolean {
    return this.aborted;
  }

  /**
   * Add a chunk, copying it (the addon takes its memory back). Returns false when the body passes `bytesMax`; nothing is kept then.
   */
  receive(chunk: ArrayBuffer, isLast: boolean, bytesMax: number): boolean {
    const total = this.#received + chunk.byteLength;
    if (total > bytesMax) {
      this.body = NO_BODY;
      return false;
    }
    if (isLast && this.#received === 0) {
      if (total > 0) {
        // From the pool of small buffers: memory of its own costs as much as parsing what stands in it.
        this.body = Buffer.allocUnsafe(total);
        this.body.set(new Uint8Array(chunk));
      }
      return true;
    }
    if (total > this.body.length) {
      const grown = new Uint8Array(Math.min(bytesMax, Math.max(BODY_BYTES_FIRST, total, this.body.length * 2)));
      grown.set(this.body.subarray(0, this.#received));
      this.body = grown;
    }
    this.body.set(new Uint8Array(chunk), this.#received);
    this.#received = total;
    if (isLast) this.body = this.body.subarray(0, total);
    return true;
  }
}

/**
 * The requests whose body is still arriving, oldest first: a doubly linked list through the exchanges, so that the two steps every request
 * with a body takes cost a few stores and no timer. All wait equally long, so only the head can be overdue.
 */
export class WaitingList {
  #head: Exchange | undefined;
  #tail: Exchange | undefined;

  add(exchange: Exchange): void {
    exchange.waiting = true;
    exchange.previous = this.#tail;
    exchange.next = undefined;
    if (this.#tail) this.#tail.next = exchange;
    else this.#head = exchange;
    this.#tail = exchange;
  }

  remove(exchange: Exchange): void {
    if (!exchange.waiting) return;
    exchange.waiting = false;
    if (exchange.previous) exchange.previous.next = exchange.next;
    else this.#head = exchange.next;
    if (exchange.next) exchange.next.previous = exchange.previous;
    else this.#tail = exchange.previous;
    exchange.previous = undefined;
    exchange.next = undefined;
  }

  /** Take out and return the oldest one if it started at or before `startedMs`. */
  takeOverdue(startedMs: number): Exchange | undefined {
    const head = this.#head;
    if (head === undefined || head.startedMs > startedMs) return undefined;
    this.remove(head);
    return head;
  }
}

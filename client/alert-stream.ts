import { CLOSE } from '../contracts/errors.ts';
import type { Alert, ClientFrame, Position, ServerFrame } from '../contracts/push.ts';
import { type Backoff, backoffMs } from './backoff.ts';

/** `connecting`, then `live`; `waiting` before the next try; `closed` is the end. */
export type StreamState = 'connecting' | 'live' | 'waiting' | 'closed';

/** Alerts that could not be replayed: those behind `after`, up to `resumedAt`. Read them with `GET /v1/alerts` of the control plane. */
export interface StreamGap {
  readonly after: Position;
  readonly resumedAt: Position;
}

export interface StreamDetail {
  /** With `live`: there was a gap (`recovered: false`). Absent: nothing was missed. */
  readonly gap?: StreamGap;
  /** With `waiting` and `closed`: the code that the gateway closed with (`CLOSE` of the contract has them); 1006 where the connection broke. */
  readonly code?: number;
}

/** What of `WebSocket` is used. Handlers are typed so that a browser's class and that of the package `ws` both fit. */
export interface StreamSocket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(): void;
}
export type StreamSocketClass = new (url: string) => StreamSocket;

export interface AlertStreamOptions {
  /** `ws://` or `wss://` address of `/v1/stream`. */
  readonly url: string;
  /** A stream token, or where to get one: it is asked for each connection, so that a stream outlives its token. */
  readonly token: string | (() => Promise<string>);
  /** Called once an alert, in order. */
  readonly onAlert: (alert: Alert, position: Position) => void;
  readonly onState?: ((state: StreamState, detail: StreamDetail) => void) | undefined;
  /** No token to be had, a frame that makes no sense, or an `onAlert` that threw; the stream goes on. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Follow the log from behind this position; from now on without one. */
  readonly after?: Position | undefined;
  /** For Node before 22, which has none of its own. */
  readonly WebSocket?: StreamSocketClass | undefined;
  readonly backoff?: Backoff | undefined;
  readonly random?: (() => number) | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined;
}

export interface AlertStream {
  /** Behind the last alert that was handed out: keep it to go on from there after a restart. */
  readonly position: Position | undefined;
  readonly state: StreamState;
  close(): void;
}

/** A desk that looks at a dead stream for longer than ten seconds loses trust in it. */
const BACKOFF: Backoff = { firstMs: 500, maxMs: 10_000 };
const PING_EVERY_MS = 15_000;
/** Two pings without a sign of life: the connection is gone, though nobody noticed. */
const SILENCE_MAX_MS = 35_000;
/** A connection that held this long was a good one: the next loss starts the backoff anew. */
const STABLE_MS = 5_000;
/** Fresh tokens that the gateway may refuse one after the other: the first may have expired on its way, the third never will be good. */
const REFUSALS_MAX = 3;
/** What a lost connection has for a code (RFC 6455). */
const ABNORMAL = 1006;

/**
 * A stream of alerts that reconnects by itself, each time from behind the last alert: every alert comes once, or the gap is told. Throws TypeError on
 * an address that is none, and Error where there is no WebSocket.
 */
export function openAlertStream(options: AlertStreamOptions): AlertStream {
  const stream = new Stream(options);
  stream.start();
  return stream;
}

class Stream implements AlertStream {
  readonly #options: AlertStreamOptions;
  readonly #socketClass: StreamSocketClass;
  readonly #now: () => number;
  #position: Position | undefined;
  #state: StreamState = 'connecting';
  #socket: StreamSocket | undefined;
  #failures = 0;
  #refusals = 0;
  #heardMs = 0;
  #liveSinceMs: number | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(options: AlertStreamOptions) {
    const found = options.WebSocket ?? globalThis.WebSocket;
    if (found === undefined) throw new Error('this runtime has no WebSocket: pass one, such as that of the package ws');
    if (!/^wss?:$/.test(new URL(options.url).protocol)) throw new TypeError(`a stream has a ws:// or wss:// address, not ${options.url}`);
    this.#options = options;
    this.#socketClass = found;
    this.#now = options.now ?? (() => performance.now());
    this.#position = options.after;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get state(): StreamState {
    return this.#state;
  }

  start(): void {
    void this.#connect();
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#disconnect();
    this.#become('closed', {});
  }

  async #connect(): Promise<void> {
    this.#become('connecting', {});
    const { token } = this.#options;
    try {
      const given = typeof token === 'string' ? token : await token();
      // It may have been closed while the token was on its way.
      if (!this.#isClosed()) this.#open(given);
    } catch (error) {
      if (this.#isClosed()) return;
      this.#options.onError?.(error);
      this.#again({});
    }
  }

  #open(token: string): void {
    const socket = new this.#socketClass(this.#options.url);
    this.#socket = socket;
    this.#liveSinceMs = undefined;
    // In the first frame and not in the address, which proxies log.
    socket.onopen = () => this.#send({ type: 'auth', token });
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (this.#socket === socket) this.#take(data);
    };
    socket.onclose = ({ code }: { code?: number }) => {
      if (this.#socket === socket) this.#lost(code ?? ABNORMAL);
    };
    // The close that follows says as much; without a handler `ws` would throw.
    socket.onerror = () => {};
    this.#heardMs = this.#now();
    this.#watch = setInterval(() => {
      if (this.#now() - this.#heardMs > SILENCE_MAX_MS) this.#lost(ABNORMAL);
      else if (this.#state === 'live') this.#send({ type: 'ping' });
    }, PING_EVERY_MS);
  }

  /** The connection is over, or as good as that. */
  #lost(code: number): void {
    this.#disconnect();
    if (this.#liveSinceMs !== undefined && this.#now() - this.#liveSinceMs >= STABLE_MS) this.#failures = 0;
    if (this.#comesBack(code)) this.#again({ code });
    else this.#become('closed', { code });
  }

  #comesBack(code: number): boolean {
    const renewable = typeof this.#options.token !== 'string';
    if (code === CLOSE.unauthenticated.code) return renewable && ++this.#refusals < REFUSALS_MAX;
    if (code === CLOSE.token_expired.code) return renewable;
    const known = Object.values(CLOSE).find((entry) => entry.code === code);
    return known === undefined || known.reconnect;
  }

  #again(detail: StreamDetail): void {
    this.#failures++;
    const waitMs = backoffMs(this.#failures, this.#options.random ?? Math.random, this.#options.backoff ?? BACKOFF);
    this.#retry = setTimeout(() => void this.#connect(), waitMs);
    this.#become('waiting', detail);
  }

  /** Lets go of the socket at once: the handshake of a close can take a dead peer's time. */
  #disconnect(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #become(state: StreamState, detail: StreamDetail): void {
    this.#state = state;
    this.#options.onState?.(state, detail);
  }

  /** Asked through a method, because it may have changed during an await or a callback. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #take(data: unknown): void {
    this.#heardMs = this.#now();
    let frame: ServerFrame;
    try {
      frame = JSON.parse(String(data)) as ServerFrame;
    } catch (error) {
      this.#options.onError?.(error);
      this.#lost(ABNORMAL);
      return;
    }
    switch (frame.type) {
      case 'ready':
        this.#refusals = 0;
        this.#send({ type: 'subscribe', channel: 'alerts', ...(this.#position ? { after: this.#position } : {}) });
        return;
      case 'subscribed':
        this.#subscribed(frame);
        return;
      case 'push':
        this.#push(frame);
        return;
      case 'error':
        this.#options.onError?.(new Error(`${frame.code}: ${frame.detail}`));
        return;
      case 'pong':
      case 'unsubscribed':
        return;
    }
  }

  /** Also comes by itself, when the gateway had to start a subscription anew. */
  #subscribed({ offset, epoch, recovered }: Extract<ServerFrame, { type: 'subscribed' }>): void {
    this.#liveSinceMs ??= this.#now();
    const after = this.#position;
    // Without a position, or with one that means nothing any more, the stream starts at the one that the gateway names.
    if (!recovered || after === undefined) this.#position = { offset, epoch };
    this.#become('live', recovered || after === undefined ? {} : { gap: { after, resumedAt: { offset, epoch } } });
  }

  #push({ data, offset, epoch }: Extract<ServerFrame, { type: 'push' }>): void {
    const position = this.#position;
    if (position?.epoch === epoch && offset <= position.offset) return;
    // An alert is missing before this one. What the log still has of it comes with the next connection, and what it lacks is told then.
    if (position?.epoch !== epoch || offset !== position.offset + 1) {
      this.#lost(ABNORMAL);
      return;
    }
    this.#position = { offset, epoch };
    try {
      this.#options.onAlert(data, this.#position);
    } catch (error) {
      this.#options.onError?.(error);
    }
  }
}

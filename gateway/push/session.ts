import { CLOSE, type CloseReason } from '../../contracts/errors.ts';
import type { Channel, ClientFrame, ServerFrame } from '../../contracts/push.ts';
import type { Encoding } from '../../contracts/wire.ts';
import type { AlertRecord } from '../../store/contract.ts';
import type { Socket, SocketEvents } from '../transport/socket.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { Outbox, type OutboxLimits } from './outbox.ts';
import { type AlertLog, Subscription } from './subscription.ts';

/** A client that has not said who it is by then is none. */
export const AUTH_DEADLINE_MS = 10_000;
/** Proxies drop connections that are silent for a minute; a ping twice in that time keeps them, and finds dead peers. */
export const PING_EVERY_MS = 25_000;
export const PONG_DEADLINE_MS = 60_000;
/** A frame of a client is a token or a position: 8 KiB hold the longest. */
export const FRAME_BYTES_MAX = 8 * 1024;
/** Frames between two ticks of a second. A client needs two in its life. */
export const FRAMES_PER_TICK_MAX = 50;

export interface StreamGrant {
  readonly channels: readonly Channel[];
  readonly expiresMs: number;
}

export interface SessionDeps {
  readonly authorise: (token: string) => Promise<StreamGrant | undefined>;
  readonly log: AlertLog;
  readonly limits: OutboxLimits;
  readonly now: () => number;
  readonly newest: () => { readonly offset: number; readonly epoch: string | undefined };
  /** The record as this encoding's `push` frame; made once for all sessions. */
  readonly frameOf: (record: AlertRecord, epoch: string, encoding: Encoding) => string | Uint8Array;
  readonly onDelivered: (lagMs: number) => void;
  readonly onClosed: (reason: CloseReason) => void;
  readonly onGone: (session: StreamSession) => void;
  readonly onError: (error: unknown) => void;
}

/** One connection: who it is, what it is subscribed to, and what waits for it. */
export class StreamSession implements SocketEvents {
  readonly remoteAddress: string;
  readonly #id: string;
  readonly #socket: Socket;
  readonly #encoding: Encoding;
  readonly #deps: SessionDeps;
  readonly #outbox: Outbox;
  readonly #openedMs: number;
  #grant: StreamGrant | undefined;
  #subscription: Subscription | undefined;
  #seenMs: number;
  #pingedMs: number;
  #frames = 0;
  #gone = false;
  #roomWaiter: ((room: boolean) => void) | undefined;

  constructor(id: string, socket: Socket, encoding: Encoding, remoteAddress: string, deps: SessionDeps) {
    this.remoteAddress = remoteAddress;
    this.#id = id;
    this.#socket = socket;
    this.#encoding = encoding;
    this.#deps = deps;
    this.#outbox = new Outbox(socket, deps.limits, deps.now, () => this.end('slow_consumer'));
    this.#openedMs = deps.now();
    this.#seenMs = this.#openedMs;
    this.#pingedMs = this.#openedMs;
  }

  /** Checks the token; the client may subscribe once `ready` is sent. */
  async authenticate(token: string): Promise<void> {
    const grant = await this.#deps.authorise(token);
    if (this.#gone) return;
    if (grant === undefined) {
      this.end('unauthenticated');
      return;
    }
    this.#grant = grant;
    this.#send({ type: 'ready', connection: this.#id });
  }

  publish(record: AlertRecord, epoch: string): void {
    this.#subscription?.publish(record, epoch);
  }

  /** Once a second: everything that is due by time. */
  tick(): void {
    if (this.#gone) return;
    const nowMs = this.#deps.now();
    this.#frames = 0;
    if (this.#grant === undefined) {
      if (nowMs - this.#openedMs > AUTH_DEADLINE_MS) this.end('unauthenticated');
      return;
    }
    if (nowMs >= this.#grant.expiresMs) {
      this.end('token_expired');
      return;
    }
    if (nowMs - this.#seenMs > PONG_DEADLINE_MS) {
      this.end('idle');
      return;
    }
    if (nowMs - this.#pingedMs >= PING_EVERY_MS) {
      this.#pingedMs = nowMs;
      this.#socket.ping();
    }
    this.#outbox.check();
  }

  /** Closes with the table's code. What was sent before still goes out first. */
  end(reason: CloseReason): void {
    if (this.#gone) return;
    this.#deps.onClosed(reason);
    this.#leave();
    const { code, meaning } = CLOSE[reason];
    // A peer that reads nothing would never see the close frame behind its backlog.
    if (reason === 'slow_consumer') this.#socket.terminate();
    else this.#socket.end(code, meaning);
  }

  message(data: Uint8Array, isBinary: boolean): void {
    if (this.#gone) return;
    this.#seenMs = this.#deps.now();
    if (data.byteLength > FRAME_BYTES_MAX) {
      this.end('message_too_big');
      return;
    }
    if (++this.#frames > FRAMES_PER_TICK_MAX) {
      this.end('invalid_frame');
      return;
    }
    const frame = decodeFrame(data, isBinary, this.#encoding);
    if (frame === undefined) {
      this.end(isBinary === (this.#encoding === 'msgpack') ? 'invalid_frame' : 'unsupported_data');
      return;
    }
    this.#handle(frame).catch((error: unknown) => this.#fail(error));
  }

  pong(): void {
    this.#seenMs = this.#deps.now();
  }

  drain(): void {
    this.#outbox.check();
    if (this.#roomWaiter && this.#outbox.hasRoom()) {
      this.#roomWaiter(true);
      this.#roomWaiter = undefined;
    }
  }

  close(): void {
    if (!this.#gone) this.#leave();
  }

  async #handle(frame: ClientFrame): Promise<void> {
    const id = 'id' in frame && frame.id !== undefined ? { id: frame.id } : {};
    if (frame.type === 'auth') {
      if (this.#grant !== undefined) this.end('invalid_frame');
      else await this.authenticate(frame.token);
      return;
    }
    if (frame.type === 'ping') {
      this.#send({ type: 'pong', ...id });
      return;
    }
    if (this.#grant === undefined) {
      this.end('unauthenticated');
      return;
    }
    if (frame.type === 'unsubscribe') {
      this.#subscription?.close();
      this.#subscription = undefined;
      this.#send({ type: 'unsubscribed', ...id, channel: frame.channel });
      return;
    }
    if (!this.#grant.channels.includes(frame.channel)) {
      this.end('forbidden');
      return;
    }
    this.#subscription?.close();
    this.#subscription = new Subscription({
      log: this.#deps.log,
      newest: this.#deps.newest,
      send: (answer) => this.#send(answer),
      deliver: (record, epoch) => {
        this.#outbox.push(this.#deps.frameOf(record, epoch, this.#encoding));
        this.#deps.onDelivered(Math.max(0, this.#deps.now() - record.alert.at_ms));
      },
      room: () => this.#room(),
      onError: (error) => this.#fail(error),
    });
    await this.#subscription.start(frame.after, frame.id);
  }

  #room(): Promise<boolean> {
    if (this.#gone) return Promise.resolve(false);
    if (this.#outbox.hasRoom()) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#roomWaiter = resolve;
    });
  }

  /** The log could not be read: the client comes back, and recovers then. */
  #fail(error: unknown): void {
    this.#deps.onError(error);
    this.end('going_away');
  }

  #send(frame: ServerFrame): void {
    if (!this.#gone) this.#outbox.push(encodeFrame(frame, this.#encoding));
  }

  #leave(): void {
    this.#gone = true;
    this.#subscription?.close();
    this.#subscription = undefined;
    this.#roomWaiter?.(false);
    this.#roomWaiter = undefined;
    this.#deps.onGone(this);
  }
}

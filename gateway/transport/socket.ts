import type { GatehouseError } from '../../contracts/errors.ts';
import type { HttpRequest } from './http.ts';
import type { NativeWebSocket } from './native.ts';

/** One WebSocket as the rest of the gateway sees it. After `close` was reported, every method does nothing. */
export interface Socket {
  /** A string is sent as text, bytes as binary. Bytes that the kernel does not take stay buffered: see `bufferedBytes`. */
  send(data: string | Uint8Array): void;
  /** Run several sends as one write. */
  batch(sends: () => void): void;
  /** Bytes that were sent but wait for the peer to read. */
  bufferedBytes(): number;
  ping(): void;
  /** Send a close frame behind what is buffered, then close. Reports `close` at once. */
  end(code: number, reason: string): void;
  /** Cut the connection without a close frame. Reports `close` at once. */
  terminate(): void;
}

/** What a connection's owner is told. `data` is valid until `message` returns. */
export interface SocketEvents {
  message(data: Uint8Array, isBinary: boolean): void;
  pong(): void;
  /** What was buffered has gone, in part or all. */
  drain(): void;
  close(code: number): void;
}

/** `subprotocol` is undefined when the client offered none that the route knows. */
export interface Opening {
  readonly subprotocol: string | undefined;
  /** The `token` query parameter. */
  readonly token: string | undefined;
  readonly remoteAddress: string;
}

export interface WsRoute {
  readonly path: string;
  readonly subprotocols: readonly string[];
  /** A larger message closes the connection without a close frame, so owners keep a lower limit of their own that says why. */
  readonly messageBytesMax: number;
  /** Asked before the upgrade; an error refuses it with that status. */
  admit(request: HttpRequest): GatehouseError | undefined;
  open(socket: Socket, opening: Opening): SocketEvents;
}

/** The addon copies the properties of this onto its own object, so it must not be the instance of a class. */
export interface UserData {
  readonly socket: UwsSocket;
}

/** The native socket, made safe to call after it closed (the addon throws then). */
export class UwsSocket implements Socket {
  readonly opening: Opening;
  events: SocketEvents | undefined;
  #native: NativeWebSocket<UserData> | undefined;

  constructor(opening: Opening) {
    this.opening = opening;
  }

  attach(native: NativeWebSocket<UserData>): void {
    this.#native = native;
  }

  detach(): void {
    this.#native = undefined;
  }

  send(data: string | Uint8Array): void {
    this.#native?.send(data, typeof data !== 'string');
  }

  batch(sends: () => void): void {
    this.#native?.cork(sends);
  }

  bufferedBytes(): number {
    return this.#native?.getBufferedAmount() ?? 0;
  }

  ping(): void {
    this.#native?.ping();
  }

  end(code: number, reason: string): void {
    this.#native?.end(code, reason);
  }

  terminate(): void {
    this.#native?.close();
  }
}

/** The first subprotocol of the client's list that the route knows. */
export function chooseSubprotocol(offered: string | undefined, known: readonly string[]): string | undefined {
  if (offered === undefined) return undefined;
  return offered
    .split(',')
    .map((name) => name.trim())
    .find((name) => known.includes(name));
}

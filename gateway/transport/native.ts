/**
 * The part of uWebSockets.js that Gatehouse uses, as types only. The package's own declarations are not reachable under
 * `nodenext` (its `exports` put `import` before `types`), and two versions are in use, so what both share is declared here.
 */
export interface NativeRequest {
  /** Calls back for each header line, duplicates included, with the key in lower case. Only valid inside the native callback. */
  forEach(callback: (key: string, value: string) => void): void;
  getHeader(key: string): string;
  getParameter(index: number): string | undefined;
  getUrl(): string;
  getCaseSensitiveMethod(): string;
  getQuery(): string;
  setYield(yields: boolean): NativeRequest;
}

/** Valid until it was ended or aborted; any call after that throws. */
export interface NativeResponse {
  writeStatus(status: string): NativeResponse;
  writeHeader(key: string, value: string): NativeResponse;
  end(body?: string | Uint8Array, closeConnection?: boolean): NativeResponse;
  endWithoutBody(reportedLength?: number, closeConnection?: boolean): NativeResponse;
  close(): NativeResponse;
  cork(callback: () => void): NativeResponse;
  onAborted(handler: () => void): NativeResponse;
  /** The chunk is detached when the handler returns. */
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): NativeResponse;
  getRemoteAddressAsText(): ArrayBuffer;
  upgrade<T>(userData: T, key: string, protocol: string, extensions: string, context: NativeContext): void;
}

/** Opaque to us. */
export interface NativeContext {
  readonly __context?: never;
}

export interface NativeListenSocket {
  readonly __listenSocket?: never;
}

export interface NativeWebSocket<T> {
  getUserData(): T;
  /** 1 sent, 0 buffered behind backpressure, 2 dropped. */
  send(message: string | Uint8Array, isBinary?: boolean): number;
  getBufferedAmount(): number;
  end(code: number, reason: string): void;
  close(): void;
  ping(): number;
  cork(callback: () => void): void;
}

export interface NativeWebSocketBehaviour<T> {
  readonly maxPayloadLength: number;
  readonly idleTimeout: number;
  readonly maxBackpressure: number;
  readonly sendPingsAutomatically: boolean;
  readonly compression: number;
  upgrade(response: NativeResponse, request: NativeRequest, context: NativeContext): void;
  open(socket: NativeWebSocket<T>): void;
  message(socket: NativeWebSocket<T>, message: ArrayBuffer, isBinary: boolean): void;
  pong(socket: NativeWebSocket<T>): void;
  drain(socket: NativeWebSocket<T>): void;
  close(socket: NativeWebSocket<T>, code: number): void;
}

export type NativeHandler = (response: NativeResponse, request: NativeRequest) => void;

export interface NativeApp {
  get(pattern: string, handler: NativeHandler): NativeApp;
  post(pattern: string, handler: NativeHandler): NativeApp;
  put(pattern: string, handler: NativeHandler): NativeApp;
  patch(pattern: string, handler: NativeHandler): NativeApp;
  del(pattern: string, handler: NativeHandler): NativeApp;
  any(pattern: string, handler: NativeHandler): NativeApp;
  ws<T>(pattern: string, behaviour: NativeWebSocketBehaviour<T>): NativeApp;
  listen(host: string, port: number, options: number, callback: (socket: NativeListenSocket | false) => void): NativeApp;
  /** Closes every socket at once. */
  close(): NativeApp;
}

/** What the addon module offers. */
export interface Uws {
  App(): NativeApp;
  us_listen_socket_close(socket: NativeListenSocket): void;
  us_socket_local_port(socket: NativeListenSocket): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
}

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** A push is a few hundred bytes; after a stall many come at once. */
const READ_BYTES_MAX = 64 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FIN = 0x80;
const MASKED = 0x80;
/** A client's frame is sent with a mask of zeros: it has to be there, and nothing here needs hiding from a proxy. */
const MASK_BYTES = 4;

export interface StreamHandlers {
  /** A text frame; the bytes are only good during the call. */
  readonly text: (bytes: Buffer) => void;
  readonly closed: (reason: string) => void;
}

/** A WebSocket client on the bare socket, so that a thousand of them cost less than the one server that they listen to. */
export class StreamClient {
  readonly #socket: Socket;
  readonly #handlers: StreamHandlers;
  #rest: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #ended = false;

  /** `localAddress` is the one that the server sees: it limits the streams of one address. */
  constructor(port: number, path: string, localAddress: string, handlers: StreamHandlers) {
    this.#handlers = handlers;
    this.#socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    this.#socket.on('connect', () => {
      const key = randomBytes(16).toString('base64');
      this.#socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      );
    });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('the peer closed'));
  }

  send(text: string): void {
    this.#write(TEXT, Buffer.from(text));
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#upgraded) {
      const end = bytes.indexOf(HEAD_END);
      if (end < 0) {
        this.#rest = bytes;
        return;
      }
      const status = bytes.toString('latin1', 9, 12);
      if (status !== '101') {
        this.#end(`the upgrade was answered with ${status}`);
        this.#socket.destroy();
        return;
      }
      this.#upgraded = true;
      bytes = bytes.subarray(end + HEAD_END.length);
    }
    while (bytes.length >= 2) {
      const short = bytes[1]! & 0x7f;
      const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length < headBytes) break;
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      if (length > READ_BYTES_MAX) throw new Error(`a frame of ${length} bytes`);
      if (bytes.length < headBytes + length) break;
      this.#frame(bytes[0]! & 0x0f, bytes.subarray(headBytes, headBytes + length));
      bytes = bytes.subarray(headBytes + length);
    }
    this.#rest = bytes;
  }

  #frame(opcode: number, payload: Buffer): void {
    if (opcode === TEXT) this.#handlers.text(payload);
    else if (opcode === PING) this.#write(PONG, payload);
    else if (opcode === CLOSE) this.#end(`closed with ${payload.length >= 2 ? payload.readUInt16BE(0) : 'no code'}`);
    else throw new Error(`an unexpected frame of kind ${opcode}`);
  }

  #write(opcode: number, payload: Buffer): void {
    const long = payload.length > 125;
    const head = Buffer.alloc((long ? 4 : 2) + MASK_BYTES);
    head[0] = FIN | opcode;
    head[1] = MASKED | (long ? 126 : payload.length);
    if (long) head.writeUInt16BE(payload.length, 2);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers.closed(reason);
  }
}

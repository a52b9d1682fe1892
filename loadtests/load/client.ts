import { connect, type Socket } from 'node:net';

/** The largest answer that is taken: a recommendation of a hundred items is 20 KB. */
const ANSWER_BYTES_MAX = 256 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
/** The status code stands behind `HTTP/1.1 `. */
const STATUS_AT = 9;
const ZERO = 48;
const LENGTH = /\r\ncontent-length: *(\d+)/i;

/**
 * One keep-alive HTTP/1.1 connection with at most one request on its way, on the bare socket: it reads no more of an answer than its status and where
 * it ends, so that the generator stays cheaper than what it measures.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #read = Buffer.allocUnsafeSlow(ANSWER_BYTES_MAX);
  #filled = 0;

  /** `onAnswer` gets the status, and may call `send` at once. `onClose` is called when the peer or the network ended it. */
  constructor(port: number, onOpen: () => void, onAnswer: (status: number, answer: Buffer) => void, onClose: (error: Error | undefined) => void) {
    const landing = Buffer.allocUnsafeSlow(ANSWER_BYTES_MAX);
    let failure: Error | undefined;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: landing,
        callback: (bytes) => {
          this.#take(landing, bytes, onAnswer);
          return true;
        },
      },
    });
    this.#socket.on('connect', onOpen);
    this.#socket.on('error', (error) => {
      failure = error;
    });
    this.#socket.on('close', () => onClose(failure));
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(landing: Buffer, bytes: number, onAnswer: (status: number, answer: Buffer) => void): void {
    if (this.#filled === 0) {
      // Nearly always one segment is one answer, and nothing has to be copied.
      const end = answerEnd(landing, bytes);
      if (end === bytes) {
        onAnswer(statusOf(landing), landing.subarray(0, end));
        return;
      }
    }
    if (this.#filled + bytes > ANSWER_BYTES_MAX) throw new Error(`an answer is over ${ANSWER_BYTES_MAX} bytes`);
    landing.copy(this.#read, this.#filled, 0, bytes);
    this.#filled += bytes;
    const end = answerEnd(this.#read, this.#filled);
    if (end < 0 || end > this.#filled) return;
    if (end < this.#filled) throw new Error('more than one answer came to one request');
    this.#filled = 0;
    onAnswer(statusOf(this.#read), this.#read.subarray(0, end));
  }
}

function statusOf(answer: Buffer): number {
  return (answer[STATUS_AT]! - ZERO) * 100 + (answer[STATUS_AT + 1]! - ZERO) * 10 + (answer[STATUS_AT + 2]! - ZERO);
}

/** Where the answer that begins at 0 ends; -1 while its head is incomplete. */
function answerEnd(bytes: Buffer, filled: number): number {
  const headEnd = bytes.subarray(0, filled).indexOf(HEAD_END);
  if (headEnd < 0) return -1;
  const length = LENGTH.exec(bytes.toString('latin1', 0, headEnd))?.[1];
  if (length === undefined) throw new Error('an answer without Content-Length');
  return headEnd + HEAD_END.length + Number(length);
}

/** The body of an answer as text. */
export function bodyOf(answer: Buffer): string {
  return answer.toString('utf8', answer.indexOf(HEAD_END) + HEAD_END.length);
}

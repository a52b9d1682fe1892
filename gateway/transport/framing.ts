/**
 * What the header lines say about the body, and whether they can be trusted. uWebSockets.js takes the first of two lengths and any
 * coding that ends in `chunked`; a proxy in front may take the other, and the difference is a smuggled request (RFC 9112 section 6.3).
 * So anything ambiguous is refused before the body is looked at.
 */
export interface Framing {
  /** The sentence that is wrong with the framing, or undefined. */
  readonly problem: string | undefined;
  /** Announced length of the body in bytes; -1 when none was announced. */
  readonly contentLength: number;
  readonly chunked: boolean;
  readonly hasOrigin: boolean;
}

/** 15 digits hold every length below 2^49: more is no honest length, and stays exact in a double. */
const LENGTH = /^[0-9]{1,15}$/;

/**
 * Collects the header lines of one request. One scanner serves all requests, because the native callback is synchronous:
 * `begin()`, `request.forEach(scanner.take)`, then read. `lines` is a fresh flat list (key, value, key, value) that the caller keeps.
 */
export class HeaderScanner implements Framing {
  lines: string[] = [];
  problem: string | undefined;
  contentLength = -1;
  chunked = false;
  hasOrigin = false;
  readonly #headersMax: number;
  #hosts = 0;

  constructor(headersMax: number) {
    this.#headersMax = headersMax;
  }

  begin(): void {
    this.lines = [];
    this.problem = undefined;
    this.contentLength = -1;
    this.chunked = false;
    this.hasOrigin = false;
    this.#hosts = 0;
  }

  /** One header line, as the addon hands it out: the key in lower case, the value trimmed. */
  readonly take = (key: string, value: string): void => {
    if (this.lines.length >= 2 * this.#headersMax) {
      this.problem ??= `more than ${this.#headersMax} header lines`;
      return;
    }
    this.lines.push(key, value);
    if (key === 'content-length') this.#takeLength(value);
    else if (key === 'transfer-encoding') this.#takeCoding(value);
    else if (key === 'host') {
      this.#hosts += 1;
      if (this.#hosts > 1) this.problem ??= 'more than one Host';
    } else if (key === 'origin') this.hasOrigin = true;
  };

  #takeLength(value: string): void {
    if (this.contentLength >= 0) this.problem ??= 'more than one Content-Length';
    else if (this.chunked) this.problem ??= 'Content-Length together with Transfer-Encoding';
    else if (LENGTH.test(value)) this.contentLength = Number(value);
    else this.problem ??= 'Content-Length is not a whole number';
  }

  #takeCoding(value: string): void {
    if (this.chunked) this.problem ??= 'more than one Transfer-Encoding';
    else if (this.contentLength >= 0) this.problem ??= 'Content-Length together with Transfer-Encoding';
    else if (value.toLowerCase() === 'chunked') this.chunked = true;
    else this.problem ??= 'a Transfer-Encoding other than chunked';
  }
}

import { GatehouseError } from '../../contracts/errors.ts';

/** The first buffer fits most states; a larger one replaces it when needed. */
const BUFFER_BYTES_AT_FIRST = 4096;
/** Integers up to here are written as zigzag varints; anything else as 8 raw bytes. */
const ZIGZAG_MAX = 2 ** 50;
/** Fewer bytes than these are copied one by one. */
const LOOP_BYTES_MAX = 64;
const TWO_14 = 2 ** 14;
const TWO_21 = 2 ** 21;
const TWO_28 = 2 ** 28;
const TWO_32 = 2 ** 32;
/** A 53-bit hash as it is written. */
export const HASH_BYTES = 7;
export const DOUBLE_BYTES = 8;

/** Writes into a buffer that is reused from state to state. Callers reserve room first, then write without checks. */
export class ByteWriter {
  private bytes = new Uint8Array(BUFFER_BYTES_AT_FIRST);
  private view = new DataView(this.bytes.buffer);
  private at = 0;

  reset(): void {
    this.at = 0;
  }

  get position(): number {
    return this.at;
  }

  reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + more));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  /** Everything written, until the next `reset`. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.at);
  }

  /** A copy of everything written, out of Node's pool: an ArrayBuffer of its own costs more than the bytes in it. */
  copy(): Uint8Array {
    const { buffer, byteOffset } = Buffer.allocUnsafe(this.at);
    const out = new Uint8Array(buffer, byteOffset, this.at);
    out.set(this.bytes.subarray(0, this.at));
    return out;
  }

  /** Copies everything written to `out`, from `at` on. A plain loop where it is little: a call of `set` costs more. */
  copyTo(out: Uint8Array, at: number): void {
    const { bytes } = this;
    if (this.at > LOOP_BYTES_MAX) out.set(bytes.subarray(0, this.at), at);
    else for (let i = 0; i < this.at; i++) out[at + i] = bytes[i]!;
  }

  /** Fill in a number that was left open at `position`. */
  patchU32(position: number, value: number): void {
    this.view.setUint32(position, value, true);
  }

  u8(value: number): void {
    this.bytes[this.at++] = value;
  }

  u32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** A 53-bit hash: 7 bytes. Shifts and one division: the remainder of doubles took longer than all the rest of a state. */
  hash(value: number): void {
    const low = value >>> 0;
    this.u32(low);
    const high = (value - low) / TWO_32;
    this.bytes[this.at++] = high & 255;
    this.bytes[this.at++] = (high >>> 8) & 255;
    this.bytes[this.at++] = high >>> 16;
  }

  /** A whole number from 0 to 2^53: at most 8 bytes. */
  varint(value: number): void {
    let rest = value;
    if (rest >= TWO_28) {
      // Four groups of 7 bits at once, so that the loop below works on 32-bit integers.
      const high = Math.floor(rest / TWO_28);
      const low = rest - high * TWO_28;
      this.bytes[this.at++] = (low & 127) | 128;
      this.bytes[this.at++] = ((low >>> 7) & 127) | 128;
      this.bytes[this.at++] = ((low >>> 14) & 127) | 128;
      this.bytes[this.at++] = (low >>> 21) | 128;
      rest = high;
    }
    while (rest >= 128) {
      this.bytes[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  /** Any double: at most 9 bytes, few for a small whole number. */
  number(value: number): void {
    if (Number.isInteger(value) && value > -ZIGZAG_MAX && value < ZIGZAG_MAX && !Object.is(value, -0)) {
      this.varint(value < 0 ? -2 * value : 2 * value + 1);
      return;
    }
    this.u8(0);
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** Length and UTF-8 bytes. Ids are ASCII by contract, so the loop is the usual way. */
  text(value: string): void {
    this.reserve(value.length * 3 + 8);
    for (let i = 0; i < value.length; i++) {
      if (value.charCodeAt(i) > 127) {
        const utf8 = Buffer.from(value, 'utf8');
        this.varint(utf8.length);
        this.append(utf8);
        return;
      }
    }
    this.varint(value.length);
    for (let i = 0; i < value.length; i++) this.bytes[this.at++] = value.charCodeAt(i);
  }

  /** Some of these bytes, for which there is room. */
  appendFrom(value: Uint8Array, from: number, to: number): void {
    const { bytes, at } = this;
    this.at = at + to - from;
    if (to - from > LOOP_BYTES_MAX) bytes.set(value.subarray(from, to), at);
    else for (let i = from; i < to; i++) bytes[at + i - from] = value[i]!;
  }

  append(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.at);
    this.at += value.length;
  }
}

/** The whole number at `at` of bytes that this process wrote itself: nothing is checked. It takes `varintBytes` of it. */
export function varintAt(bytes: Uint8Array, at: number): number {
  let value = bytes[at]!;
  if (value < 128) return value;
  value = (value & 127) | (bytes[at + 1]! << 7);
  if (value < TWO_14) return value;
  value = (value & (TWO_14 - 1)) | (bytes[at + 2]! << 14);
  if (value < TWO_21) return value;
  value = (value & (TWO_21 - 1)) | (bytes[at + 3]! << 21);
  return value < TWO_28 ? value : longVarintAt(bytes, at + 4, value & (TWO_28 - 1));
}

/** What is written of a number is all that it needs, so its length can be told from it: that keeps a loop's place in a register. */
export function varintBytes(value: number): number {
  if (value < TWO_14) return value < 128 ? 1 : 2;
  if (value < TWO_28) return value < TWO_21 ? 3 : 4;
  let bytes = 5;
  for (let rest = Math.floor(value / TWO_28); rest >= 128; rest /= 128) bytes++;
  return bytes;
}

/** The rest of a number whose lowest 28 bits are read. */
function longVarintAt(bytes: Uint8Array, from: number, low: number): number {
  let value = low;
  let byte = 128;
  for (let at = from, factor = TWO_28; byte >= 128; factor *= 128) {
    byte = bytes[at++]!;
    value += (byte & 127) * factor;
  }
  return value;
}

/** The number that was written as this varint, which is not 0 (then its 8 bytes follow). */
export function numberOf(varint: number): number {
  if (varint < TWO_28) return (varint & 1) === 1 ? varint >> 1 : -(varint >> 1);
  const half = Math.floor(varint / 2);
  return varint - half * 2 === 1 ? half : -half;
}

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

export function doubleAt(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) doubleBytes[i] = bytes[at + i]!;
  return double[0]!;
}

export function hashAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  return (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16)) * TWO_32 + low;
}

/** Reads such bytes one after the other. */
export class Cursor {
  at = 0;
  private bytes: Uint8Array = new Uint8Array(0);

  open(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.at = at;
  }

  varint(): number {
    const value = varintAt(this.bytes, this.at);
    this.at += varintBytes(value);
    return value;
  }

  number(): number {
    const value = this.varint();
    if (value !== 0) return numberOf(value);
    this.at += DOUBLE_BYTES;
    return doubleAt(this.bytes, this.at - DOUBLE_BYTES);
  }

  hash(): number {
    this.at += HASH_BYTES;
    return hashAt(this.bytes, this.at - HASH_BYTES);
  }
}

/** Reads what ByteWriter wrote. Every read is checked: damaged bytes give `store_incompatible`, and no count is trusted beyond the bytes left. */
export class ByteReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private latin1: string | undefined;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get position(): number {
    return this.at;
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  private take(count: number): number {
    const from = this.at;
    if (count > this.bytes.length - from) throw damaged('it ends too early');
    this.at = from + count;
    return from;
  }

  u8(): number {
    return this.bytes[this.take(1)]!;
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  hash(): number {
    const low = this.u32();
    const at = this.take(3);
    const high = this.bytes[at]! | (this.bytes[at + 1]! << 8) | (this.bytes[at + 2]! << 16);
    if (high > 2097151) throw damaged('a hash is over 53 bits');
    return high * 4294967296 + low;
  }

  varint(): number {
    const first = this.u8();
    let byte = first;
    let value = byte & 127;
    for (let factor = 128; byte >= 128; factor *= 128) {
      if (factor > 2 ** 49) throw damaged('a number is too long');
      byte = this.u8();
      value += (byte & 127) * factor;
    }
    if (value > Number.MAX_SAFE_INTEGER) throw damaged('a number is too large');
    // A number's length is told from its value: `varintBytes`.
    if (byte === 0 && first >= 128) throw damaged('a number is longer than it needs to be');
    return value;
  }

  /** A count of things that take at least `bytesEach` bytes. */
  count(bytesEach: number): number {
    const count = this.varint();
    if (count * bytesEach > this.remaining) throw damaged('it ends too early');
    return count;
  }

  number(): number {
    const value = this.varint();
    if (value !== 0) return value % 2 === 1 ? (value - 1) / 2 : -value / 2;
    const double = this.view.getFloat64(this.take(8), true);
    if (!Number.isFinite(double)) throw damaged('a value is not finite');
    return double;
  }

  text(): string {
    const length = this.varint();
    const from = this.take(length);
    for (let i = from; i < from + length; i++) {
      if (this.bytes[i]! > 127) return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + from, length).toString('utf8');
    }
    // One decoding of all bytes, then substrings: a history holds hundreds of short ids.
    this.latin1 ??= Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length).toString('latin1');
    return this.latin1.substring(from, from + length);
  }

  skip(count: number): void {
    this.take(count);
  }

  /** Hands on what was read between two positions. */
  writeFrom(from: number, to: number, writer: ByteWriter): void {
    writer.reserve(to - from);
    writer.appendFrom(this.bytes, from, to);
  }

  /** Back to a position, to read it again. */
  rewind(position: number): void {
    this.at = position;
  }

  /** A copy of what was read since `position`: the caller's buffer may be reused. */
  copyFrom(position: number): Uint8Array {
    // Not `slice`: of a Buffer, which is what a disk hands out, it is another view of the same memory.
    return new Uint8Array(this.bytes.subarray(position, this.at));
  }
}

export function damaged(what: string): GatehouseError {
  return new GatehouseError('store_incompatible', `an entity state is damaged: ${what}`);
}

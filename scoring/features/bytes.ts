import { GatehouseError } from '../../contracts/errors.ts';

/** The first buffer fits most states; a larger one replaces it when needed. */
const BUFFER_BYTES_AT_FIRST = 4096;
/** Integers up to here are written as zigzag varints; anything else as 8 raw bytes. */
const ZIGZAG_MAX = 2 ** 50;
/** Fewer bytes than these are copied one by one. */
const LOOP_BYTES_MAX = 64;
const TWO_28 = 2 ** 28;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;
/** A 53-bit hash as it is written. */
export const HASH_BYTES = 7;

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

/** Reads bytes that this process wrote itself: nothing is checked. */
export class Cursor {
  at = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private readonly double = new Float64Array(1);
  private readonly doubleBytes = new Uint8Array(this.double.buffer);

  open(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.at = at;
  }

  /** Five groups of 7 bits at most as 32-bit integers, which is what most numbers have. */
  varint(): number {
    const { bytes } = this;
    let { at } = this;
    let byte = bytes[at++]!;
    let value = byte & 127;
    for (let shift = 7; byte >= 128 && shift < 28; shift += 7) {
      byte = bytes[at++]!;
      value |= (byte & 127) << shift;
    }
    for (let factor = TWO_28; byte >= 128; factor *= 128) {
      byte = bytes[at++]!;
      value += (byte & 127) * factor;
    }
    this.at = at;
    return value;
  }

  number(): number {
    const value = this.varint();
    if (value === 0) return this.raw();
    if (value < TWO_31) return (value & 1) === 1 ? value >> 1 : -(value >> 1);
    const half = Math.floor(value / 2);
    return value - half * 2 === 1 ? half : -half;
  }

  hash(): number {
    const { bytes, at } = this;
    this.at = at + HASH_BYTES;
    const low = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    return (bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16)) * TWO_32 + low;
  }

  private raw(): number {
    for (let i = 0; i < 8; i++) this.doubleBytes[i] = this.bytes[this.at + i]!;
    this.at += 8;
    return this.double[0]!;
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
    let byte = this.u8();
    let value = byte & 127;
    for (let factor = 128; byte >= 128; factor *= 128) {
      if (factor > 2 ** 49) throw damaged('a number is too long');
      byte = this.u8();
      value += (byte & 127) * factor;
    }
    if (value > Number.MAX_SAFE_INTEGER) throw damaged('a number is too large');
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

  /** A copy of what was read since `position`: the caller's buffer may be reused. */
  copyFrom(position: number): Uint8Array {
    // Not `slice`: of a Buffer, which is what a disk hands out, it is another view of the same memory.
    return new Uint8Array(this.bytes.subarray(position, this.at));
  }
}

export function damaged(what: string): GatehouseError {
  return new GatehouseError('store_incompatible', `an entity state is damaged: ${what}`);
}

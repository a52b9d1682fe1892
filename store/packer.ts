/** The first buffer fits most values; it doubles when needed. */
const BUFFER_BYTES_AT_FIRST = 4096;
/** As deep as @msgpack/msgpack writes by default. Deeper is a cycle or a mistake. */
const DEPTH_MAX = 100;
/** The longest head of a value (a type and 8 bytes). */
const HEAD_BYTES_MAX = 9;
/** UTF-8 takes at most three bytes for a unit of UTF-16. */
const BYTES_PER_UNIT = 3;
const TWO_32 = 2 ** 32;
/** Names of fields that are remembered as bytes. The code has some hundred; attributes of items may be called anything. */
const NAMES_MAX = 1024;
const NAME_CHARS_MAX = 64;
/** The extension type of MessagePack under which a block of numbers stands. */
export const FLOATS_TYPE = 1;
const FLOAT_BYTES = 4;

/**
 * Writes plain values (what JSON can say, and bytes) as MessagePack into one buffer that is reused. Every payment writes some hundred numbers and
 * names into the journal, and a writer for just these takes half the time of a general one; any reader of MessagePack reads it.
 *
 * A number that a float32 holds exactly is written as one: 5 bytes instead of 9, and nothing lost. A Float32Array is written as an array of such numbers, or,
 * with `floatBlocks`, as one block: a payment's vector took longer than all the rest of its decision. `readFloats` reads it.
 */
export class Packer {
  readonly #floatBlocks: boolean;
  readonly #names = new Map<string, Uint8Array>();
  #bytes = new Uint8Array(BUFFER_BYTES_AT_FIRST);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  constructor(options: { readonly floatBlocks?: boolean } = {}) {
    this.#floatBlocks = options.floatBlocks === true;
  }

  /** The value's bytes, only good until the next call. Keys with undefined are left out. Throws TypeError for what is not plain. */
  pack(value: unknown): Uint8Array {
    this.#at = 0;
    this.#value(value, 0);
    return this.#bytes.subarray(0, this.#at);
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.#text(value);
        return;
      case 'number':
        this.#reserve(HEAD_BYTES_MAX);
        this.#number(value);
        return;
      case 'boolean':
        this.#reserve(1);
        this.#bytes[this.#at++] = value ? 0xc3 : 0xc2;
        return;
      case 'undefined':
        this.#reserve(1);
        this.#bytes[this.#at++] = 0xc0;
        return;
      case 'object':
        if (value === null) {
          this.#reserve(1);
          this.#bytes[this.#at++] = 0xc0;
        } else this.#object(value, depth);
        return;
      default:
        throw new TypeError(`a ${typeof value} cannot be stored`);
    }
  }

  #object(value: object, depth: number): void {
    if (depth >= DEPTH_MAX) throw new TypeError(`a value is nested deeper than ${DEPTH_MAX} levels`);
    this.#reserve(HEAD_BYTES_MAX);
    if (Array.isArray(value)) {
      this.#head(value.length, 0x90, 0xdc);
      for (let i = 0; i < value.length; i++) this.#value(value[i], depth + 1);
    } else if (value instanceof Uint8Array) this.#binary(value);
    else if (value instanceof Float32Array) {
      if (this.#floatBlocks) this.#floats(value);
      else this.#object(Array.from(value), depth);
    } else {
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) throw new TypeError('only plain objects, arrays and bytes can be stored');
      this.#map(value as Record<string, unknown>, depth);
    }
  }

  /** The head is chosen by the number of keys, and filled in with the number of those that have a value. */
  #map(value: Record<string, unknown>, depth: number): void {
    const keys = Object.keys(value);
    const headAt = this.#at;
    this.#head(keys.length, 0x80, 0xde);
    const bodyAt = this.#at;
    let count = 0;
    for (const key of keys) {
      const entry = value[key];
      if (entry === undefined) continue;
      count++;
      this.#name(key);
      this.#value(entry, depth + 1);
    }
    if (count === keys.length) return;
    if (bodyAt - headAt === 1) this.#bytes[headAt] = 0x80 | count;
    else if (bodyAt - headAt === 3) this.#view.setUint16(headAt + 1, count);
    else this.#view.setUint32(headAt + 1, count);
  }

  /** More than half of a payment's bytes are names, always the same: copied, they take a third of the time. */
  #name(key: string): void {
    const packed = this.#names.get(key);
    if (packed === undefined) {
      const from = this.#at;
      this.#text(key);
      if (this.#names.size < NAMES_MAX && key.length <= NAME_CHARS_MAX) this.#names.set(key, this.#bytes.slice(from, this.#at));
      return;
    }
    this.#reserve(packed.length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < packed.length; i++) bytes[at++] = packed[i]!;
    this.#at = at;
  }

  /** Head of an array or map: up to 15 within the type's byte, then 16 bits, then 32. */
  #head(count: number, short: number, long: number): void {
    if (count < 16) this.#bytes[this.#at++] = short | count;
    else if (count < 0x10000) {
      this.#bytes[this.#at++] = long;
      this.#view.setUint16(this.#at, count);
      this.#at += 2;
    } else {
      this.#bytes[this.#at++] = long + 1;
      this.#view.setUint32(this.#at, count);
      this.#at += 4;
    }
  }

  #binary(value: Uint8Array): void {
    this.#bytes[this.#at++] = 0xc6;
    this.#view.setUint32(this.#at, value.length);
    this.#at += 4;
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #floats(value: Float32Array): void {
    const bytes = value.length * FLOAT_BYTES;
    this.#reserve(HEAD_BYTES_MAX + bytes);
    this.#bytes[this.#at++] = 0xc9;
    this.#view.setUint32(this.#at, bytes);
    this.#bytes[this.#at + 4] = FLOATS_TYPE;
    this.#at += 5;
    for (let i = 0; i < value.length; i++, this.#at += FLOAT_BYTES) this.#view.setFloat32(this.#at, value[i]!);
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.#integer(value);
    else if (Object.is(Math.fround(value), value)) {
      this.#bytes[this.#at++] = 0xca;
      this.#view.setFloat32(this.#at, value);
      this.#at += 4;
    } else {
      this.#bytes[this.#at++] = 0xcb;
      this.#view.setFloat64(this.#at, value);
      this.#at += 8;
    }
  }

  #integer(value: number): void {
    const bytes = this.#bytes;
    if (value >= 0) {
      if (value < 0x80) bytes[this.#at++] = value;
      else if (value < 0x100) {
        bytes[this.#at++] = 0xcc;
        bytes[this.#at++] = value;
      } else if (value < 0x10000) {
        bytes[this.#at++] = 0xcd;
        this.#view.setUint16(this.#at, value);
        this.#at += 2;
      } else if (value < TWO_32) {
        bytes[this.#at++] = 0xce;
        this.#view.setUint32(this.#at, value);
        this.#at += 4;
      } else this.#wide(0xcf, value);
    } else if (value >= -0x20) bytes[this.#at++] = value & 0xff;
    else if (value >= -0x80000000) {
      bytes[this.#at++] = 0xd2;
      this.#view.setInt32(this.#at, value);
      this.#at += 4;
    } else this.#wide(0xd3, value);
  }

  /** 64 bits, in two's complement for a negative one. */
  #wide(type: number, value: number): void {
    this.#bytes[this.#at++] = type;
    this.#view.setInt32(this.#at, Math.floor(value / TWO_32));
    this.#view.setUint32(this.#at + 4, value >>> 0);
    this.#at += 8;
  }

  /** A loop, because names and ids are short and nearly always ASCII. The head is written again where they are not. */
  #text(value: string): void {
    const { length } = value;
    this.#reserve(HEAD_BYTES_MAX + length * BYTES_PER_UNIT);
    const headAt = this.#at;
    this.#textHead(length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 127) {
        this.#at = headAt;
        this.#wideText(value);
        return;
      }
      bytes[at++] = unit;
    }
    this.#at = at;
  }

  #textHead(length: number): void {
    const bytes = this.#bytes;
    if (length < 32) bytes[this.#at++] = 0xa0 | length;
    else if (length < 0x100) {
      bytes[this.#at++] = 0xd9;
      bytes[this.#at++] = length;
    } else if (length < 0x10000) {
      bytes[this.#at++] = 0xda;
      this.#view.setUint16(this.#at, length);
      this.#at += 2;
    } else {
      bytes[this.#at++] = 0xdb;
      this.#view.setUint32(this.#at, length);
      this.#at += 4;
    }
  }

  /** With the 32-bit head, filled in when the bytes have been counted. A lone surrogate is written as it is: an id with one must not become another. */
  #wideText(value: string): void {
    const headAt = this.#at;
    const bytes = this.#bytes;
    let at = headAt + 5;
    for (let i = 0; i < value.length; i++) {
      const code = value.codePointAt(i)!;
      if (code > 0xffff) {
        i++;
        bytes[at++] = 0xf0 | (code >> 18);
        bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
        bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      } else if (code > 0x7ff) {
        bytes[at++] = 0xe0 | (code >> 12);
        bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      } else if (code > 0x7f) bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = code > 0x7f ? 0x80 | (code & 0x3f) : code;
    }
    bytes[headAt] = 0xdb;
    this.#view.setUint32(headAt + 1, at - headAt - 5);
    this.#at = at;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + more));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** The numbers of a block, as they were before they were packed. */
export function readFloats(block: Uint8Array): number[] {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const out = new Array<number>(block.length / FLOAT_BYTES);
  for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(i * FLOAT_BYTES);
  return out;
}

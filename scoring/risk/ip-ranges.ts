import { isIP } from 'node:net';

/** An address or CIDR range as bits: `bits` of the address's own width, `length` of them fixed. */
export interface IpRange {
  readonly family: 4 | 6;
  readonly bits: bigint;
  readonly length: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;
const MAPPED_V4 = 0xffffn;

/** `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`. Host bits behind the prefix are dropped. Undefined for what is no address. */
export function parseIpRange(text: string): IpRange | undefined {
  const [address = '', suffix, ...more] = text.split('/');
  if (more.length > 0) return undefined;
  const whole = parseIp(address);
  if (whole === undefined) return undefined;
  if (suffix === undefined) return whole;
  const length = Number(suffix);
  if (!/^\d{1,3}$/.test(suffix) || length > WIDTH[whole.family]) return undefined;
  return { family: whole.family, bits: masked(whole, length), length };
}

/** Its text, the same for every way of writing it. */
export function formatIpRange({ family, bits, length }: IpRange): string {
  const address = family === 4 ? formatV4(bits) : formatV6(bits);
  return length === WIDTH[family] ? address : `${address}/${length}`;
}

/** Entries by range; a look-up costs one map for each prefix length that is in use. */
export class IpRanges<T> {
  readonly #byLength: { readonly 4: Map<number, Map<bigint, T>>; readonly 6: Map<number, Map<bigint, T>> } = { 4: new Map(), 6: new Map() };

  set({ family, bits, length }: IpRange, value: T): void {
    const lengths = this.#byLength[family];
    let entries = lengths.get(length);
    if (entries === undefined) {
      entries = new Map();
      lengths.set(length, entries);
    }
    entries.set(bits, value);
  }

  delete({ family, bits, length }: IpRange): void {
    const entries = this.#byLength[family].get(length);
    if (entries?.delete(bits) && entries.size === 0) this.#byLength[family].delete(length);
  }

  /** Whether a range that holds the address has a value that passes. */
  some(address: string, passes: (value: T) => boolean): boolean {
    const whole = parseIp(address);
    if (whole === undefined) return false;
    for (const [length, entries] of this.#byLength[whole.family]) {
      const value = entries.get(masked(whole, length));
      if (value !== undefined && passes(value)) return true;
    }
    return false;
  }
}

function masked({ family, bits }: IpRange, length: number): bigint {
  const rest = BigInt(WIDTH[family] - length);
  return (bits >> rest) << rest;
}

function parseIp(text: string): IpRange | undefined {
  const family = isIP(text);
  if (family === 4) return { family: 4, bits: v4Bits(text), length: 32 };
  // A zone (`fe80::1%eth0`) means something on one machine alone.
  if (family !== 6 || text.includes('%')) return undefined;
  const bits = v6Bits(text);
  // `::ffff:192.0.2.1` is the IPv4 address in the clothes that a dual-stack socket gives it.
  return bits >> 32n === MAPPED_V4 ? { family: 4, bits: bits & 0xffffffffn, length: 32 } : { family: 6, bits, length: 128 };
}

function v4Bits(text: string): bigint {
  let bits = 0;
  for (const part of text.split('.')) bits = bits * 256 + Number(part);
  return BigInt(bits);
}

function v6Bits(text: string): bigint {
  const last = text.slice(text.lastIndexOf(':') + 1);
  const plain = last.includes('.')
    ? `${text.slice(0, -last.length)}${(v4Bits(last) >> 16n).toString(16)}:${(v4Bits(last) & 0xffffn).toString(16)}`
    : text;
  const [head = '', tail] = plain.split('::');
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : []);
  const [before, after] = [groups(head), groups(tail)];
  const all = tail === undefined ? before : [...before, ...new Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function formatV4(bits: bigint): string {
  const value = Number(bits);
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** RFC 5952: lower case, and the longest run of two or more zero groups as `::`. */
function formatV6(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bits >> BigInt(16 * (7 - i))) & 0xffffn).toString(16));
  const text = groups.join(':');
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const run = runs[0];
  if (!run) return text;
  return `${text.slice(0, run.index)}::${text.slice(run.index + run[0].length).replace(/^:/, '')}`;
}

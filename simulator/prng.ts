/**
 * Seeded randomness. sfc32 (Chris Doty-Humphrey's PractRand; passes BigCrush) drives the draws, and murmur3's finaliser derives one
 * independent substream per (purpose, i, j), so that a change to how one user or item is drawn reshuffles no other.
 */

/** One number per purpose. Append only: renumbering changes every shop. */
export const STREAM = {
  style: 1,
  brand: 2,
  item: 3,
  person: 4,
  household: 5,
  visitsOfDay: 6,
  visit: 7,
  attackPlan: 8,
  attack: 9,
  outcome: 10,
  review: 11,
  campaign: 12,
  campaignTarget: 13,
  live: 14,
} as const;
export type Stream = (typeof STREAM)[keyof typeof STREAM];

const TWO_32 = 4_294_967_296;

function absorb(hash: number, part: number): number {
  let k = Math.imul(part, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = hash ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 32-bit hash of whole numbers; the high half of numbers over 2^32 counts too. */
export function hash32(seed: number, stream: number, i: number, j: number): number {
  let h = absorb(seed | 0, Math.floor(seed / TWO_32) | 0);
  h = absorb(h, stream);
  h = absorb(absorb(h, i | 0), Math.floor(i / TWO_32) | 0);
  h = absorb(absorb(h, j | 0), Math.floor(j / TWO_32) | 0);
  return finish(h);
}

/** A 32-bit hash of a string (FNV-1a with murmur3's finaliser). */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return finish(h);
}

export class Rng {
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 1;

  constructor(seed: number, stream: Stream, i = 0, j = 0) {
    this.reseed(seed, stream, i, j);
  }

  /** Start the substream (stream, i, j) afresh, without allocating. */
  reseed(seed: number, stream: Stream, i = 0, j = 0): this {
    this.a = hash32(seed, stream, i, j) | 0;
    this.b = hash32(seed ^ 0x5bd1e995, stream, i, j) | 0;
    this.c = hash32(seed ^ 0x3c6ef372, stream, i, j) | 0;
    this.d = 1;
    for (let round = 0; round < 12; round += 1) this.next();
    return this;
  }

  /** Uniform over 0..2^32-1. */
  next(): number {
    const t = (((this.a + this.b) | 0) + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (this.c << 21) | (this.c >>> 11);
    this.c = (this.c + t) | 0;
    return t >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.next() / TWO_32;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.float();
  }

  /** Uniform over 0..n-1. */
  int(n: number): number {
    return Math.floor(this.float() * n);
  }

  /** Uniform over low..high, both included. */
  range(low: number, high: number): number {
    return low + this.int(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const value = list[this.int(list.length)];
    if (value === undefined) throw new Error('pick from an empty list');
    return value;
  }

  /** Standard normal (Box-Muller; the second value is dropped so that a draw has no hidden state). */
  normal(mean = 0, deviation = 1): number {
    return mean + deviation * Math.sqrt(-2 * Math.log(1 - this.float())) * Math.cos(2 * Math.PI * this.float());
  }

  logNormal(median: number, sigma: number): number {
    return median * Math.exp(this.normal(0, sigma));
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.float());
  }

  /** Standard Gumbel: the argmax of utility + gumbel() is a draw from their softmax. */
  gumbel(): number {
    return -Math.log(-Math.log(this.float() + 1e-12));
  }

  /** Poisson by multiplication (Knuth); meant for means below about 20. */
  poisson(mean: number): number {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.float(); product > limit; product *= this.float()) count += 1;
    return count;
  }

  /** Number of failures before the first stop; its mean is (1 - stop) / stop. */
  geometric(stop: number): number {
    return Math.floor(Math.log(1 - this.float()) / Math.log(1 - stop));
  }

  /** Index drawn in proportion to `weights`. */
  weighted(weights: ArrayLike<number>): number {
    let total = 0;
    for (let i = 0; i < weights.length; i += 1) total += weights[i]!;
    let left = this.float() * total;
    for (let i = 0; i < weights.length; i += 1) {
      left -= weights[i]!;
      if (left < 0) return i;
    }
    return weights.length - 1;
  }

  /** Index drawn from running totals (binary search). */
  cumulative(totals: Float64Array): number {
    const at = this.float() * (totals[totals.length - 1] ?? 0);
    let low = 0;
    let high = totals.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (totals[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** An opaque id: the prefix and 64 random bits. Legitimate and fraudulent ids look alike. */
  id(prefix: string): string {
    return `${prefix}${this.next().toString(36).padStart(7, '0')}${this.next().toString(36).padStart(7, '0')}`;
  }

  unitVector(dimensions: number): Float32Array {
    const vector = new Float32Array(dimensions);
    for (let i = 0; i < dimensions; i += 1) vector[i] = this.normal();
    return normalise(vector);
  }
}

/** Scales to length 1 in place. */
export function normalise(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const x of vector) sum += x * x;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  for (let i = 0; i < vector.length; i += 1) vector[i] = vector[i]! * scale;
  return vector;
}

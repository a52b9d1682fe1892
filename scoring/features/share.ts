import { HASH_BYTES, hashAt, varintAt, varintBytes } from './bytes.ts';
import { COUNT, OLDEST_MS, type TopSpec } from './schema.ts';
import type { State } from './state.ts';
import { SHARE_SIGHTINGS_MAX } from './tiles.ts';

/** Scratch of one call: sightings of each key of the list's table. */
const seenByPlace = new Uint8Array(SHARE_SIGHTINGS_MAX);

/** Places of the hash table: a power of two, so that a mask finds the place, and over twice the sightings, so that probes are few. */
const PLACES = 128;

/**
 * The latest sightings of one list, counted by key: filled once a request, then asked once a candidate. Open addressing with linear probes;
 * a place with count 0 is free, and there is always one since PLACES > SHARE_SIGHTINGS_MAX.
 */
export class ShareTable {
  private readonly keys = new Float64Array(PLACES);
  private readonly counts = new Uint8Array(PLACES);
  private seen = 0;

  /** Sightings later than `nowMs` are left out. */
  count(state: State | undefined, { at, section }: TopSpec, nowMs: number): void {
    this.counts.fill(0);
    this.seen = 0;
    const sightings = state?.numbers[at + COUNT] ?? 0;
    if (!state || sightings === 0) return;
    const { bytes, numbers } = state;
    const table = state.sectionFrom(section) + 1;
    let seenMs = numbers[at + OLDEST_MS]!;
    const keys = bytes[table - 1]!;
    for (let i = 0; i < keys; i++) seenByPlace[i] = 0;
    for (let i = 0, from = table + keys * HASH_BYTES; i < sightings; i++) {
      if (i > 0) {
        const step = varintAt(bytes, from);
        seenMs += step;
        from += varintBytes(step);
      }
      if (seenMs > nowMs) break;
      const place = bytes[from++]!;
      seenByPlace[place] = seenByPlace[place]! + 1;
      this.seen++;
    }
    for (let i = 0; i < keys; i++) {
      const key = hashAt(bytes, table + i * HASH_BYTES);
      const place = this.placeOf(key);
      this.keys[place] = key;
      this.counts[place] = seenByPlace[i]!;
    }
  }

  /** Of `key` (a hash53, NaN for none) among all; NaN without a key or without sightings. */
  shareOf(key: number): number {
    return this.seen === 0 || Number.isNaN(key) ? Number.NaN : this.counts[this.placeOf(key)]! / this.seen;
  }

  /** Where the key stands, or the free place where it belongs. */
  private placeOf(key: number): number {
    // The low bits. A bitwise operator on a number beyond 32 bits takes several times as long.
    let place = key - Math.floor(key / PLACES) * PLACES;
    while (this.counts[place] !== 0 && this.keys[place] !== key) place = (place + 1) & (PLACES - 1);
    return place;
  }
}

import { SHARE_SIGHTINGS_MAX } from './tiles.ts';
import type { Top } from './top.ts';

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
  count(top: Top | undefined, nowMs: number): void {
    this.counts.fill(0);
    this.seen = 0;
    for (let i = 0; top && this.seen < SHARE_SIGHTINGS_MAX && i < top.count && top.data[i * 2]! <= nowMs; i++) {
      const key = top.data[i * 2 + 1]!;
      const place = this.placeOf(key);
      this.keys[place] = key;
      this.counts[place] = this.counts[place]! + 1;
      this.seen++;
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

import type { Handles } from '../../contracts/handles.ts';

/** Handles of a chunk: a change moves at most so many numbers, and a million items make some 3,000 chunks to search among. */
const CHUNK_MAX = 512;

/**
 * Handles in the order of a number of theirs, the greatest first, ties by id. A sorted list in chunks: one array would move 4 MB at each change of
 * a million items. A handle's number must not change while it is in the list.
 */
export class SortedHandles {
  readonly #ids: Handles;
  readonly #numberOf: (handle: number) => number;
  readonly #chunks: Int32Array[] = [];
  readonly #counts: number[] = [];

  constructor(ids: Handles, numberOf: (handle: number) => number) {
    this.#ids = ids;
    this.#numberOf = numberOf;
  }

  add(handle: number): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push(new Int32Array(CHUNK_MAX));
      this.#counts.push(0);
    }
    const c = this.#chunkOf(handle);
    if (this.#counts[c] === CHUNK_MAX) {
      this.#split(c);
      this.add(handle);
      return;
    }
    const place = this.#placeIn(c, handle);
    this.#chunks[c]!.copyWithin(place + 1, place, this.#counts[c]);
    this.#chunks[c]![place] = handle;
    this.#counts[c]!++;
  }

  /** Takes out a handle that is in the list. */
  remove(handle: number): void {
    const c = this.#chunkOf(handle);
    const place = this.#placeIn(c, handle);
    if (this.#chunks[c]?.[place] !== handle || place >= this.#counts[c]!) throw new Error(`handle ${handle} is not in the order`);
    this.#chunks[c]!.copyWithin(place, place + 1, this.#counts[c]);
    this.#counts[c]!--;
    if (this.#counts[c] !== 0 || this.#chunks.length === 1) return;
    this.#chunks.splice(c, 1);
    this.#counts.splice(c, 1);
  }

  /** Calls `visit` with each handle, in order, until it returns false. */
  each(visit: (handle: number) => boolean): void {
    for (let c = 0; c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c]!;
      for (let i = 0; i < this.#counts[c]!; i++) if (!visit(chunk[i]!)) return;
    }
  }

  /** How many have a number from `min` to `max`; exact but for the chunks at both ends, which count whole. */
  atMostBetween(min: number, max: number): number {
    let count = 0;
    for (let c = this.#chunkFrom(max); c < this.#chunks.length && this.#numberOf(this.#chunks[c]![0]!) >= min; c++) count += this.#counts[c]!;
    return count;
  }

  /** Calls `visit` with runs of handles whose numbers are from `min` to `max`: views, valid until the next change. Looks at the numbers at both ends alone. */
  eachBetween(min: number, max: number, visit: (handles: Int32Array) => void): void {
    for (let c = this.#chunkFrom(max); c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c]!;
      let from = 0;
      let to = this.#counts[c]!;
      while (from < to && this.#numberOf(chunk[from]!) > max) from++;
      while (from < to && this.#numberOf(chunk[to - 1]!) < min) to--;
      if (from < to) visit(chunk.subarray(from, to));
      if (to < this.#counts[c]!) return;
    }
  }

  /** Below 0 where the first comes first. */
  compare(a: number, b: number): number {
    return this.#numberOf(b) - this.#numberOf(a) || this.#ids.compare(a, b);
  }

  /** The chunk in which numbers of at most `max` begin. */
  #chunkFrom(max: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#numberOf(this.#chunks[middle]![0]!) > max) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The last chunk that does not begin behind the handle. */
  #chunkOf(handle: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.compare(this.#chunks[middle]![0]!, handle) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #placeIn(c: number, handle: number): number {
    const chunk = this.#chunks[c]!;
    let low = 0;
    let high = this.#counts[c]!;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(chunk[middle]!, handle) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #split(c: number): void {
    const half = CHUNK_MAX >> 1;
    const behind = new Int32Array(CHUNK_MAX);
    behind.set(this.#chunks[c]!.subarray(half));
    this.#chunks.splice(c + 1, 0, behind);
    this.#counts[c] = half;
    this.#counts.splice(c + 1, 0, CHUNK_MAX - half);
  }
}

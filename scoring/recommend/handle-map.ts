import { NO_HANDLE } from '../../contracts/handles.ts';

/** A golden-ratio multiplier spreads neighbouring handles over the table. */
const SPREAD = 0x9e3779b1;
/** Places at first: most requests touch a few hundred items. A power of two, so that a shift finds the place. */
const PLACES_FIRST = 1024;

/**
 * A sparse set of handles, each at a dense position from 0 in the order of its adding, with three numbers. Made once and cleared for each request:
 *
 *   places   [ .  3|7  .  .  0|7  2|7 ...]   position | generation; another generation's place is free, so that clearing writes nothing
 *   handles  [ 91  17  4  28 ]               by position
 *
 * Its size hangs on what a request touches, not on the catalogue: an array by handle would be 4 MB for a million items, and cold each time.
 */
export class HandleMap {
  #bits: number;
  #positions: Int32Array;
  #generations: Int32Array;
  #generation = 1;
  #count = 0;
  #handles = new Int32Array(PLACES_FIRST / 2);
  /** Numbers by position; what a user of the map makes of them is its own matter. `add` may replace the arrays. */
  scores = new Float64Array(PLACES_FIRST / 2);
  peaks = new Float64Array(PLACES_FIRST / 2);
  links = new Int32Array(PLACES_FIRST / 2);

  constructor() {
    this.#bits = Math.log2(PLACES_FIRST);
    this.#positions = new Int32Array(PLACES_FIRST);
    this.#generations = new Int32Array(PLACES_FIRST);
  }

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
    this.#generation++;
    if (this.#generation < 0x7fff_ffff) return;
    this.#generations.fill(0);
    this.#generation = 1;
  }

  handleAt(position: number): number {
    return this.#handles[position]!;
  }

  has(handle: number): boolean {
    return this.positionOf(handle) >= 0;
  }

  /** The handle's position, or -1. */
  positionOf(handle: number): number {
    const mask = this.#positions.length - 1;
    for (let place = this.#placeOf(handle); this.#generations[place] === this.#generation; place = (place + 1) & mask) {
      const position = this.#positions[place]!;
      if (this.#handles[position] === handle) return position;
    }
    return -1;
  }

  /** The handle's position; a new one begins with a score and a peak of 0 and the link NO_HANDLE. */
  add(handle: number): number {
    const mask = this.#positions.length - 1;
    let place = this.#placeOf(handle);
    for (; this.#generations[place] === this.#generation; place = (place + 1) & mask) {
      const position = this.#positions[place]!;
      if (this.#handles[position] === handle) return position;
    }
    if (this.#count === this.#handles.length) {
      this.#grow();
      return this.add(handle);
    }
    const position = this.#count++;
    this.#positions[place] = position;
    this.#generations[place] = this.#generation;
    this.#handles[position] = handle;
    this.scores[position] = 0;
    this.peaks[position] = 0;
    this.links[position] = NO_HANDLE;
    return position;
  }

  /** Adds the handle with this score, or gives it this score. */
  put(handle: number, score: number): void {
    const position = this.add(handle);
    this.scores[position] = score;
  }

  #placeOf(handle: number): number {
    return Math.imul(handle, SPREAD) >>> (32 - this.#bits);
  }

  /** Half of the places stay free, so that probes are few. */
  #grow(): void {
    const handles = this.#handles;
    const { scores, peaks, links } = this;
    this.#bits++;
    const places = 2 ** this.#bits;
    this.#positions = new Int32Array(places);
    this.#generations = new Int32Array(places);
    this.#generation = 1;
    this.#handles = new Int32Array(places / 2);
    this.scores = new Float64Array(places / 2);
    this.peaks = new Float64Array(places / 2);
    this.links = new Int32Array(places / 2);
    this.#count = 0;
    for (let i = 0; i < handles.length; i++) {
      const position = this.add(handles[i]!);
      this.scores[position] = scores[i]!;
      this.peaks[position] = peaks[i]!;
      this.links[position] = links[i]!;
    }
  }
}

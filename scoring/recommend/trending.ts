import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { type Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import { TopK } from '../../contracts/topk.ts';

/** A week: long enough that a quiet night does not empty the list, short enough that last month's hit gives way. */
const HALF_LIFE_MS = 7 * 24 * 3_600_000;
/** How much an event says about demand. A purchase costs the shopper most, so it says most. */
const WEIGHTS: Partial<Record<EventName, number>> = { view_item: 1, select_item: 1, add_to_wishlist: 2, add_to_cart: 3, purchase: 6 };
/** Rescale before exp() leaves the double's range: 2^500 is far from 2^1023. */
const RESCALE_HALF_LIVES = 500;
/** The list is rebuilt at most this often: it looks at every item, and a second is fresh enough for "popular". */
const REFRESH_MS = 1000;
/** Length of the list: more than any answer takes, with room for items that may not be shown. Sorting all of 100,000 stops the event loop for 80 ms. */
const TOP_MAX = 2_000;
/**
 * Ids told apart that are no item yet: an event may come before its item does. Events may name any id, so without a limit a client could fill the
 * memory; the less popular half is forgotten past it.
 */
export const TRENDING_STRANGERS_MAX = 50_000;

/**
 * Live popularity by forward decay (Cormode et al. 2009): each event adds 2^((t - landmark) / halfLife), so nothing has to be aged and the order of
 * arrival does not matter, as long as nothing has to be forgotten.
 */
export class Trending {
  readonly #handles: Handles;
  /** By handle. */
  #scores = new Float64Array(0);
  /** Of ids without a handle. */
  readonly #strangers = new Map<string, number>();
  /** Handles there were when strangers were last looked up among them. */
  #known = 0;
  #landmarkMs = 0;
  #top = new Int32Array(0);
  #best = 0;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #dirty = false;
  readonly #first = new TopK();

  constructor(handles: Handles) {
    this.#handles = handles;
  }

  /** Ids without an item that are told apart. */
  get strangers(): number {
    return this.#strangers.size;
  }

  add(event: TimedEvent): void {
    const weight = WEIGHTS[event.name];
    if (weight === undefined || event.items === undefined) return;
    if (this.#landmarkMs === 0) this.#landmarkMs = event.timestamp_ms;
    let halfLives = (event.timestamp_ms - this.#landmarkMs) / HALF_LIFE_MS;
    if (halfLives > RESCALE_HALF_LIVES) {
      this.#rescale(event.timestamp_ms);
      halfLives = 0;
    }
    this.#meet();
    const add = weight * 2 ** halfLives;
    for (const { item_id } of event.items) {
      const handle = this.#handles.find(item_id);
      if (handle === NO_HANDLE) this.#strangers.set(item_id, (this.#strangers.get(item_id) ?? 0) + add);
      else this.#scores[handle] = this.#scores[handle]! + add;
    }
    this.#dirty = true;
    if (this.#strangers.size > TRENDING_STRANGERS_MAX) this.#forget();
  }

  delete(itemId: string): void {
    this.#strangers.delete(itemId);
    const handle = this.#handles.find(itemId);
    if (handle === NO_HANDLE || !this.#scores[handle]) return;
    this.#scores[handle] = 0;
    this.#dirty = true;
  }

  /** In [0, 1], relative to the most popular item. */
  score(handle: number): number {
    const score = this.#scores[handle];
    return score === undefined || this.#best <= 0 ? 0 : Math.min(1, score / this.#best);
  }

  /** The most popular items, at most TOP_MAX, the most popular first, ties by id; at most a second old, and valid until the next call. */
  top(nowMs: number): Int32Array {
    this.#meet();
    if (this.#dirty && (nowMs - this.#refreshedMs >= REFRESH_MS || nowMs < this.#refreshedMs)) {
      this.#refresh();
      this.#refreshedMs = nowMs;
      this.#dirty = false;
    }
    const first = this.#top[0];
    this.#best = first === undefined ? 0 : this.#scores[first]!;
    return this.#top;
  }

  #refresh(): void {
    const scores = this.#scores;
    this.#first.reset(TOP_MAX, this.#handles);
    for (let handle = 0; handle < this.#known; handle++) if (scores[handle]! > 0) this.#first.offer(scores[handle]!, handle);
    const top = new Int32Array(TOP_MAX);
    this.#top = top.subarray(0, this.#first.drain(top, undefined));
  }

  /** Takes over the strangers that have become items since. */
  #meet(): void {
    const { size } = this.#handles;
    if (size === this.#known) return;
    this.#scores = withPlace(this.#scores, size - 1, 0);
    for (; this.#known < size && this.#strangers.size > 0; this.#known++) {
      const id = this.#handles.idOf(this.#known);
      const score = this.#strangers.get(id);
      if (score === undefined) continue;
      this.#strangers.delete(id);
      this.#scores[this.#known] = score;
      this.#dirty = true;
    }
    this.#known = size;
  }

  #rescale(nowMs: number): void {
    const factor = 2 ** ((this.#landmarkMs - nowMs) / HALF_LIFE_MS);
    for (let handle = 0; handle < this.#known; handle++) this.#scores[handle] = this.#scores[handle]! * factor;
    for (const [id, score] of this.#strangers) this.#strangers.set(id, score * factor);
    this.#landmarkMs = nowMs;
  }

  /** Keeps the more popular half of the strangers; among those as popular as the median, the ones that came last. */
  #forget(): void {
    const keep = TRENDING_STRANGERS_MAX >> 1;
    const median = Float64Array.from(this.#strangers.values()).sort()[this.#strangers.size - keep]!;
    for (const [id, score] of this.#strangers) if (score < median) this.#strangers.delete(id);
    for (const [id, score] of this.#strangers) {
      if (this.#strangers.size <= keep) break;
      if (score === median) this.#strangers.delete(id);
    }
  }
}

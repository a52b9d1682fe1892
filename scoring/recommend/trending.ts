import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { first } from './first.ts';

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
/** Items told apart. Events may name any id, so without a limit a client could fill the memory; the less popular half is forgotten past it. */
export const TRENDING_ITEMS_MAX = 250_000;

/**
 * Live popularity by forward decay (Cormode et al. 2009): each event adds 2^((t - landmark) / halfLife), so nothing has to be aged and the order of
 * arrival does not matter, as long as no item has to be forgotten.
 */
export class Trending {
  readonly #scores = new Map<string, number>();
  #landmarkMs = 0;
  #top: readonly string[] = [];
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #dirty = false;

  /** Items that are told apart. */
  get size(): number {
    return this.#scores.size;
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
    const add = weight * 2 ** halfLives;
    for (const { item_id } of event.items) this.#scores.set(item_id, (this.#scores.get(item_id) ?? 0) + add);
    this.#dirty = true;
    if (this.#scores.size > TRENDING_ITEMS_MAX) this.#forget();
  }

  delete(itemId: string): void {
    if (this.#scores.delete(itemId)) this.#dirty = true;
  }

  /** In [0, 1], relative to the most popular item. */
  score(itemId: string): number {
    const first = this.#top[0];
    const best = first === undefined ? 0 : (this.#scores.get(first) ?? 0);
    return best > 0 ? Math.min(1, (this.#scores.get(itemId) ?? 0) / best) : 0;
  }

  /** The most popular item ids, at most TOP_MAX, the most popular first, ties by id; at most a second old. */
  top(nowMs: number): readonly string[] {
    if (this.#dirty && (nowMs - this.#refreshedMs >= REFRESH_MS || nowMs < this.#refreshedMs)) {
      this.#top = first(this.#scores, TOP_MAX, byScore).map(([id]) => id);
      this.#refreshedMs = nowMs;
      this.#dirty = false;
    }
    return this.#top;
  }

  #rescale(nowMs: number): void {
    const factor = 2 ** ((this.#landmarkMs - nowMs) / HALF_LIFE_MS);
    for (const [id, score] of this.#scores) this.#scores.set(id, score * factor);
    this.#landmarkMs = nowMs;
  }

  /** Keeps the more popular half; among items as popular as the median, the ones that came last. */
  #forget(): void {
    const keep = TRENDING_ITEMS_MAX >> 1;
    const median = Float64Array.from(this.#scores.values()).sort()[this.#scores.size - keep]!;
    for (const [id, score] of this.#scores) if (score < median) this.#scores.delete(id);
    for (const [id, score] of this.#scores) {
      if (this.#scores.size <= keep) break;
      if (score === median) this.#scores.delete(id);
    }
  }
}

type Entry = readonly [id: string, score: number];

function byScore(a: Entry, b: Entry): number {
  return b[1] - a[1] || (a[0] < b[0] ? -1 : 1);
}

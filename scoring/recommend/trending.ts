import type { EventName, TimedEvent } from '../../contracts/event.ts';

/** A week: long enough that a quiet night does not empty the list, short enough that last month's hit gives way. */
const HALF_LIFE_MS = 7 * 24 * 3_600_000;
/** How much an event says about demand. A purchase costs the shopper most, so it says most. */
const WEIGHTS: Partial<Record<EventName, number>> = { view_item: 1, select_item: 1, add_to_wishlist: 2, add_to_cart: 3, purchase: 6 };
/** Rescale before exp() leaves the double's range: 2^500 is far from 2^1023. */
const RESCALE_HALF_LIVES = 500;
/** The sorted list is rebuilt at most this often: it looks at every item once, and a second is fresh enough for "popular". */
const REFRESH_MS = 1000;
/**
 * Items in the sorted list: what filters leave of it fills any placement, and the trained table stands behind it. Sorting all of 100,000 items held
 * every request for a tenth of a second, each second.
 */
const TOP_MAX = 2000;

/**
 * Live popularity by forward decay (Cormode et al. 2009): each event adds 2^((t - landmark) / halfLife), so nothing has to be aged and the order of
 * arrival does not matter. Bounded by the number of items.
 */
export class Trending {
  readonly #scores = new Map<string, number>();
  #landmarkMs = 0;
  #top: readonly string[] = [];
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #dirty = false;

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

  /** The most popular item ids, the first first, ties by id; at most TOP_MAX, at most a second old. */
  top(nowMs: number): readonly string[] {
    if (this.#dirty && (nowMs - this.#refreshedMs >= REFRESH_MS || nowMs < this.#refreshedMs)) {
      this.#top = this.#select();
      this.#refreshedMs = nowMs;
      this.#dirty = false;
    }
    return this.#top;
  }

  /** Gathers twice as many as are wanted, keeps the better half, and goes on with what is better than the worst of these. */
  #select(): string[] {
    const better = (a: readonly [string, number], b: readonly [string, number]): number => b[1] - a[1] || (a[0] < b[0] ? -1 : 1);
    const kept: [string, number][] = [];
    let floor = Number.NEGATIVE_INFINITY;
    for (const entry of this.#scores) {
      if (entry[1] < floor) continue;
      kept.push(entry);
      if (kept.length < 2 * TOP_MAX) continue;
      kept.sort(better);
      kept.length = TOP_MAX;
      floor = kept[TOP_MAX - 1]![1];
    }
    return kept
      .sort(better)
      .slice(0, TOP_MAX)
      .map(([id]) => id);
  }

  #rescale(nowMs: number): void {
    const factor = 2 ** ((this.#landmarkMs - nowMs) / HALF_LIFE_MS);
    for (const [id, score] of this.#scores) this.#scores.set(id, score * factor);
    this.#landmarkMs = nowMs;
  }
}

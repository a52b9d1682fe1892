import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { type Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import { TopK } from '../../contracts/topk.ts';
import type { Catalogue } from './catalogue.ts';
import { CountryTrends } from './country-trends.ts';
import { ForwardDecay, keepHighest } from './decayed-counts.ts';
import { ListAppeal } from './list-appeal.ts';

/** A week: long enough that a quiet night does not empty the list, short enough that last month's hit gives way. */
const HALF_LIFE_MS = 7 * 24 * 3_600_000;
/** How much an event says about demand. A purchase costs the shopper most, so it says most. */
const WEIGHTS: Partial<Record<EventName, number>> = { view_item: 1, select_item: 1, add_to_wishlist: 2, add_to_cart: 3, purchase: 6 };
/** A list is rebuilt at most this often: it looks at every item, and a second is fresh enough for "popular". */
const REFRESH_MS = 1000;
/** Length of the list: more than any answer takes, with room for items that may not be shown. Sorting all of 100,000 stops the event loop for 80 ms. */
const TOP_MAX = 2_000;
/**
 * Ids told apart that are no item yet: an event may come before its item does. Events may name any id, so without a limit a client could fill the
 * memory; the less popular half is forgotten past it.
 */
export const TRENDING_STRANGERS_MAX = 50_000;
/** Categories whose lists are kept, 2 KB each; the one that nobody asked for the longest goes, and is made again when somebody does. */
export const TRENDING_CATEGORIES_MAX = 500;
/** A source gives at most so many candidates. */
const CATEGORY_TOP_MAX = 500;

interface CategoryList {
  readonly top: Int32Array;
  readonly refreshedMs: number;
}

/** Live popularity by forward decay, in the whole shop, in its categories and by country; and how well items are received where they are seen. */
export class Trending {
  readonly appeal: ListAppeal;
  readonly #handles: Handles;
  /** By handle. */
  #scores = new Float64Array(0);
  /** Of ids without a handle. */
  readonly #strangers = new Map<string, number>();
  /** Handles there were when strangers were last looked up among them. */
  #known = 0;
  readonly #decay = new ForwardDecay(HALF_LIFE_MS);
  readonly #countries: CountryTrends;
  /** In the order in which they were last asked for. */
  readonly #categories = new Map<string, CategoryList>();
  #top = new Int32Array(0);
  #best = 0;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #dirty = false;
  readonly #first = new TopK();

  constructor(handles: Handles) {
    this.#handles = handles;
    this.appeal = new ListAppeal(handles);
    this.#countries = new CountryTrends(handles);
  }

  /** Ids without an item that are told apart. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Categories and countries that are told apart. */
  get parts(): number {
    return this.#categories.size + this.#countries.size;
  }

  add(event: TimedEvent): void {
    this.appeal.add(event);
    const weight = WEIGHTS[event.name];
    if (weight === undefined || event.items === undefined) return;
    this.#meet();
    const add = weight * this.#decay.weightAt(event.timestamp_ms, (factor) => this.#rescale(factor));
    for (const { item_id } of event.items) {
      const handle = this.#handles.find(item_id);
      if (handle === NO_HANDLE) this.#strangers.set(item_id, (this.#strangers.get(item_id) ?? 0) + add);
      else this.#scores[handle] = this.#scores[handle]! + add;
    }
    this.#dirty = true;
    if (this.#strangers.size > TRENDING_STRANGERS_MAX) keepHighest(this.#strangers, TRENDING_STRANGERS_MAX >> 1);
    const country = event.country ?? event.ip_country;
    if (country !== undefined) this.#countries.add(country, event.items, add);
  }

  delete(itemId: string): void {
    this.#strangers.delete(itemId);
    this.#countries.delete(itemId);
    const handle = this.#handles.find(itemId);
    if (handle === NO_HANDLE) return;
    this.appeal.delete(handle);
    if (!this.#scores[handle]) return;
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

  /** The most wanted items of a category, the most wanted first, at most a second old; empty for one that nobody wants anything of. */
  inCategory(category: string, catalogue: Pick<Catalogue, 'field'>, nowMs: number): Int32Array {
    const known = this.#categories.get(category);
    const isFresh = known !== undefined && nowMs - known.refreshedMs < REFRESH_MS && nowMs >= known.refreshedMs;
    const list = isFresh ? known : { top: this.#bestOf(category, catalogue), refreshedMs: nowMs };
    this.#categories.delete(category);
    // Invented names push nothing out.
    if (list.top.length > 0) this.#categories.set(category, list);
    if (this.#categories.size > TRENDING_CATEGORIES_MAX) this.#categories.delete(this.#categories.keys().next().value!);
    return list.top;
  }

  /** The same of a country; undefined where too little is known of it. */
  inCountry(country: string, nowMs: number): Int32Array | undefined {
    return this.#countries.top(country, nowMs, this.#decay.ageAt(nowMs), REFRESH_MS);
  }

  #bestOf(category: string, catalogue: Pick<Catalogue, 'field'>): Int32Array {
    this.#meet();
    const scores = this.#scores;
    this.#first.reset(CATEGORY_TOP_MAX, this.#handles);
    catalogue.field('category').each({ in: new Set([category]) }, (handle) => {
      if (scores[handle]! > 0) this.#first.offer(scores[handle]!, handle);
    });
    const top = new Int32Array(CATEGORY_TOP_MAX);
    return top.slice(0, this.#first.drain(top, undefined));
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

  #rescale(factor: number): void {
    for (let handle = 0; handle < this.#known; handle++) this.#scores[handle] = this.#scores[handle]! * factor;
    for (const [id, score] of this.#strangers) this.#strangers.set(id, score * factor);
    this.#countries.rescale(factor);
  }
}

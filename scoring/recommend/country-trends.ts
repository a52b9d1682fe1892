import type { EventItem } from '../../contracts/event.ts';
import { type Handles, NO_HANDLE } from '../../contracts/handles.ts';
import { TopK } from '../../contracts/topk.ts';
import { keepHighest } from './decayed-counts.ts';

/** Countries told apart, each of at most some 400 KB. Past it the one with the least demand goes: events may name any of 676. */
export const COUNTRIES_MAX = 40;
/** Items told apart in a country, ids without an item among them; past it the less popular half is forgotten. */
export const COUNTRY_ITEMS_MAX = 4_000;
/** A source gives at most so many candidates. */
const COUNTRY_TOP_MAX = 500;
/** Views, or what outweighs them, that a country's list has to rest on: a list of three visitors is their taste, not their country's. */
export const COUNTRY_DEMAND_MIN = 100;

interface Country {
  readonly items: Map<string, number>;
  /** Of all that was added, whatever became of the items. */
  demand: number;
  top: Int32Array;
  refreshedMs: number;
  isDirty: boolean;
}

/** Demand by country, in bounded memory. Counts are those of a `ForwardDecay` that the caller keeps. */
export class CountryTrends {
  readonly #handles: Handles;
  readonly #countries = new Map<string, Country>();
  readonly #best = new TopK();

  constructor(handles: Handles) {
    this.#handles = handles;
  }

  /** Countries told apart now. */
  get size(): number {
    return this.#countries.size;
  }

  /** Items told apart in a country. */
  itemCount(code: string): number {
    return this.#countries.get(code)?.items.size ?? 0;
  }

  add(code: string, items: readonly EventItem[], weight: number): void {
    const country = this.#countries.get(code) ?? this.#enter(code);
    for (const { item_id } of items) country.items.set(item_id, (country.items.get(item_id) ?? 0) + weight);
    country.demand += weight;
    country.isDirty = true;
    if (country.items.size > COUNTRY_ITEMS_MAX) keepHighest(country.items, COUNTRY_ITEMS_MAX >> 1);
  }

  delete(itemId: string): void {
    for (const country of this.#countries.values()) if (country.items.delete(itemId)) country.isDirty = true;
  }

  rescale(factor: number): void {
    for (const country of this.#countries.values()) {
      country.demand *= factor;
      for (const [id, count] of country.items) country.items.set(id, count * factor);
    }
  }

  /** The most wanted items of the country, at most `refreshMs` old; undefined where there is too little to go by. `age` is that of the counts now. */
  top(code: string, nowMs: number, age: number, refreshMs: number): Int32Array | undefined {
    const country = this.#countries.get(code);
    if (country === undefined || country.demand * age < COUNTRY_DEMAND_MIN) return undefined;
    if (country.isDirty && (nowMs - country.refreshedMs >= refreshMs || nowMs < country.refreshedMs)) {
      country.top = this.#bestOf(country.items);
      country.refreshedMs = nowMs;
      country.isDirty = false;
    }
    return country.top;
  }

  #bestOf(items: ReadonlyMap<string, number>): Int32Array {
    this.#best.reset(COUNTRY_TOP_MAX, this.#handles);
    for (const [id, count] of items) {
      const handle = this.#handles.find(id);
      if (handle !== NO_HANDLE) this.#best.offer(count, handle);
    }
    const top = new Int32Array(COUNTRY_TOP_MAX);
    return top.subarray(0, this.#best.drain(top, undefined));
  }

  #enter(code: string): Country {
    if (this.#countries.size >= COUNTRIES_MAX) {
      const least = [...this.#countries].reduce((low, one) => (one[1].demand < low[1].demand ? one : low));
      this.#countries.delete(least[0]);
    }
    const country: Country = { items: new Map(), demand: 0, top: new Int32Array(0), refreshedMs: Number.NEGATIVE_INFINITY, isDirty: false };
    this.#countries.set(code, country);
    return country;
  }
}

import type { Item } from '../../contracts/item.ts';

/**
 * The items of the shop, in memory: every stage asks it for every candidate. Derived from the store's `items` documents at start and from
 * item facts afterwards. Order of insertion never matters to an answer.
 */
export class Catalogue {
  readonly #items = new Map<string, Item>();
  readonly #byCategory = new Map<string, Set<string>>();
  /** By `created_ms`, the newest first, ties by id; made when it is first read, then kept in order: sorting 100,000 anew would take 50 ms. */
  #newest: Item[] | undefined;

  get size(): number {
    return this.#items.size;
  }

  get(itemId: string): Item | undefined {
    return this.#items.get(itemId);
  }

  ids(): IterableIterator<string> {
    return this.#items.keys();
  }

  put(item: Item): void {
    const before = this.#items.get(item.item_id);
    if (before?.category !== undefined && before.category !== item.category) this.#byCategory.get(before.category)?.delete(item.item_id);
    this.#items.set(item.item_id, item);
    if (item.category !== undefined) {
      const members = this.#byCategory.get(item.category);
      if (members) members.add(item.item_id);
      else this.#byCategory.set(item.category, new Set([item.item_id]));
    }
    if (!this.#newest) return;
    if (before) this.#newest.splice(placeOf(this.#newest, before), 1);
    this.#newest.splice(placeOf(this.#newest, item), 0, item);
  }

  delete(itemId: string): boolean {
    const before = this.#items.get(itemId);
    if (!before) return false;
    this.#items.delete(itemId);
    if (before.category !== undefined) this.#byCategory.get(before.category)?.delete(itemId);
    if (this.#newest) this.#newest.splice(placeOf(this.#newest, before), 1);
    return true;
  }

  /** Whether the item may be shown at all: known, active and not out of stock. */
  sellable(itemId: string): boolean {
    const item = this.#items.get(itemId);
    return item !== undefined && item.active !== false && item.stock !== 0;
  }

  /** Ids of a category, in no particular order. */
  category(name: string): ReadonlySet<string> {
    return this.#byCategory.get(name) ?? EMPTY;
  }

  /** All items, the newest first, ties by id. Valid until the catalogue changes. */
  newest(): readonly Item[] {
    this.#newest ??= [...this.#items.values()].sort(byAge);
    return this.#newest;
  }
}

/** The newest first, ties by id. */
export function byAge(a: Item, b: Item): number {
  return (b.created_ms ?? 0) - (a.created_ms ?? 0) || (a.item_id < b.item_id ? -1 : a.item_id > b.item_id ? 1 : 0);
}

/** Where the item stands in a list by age, or would stand. */
function placeOf(list: readonly Item[], item: Item): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byAge(list[middle]!, item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

const EMPTY: ReadonlySet<string> = new Set();

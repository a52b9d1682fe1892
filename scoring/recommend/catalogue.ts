import type { Item } from '../../contracts/item.ts';

/**
 * The items of the shop, in memory: every stage asks it for every candidate. Derived from the store's `items` documents at start and from
 * item facts afterwards. Order of insertion never matters to an answer.
 */
export class Catalogue {
  readonly #items = new Map<string, Item>();
  readonly #byCategory = new Map<string, Set<string>>();
  /** Ids by `created_ms`, newest first; rebuilt when it is read after a change. */
  #newest: string[] | undefined;

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
    if (before === undefined || before.created_ms !== item.created_ms) this.#newest = undefined;
  }

  delete(itemId: string): boolean {
    const before = this.#items.get(itemId);
    if (!before) return false;
    this.#items.delete(itemId);
    if (before.category !== undefined) this.#byCategory.get(before.category)?.delete(itemId);
    this.#newest = undefined;
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

  /** All ids, the newest first, ties by id. */
  newest(): readonly string[] {
    if (!this.#newest) {
      const entries = [...this.#items.values()];
      entries.sort((a, b) => (b.created_ms ?? 0) - (a.created_ms ?? 0) || (a.item_id < b.item_id ? -1 : 1));
      this.#newest = entries.map((item) => item.item_id);
    }
    return this.#newest;
  }
}

const EMPTY: ReadonlySet<string> = new Set();

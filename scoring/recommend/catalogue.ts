import type { Item } from '../../contracts/item.ts';

/**
 * The items of the shop, in memory: every stage asks it for every candidate. Derived from the store's `items` documents at start and from
 * item facts afterwards. Order of insertion never matters to an answer.
 */
export class Catalogue {
  readonly #items = new Map<string, Item>();
  readonly #byCategory = new Map<string, Set<string>>();
  /** All items by `created_ms`, newest first, as of the last read, and their ids. */
  #sorted: readonly Item[] = [];
  #newest: readonly string[] = [];
  /** Ids whose place in it may be another since then. */
  readonly #moved = new Set<string>();

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
    if (before === undefined || before.created_ms !== item.created_ms) this.#moved.add(item.item_id);
  }

  delete(itemId: string): boolean {
    const before = this.#items.get(itemId);
    if (!before) return false;
    this.#items.delete(itemId);
    if (before.category !== undefined) this.#byCategory.get(before.category)?.delete(itemId);
    this.#moved.add(itemId);
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

  /** All ids, the newest first, ties by id. Merges in what moved since the last call: sorting 100,000 items anew took a tenth of a second. */
  newest(): readonly string[] {
    if (this.#moved.size === 0) return this.#newest;
    const arrived = [...this.#moved].flatMap((id) => this.#items.get(id) ?? []).sort(byAge);
    const sorted: Item[] = [];
    let next = 0;
    for (const item of this.#sorted) {
      if (this.#moved.has(item.item_id)) continue;
      while (next < arrived.length && byAge(arrived[next]!, item) < 0) sorted.push(arrived[next++]!);
      sorted.push(item);
    }
    while (next < arrived.length) sorted.push(arrived[next++]!);
    this.#moved.clear();
    this.#sorted = sorted;
    this.#newest = sorted.map((item) => item.item_id);
    return this.#newest;
  }
}

function byAge(a: Item, b: Item): number {
  return (b.created_ms ?? 0) - (a.created_ms ?? 0) || (a.item_id < b.item_id ? -1 : 1);
}

const EMPTY: ReadonlySet<string> = new Set();

import { Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import type { CandidateFacts } from '../features/contract.ts';
import { hash53 } from '../features/hash.ts';
import { AgeOrder } from './age-order.ts';
import { Postings } from './postings.ts';

/**
 * The items of the shop, in memory, as columns by handle: every stage asks it for every candidate. Derived from the store's `items` documents at
 * start and from item facts afterwards. Order of insertion never matters to an answer.
 */
export class Catalogue implements CandidateFacts {
  /** Shared with all that speaks of items: live popularity, and the tables and indexes of the bundle. */
  readonly handles: Handles;
  readonly #items: (Item | undefined)[] = [];
  #size = 0;
  /** Number columns have NaN where an item does not say. */
  #price = new Float64Array(0);
  #stock = new Float64Array(0);
  #created = new Float64Array(0);
  #sellable = new Uint8Array(0);
  readonly #categories = new Words();
  readonly #brands = new Words();
  #category = new Int32Array(0);
  #brand = new Int32Array(0);
  /** By category number. */
  readonly #byCategory: Postings[] = [];
  readonly #newest: AgeOrder;

  constructor(handles: Handles = new Handles()) {
    this.handles = handles;
    this.#newest = new AgeOrder(handles, (handle) => this.#created[handle]! || 0);
  }

  get size(): number {
    return this.#size;
  }

  get(itemId: string): Item | undefined {
    return this.#items[this.handles.find(itemId)];
  }

  at(handle: number): Item | undefined {
    return this.#items[handle];
  }

  put(item: Item): void {
    const handle = this.handles.intern(item.item_id);
    if (this.#items[handle]) this.#takeOut(handle);
    this.#makeRoom(handle);
    this.#items[handle] = item;
    this.#size++;
    this.#price[handle] = item.price ?? Number.NaN;
    this.#stock[handle] = item.stock ?? Number.NaN;
    this.#created[handle] = item.created_ms ?? Number.NaN;
    this.#sellable[handle] = item.active !== false && item.stock !== 0 ? 1 : 0;
    this.#brand[handle] = this.#brands.numberOf(item.brand);
    const category = this.#categories.numberOf(item.category);
    this.#category[handle] = category;
    if (category !== NO_HANDLE) {
      this.#byCategory[category] ??= new Postings();
      this.#byCategory[category].add(handle);
    }
    this.#newest.add(handle);
  }

  delete(itemId: string): boolean {
    const handle = this.handles.find(itemId);
    if (!this.#items[handle]) return false;
    this.#takeOut(handle);
    this.#items[handle] = undefined;
    this.#sellable[handle] = 0;
    return true;
  }

  /** Whether the item may be shown at all: known, active and not out of stock. */
  sellable(handle: number): boolean {
    return this.#sellable[handle] === 1;
  }

  price(handle: number): number {
    return valueAt(this.#price, handle);
  }

  stock(handle: number): number {
    return valueAt(this.#stock, handle);
  }

  createdMs(handle: number): number {
    return valueAt(this.#created, handle);
  }

  categoryKey(handle: number): number {
    return this.#categories.keyOf(this.category(handle));
  }

  brandKey(handle: number): number {
    return this.#brands.keyOf(this.#brand[handle] ?? NO_HANDLE);
  }

  /** The number of the item's category; NO_HANDLE without one. */
  category(handle: number): number {
    return this.#category[handle] ?? NO_HANDLE;
  }

  /** The number of a category that an item has or had; NO_HANDLE for any other. */
  categoryNumber(name: string): number {
    return this.#categories.find(name);
  }

  /** The items of a category, in no particular order. Valid until the catalogue changes. */
  inCategory(category: number): Int32Array {
    const members = this.#byCategory[category];
    return members ? members.handles.subarray(0, members.count) : NOBODY;
  }

  /** Calls `visit` with each item's handle, the newest first, ties by id, until it returns false. */
  eachNewest(visit: (handle: number) => boolean): void {
    this.#newest.each(visit);
  }

  /** Below 0 where the first is the newer one; ties by id. */
  compareAge(a: number, b: number): number {
    return this.#newest.compare(a, b);
  }

  /** Out of the lists that are kept by its values. The item itself stays where it is. */
  #takeOut(handle: number): void {
    this.#newest.remove(handle);
    this.#byCategory[this.#category[handle]!]?.remove(handle);
    this.#price[handle] = Number.NaN;
    this.#stock[handle] = Number.NaN;
    this.#created[handle] = Number.NaN;
    this.#category[handle] = NO_HANDLE;
    this.#brand[handle] = NO_HANDLE;
    this.#size--;
  }

  #makeRoom(handle: number): void {
    while (this.#items.length <= handle) this.#items.push(undefined);
    this.#price = withPlace(this.#price, handle, Number.NaN);
    this.#stock = withPlace(this.#stock, handle, Number.NaN);
    this.#created = withPlace(this.#created, handle, Number.NaN);
    this.#sellable = withPlace(this.#sellable, handle, 0);
    this.#category = withPlace(this.#category, handle, NO_HANDLE);
    this.#brand = withPlace(this.#brand, handle, NO_HANDLE);
  }
}

const NOBODY = new Int32Array(0);

function valueAt(column: Float64Array, handle: number): number {
  const value = column[handle];
  return value === undefined ? Number.NaN : value;
}

/** Numbers for the names of categories or brands, each with the hash that shares are counted by. */
class Words {
  readonly #numbers = new Handles();
  readonly #keys: number[] = [];

  /** NO_HANDLE for none. */
  numberOf(name: string | undefined): number {
    if (name === undefined) return NO_HANDLE;
    const number = this.#numbers.intern(name);
    if (number === this.#keys.length) this.#keys.push(hash53(name));
    return number;
  }

  find(name: string): number {
    return this.#numbers.find(name);
  }

  /** NaN for none. */
  keyOf(number: number): number {
    return this.#keys[number] ?? Number.NaN;
  }
}

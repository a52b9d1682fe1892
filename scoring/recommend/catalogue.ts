import { Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import { type CandidateFacts, FACTS } from '../features/contract.ts';
import { hash53 } from '../features/hash.ts';
import { Bitmap } from './bitmap.ts';
import { ATTRIBUTES, ItemField, readerOf } from './item-field.ts';
import { compileItemRule } from './item-rule.ts';
import { SortedHandles } from './sorted-handles.ts';

/**
 * Fields that filters have named, each kept in step with every item from then on: as many as one item may have. Past it the one that was made first
 * goes, and is made again when it is needed.
 */
const FIELDS_MAX = 70;

/**
 * The items of the shop, in memory, as columns by handle: every stage asks it for every candidate. Derived from the store's `items` documents at
 * start and from item facts afterwards. Order of insertion never matters to an answer.
 */
export class Catalogue implements CandidateFacts {
  /** Shared with all that speaks of items: live popularity, and the tables and indexes of the bundle. */
  readonly handles: Handles;
  readonly #items: (Item | undefined)[] = [];
  #size = 0;
  /** FACTS numbers an item, side by side: what ranking reads of a candidate is one cache line instead of five. */
  #facts = new Float64Array(0);
  readonly #sellable = new Bitmap();
  readonly #categories = new Words();
  readonly #brands = new Words();
  #category = new Int32Array(0);
  readonly #newest: SortedHandles;
  readonly #fields = new Map<string, ItemField>();
  /** Rules of placements: as many as these have. */
  readonly #rules = new Map<string, ItemField>();
  readonly #watchers = new Set<(handle: number) => void>();
  /** Attributes that an item has or had. */
  readonly #attributes = new Set<string>();

  constructor(handles: Handles = new Handles()) {
    this.handles = handles;
    this.#newest = new SortedHandles(handles, (handle) => this.createdMs(handle) || 0);
  }

  get size(): number {
    return this.#size;
  }

  get(itemId: string): Item | undefined {
    return this.#items[this.handles.find(itemId)];
  }

  /** Handles below this may have an item. */
  get end(): number {
    return this.#items.length;
  }

  at(handle: number): Item | undefined {
    return this.#items[handle];
  }

  /**
   * Items behind `after`, at most `limit`, in the order in which their ids were first heard of; undefined where `after` never was. What is put anew
   * while somebody pages keeps its place; a deleted item's id still marks where it was.
   */
  page(after: string | undefined, limit: number): Item[] | undefined {
    const start = after === undefined ? NO_HANDLE : this.handles.find(after);
    if (after !== undefined && start === NO_HANDLE) return undefined;
    const items: Item[] = [];
    for (let handle = start + 1; handle < this.#items.length && items.length < limit; handle++) {
      const item = this.#items[handle];
      if (item) items.push(item);
    }
    return items;
  }

  /** Calls `changed` after each put and delete, with the item's handle, until what it returns is called. */
  watch(changed: (handle: number) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  put(item: Item): void {
    const handle = this.handles.intern(item.item_id);
    this.#takeOut(handle);
    this.#makeRoom(handle);
    this.#items[handle] = item;
    this.#size++;
    const facts = this.#facts;
    facts[handle * FACTS.width + FACTS.price] = item.price ?? Number.NaN;
    facts[handle * FACTS.width + FACTS.stock] = item.stock ?? Number.NaN;
    facts[handle * FACTS.width + FACTS.createdMs] = item.created_ms ?? Number.NaN;
    const category = this.#categories.numberOf(item.category);
    facts[handle * FACTS.width + FACTS.categoryKey] = this.#categories.keyOf(category);
    facts[handle * FACTS.width + FACTS.brandKey] = this.#brands.keyOf(this.#brands.numberOf(item.brand));
    this.#category[handle] = category;
    if (item.active !== false && item.stock !== 0) this.#sellable.add(handle);
    this.#newest.add(handle);
    for (const name in item.attributes) this.#attributes.add(name);
    for (const field of this.#fields.values()) field.add(handle, item);
    for (const field of this.#rules.values()) field.add(handle, item);
    for (const changed of this.#watchers) changed(handle);
  }

  delete(itemId: string): boolean {
    const handle = this.handles.find(itemId);
    const wasThere = this.#takeOut(handle);
    if (wasThere) for (const changed of this.#watchers) changed(handle);
    return wasThere;
  }

  /** Whether the item may be shown at all: known, active and not out of stock. */
  sellable(handle: number): boolean {
    return this.#sellable.has(handle);
  }

  /** All that may be shown. Not to be changed by the caller. */
  get sellableBits(): Bitmap {
    return this.#sellable;
  }

  get facts(): Float64Array {
    return this.#facts;
  }

  createdMs(handle: number): number {
    return this.#facts[handle * FACTS.width + FACTS.createdMs]!;
  }

  /** The number of the item's category; NO_HANDLE without one. */
  category(handle: number): number {
    return this.#category[handle] ?? NO_HANDLE;
  }

  /**
   * A field to filter by; made when it is first asked for, which goes through the whole catalogue once. One that no item has is not kept, so that
   * invented names cost nothing and push nothing out.
   */
  field(name: string): ItemField {
    const known = this.#fields.get(name);
    if (known) return known;
    const field = new ItemField(this.handles, readerOf(name));
    if (name.startsWith(ATTRIBUTES) && !this.#attributes.has(name.slice(ATTRIBUTES.length))) return field;
    this.#fill(field);
    if (this.#fields.size >= FIELDS_MAX) this.#fields.delete(this.#fields.keys().next().value!);
    this.#fields.set(name, field);
    return field;
  }

  /**
   * Whether items fulfil a rule (CEL), as a field of true and false. Made at its first call, by asking it of each item: call it when a placement gets it,
   * not in a request. Throws `config_invalid`.
   */
  rule(when: string): ItemField {
    const known = this.#rules.get(when);
    if (known) return known;
    const field = new ItemField(this.handles, compileItemRule(when));
    this.#fill(field);
    this.#rules.set(when, field);
    return field;
  }

  /** Forgets all rules but these; one that is asked for once more is made again. */
  keepRules(whens: ReadonlySet<string>): void {
    for (const when of this.#rules.keys()) if (!whens.has(when)) this.#rules.delete(when);
  }

  #fill(field: ItemField): void {
    for (let handle = 0; handle < this.#items.length; handle++) {
      const item = this.#items[handle];
      if (item) field.add(handle, item);
    }
  }

  /** Calls `visit` with each item's handle, the newest first, ties by id, until it returns false. */
  eachNewest(visit: (handle: number) => boolean): void {
    this.#newest.each(visit);
  }

  /** Below 0 where the first is the newer one; ties by id. */
  compareAge(a: number, b: number): number {
    return this.#newest.compare(a, b);
  }

  /** The item goes, and everything that is kept by its values. Returns whether it was there. */
  #takeOut(handle: number): boolean {
    const item = this.#items[handle];
    if (!item) return false;
    for (const field of this.#fields.values()) field.remove(handle, item);
    for (const field of this.#rules.values()) field.remove(handle, item);
    this.#newest.remove(handle);
    this.#sellable.delete(handle);
    this.#facts.fill(Number.NaN, handle * FACTS.width, (handle + 1) * FACTS.width);
    this.#category[handle] = NO_HANDLE;
    this.#items[handle] = undefined;
    this.#size--;
    return true;
  }

  #makeRoom(handle: number): void {
    while (this.#items.length <= handle) this.#items.push(undefined);
    this.#facts = withPlace(this.#facts, (handle + 1) * FACTS.width - 1, Number.NaN);
    this.#category = withPlace(this.#category, handle, NO_HANDLE);
  }
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

  /** NaN for none. */
  keyOf(number: number): number {
    return this.#keys[number] ?? Number.NaN;
  }
}

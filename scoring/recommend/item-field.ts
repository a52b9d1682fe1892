import type { Filter, FilterCondition } from '../../contracts/filter.ts';
import { type Handles, withPlace } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import type { Bitmap } from './bitmap.ts';
import { Postings } from './postings.ts';
import { SortedHandles } from './sorted-handles.ts';

export type FieldValue = string | number | boolean;

/**
 * One field of items, ready to be filtered by: which items have each text or flag, and the order of the numbers. Kept in step with every change of an
 * item.
 */
export class ItemField {
  readonly #read: (item: Item) => FieldValue | undefined;
  readonly #postings = new Map<FieldValue, Postings>();
  #numbers = new Float64Array(0);
  readonly #sorted: SortedHandles;

  constructor(ids: Handles, read: (item: Item) => FieldValue | undefined) {
    this.#read = read;
    this.#sorted = new SortedHandles(ids, (handle) => this.#numbers[handle]!);
  }

  add(handle: number, item: Item): void {
    const value = this.#read(item);
    if (value === undefined) return;
    if (typeof value === 'number') {
      this.#numbers = withPlace(this.#numbers, handle, 0);
      this.#numbers[handle] = value;
      this.#sorted.add(handle);
      return;
    }
    const postings = this.#postings.get(value) ?? new Postings();
    this.#postings.set(value, postings);
    postings.add(handle);
  }

  /** `item` as it was when it was added. */
  remove(handle: number, item: Item): void {
    const value = this.#read(item);
    if (value === undefined) return;
    if (typeof value === 'number') this.#sorted.remove(handle);
    else if (this.#postings.get(value)?.remove(handle) === 0) this.#postings.delete(value);
  }

  /** Whether an item fulfils the condition by its own value. */
  fits(item: Item, condition: Condition): boolean {
    return valueFits(this.#read(item), condition);
  }

  /** At most so many items fulfil the condition. */
  atMost({ in: values, min, max }: Condition): number {
    let most = Number.POSITIVE_INFINITY;
    if (values) {
      most = 0;
      for (const value of values)
        most += typeof value === 'number' ? this.#sorted.atMostBetween(value, value) : (this.#postings.get(value)?.count ?? 0);
    }
    if (min === undefined && max === undefined) return most;
    return Math.min(most, this.#sorted.atMostBetween(min ?? Number.NEGATIVE_INFINITY, max ?? Number.POSITIVE_INFINITY));
  }

  /** Calls `visit` with items among which are all that fulfil a condition for which `atMost` is finite. */
  each(condition: Condition, visit: (handle: number) => void): void {
    const { in: values, min, max } = condition;
    const visitAll = (handles: Int32Array): void => {
      for (let i = 0; i < handles.length; i++) visit(handles[i]!);
    };
    if (values) {
      for (const value of values) {
        if (typeof value === 'number') this.#sorted.eachBetween(value, value, visitAll);
        else this.#postings.get(value)?.each(visit);
      }
    } else this.#sorted.eachBetween(min ?? Number.NEGATIVE_INFINITY, max ?? Number.POSITIVE_INFINITY, visitAll);
  }

  /** Takes out of `out` whatever does not fulfil the condition; `scratch` is overwritten. */
  keepFitting({ in: values, not_in: barred, min, max }: Condition, out: Bitmap, scratch: Bitmap): void {
    if (values) {
      this.#gather(values, scratch);
      out.and(scratch);
    }
    if (barred) {
      this.#gather(barred, scratch);
      out.andNot(scratch);
    }
    if (min === undefined && max === undefined) return;
    scratch.clear();
    this.#sorted.eachBetween(min ?? Number.NEGATIVE_INFINITY, max ?? Number.POSITIVE_INFINITY, (handles) => scratch.addAll(handles));
    out.and(scratch);
  }

  /** Makes `out` the items that have one of the values. */
  #gather(values: ReadonlySet<FieldValue>, out: Bitmap): void {
    out.clear();
    for (const value of values) {
      if (typeof value === 'number') this.#sorted.eachBetween(value, value, (handles) => out.addAll(handles));
      else this.#postings.get(value)?.addTo(out);
    }
  }
}

/** A condition of the wire, with its values as sets. */
export interface Condition {
  readonly in?: ReadonlySet<FieldValue> | undefined;
  readonly not_in?: ReadonlySet<FieldValue> | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** The condition of the wire with its values as sets. */
export function conditionOf({ in: values, not_in, min, max }: FilterCondition): Condition {
  return { in: values && new Set(values), not_in: not_in && new Set(not_in), min, max };
}

/** Whether an item fulfils a filter, by its own values: for a few items, as it needs no index of the catalogue. */
export function itemTest(filter: Filter): (item: Item) => boolean {
  const parts = filter.map((part) => ({ read: readerOf(part.field), condition: conditionOf(part) }));
  return (item) => parts.every(({ read, condition }) => valueFits(read(item), condition));
}

function valueFits(value: FieldValue | undefined, condition: Condition): boolean {
  if (value === undefined) return condition.in === undefined && condition.min === undefined && condition.max === undefined;
  if (condition.in && !condition.in.has(value)) return false;
  if (condition.not_in?.has(value)) return false;
  if (condition.min === undefined && condition.max === undefined) return true;
  return typeof value === 'number' && value >= (condition.min ?? Number.NEGATIVE_INFINITY) && value <= (condition.max ?? Number.POSITIVE_INFINITY);
}

/** Before the name of an attribute. */
export const ATTRIBUTES = 'attributes.';

/** How a field is read of an item. Throws RangeError on one that items do not have. */
export function readerOf(name: string): (item: Item) => FieldValue | undefined {
  if (name.startsWith(ATTRIBUTES)) {
    const attribute = name.slice(ATTRIBUTES.length);
    return (item) => (item.attributes && Object.hasOwn(item.attributes, attribute) ? item.attributes[attribute] : undefined);
  }
  switch (name) {
    case 'category':
      return (item) => item.category;
    case 'brand':
      return (item) => item.brand;
    case 'currency':
      return (item) => item.currency;
    case 'price':
      return (item) => item.price;
    case 'created_ms':
      return (item) => item.created_ms;
    case 'stock':
      // An item without stock can always be sold.
      return (item) => item.stock ?? Number.POSITIVE_INFINITY;
    default:
      throw new RangeError(`items have no field ${name}`);
  }
}

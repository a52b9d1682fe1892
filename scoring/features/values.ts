import type { EventItem, TimedEvent } from '../../contracts/event.ts';
import type { EntityRef } from '../../store/contract.ts';
import { dayPart } from './calendar.ts';
import type { ItemLookup, KeyField, NumericField } from './contract.ts';
import { hash53 } from './hash.ts';
import { isFraud, NUMERIC_FIELDS } from './plan.ts';
import { toUnits } from './tiles.ts';

/** What one event says of one field, in ten-thousandths: an event's items each give a value. */
export interface FieldValues {
  count: number;
  sum: number;
  min: number;
  max: number;
  last: number;
}

/** The numbers of an event for one entity. Reused from event to event. */
export class EventValues {
  readonly fields: readonly FieldValues[] = NUMERIC_FIELDS.map(() => ({ count: 0, sum: 0, min: Infinity, max: -Infinity, last: Number.NaN }));

  load(fields: readonly NumericField[], ref: EntityRef, event: TimedEvent, items: ItemLookup): void {
    for (const field of fields) {
      const values = this.fields[NUMERIC_FIELDS.indexOf(field)]!;
      values.count = 0;
      values.sum = 0;
      values.min = Infinity;
      values.max = -Infinity;
      switch (field) {
        case 'amount':
          add(values, ref.kind === 'item' ? itemsAmount(event, items, ref.id) : eventAmount(event, items));
          break;
        case 'rating':
          add(values, event.rating);
          break;
        case 'is_fraud':
          add(values, flagValue(isFraud(event)));
          break;
        case 'carried':
          add(values, event.carried);
          break;
        default:
          for (const line of event.items ?? []) {
            if (ref.kind === 'item' && line.item_id !== ref.id) continue;
            add(values, field === 'quantity' ? (line.quantity ?? 1) : priceOf(line, items, event.rate));
          }
      }
    }
  }
}

function add(values: FieldValues, value: number | undefined): void {
  if (value === undefined || Number.isNaN(value)) return;
  const units = toUnits(value);
  values.count++;
  values.sum += units;
  if (units < values.min) values.min = units;
  if (units > values.max) values.max = units;
  values.last = units;
}

function flagValue(flag: boolean | undefined): number | undefined {
  return flag === undefined ? undefined : flag ? 1 : 0;
}

/** In the shop's currency, which the catalogue's prices are in. */
function priceOf(line: EventItem, items: ItemLookup, rate = 1): number | undefined {
  return line.price === undefined ? items(line.item_id)?.price : line.price * rate;
}

/** The event's `value`, or price x quantity over its items, in the shop's currency; undefined when no price is known. */
export function eventAmount(event: TimedEvent, items: ItemLookup): number | undefined {
  return event.value === undefined ? itemsAmount(event, items, undefined) : event.value * (event.rate ?? 1);
}

function itemsAmount(event: TimedEvent, items: ItemLookup, onlyItem: string | undefined): number | undefined {
  let amount: number | undefined;
  for (const line of event.items ?? []) {
    if (onlyItem !== undefined && line.item_id !== onlyItem) continue;
    const price = priceOf(line, items, event.rate);
    if (price !== undefined) amount = (amount ?? 0) + price * (line.quantity ?? 1);
  }
  return amount;
}

/**
 * Puts the hashes of the ids that an event shows of `field` (one, or one an item) at the beginning of `out`; returns how many. What stands behind them
 * is left over from before: an array that is emptied loses its memory, and needs new for every event.
 */
export function keyHashes(field: KeyField, ref: EntityRef, event: TimedEvent, items: ItemLookup, out: number[]): number {
  if (field === 'day_part') {
    out[0] = hash53(dayPart(event.timestamp_ms));
    return 1;
  }
  if (field !== 'item_id' && field !== 'category' && field !== 'brand') {
    const key = event[field];
    if (key === undefined) return 0;
    out[0] = hash53(key);
    return 1;
  }
  let count = 0;
  for (const line of event.items ?? []) {
    if (ref.kind === 'item' && line.item_id !== ref.id) continue;
    const key = field === 'item_id' ? line.item_id : items(line.item_id)?.[field];
    if (key !== undefined) out[count++] = hash53(key);
  }
  return count;
}

import type { TimedEvent } from '../../contracts/event.ts';
import { DAY_MS, hourOf, isNight, isWeekend, weekdayOf } from './calendar.ts';
import type { Feature, ItemFacts } from './contract.ts';
import { toUnits, UNITS_PER_ONE } from './tiles.ts';
import { eventAmount } from './values.ts';

export type SubjectField = Extract<Feature, { aggregate: 'subject' }>['field'];

const NO_ITEMS = (): undefined => undefined;

/** NaN for an item of unknown age. */
export function itemAgeDays(createdMs: number, nowMs: number): number {
  return Math.max(0, nowMs - createdMs) / DAY_MS;
}

/** A number of the request itself. An amount passes through the same rounding as the sums that it is compared with. */
export function subjectValue(field: SubjectField, nowMs: number, event: TimedEvent | undefined, item: ItemFacts | undefined): number {
  switch (field) {
    case 'amount': {
      const amount = event && eventAmount(event, NO_ITEMS);
      return amount === undefined ? Number.NaN : toUnits(amount) / UNITS_PER_ONE;
    }
    case 'hour':
      return hourOf(nowMs);
    case 'weekday':
      return weekdayOf(nowMs);
    case 'is_night':
      return isNight(nowMs) ? 1 : 0;
    case 'is_weekend':
      return isWeekend(nowMs) ? 1 : 0;
    case 'item_price':
      return item?.price ?? Number.NaN;
    case 'item_age_days':
      return itemAgeDays(item?.created_ms ?? Number.NaN, nowMs);
    case 'item_stock':
      return item?.stock ?? Number.NaN;
  }
}

import { GatehouseError } from '../contracts/errors.ts';
import type { TimedEvent } from '../contracts/event.ts';

/** What one unit of each currency is worth in the shop's own. */
export interface RateTable {
  /** The shop's currency: amounts of features, thresholds and reports are in it. */
  readonly base: string;
  readonly rates: ReadonlyMap<string, number>;
}

const CURRENCY = /^[A-Z]{3}$/;

/** Reads `{"base": "EUR", "rates": {"USD": 0.92}}`. Throws `config_invalid` with what is wrong. */
export function parseRates(text: string): RateTable {
  const wrong = (what: string): GatehouseError => new GatehouseError('config_invalid', `the rates file: ${what}`);
  let table: unknown;
  try {
    table = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  const { base, rates } = (table ?? {}) as { base?: unknown; rates?: unknown };
  if (typeof base !== 'string' || !CURRENCY.test(base)) throw wrong('base must be a currency such as EUR');
  if (typeof rates !== 'object' || rates === null || Array.isArray(rates)) throw wrong('rates must be an object of numbers by currency');
  const read = new Map<string, number>();
  for (const [currency, rate] of Object.entries(rates)) {
    if (!CURRENCY.test(currency)) throw wrong(`${currency} is no currency`);
    if (!(typeof rate === 'number' && rate > 0 && Number.isFinite(rate))) throw wrong(`the rate of ${currency} must be a number above 0`);
    read.set(currency, rate);
  }
  if ((read.get(base) ?? 1) !== 1) throw wrong(`${base} is worth 1 ${base}`);
  return { base, rates: read };
}

/** What an amount is worth in the shop's own currency, as far as the table knows: one that it does not know is taken to be in the shop's own. */
export function inBase(amount: number, currency: string | undefined, table: RateTable | undefined): number {
  return currency === undefined ? amount : amount * (table?.rates.get(currency) ?? 1);
}

/**
 * The event with the rate of its currency, as the journal keeps it: a later rate changes nothing that was counted. Without a table, and without a
 * currency, amounts are taken to be in the shop's own. Throws `currency_unknown`.
 */
export function withRate(event: TimedEvent, table: RateTable | undefined): TimedEvent {
  const { currency } = event;
  if (table === undefined || currency === undefined || currency === table.base) return event;
  const rate = table.rates.get(currency);
  if (rate === undefined) throw new GatehouseError('currency_unknown', `the rates file has no ${currency}`);
  return { ...event, rate };
}

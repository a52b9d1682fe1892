import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { eventAmount } from './features/values.ts';
import { parseRates, withRate } from './rates.ts';

const table = parseRates('{"base":"EUR","rates":{"USD":0.5,"JPY":0.01}}');
const event = (more: Partial<TimedEvent>): TimedEvent => ({ event_id: 'e', name: 'payment_attempt', timestamp_ms: 0, ...more });
const amountOf = (more: Partial<TimedEvent>): number | undefined =>
  eventAmount(withRate(event(more), table), (id) => ({ item_id: id, price: 7 }) as never);

describe('amounts', () => {
  test('are counted in the shop\u2019s currency', () => {
    expect(amountOf({ value: 100, currency: 'USD' })).toBe(50);
    expect(amountOf({ value: 100, currency: 'EUR' })).toBe(100);
    expect(amountOf({ value: 100 })).toBe(100);
  });

  test('of items as well; the catalogue is in the shop\u2019s currency already', () => {
    expect(amountOf({ currency: 'JPY', items: [{ item_id: 'a', price: 1000, quantity: 2 }] })).toBe(20);
    expect(amountOf({ currency: 'JPY', items: [{ item_id: 'a', quantity: 2 }] })).toBe(14);
  });

  test('in a currency that the shop does not know are refused', () => {
    expect(() => amountOf({ value: 1, currency: 'XXX' })).toThrow(expect.objectContaining({ code: 'currency_unknown' }));
  });

  test('are as they come where no rates are declared', () => {
    const usd = event({ value: 100, currency: 'USD' });
    expect(withRate(usd, undefined)).toBe(usd);
  });
});

test.each([
  ['no JSON', '{'],
  ['nothing', 'null'],
  ['no base', '{"rates":{}}'],
  ['a base that is none', '{"base":"euro","rates":{}}'],
  ['no rates', '{"base":"EUR"}'],
  ['a list of rates', '{"base":"EUR","rates":[1]}'],
  ['a currency that is none', '{"base":"EUR","rates":{"usd":1}}'],
  ['a rate of zero', '{"base":"EUR","rates":{"USD":0}}'],
  ['a rate that is text', '{"base":"EUR","rates":{"USD":"1"}}'],
  ['a base that is not worth itself', '{"base":"EUR","rates":{"EUR":2}}'],
])('a rates file with %s is refused', (_, text) => {
  expect(() => parseRates(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
});

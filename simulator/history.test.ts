import { createHash } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { Event, eventProblem, type TimedEvent } from '../contracts/event.ts';
import { Item } from '../contracts/item.ts';
import { attackPlay } from './attack-plays.ts';
import { FRAUD_KINDS, type FraudKind } from './attacks.ts';
import { createShop, type Shop } from './index.ts';
import { DISPUTE_WINDOW_DAYS, LABEL_DELAY_DAYS_MIN } from './outcomes.ts';
import { DAY_MS, type ShopParams } from './params.ts';
import { isEvent, NO_REPLY } from './steps.ts';

const END_MS = 1_764_000_000_000;
const SIZE: ShopParams = { seed: 11, endMs: END_MS, users: 300, items: 150, days: 45, visitsPerUserDay: 0.3, fraudRate: 0.06 };

const shop = createShop(SIZE);
const events = [...shop.history()];
const named = (...names: readonly TimedEvent['name'][]): TimedEvent[] => events.filter(({ name }) => names.includes(name));
const attempts = new Map(named('payment_attempt').map((event) => [event.transaction_id!, event]));
const share = <T>(list: readonly T[], holds: (one: T) => boolean): number => list.filter(holds).length / list.length;

/** A digest of what the shop is and of all that ever happened in it. */
function digest(of: Shop): string {
  const hash = createHash('sha256').update(JSON.stringify(of.items()));
  for (const event of of.history()) hash.update(JSON.stringify(event));
  return hash.digest('hex');
}

describe('one seed, one shop', () => {
  const small = { ...SIZE, users: 40, items: 60, days: 12 };

  test('the same parameters give the same history, event for event, also when it is played again', () => {
    const one = createShop(small);
    expect(digest(one)).toBe(digest(createShop(small)));
    expect(digest(one)).toBe(digest(one));
  });

  test('another seed gives another', () => {
    const digests = [1, 2, 3, 2 ** 32 + 1].map((seed) => digest(createShop({ ...small, seed })));
    expect(new Set(digests).size).toBe(digests.length);
  });

  test.each<[string, Partial<ShopParams>]>([
    ['users', { users: 9 }],
    ['users', { users: 10.5 }],
    ['items', { items: 59 }],
    ['days', { days: 0 }],
    ['days', { days: Number.NaN }],
    ['visitsPerUserDay', { visitsPerUserDay: 0 }],
    ['fraudRate', { fraudRate: 0.3 }],
    ['endMs', { endMs: 5 }],
    ['seed', { seed: -1 }],
  ])('%s out of range is refused: %j', (name, wrong) => {
    expect(() => createShop({ ...SIZE, ...wrong })).toThrow(RangeError);
    expect(() => createShop({ ...SIZE, ...wrong })).toThrow(name);
  });
});

describe('events', () => {
  test('fit the contract, in time order, within the history, each id once', () => {
    const shape = Compile(Event);
    const wrong = events.filter((event) => !shape.Check(event) || eventProblem(event) !== undefined);
    expect(wrong).toEqual([]);
    expect(events.findIndex((event, i) => i > 0 && event.timestamp_ms < events[i - 1]!.timestamp_ms)).toBe(-1);
    expect(events[0]!.timestamp_ms).toBeGreaterThanOrEqual(END_MS - SIZE.days! * DAY_MS);
    expect(events.at(-1)!.timestamp_ms).toBeLessThan(END_MS);
    expect(new Set(events.map(({ event_id }) => event_id)).size).toBe(events.length);
  });

  test('are about as many as asked, and double with the volume knob', () => {
    const own = new Set(shop.userIds());
    const visitsOf = (list: readonly TimedEvent[]) => list.filter(({ name }) => name === 'page_view').length;
    // A quarter of the users joins on the way, so about an eighth of the visits never happens; replenishing adds some.
    const asked = SIZE.users! * SIZE.days! * SIZE.visitsPerUserDay!;
    expect(visitsOf(events) / asked).toBeGreaterThan(0.7);
    expect(visitsOf(events) / asked).toBeLessThan(1.4);
    expect(events.length / visitsOf(events)).toBeGreaterThan(6);
    expect(events.length / visitsOf(events)).toBeLessThan(14);
    const busier = [...createShop({ ...SIZE, visitsPerUserDay: 2 * SIZE.visitsPerUserDay! }).history()];
    expect(visitsOf(busier) / visitsOf(events)).toBeGreaterThan(1.6);
    expect(visitsOf(busier) / visitsOf(events)).toBeLessThan(2.2);
    // Nearly everyone who is named comes by; nobody is made up but attackers' accounts.
    const seen = new Set(events.flatMap(({ user_id = [] }) => user_id));
    expect(share([...own], (id) => seen.has(id))).toBeGreaterThan(0.9);
  });

  test('are of all kinds, with a funnel that narrows', () => {
    const count = (name: TimedEvent['name']) => named(name).length;
    const funnel = [count('view_item'), count('add_to_cart'), count('begin_checkout'), count('purchase')];
    expect(funnel).toEqual([...funnel].sort((a, b) => b - a));
    expect(count('purchase')).toBeGreaterThan(100);
    for (const name of [
      'search',
      'view_item_list',
      'select_item',
      'login',
      'sign_up',
      'review',
      'refund',
      'view_promotion',
      'remove_from_cart',
    ] as const)
      expect([name, count(name) > 0]).toEqual([name, true]);
    expect(share(named('page_view'), ({ user_id }) => user_id === undefined)).toBeGreaterThan(0.05);
  });

  test('name items that are offered by then, at sane prices', () => {
    const shape = Compile(Item);
    const items = new Map(shop.items().map((item) => [item.item_id, item]));
    expect(items.size).toBe(SIZE.items);
    for (const item of items.values()) {
      expect(shape.Check(item)).toBe(true);
      expect(item.price).toBeGreaterThanOrEqual(1);
      expect(item.price).toBeLessThan(10_000);
      expect(Number.isInteger(item.stock)).toBe(true);
      expect(item.stock).toBeGreaterThanOrEqual(0);
    }
    const soldOut = share([...items.values()], ({ stock }) => stock === 0);
    expect(soldOut).toBeGreaterThan(0);
    expect(soldOut).toBeLessThan(0.1);
    const early = events.filter((event) => event.items?.some(({ item_id }) => items.get(item_id)!.created_ms! > event.timestamp_ms));
    expect(early).toEqual([]);
    // A campaign takes off a quarter at most; nothing is sold above its price.
    const oddPrices = events.filter((event) =>
      event.items?.some(
        ({ item_id, price }) => price !== undefined && (price > items.get(item_id)!.price! || price < 0.74 * items.get(item_id)!.price!),
      ),
    );
    expect(oddPrices).toEqual([]);
  });

  test('of a purchase add up', () => {
    const wrong = named('purchase', 'payment_attempt').filter(({ items = [], value }) => {
      const total = items.reduce((sum, { price = 0, quantity = 1 }) => sum + price * quantity, 0);
      return Math.abs(total - value!) > 0.01;
    });
    expect(wrong).toEqual([]);
  });
});

describe('payments', () => {
  test('a purchase follows an attempt that was authorised, and a refusal is an event of its attempt', () => {
    const failed = new Map(named('payment_failed').map((event) => [event.transaction_id!, event]));
    for (const purchase of named('purchase')) {
      const attempt = attempts.get(purchase.transaction_id!)!;
      expect(failed.has(purchase.transaction_id!)).toBe(false);
      expect(attempt.timestamp_ms).toBeLessThan(purchase.timestamp_ms);
      expect([purchase.user_id, purchase.value]).toEqual([attempt.user_id, attempt.value]);
    }
    for (const [id, failure] of failed) {
      const attempt = attempts.get(id)!;
      expect(failure.timestamp_ms - attempt.timestamp_ms).toBe(900);
      expect([failure.user_id, failure.card_id, failure.value]).toEqual([attempt.user_id, attempt.card_id, attempt.value]);
    }
    const honest = [...attempts.keys()].filter((id) => !shop.fraudTruth(id).isFraud);
    const refused = share(honest, (id) => failed.has(id));
    expect(refused).toBeGreaterThan(0.02);
    expect(refused).toBeLessThan(0.09);
  });

  test('labels tell the truth, late: no honest payment is ever called fraud', () => {
    const labels = named('label', 'chargeback');
    const honestLabels = labels.filter(({ is_fraud }) => !is_fraud);
    expect(honestLabels.length).toBeGreaterThan(50);
    for (const label of labels) {
      const attempt = attempts.get(label.transaction_id!)!;
      expect([label.transaction_id, label.is_fraud]).toEqual([label.transaction_id, shop.fraudTruth(label.transaction_id!).isFraud]);
      const days = (label.timestamp_ms - attempt.timestamp_ms) / DAY_MS;
      // Delays are whole milliseconds, rounded down.
      expect(days).toBeGreaterThan(LABEL_DELAY_DAYS_MIN - 1e-6);
      expect(days).toBeLessThanOrEqual(DISPUTE_WINDOW_DAYS);
    }
    expect(new Set(labels.map(({ transaction_id }) => transaction_id)).size).toBe(labels.length);
    expect(named('chargeback').length).toBeGreaterThan(0);
    // Of the frauds whose time has come most are found, and not all.
    const old = [...attempts.values()].filter(({ transaction_id, timestamp_ms }) => {
      return shop.fraudTruth(transaction_id!).isFraud && timestamp_ms < END_MS - DISPUTE_WINDOW_DAYS * DAY_MS;
    });
    const known = new Set(labels.map(({ transaction_id }) => transaction_id));
    const found = share(old, ({ transaction_id }) => known.has(transaction_id));
    expect(found).toBeGreaterThan(0.85);
  });

  test('every kind of fraud occurs, at about the rate that was asked for', () => {
    const kinds = new Map<FraudKind | undefined, number>();
    for (const id of attempts.keys()) {
      const { isFraud, kind } = shop.fraudTruth(id);
      expect(isFraud).toBe(kind !== undefined);
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    expect(FRAUD_KINDS.filter((kind) => !kinds.has(kind))).toEqual([]);
    const rate = share([...attempts.keys()], (id) => shop.fraudTruth(id).isFraud);
    expect(rate).toBeGreaterThan(0.5 * SIZE.fraudRate!);
    expect(rate).toBeLessThan(2 * SIZE.fraudRate!);
    // Accounts that were opened for an attack pay nothing honestly.
    const own = new Set(shop.userIds());
    const strangers = [...attempts.values()].filter(({ user_id }) => !own.has(user_id!));
    expect(strangers.filter(({ transaction_id }) => !shop.fraudTruth(transaction_id!).isFraud)).toEqual([]);
    expect(shop.fraudTruth('t_unknown')).toEqual({ isFraud: false, kind: undefined });
  });

  test('without fraud there is none', () => {
    const honest = createShop({ ...SIZE, users: 60, days: 20, fraudRate: 0 });
    const all = [...honest.history()];
    expect(all.filter(({ is_fraud, name }) => is_fraud === true || name === 'chargeback')).toEqual([]);
    const own = new Set(honest.userIds());
    expect(all.filter(({ user_id }) => user_id !== undefined && !own.has(user_id))).toEqual([]);
  });

  test('attacks have the sizes that the plan counts on', () => {
    // As in attacks.ts, where they turn a rate into a number of attacks.
    const planned: Record<FraudKind, number> = {
      card_testing: 13,
      stolen_card: 1.2,
      account_takeover: 2.2,
      fraud_ring: 7,
      bot_burst: 9,
      refund_abuse: 4.5,
    };
    const measured = Object.fromEntries(FRAUD_KINDS.map((kind) => [kind, attemptsPerAttack(kind)])) as Record<FraudKind, number>;
    for (const kind of FRAUD_KINDS)
      expect([kind, Math.abs(measured[kind] / planned[kind] - 1) < 0.2, measured[kind]]).toEqual([kind, true, measured[kind]]);
  });
});

/** Mean payment attempts of an attack, over 40 of them in the shop of these tests. */
function attemptsPerAttack(kind: FraudKind): number {
  const COUNT = 40;
  let asked = 0;
  for (let index = 0; index < COUNT; index++) {
    const play = attackPlay(shop.world, { index, kind, startMs: END_MS - 20 * DAY_MS });
    for (let next = play.next(NO_REPLY); !next.done; next = play.next(NO_REPLY)) if (!isEvent(next.value) && next.value.ask === 'pay') asked++;
  }
  return asked / COUNT;
}

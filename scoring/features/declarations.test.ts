import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import { SOURCES } from '../recommend/candidates/gather.ts';
import type { Candidate, EntityState, Feature, FeatureDeclarations, ItemLookup, Subject } from './contract.ts';
import { DEFAULT_DECLARATIONS } from './defaults.ts';
import { createFeatureEngine } from './engine.ts';
import { bits } from './oracle.suite.ts';

const T0 = 1_750_000_000_000;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const lookup: ItemLookup = (id) => ({ category: `c${id.length}`, brand: 'b', price: 10, created_ms: T0 - 86_400_000 });
const count: Feature = { name: 'n', text: '{value}', aggregate: 'count', entity: 'user', window: '1h', events: ['view_item', 'purchase'] };

const ratioOfCounts: Feature = { name: 'q', text: '{value}', aggregate: 'ratio', numerator: 'n', denominator: 'n' };

function recent(change: Partial<Extract<Feature, { aggregate: 'recent' }>>): Feature {
  const common = { name: 'r', text: '{value}', entity: 'user', of: 'amount', events: ['payment_attempt'] } as const;
  return { ...common, aggregate: 'recent', statistic: 'above_count', last: 10, above: 0, ...change };
}

function declare(...features: Feature[]): FeatureDeclarations {
  return { version: 1, histories: [], sets: { s: features } };
}

function hashOf(...features: Feature[]): string {
  return createFeatureEngine(declare(...features)).hash('s');
}

function pay(i: number, more: Partial<TimedEvent> = {}): TimedEvent {
  const ids = { user_id: 'u', session_id: 's', card_id: 'c', device_id: 'd', ip: '10.0.0.1', merchant_id: 'm' };
  return {
    event_id: `e${i}`,
    name: 'payment_attempt',
    timestamp_ms: T0 + i * 3_600_000,
    ...ids,
    payment_method: 'card',
    value: 10 * (i + 1),
    ...more,
  };
}

function play(events: readonly TimedEvent[]): Map<string, EntityState> {
  const states = new Map<string, EntityState>();
  for (const event of events) {
    for (const ref of engine.entities(event)) {
      const key = `${ref.kind}:${ref.id}`;
      states.set(key, engine.apply(ref, states.get(key), event, lookup));
    }
  }
  return states;
}

function score(states: Map<string, EntityState>, event: TimedEvent): Record<string, number> {
  const of = (kind: string, id: string | undefined): EntityState | undefined => states.get(`${kind}:${id}`);
  const subject: Subject = {
    nowMs: event.timestamp_ms,
    event,
    states: {
      user: of('user', event.user_id),
      session: of('session', event.session_id),
      card: of('card', event.card_id),
      device: of('device', event.device_id),
      ip: of('ip', event.ip),
      merchant: of('merchant', event.merchant_id),
    },
  };
  const out = new Float32Array(engine.names('fraud').length);
  engine.vector('fraud', subject, [], out, 0);
  return Object.fromEntries(engine.names('fraud').map((name, i) => [name, out[i]!]));
}

describe('hash', () => {
  test('changes with everything that decides a value', () => {
    const base = hashOf(count);
    const others: Feature[] = [
      { ...count, name: 'm' },
      { ...count, window: '24h' },
      { ...count, entity: 'card' },
      { ...count, events: ['view_item'] },
      { ...count, where: { field: 'is_fraud', equals: true } },
      { ...count, aggregate: 'sum', of: 'amount' },
    ];
    const hashes = others.map((feature) => hashOf(feature));
    expect(new Set([base, ...hashes]).size).toBe(others.length + 1);
    const second: Feature = { ...count, name: 'second', window: '7d' };
    expect(hashOf(count, second)).not.toBe(hashOf(second, count));
  });

  test('does not change with sentences, the order of events in a filter, or other sets and histories', () => {
    const base = hashOf(count);
    expect(hashOf({ ...count, text: 'seen {value} times' })).toBe(base);
    expect(hashOf({ ...count, events: ['purchase', 'view_item', 'purchase'] })).toBe(base);
    const more = createFeatureEngine({
      version: 9,
      histories: [{ name: 'h', entity: 'user', itemsMax: 3, events: ['purchase'] }],
      sets: { s: [count], other: [{ ...count, window: '90d' }] },
    });
    expect(more.hash('s')).toBe(base);
    expect(base).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('wrong declarations are refused with the place', () => {
  const wrong: [string, FeatureDeclarations, RegExp][] = [
    ['twice', declare(count, count), /feature s\.n is declared twice/],
    [
      'ratio before',
      declare({ name: 'r', text: '{value}', aggregate: 'ratio', numerator: 'n', denominator: 'n' }, count),
      /reads n, which is not declared before it/,
    ],
    ['recent without its median', declare(recent({ above: { times: 2, feature: 'n', plus: 1 } })), /reads n, which is not declared before it/],
    [
      'threshold of a ratio',
      declare(count, ratioOfCounts, recent({ above: { times: 2, feature: 'q', plus: 1 } })),
      /has the ratio q in its threshold, which is computed later/,
    ],
    ['threshold for a median', declare(recent({ statistic: 'median' })), /has a threshold where its statistic needs none/],
    ['no threshold', declare(JSON.parse(JSON.stringify({ ...recent({}), above: undefined }))), /or none where it does/],
    ['too many values', declare(recent({ last: 201 })), /needs a last from 1 to 200/],
    ['statistic', declare(JSON.parse(JSON.stringify({ ...recent({}), statistic: 'mode' }))), /unknown statistic: mode/],
    ['place', declare(JSON.parse('{"name":"d","text":"{value}","aggregate":"differs","left":"country","right":"planet"}')), /unknown right: planet/],
    ['text', declare({ ...count, text: 'no value' }), /needs a text/],
    ['event', declare(JSON.parse(JSON.stringify({ ...count, events: ['teleport'] }))), /unknown event: teleport/],
    ['window', declare(JSON.parse(JSON.stringify({ ...count, window: '2h' }))), /unknown window: 2h/],
    ['aggregate', declare(JSON.parse(JSON.stringify({ ...count, aggregate: 'median' }))), /unknown aggregate: median/],
    ['empty', { version: 1, histories: [], sets: { s: [] } }, /set s needs/],
    ['history', { version: 1, histories: [{ name: 'h', entity: 'user', itemsMax: 0, events: ['purchase'] }], sets: {} }, /itemsMax/],
  ];
  for (const [name, declarations, message] of wrong) {
    test(name, () => expect(() => createFeatureEngine(declarations)).toThrow(message));
  }

  test('an unknown set', () => expect(() => engine.names('nothing')).toThrow(/bundle_incompatible: there is no feature set "nothing"/));
});

describe('entities', () => {
  test('each once, in a fixed order, items last; only kinds that remember the event', () => {
    const buy: TimedEvent = {
      event_id: 'b',
      name: 'purchase',
      timestamp_ms: T0,
      user_id: 'u',
      session_id: 's',
      address_id: 'a',
      items: [{ item_id: 'y' }, { item_id: 'x' }, { item_id: 'y' }],
    };
    expect(engine.entities(buy).map(({ kind, id }) => `${kind}:${id}`)).toEqual(['user:u', 'session:s', 'item:y', 'item:x']);
    expect(engine.entities(pay(0)).map(({ kind }) => kind)).toEqual(['user', 'session', 'card', 'device', 'ip', 'merchant']);
    expect(engine.entities({ event_id: 'p', name: 'page_view', timestamp_ms: T0, user_id: 'u' })).toEqual([]);
  });
});

describe('default sets', () => {
  test('are of a size that scores quickly, and say every feature in words', () => {
    expect(engine.names('fraud').length).toBeLessThanOrEqual(100);
    expect(engine.names('rank').length).toBeLessThanOrEqual(54);
    const columns = SOURCES.flatMap((source) => source.columns.map(({ key }) => key));
    // What is due again, and what is alike, order candidates where there is no ranker, which is not taught them.
    expect([...engine.contextKeys('rank'), 'buy_again_due', 'content'].sort()).toEqual(columns.sort());
    for (const set of ['fraud', 'rank']) for (const i of engine.names(set).keys()) expect(engine.explain(set, i, 1.5)).not.toContain('{');
    const at = engine.names('fraud').indexOf('user_last_attempt');
    expect(engine.explain('fraud', at, 7_200)).toBe('previous payment of this customer 2 h ago');
    expect(engine.explain('fraud', at, Number.NaN)).toBe('not known: previous payment of this customer … ago');
  });

  test('the handbook’s fifteen: amount, night, weekend; the customer’s count and mean with this payment; the merchant’s reports', () => {
    const sunday0300 = Date.UTC(2025, 5, 15, 3);
    const events = [0, 23, 24 * 6, 24 * 20].map((hoursAgo, i) =>
      pay(i, { timestamp_ms: sunday0300 - hoursAgo * 3_600_000 - (i === 0 ? 0 : 1_800_000), value: 100 * (i + 1) }),
    );
    const report = (i: number, isFraud: boolean, hoursAgo: number): TimedEvent => ({
      event_id: `l${i}`,
      name: 'label',
      timestamp_ms: sunday0300 - hoursAgo * 3_600_000,
      transaction_id: `t${i}`,
      merchant_id: 'm',
      is_fraud: isFraud,
    });
    const reports = [report(0, true, 1), report(1, false, 30), report(2, true, 24 * 9), report(3, false, 24 * 40)];
    const chargeback: TimedEvent = {
      event_id: 'cb',
      name: 'chargeback',
      timestamp_ms: sunday0300 - 7_200_000,
      transaction_id: 't9',
      merchant_id: 'm',
    };
    const values = score(play([...reports, ...events.toReversed(), chargeback]), events[0]!);
    expect(values).toMatchObject({
      amount: 100,
      hour: 3,
      is_night: 1,
      is_weekend: 1,
      user_attempts_24h: 2,
      user_mean_amount_24h: 150,
      user_attempts_7d: 3,
      user_mean_amount_7d: 200,
      user_attempts_30d: 4,
      user_mean_amount_30d: 250,
      merchant_labels_24h: 2,
      merchant_frauds_24h: 2,
      merchant_labels_7d: 3,
      merchant_fraud_rate_7d: Math.fround(2 / 3),
      merchant_labels_30d: 4,
      merchant_frauds_30d: 3,
      merchant_fraud_rate_30d: 0.75,
    });
  });

  test('time since the previous payment does not see the payment itself', () => {
    const events = [pay(0), pay(1), pay(3)];
    expect(score(play(events.slice(0, 1)), events[0]!)['user_last_attempt']).toBeNaN();
    expect(score(play(events), events[2]!)['user_last_attempt']).toBe(7_200);
    expect(score(play(events), events[2]!)['user_first_attempt']).toBe(3 * 3_600);
  });

  test('an entity without state is missing, not zero', () => {
    const values = score(new Map(), pay(0));
    expect(values['user_attempts_24h']).toBeNaN();
    expect(values['amount']).toBe(10);
  });
});

describe('vectors', () => {
  const shop = (i: number, name: 'view_item' | 'purchase', itemId: string): TimedEvent => ({
    event_id: `s${i}`,
    name,
    timestamp_ms: T0 + i * 1_000_000,
    user_id: 'u',
    session_id: 's',
    items: [{ item_id: itemId }],
  });
  const events = Array.from({ length: 300 }, (_, i) => shop(i, i % 3 === 0 ? 'purchase' : 'view_item', 'x'.repeat(1 + (i % 7))));
  const states = play(events);
  const subject: Subject = { nowMs: T0 + 300_000_000, states: { user: states.get('user:u'), session: states.get('session:s') } };
  const width = engine.names('rank').length;
  const keys = engine.contextKeys('rank');
  const candidates = Array.from({ length: 12 }, (_, i): Candidate => {
    const id = 'x'.repeat(1 + (i % 9));
    return {
      item: i % 4 === 3 ? undefined : lookup(id),
      state: states.get(`item:${id}`),
      context: keys.map((_, column) => (column === 0 ? i : column === 1 ? Number.NaN : column / 2)),
    };
  });

  test('many rows equal as many single ones, bit for bit', () => {
    const all = new Float32Array(width * candidates.length);
    engine.vectors('rank', subject, candidates, all);
    for (const [i, candidate] of candidates.entries()) {
      const one = new Float32Array(width);
      engine.vectors('rank', subject, [candidate], one);
      expect(bits(all.subarray(i * width, (i + 1) * width))).toBe(bits(one));
      if (candidate.item === undefined) {
        engine.vector('rank', { ...subject, states: { ...subject.states, item: candidate.state } }, candidate.context, one, 0);
        expect(bits(all.subarray(i * width, (i + 1) * width))).toBe(bits(one));
      }
    }
  });

  test('hold the candidate’s own numbers', () => {
    const all = new Float32Array(width * candidates.length);
    engine.vectors('rank', subject, candidates, all);
    const value = (row: number, name: string): number => all[row * width + engine.names('rank').indexOf(name)]!;
    expect(value(2, 'user_vector')).toBe(2);
    expect(value(2, keys[1]!)).toBeNaN();
    expect(value(2, 'item_price')).toBe(10);
    expect(value(2, 'user_category_share')).toBeCloseTo(1 / 7, 1);
    expect(value(3, 'user_category_share')).toBeNaN();
    expect(value(2, 'item_views_30d') + value(2, 'item_purchases_30d')).toBe(43);
    expect(value(8, 'item_views_30d')).toBeNaN();
    expect(value(0, 'user_activity_30d')).toBe(value(5, 'user_activity_30d'));
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { EntityState, EventFilter, Feature } from './contract.ts';
import { createFeatureEngine } from './engine.ts';
import { applyAll, atMs, bits, DECLARATIONS, events, ITEM, lookup, T0, truth, USER, vectorOf } from './oracle.suite.ts';
import { SPARE_TILES, WINDOW_SPECS } from './tiles.ts';

const SEED = 20_240;
const engine = createFeatureEngine(DECLARATIONS);

describe('every aggregate equals its recomputation from the list of events', () => {
  for (const ref of [USER, ITEM]) {
    test(ref.kind, () => {
      fc.assert(
        fc.property(events(80), atMs, fc.nat(), (list, nowOffset, pick) => {
          const nowMs = T0 + nowOffset;
          const own = list.length > 0 ? list[pick % list.length] : undefined;
          const values = vectorOf(engine, ref, applyAll(engine, ref, list), nowMs, own);
          const set = DECLARATIONS.sets[ref.kind]!;
          const expected = set.map((feature) => Math.fround(truth(set, feature, ref, list, nowMs, own)));
          expect(Object.fromEntries(set.map((f, i) => [f.name, values[i]]))).toEqual(Object.fromEntries(set.map((f, i) => [f.name, expected[i]])));
        }),
        { seed: SEED, numRuns: 300 },
      );
    });
  }

  test('a window holds at least its exact events, and none older than a tile more', () => {
    const set = DECLARATIONS.sets['user']!;
    fc.assert(
      fc.property(events(60), (list) => {
        const nowMs = Math.max(T0, ...list.map((one) => one.timestamp_ms));
        const state = applyAll(engine, USER, list);
        const values = vectorOf(engine, USER, state, nowMs);
        for (const [i, feature] of set.entries()) {
          if (feature.aggregate !== 'count' || feature.where || state === undefined) continue;
          const { windowMs, tileMs } = WINDOW_SPECS[feature.window];
          const younger = (ms: number) => list.filter((one) => feature.events.includes(one.name) && one.timestamp_ms > nowMs - ms).length;
          expect(values[i]).toBeGreaterThanOrEqual(younger(windowMs));
          expect(values[i]).toBeLessThanOrEqual(younger(windowMs + tileMs));
        }
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});

describe('the same events give the same bits', () => {
  test('whatever was read, and however often the state went through the store', () => {
    const steps = fc.array(fc.constantFrom('apply', 'apply', 'apply', 'read', 'restart', 'history'), { maxLength: 150 });
    fc.assert(
      fc.property(events(60), steps, atMs, (list, script, nowOffset) => {
        let state: EntityState | undefined;
        let next = 0;
        const one = (): void => {
          state = applyAll(engine, USER, list.slice(next, next + 1), state);
          next++;
        };
        for (const step of script) {
          if (step === 'apply') one();
          else if (step === 'read') vectorOf(engine, USER, state, T0 + nowOffset + next);
          else if (step === 'history') engine.history(state, 'seen');
          else if (state) state = engine.codec.decode(engine.codec.encode(state));
        }
        while (next < list.length) one();
        const replayed = applyAll(engine, USER, list);
        for (const nowMs of [T0 + nowOffset, T0, T0 + 86_400_000]) {
          expect(bits(vectorOf(engine, USER, state, nowMs, list[0]))).toBe(bits(vectorOf(engine, USER, replayed, nowMs, list[0])));
        }
        expect(engine.history(state, 'seen')).toEqual(engine.history(replayed, 'seen'));
        if (state && replayed) expect(engine.codec.encode(state)).toEqual(engine.codec.encode(replayed));
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test('in whatever order they came, to the byte of the stored state', () => {
    const shuffled = events(80).chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(shuffled, atMs, ([list, other], nowOffset) => {
        for (const ref of [USER, ITEM]) {
          const [a, b] = [applyAll(engine, ref, list), applyAll(engine, ref, other)];
          expect(bits(vectorOf(engine, ref, a, T0 + nowOffset, list[0]))).toBe(bits(vectorOf(engine, ref, b, T0 + nowOffset, list[0])));
          // Four items are fewer than the history keeps, so that it is covered too.
          if (a && b) expect(engine.codec.encode(a)).toEqual(engine.codec.encode(b));
        }
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test('lists of many keys too, which events that come in order change in place and others do not', () => {
    const payments = fc
      .array(fc.record({ gapMs: fc.oneof(fc.nat(3), fc.nat(3_600_000), fc.nat(9 * 86_400_000)), method: fc.nat(60), card: fc.nat(90) }), {
        minLength: 60,
        maxLength: 160,
      })
      .map((list) => {
        let atMs = T0 - 90 * 86_400_000;
        return list.map(({ gapMs, method, card }, i): TimedEvent => {
          atMs += gapMs;
          const keys = { payment_method: `m${method}`, card_id: `c${card}` };
          return { event_id: `e${i}`, name: 'payment_attempt', timestamp_ms: atMs, user_id: 'u', value: i % 7 === 0 ? 0 : i / 3, ...keys };
        });
      })
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(payments, ([list, other]) => {
        const [inOrder, shuffled] = [applyAll(engine, USER, list)!, applyAll(engine, USER, other)!];
        expect(engine.codec.encode(inOrder)).toEqual(engine.codec.encode(shuffled));
        const nowMs = list.at(-1)!.timestamp_ms;
        expect(bits(vectorOf(engine, USER, inOrder, nowMs, list.at(-1)))).toBe(bits(vectorOf(engine, USER, shuffled, nowMs, list.at(-1))));
      }),
      { seed: SEED, numRuns: 40 },
    );
  });

  test('crowded lists and tables too: many tiles, keys and sightings', () => {
    const many = Array.from({ length: 600 }, (_, i): TimedEvent => {
      const common = { event_id: `e${i}`, timestamp_ms: T0 - ((i * 7_919) % 600) * 400_000 - (i % 3) * 5_000, user_id: 'u' };
      return { ...common, name: 'payment_attempt', card_id: `c${(i * 31) % 190}`, payment_method: i % 3 === 0 ? 'card' : 'wallet', value: i / 7 };
    });
    const forward = applyAll(engine, USER, many)!;
    const backward = applyAll(engine, USER, [...many].reverse())!;
    const byTime = applyAll(
      engine,
      USER,
      many.toSorted((a, b) => a.timestamp_ms - b.timestamp_ms),
    )!;
    expect(engine.codec.encode(backward)).toEqual(engine.codec.encode(forward));
    expect(engine.codec.encode(byTime)).toEqual(engine.codec.encode(forward));
    const set = DECLARATIONS.sets['user']!;
    const expected = set.map((feature) => Math.fround(truth(set, feature, USER, many, T0, many[0])));
    expect([...vectorOf(engine, USER, forward, T0, many[0])]).toEqual(expected);
  });
});

test('a state stays small under 100,000 events with as many ids', () => {
  let state: EntityState | undefined;
  let largest = 0;
  for (let i = 0; i < 100_000; i++) {
    const common = { event_id: `e${i}`, timestamp_ms: T0 + i * 61_000, user_id: 'u' };
    const shop = { ...common, name: 'view_item' as const, items: [{ item_id: `item-${i}`, price: 1 }] };
    const pay = { ...common, name: 'payment_attempt' as const, card_id: `card-${i}`, payment_method: `m${i}`, value: 12.34 };
    state = engine.apply(USER, state, i % 2 === 0 ? shop : pay, lookup);
    if (i % 5_000 === 4_999) largest = Math.max(largest, engine.codec.encode(state).length);
  }
  // 64 keys of each of two sets, 50 sightings, about 190 tiles of few numbers.
  expect(largest).toBeLessThan(5_000);
  expect(engine.history(state, 'seen').map(({ item_id }) => item_id)).toEqual(['item-99998', 'item-99996', 'item-99994', 'item-99992', 'item-99990']);
});

test('clock skew: an event from the future waits for its tile, and present windows live on beside it', () => {
  const pay = (id: string, ms: number): TimedEvent => ({ event_id: id, name: 'payment_attempt', timestamp_ms: ms, user_id: 'u', value: 10 });
  const before = applyAll(engine, USER, [pay('a', T0 - 5_000), pay('b', T0)]);
  const calm = vectorOf(engine, USER, before, T0);
  const skewed = applyAll(engine, USER, [pay('future', T0 + 20 * 3_600_000)], before);
  const at = (name: string): number => engine.names('user').indexOf(name);
  const values = vectorOf(engine, USER, skewed, T0);
  for (const name of ['pay_1m', 'pay_10m', 'pay_1h', 'pay_24h', 'pay_7d']) expect(values[at(name)], name).toBe(calm[at(name)]);
  expect(values[at('previous')]).toBe(0);
  expect(vectorOf(engine, USER, skewed, T0 + 20 * 3_600_000)[at('pay_1m')]).toBe(10);
});

test('a full table keeps the whole window beside a few future tiles, and never more rows than stated', () => {
  const pay = (id: string, ms: number): TimedEvent => ({ event_id: id, name: 'payment_attempt', timestamp_ms: ms, user_id: 'u', value: 1 });
  const minute = engine.names('user').indexOf('pay_1m');
  const busy = Array.from({ length: 40 }, (_, i) => pay(`e${i}`, T0 - i * 10_000));
  const future = Array.from({ length: SPARE_TILES + 1 }, (_, i) => pay(`f${i}`, T0 + (i + 1) * 600_000));
  expect(vectorOf(engine, USER, applyAll(engine, USER, busy), T0)[minute]).toBe(7);
  const spared = [...future.slice(1), ...busy];
  expect(vectorOf(engine, USER, applyAll(engine, USER, spared), T0)[minute]).toBe(7);
  expect(vectorOf(engine, USER, applyAll(engine, USER, [...spared, future[0]!]), T0)[minute]).toBe(6);
});

test('an event older than every window changes first and nothing else', () => {
  const pay = (id: string, ms: number): TimedEvent => ({ event_id: id, name: 'payment_attempt', timestamp_ms: ms, user_id: 'u', value: 10 });
  const recent = [pay('a', T0 - 20_000), pay('b', T0 - 10_000)];
  const plain = vectorOf(engine, USER, applyAll(engine, USER, recent), T0);
  const late = vectorOf(engine, USER, applyAll(engine, USER, [...recent, pay('old', T0 - 200 * 86_400_000)]), T0);
  const changed = engine.names('user').filter((_, i) => plain[i] !== late[i] && !(Number.isNaN(plain[i]!) && Number.isNaN(late[i]!)));
  expect(changed).toEqual(['first']);
});

test('history: distinct, newest first, ties by id, counted', () => {
  const buy = (id: string, ms: number, ...items: string[]): TimedEvent => ({
    event_id: id,
    name: 'purchase',
    timestamp_ms: ms,
    user_id: 'u',
    items: items.map((item_id) => ({ item_id, quantity: 2 })),
  });
  const state = applyAll(engine, USER, [buy('1', T0, 'b', 'a'), buy('2', T0 + 5, 'c'), buy('3', T0 - 5, 'b')]);
  expect(engine.history(state, 'seen')).toEqual([
    { item_id: 'c', count: 1, quantity: 2, firstMs: T0 + 5, lastMs: T0 + 5 },
    { item_id: 'a', count: 1, quantity: 2, firstMs: T0, lastMs: T0 },
    { item_id: 'b', count: 2, quantity: 4, firstMs: T0 - 5, lastMs: T0 },
  ]);
  expect(engine.history(state, 'unknown')).toEqual([]);
  expect(engine.history(undefined, 'seen')).toEqual([]);
});

describe('what an outcome takes along', () => {
  const PAID: EventFilter = { events: ['payment_attempt'] };
  const FRAUD: EventFilter = { events: ['label', 'chargeback'], where: { field: 'is_fraud', equals: true } };
  const text = '{value}';
  const fraud: Feature[] = [
    { name: 'amount', text, aggregate: 'subject', field: 'amount' },
    { name: 'median', text, aggregate: 'recent', entity: 'user', of: 'amount', statistic: 'median', last: 10, ...PAID },
    { name: 'unlike', text, aggregate: 'ratio', numerator: 'amount', denominator: 'median' },
    { name: 'paid', text, aggregate: 'count', entity: 'merchant', window: '30d', ...PAID },
    { name: 'frauds', text, aggregate: 'count', entity: 'user', window: '30d', ...FRAUD },
    { name: 'newest', text, aggregate: 'last', entity: 'merchant', of: 'carried', ...FRAUD },
    { name: 'least', text, aggregate: 'min', entity: 'merchant', window: '30d', of: 'carried', ...FRAUD },
  ];
  const declarations = { version: 1, histories: [], carried: { set: 'fraud', feature: 'unlike', ...FRAUD }, sets: { fraud } };
  const payments = createFeatureEngine(declarations);
  const event = (name: TimedEvent['name'], day: number, user: string, value: number, more: Partial<TimedEvent> = {}): TimedEvent => ({
    ...{ event_id: `${name}${day}${user}`, name, timestamp_ms: T0 + day * 86_400_000, user_id: user, merchant_id: 'm', value },
    ...more,
  });

  test('is what its own entities say when it arrives, and other entities count it', () => {
    const states = new Map<string, EntityState>();
    const hear = (one: TimedEvent): TimedEvent => {
      const heard = payments.carry(
        one,
        payments.carriers(one).map(({ kind, id }) => states.get(`${kind}:${id}`)),
      );
      for (const ref of payments.entities(heard)) {
        const key = `${ref.kind}:${ref.id}`;
        states.set(key, payments.apply(ref, states.get(key), heard, lookup));
      }
      return heard;
    };
    for (const user of ['a', 'b']) for (let day = 0; day < 3; day++) hear(event('payment_attempt', day, user, 20));
    expect(hear(event('label', 3, 'a', 100, { is_fraud: true })).carried).toBe(5);
    expect(hear(event('label', 4, 'b', 30, { is_fraud: true })).carried).toBe(1.5);
    // An honest one is not declared, and of a stranger nothing is known.
    expect(hear(event('label', 5, 'b', 30, { is_fraud: false }))).not.toHaveProperty('carried');
    expect(hear(event('label', 5, 'c', 30, { is_fraud: true }))).not.toHaveProperty('carried');
    const out = new Float32Array(fraud.length);
    const own = event('payment_attempt', 6, 'd', 20);
    payments.vector('fraud', { nowMs: own.timestamp_ms, states: { merchant: states.get('merchant:m') }, event: own }, [], out, 0);
    expect(Array.from(out.subarray(5))).toEqual([1.5, 1.5]);
  });

  test('is part of the hash of a set that reads it, and of no other', () => {
    const others = { plain: fraud.slice(0, 5) };
    const hashes = (feature: string) => {
      const engine = createFeatureEngine({ ...declarations, carried: { set: 'fraud', feature, ...FRAUD }, sets: { fraud, ...others } });
      return { fraud: engine.hash('fraud'), plain: engine.hash('plain') };
    };
    expect(hashes('unlike').plain).toBe(hashes('median').plain);
    expect(hashes('unlike').fraud).not.toBe(hashes('median').fraud);
  });

  test.each([
    [
      'a feature that is not there',
      { ...declarations, carried: { ...declarations.carried, feature: 'nothing' } },
      'is fraud.nothing, which is not declared',
    ],
    ['what is itself made of it', { ...declarations, carried: { ...declarations.carried, feature: 'least' } }, 'reads what is carried, by least'],
    [
      'events that are about no payment',
      { ...declarations, carried: { ...declarations.carried, events: ['view_item' as const] } },
      'is of view_item',
    ],
    ['nothing, where a feature is of it', { version: 1, histories: [], sets: { fraud } }, 'nothing is declared as carried'],
  ])('cannot be %s', (_, wrong, message) => {
    expect(() => createFeatureEngine(wrong)).toThrow(message);
  });
});

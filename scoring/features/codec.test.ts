import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatehouseError } from '../../contracts/errors.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import { STATE_FORMAT } from './codec.ts';
import type { EntityState, Feature, FeatureDeclarations } from './contract.ts';
import { DEFAULT_DECLARATIONS } from './defaults.ts';
import { createFeatureEngine } from './engine.ts';
import { applyAll, bits, DECLARATIONS, events, T0, USER, vectorOf } from './oracle.suite.ts';
import { compileSchemas } from './schema.ts';

const SEED = 77;
const engine = createFeatureEngine(DECLARATIONS);

function busyState(): EntityState {
  const list = Array.from({ length: 90 }, (_, i): TimedEvent => {
    const common = { event_id: `e${i}`, timestamp_ms: T0 - i * i * 60_000, user_id: 'u', card_id: `c${i % 9}`, payment_method: `m${i % 3}` };
    return i % 2 === 0
      ? { ...common, name: 'payment_attempt', value: i * 1.37 }
      : { ...common, name: 'view_item', items: [{ item_id: `i${1 + (i % 4)}`, price: i, quantity: 2 }] };
  });
  return applyAll(engine, USER, list)!;
}

/** Decodes hostile bytes: a state that works, or `store_incompatible`; nothing else. */
function survives(bytes: Uint8Array): void {
  let state: EntityState;
  try {
    state = engine.codec.decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(GatehouseError);
    expect((error as GatehouseError).code).toBe('store_incompatible');
    return;
  }
  if (state.kind === 'user') {
    applyAll(engine, USER, [{ event_id: 'x', name: 'view_item', timestamp_ms: T0, user_id: 'u', items: [{ item_id: 'i1' }] }], state);
    vectorOf(engine, USER, state, T0);
  }
  engine.codec.encode(state);
}

describe('state codec', () => {
  test('gives back the same bytes and vectors', () => {
    fc.assert(
      fc.property(events(60), (list) => {
        const state = applyAll(engine, USER, list);
        if (!state) return;
        const bytes = engine.codec.encode(state);
        const again = engine.codec.decode(bytes);
        expect(engine.codec.encode(again)).toEqual(bytes);
        for (const nowMs of [T0, T0 + 1e8])
          expect(bits(vectorOf(engine, USER, again, nowMs, list[0]))).toBe(bits(vectorOf(engine, USER, state, nowMs, list[0])));
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test('keeps nothing of the buffer it was given: a store may reuse it', () => {
    const state = busyState();
    const bytes = engine.codec.encode(state);
    // A Buffer, as LMDB and Redis hand out: its own slice() would not copy.
    const lent = Buffer.from(bytes);
    const decoded = engine.codec.decode(lent);
    lent.fill(255);
    expect(engine.history(decoded, 'seen')).toEqual(engine.history(state, 'seen'));
    expect(engine.codec.encode(decoded)).toEqual(bytes);
  });

  test('the shared bytes are the same ones, and the next call takes their place', () => {
    const [busy, other] = [busyState(), applyAll(engine, USER, [{ event_id: 'x', name: 'view_item', timestamp_ms: T0, user_id: 'u' }])!];
    const shared = engine.codec.encodeShared(busy);
    expect(Buffer.from(shared)).toEqual(Buffer.from(engine.codec.encode(busy)));
    const again = engine.codec.encodeShared(other);
    expect(again.buffer).toBe(shared.buffer);
    expect(Buffer.from(again)).toEqual(Buffer.from(engine.codec.encode(other)));
  });

  test('reads a state that lies inside a larger buffer', () => {
    const bytes = engine.codec.encode(busyState());
    const larger = new Uint8Array(bytes.length + 20).fill(7);
    larger.set(bytes, 9);
    expect(engine.codec.encode(engine.codec.decode(larger.subarray(9, 9 + bytes.length)))).toEqual(bytes);
  });

  test('keeps ids that are not ASCII, negative and very large sums', () => {
    const one: TimedEvent = { event_id: 'x', name: 'purchase', timestamp_ms: T0, user_id: 'u', items: [{ item_id: 'naïve-☕', price: -1e9 }] };
    const state = applyAll(engine, USER, [one, ...Array.from({ length: 400 }, (_, i) => ({ ...one, event_id: `y${i}` }))])!;
    const again = engine.codec.decode(engine.codec.encode(state));
    expect(engine.history(again, 'seen')[0]!.item_id).toBe('naïve-☕');
    expect(bits(vectorOf(engine, USER, again, T0))).toBe(bits(vectorOf(engine, USER, state, T0)));
  });

  test('a list in which nothing is, as earlier versions wrote it, is read and not written again', () => {
    const [key] = compileSchemas(DECLARATIONS)
      .get('user')!
      .tops.map((spec) => spec.key);
    const list = new DataView(new ArrayBuffer(9));
    list.setUint32(0, key!, true);
    list.setUint32(4, 1, true);
    // Format, kind, no columns, no levels, one list of no entries, no histories.
    const bytes = Uint8Array.from([STATE_FORMAT, 0, 0, 0, 1, ...new Uint8Array(list.buffer), 0]);
    expect([...engine.codec.encode(engine.codec.decode(bytes))]).toEqual([STATE_FORMAT, 0, 0, 0, 0, 0]);
  });

  test('refuses another format by name', () => {
    const bytes = engine.codec.encode(busyState());
    bytes[0] = STATE_FORMAT + 1;
    expect(() => engine.codec.decode(bytes)).toThrow(/store_incompatible: entity states have format 2/);
  });

  test('refuses every truncation, and bytes too many', () => {
    const bytes = engine.codec.encode(busyState());
    for (let length = 0; length < bytes.length; length++) expect(() => engine.codec.decode(bytes.subarray(0, length))).toThrow(GatehouseError);
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(() => engine.codec.decode(longer)).toThrow(GatehouseError);
  });

  test('survives flipped bytes', () => {
    const bytes = engine.codec.encode(busyState());
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (flips) => {
        const damaged = bytes.slice();
        for (const [at, value] of flips) damaged[at] = value;
        survives(damaged);
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });

  test('survives random bytes, also behind a true head', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, withHead) => {
        survives(withHead ? Uint8Array.from([STATE_FORMAT, 0, ...noise]) : noise);
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });
});

describe('a state outlives a change of the declarations', () => {
  const [first, ...others] = DECLARATIONS.sets['user']!;
  const added: Feature = { name: 'new_one', text: '{value}', aggregate: 'sum', entity: 'user', window: '24h', of: 'rating', events: ['review'] };
  const changed: FeatureDeclarations = {
    version: 2,
    histories: [],
    sets: {
      user: [
        added,
        ...others
          .filter((f) => f.aggregate !== 'share' && f.name !== 'count_7d')
          .reverse()
          .sort((a) => (a.aggregate === 'ratio' ? 1 : -1)),
      ],
    },
  };
  const newer = createFeatureEngine(changed);

  test('what is still declared keeps its values, what is new starts empty', () => {
    const state = busyState();
    const old = vectorOf(engine, USER, state, T0);
    const carried = vectorOf(newer, USER, newer.codec.decode(engine.codec.encode(state)), T0);
    for (const [i, name] of newer.names('user').entries()) {
      expect(carried[i], name).toEqual(name === 'new_one' ? 0 : old[engine.names('user').indexOf(name)]);
    }
    expect(newer.names('user')).not.toContain(first!.name);
  });

  test('a decoded state of the engine before is carried over in memory too', () => {
    const state = busyState();
    const decoded = newer.codec.decode(engine.codec.encode(state));
    expect(bits(vectorOf(newer, USER, state, T0))).toBe(bits(vectorOf(newer, USER, decoded, T0)));
    expect(newer.history(state, 'seen')).toEqual([]);
    const one: TimedEvent = { event_id: 'z', name: 'view_item', timestamp_ms: T0, user_id: 'u', items: [{ item_id: 'i1' }] };
    expect(newer.codec.encode(applyAll(newer, USER, [one], state)!)).toEqual(newer.codec.encode(applyAll(newer, USER, [one], decoded)!));
  });

  test('a kind that is no longer declared is read as empty', () => {
    const bare = createFeatureEngine({
      version: 1,
      histories: [],
      sets: { s: [{ name: 'hour', text: '{value}', aggregate: 'subject', field: 'hour' }] },
    });
    const state = bare.codec.decode(engine.codec.encode(busyState()));
    expect(state.kind).toBe('user');
    expect(bare.codec.encode(state).length).toBeLessThan(10);
  });

  test('a shorter history keeps its newest', () => {
    const shorter = createFeatureEngine({ ...DECLARATIONS, histories: DECLARATIONS.histories.map((history) => ({ ...history, itemsMax: 2 })) });
    const state = busyState();
    const carried = shorter.codec.decode(engine.codec.encode(state));
    expect(shorter.history(carried, 'seen')).toEqual(engine.history(state, 'seen').slice(0, 2));
  });

  test('a shorter list of values keeps its newest', () => {
    const shorten = (feature: Feature): Feature => (feature.aggregate === 'recent' ? { ...feature, last: Math.min(feature.last, 4) } : feature);
    const shorter = createFeatureEngine({ ...DECLARATIONS, sets: { user: DECLARATIONS.sets['user']!.map(shorten) } });
    const state = busyState();
    const carried = vectorOf(shorter, USER, shorter.codec.decode(engine.codec.encode(state)), T0);
    const at = engine.names('user').indexOf('median_of_4');
    expect(carried[at]).toBe(vectorOf(engine, USER, state, T0)[at]);
    expect(carried[engine.names('user').indexOf('median')]).toBe(carried[at]);
  });

  test('the default declarations have no two columns of one key', () => {
    expect(() => createFeatureEngine(DEFAULT_DECLARATIONS)).not.toThrow();
  });
});

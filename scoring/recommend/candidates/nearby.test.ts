import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../../contracts/event.ts';
import type { VectorIndex } from '../../../index/contract.ts';
import { createExactIndex } from '../../../index/exact.ts';
import { DEFAULT_DECLARATIONS } from '../../features/defaults.ts';
import { createFeatureEngine } from '../../features/engine.ts';
import { Catalogue } from '../catalogue.ts';
import { HandleMap } from '../handle-map.ts';
import type { UserTower } from '../retrieval.ts';
import { Trending } from '../trending.ts';
import { Gathering } from './gather.ts';
import { keyOf, nearbyOf, SEARCHED_MAX } from './nearby.ts';

const NOW = Date.UTC(2026, 0, 31);
const ITEMS = 40;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);

/** Items on a circle, a user vector that is the sum of what was touched, and counts of what was asked of both. */
function shop() {
  const catalogue = new Catalogue();
  const exact = createExactIndex({ dimensions: 2, metric: 'ip', handles: catalogue.handles });
  for (let i = 0; i < ITEMS; i++) {
    catalogue.put({ item_id: `i${i}` });
    exact.upsert(`i${i}`, Float32Array.of(Math.cos((2 * Math.PI * i) / ITEMS), Math.sin((2 * Math.PI * i) / ITEMS)));
  }
  const asked = { folds: 0, searches: 0 };
  const itemIndex: VectorIndex = new Proxy(exact, {
    get(target, name) {
      if (name === 'nearest') asked.searches++;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const userTower: UserTower = {
    async fold(touched) {
      asked.folds++;
      const sum = new Float32Array(2);
      for (let at = 0; at < touched.count; at++) {
        const [x, y] = exact.get(catalogue.handles.idOf(touched.handleAt(at)))!;
        sum[0]! += touched.scores[at]! * x!;
        sum[1]! += touched.scores[at]! * y!;
      }
      return sum;
    },
  };
  const gathering = new Gathering({ engine, catalogue, trending: new Trending(catalogue.handles), candidatesMax: ITEMS });
  const ask = async (
    viewed: readonly number[],
    { cap = 4, allow = (): boolean => true }: { cap?: number; allow?: (handle: number) => boolean } = {},
  ) => {
    let session: ReturnType<typeof engine.apply> | undefined;
    viewed.forEach((item, i) => {
      const event: TimedEvent = {
        event_id: `e${i}`,
        name: 'view_item',
        session_id: 's',
        timestamp_ms: NOW - 9_000 + i,
        items: [{ item_id: `i${item}` }],
      };
      session = engine.apply({ kind: 'session', id: 's' }, session, event, () => undefined);
    });
    gathering.begin(undefined, session);
    await gathering.gather(
      { nowMs: NOW, caps: { user_vector: cap, item_to_item: 0, buy_again: 0, popular: 0, new: 0 }, allow },
      { itemIndex, userTower },
    );
    const { set } = gathering;
    const column = set.column('user_vector');
    return Array.from({ length: set.count }, (_, c) => [catalogue.handles.idOf(set.handles[c]!), column[c]!] as const);
  };
  return { exact, asked, ask, catalogue };
}

describe('what was searched for before', () => {
  test('is answered alike without a search, as long as neither the visitor nor the index changed', async () => {
    const { exact, asked, ask } = shop();
    const first = await ask([3, 5]);
    expect(first.map(([id]) => id)).toEqual(['i4', 'i3', 'i5', 'i2']);
    expect(await ask([3, 5])).toEqual(first);
    expect(asked).toEqual({ folds: 1, searches: 1 });
    await ask([3, 5, 6]);
    expect(asked).toEqual({ folds: 2, searches: 2 });
    exact.upsert('i30', Float32Array.of(0, 9));
    expect((await ask([3, 5]))[0]![0]).toBe('i30');
    exact.remove('i30');
    expect(await ask([3, 5])).toEqual(first);
    expect(asked).toEqual({ folds: 4, searches: 4 });
  });

  test('is asked anew whether it may be shown, and searched for where too little of it may', async () => {
    const { asked, ask, catalogue } = shop();
    await ask([3, 5]);
    const id = (handle: number): string => catalogue.handles.idOf(handle);
    expect((await ask([3, 5], { allow: (handle) => id(handle) !== 'i4' })).map(([item]) => item)).toEqual(['i3', 'i5', 'i2', 'i6']);
    expect(asked.searches).toBe(1);
    const barred = new Set(['i2', 'i3', 'i4', 'i5', 'i6']);
    const others = await ask([3, 5], { allow: (handle) => !barred.has(id(handle)) });
    expect(others.map(([item]) => item)).toEqual(['i1', 'i7', 'i0', 'i8']);
    expect(asked.searches).toBe(2);
  });

  test('is searched for once more where a placement asks for more of it, and never where it asks for none', async () => {
    const { asked, ask } = shop();
    await ask([3, 5], { cap: 0 });
    expect(asked).toEqual({ folds: 1, searches: 0 });
    await ask([3, 5], { cap: 4 });
    expect(await ask([3, 5], { cap: 20 })).toHaveLength(20);
    await ask([3, 5], { cap: 4 });
    expect(await ask([3, 5], { cap: ITEMS })).toHaveLength(ITEMS);
    expect(await ask([3, 5], { cap: ITEMS })).toHaveLength(ITEMS);
    expect(asked).toEqual({ folds: 1, searches: 3 });
  });

  test('is bounded, and what was asked for last stays', () => {
    const { exact } = shop();
    const nearby = nearbyOf({});
    for (let key = 0; key <= SEARCHED_MAX; key++) {
      nearby.get(0, exact);
      nearby.put(key, exact.version, new Float32Array(2));
    }
    expect(nearby.get(0, exact)).toBeDefined();
    expect(nearby.get(1, exact)).toBeUndefined();
    expect(nearby.get(SEARCHED_MAX, exact)).toBeDefined();
  });

  test('is told apart by items, weights and their order', () => {
    const map = (...entries: readonly (readonly [number, number])[]): HandleMap => {
      const made = new HandleMap();
      for (const [handle, score] of entries) made.put(handle, score);
      return made;
    };
    const keys = new Set<number>();
    let made = 0;
    for (let a = 0; a < 40; a++)
      for (let b = 0; b < 40; b++)
        for (const weight of [1, 1 + 2 ** -52, Math.log(2), 1e-9]) {
          keys.add(keyOf(a === b ? map([a, weight]) : map([a, weight], [b, 2])));
          made++;
        }
    expect(keys.size).toBe(made);
    expect(keyOf(map([1, 2], [3, 4]))).toBe(keyOf(map([1, 2], [3, 4])));
  });
});

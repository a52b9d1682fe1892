import { beforeEach, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import { Handles } from '../../contracts/handles.ts';
import { createExactIndex } from '../../index/exact.ts';
import type { EntityState } from '../features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { Catalogue } from './catalogue.ts';
import { contentTokens, contentVector, UNTRAINED_CONTENT } from './content-vector.ts';
import { FOLDED_ITEMS_MAX, type FoldInRefusal, ItemFoldIn, NEW_ITEMS_MAX } from './item-fold-in.ts';
import { expectedFactors, type ItemFoldInModel } from './item-fold-in-model.ts';
import type { UserTower } from './retrieval.ts';

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const FACTORS = 2;
const CONTENT = { ...UNTRAINED_CONTENT, dimensions: 8 };
const PLAIN: ItemFoldInModel = { factors: FACTORS, regularization: 0.5, alpha: 1, acts: 10, userGram: Float64Array.of(4, 1, 1, 3) };
const MAPPED: ItemFoldInModel = {
  ...PLAIN,
  contentMap: { dimensions: 8, weights: Float32Array.from({ length: FACTORS * 9 }, (_, i) => Math.sin(i)), r2: 0.2 },
};
const KNOWN = { a: [1, 0], b: [0, 2] } as const;

let handles: Handles;
let catalogue: Catalogue;
let refused: FoldInRefusal[];
let states: Map<string, EntityState>;
let events: number;
beforeEach(() => {
  handles = new Handles();
  catalogue = new Catalogue(handles);
  refused = [];
  states = new Map();
  events = 0;
});

/** Over the two known items; somebody's vector is the sum of those of the items that they touched. */
function open(model: ItemFoldInModel = PLAIN) {
  const index = createExactIndex({ dimensions: FACTORS, metric: 'ip', handles });
  for (const [id, vector] of Object.entries(KNOWN)) index.upsert(id, Float32Array.from(vector));
  const towerOf = (vectors: Parameters<ConstructorParameters<typeof ItemFoldIn>[0]['towerOf']>[0]): UserTower => ({
    async fold(touched) {
      const sum = new Float32Array(FACTORS);
      const row = new Float32Array(FACTORS);
      let known = 0;
      for (let i = 0; i < touched.count; i++) {
        if (!vectors.copyTo(touched.handleAt(i), row, 0)) continue;
        known++;
        for (let k = 0; k < FACTORS; k++) sum[k]! += row[k]!;
      }
      return known > 0 ? sum : undefined;
    },
  });
  const foldIn = new ItemFoldIn({ model, content: CONTENT, index, towerOf, onRefused: (reason) => refused.push(reason) });
  for (const item_id of Object.keys(KNOWN)) catalogue.put({ item_id });
  return { index, foldIn, unfollow: foldIn.follow(catalogue) };
}

async function act(foldIn: ItemFoldIn, user_id: string, itemId: string, name: TimedEvent['name'] = 'view_item'): Promise<boolean> {
  const event: TimedEvent = { event_id: `e${++events}`, name, user_id, timestamp_ms: events, items: [{ item_id: itemId }] };
  states.set(
    user_id,
    engine.apply({ kind: 'user', id: user_id }, states.get(user_id), event, (id) => catalogue.get(id)),
  );
  const noted = foldIn.note(event);
  if (noted) await foldIn.learn(noted, engine, states.get(user_id), undefined);
  return noted !== undefined;
}

/** The half-step for two factors, by Cramer's rule: (exposure G + lambda I + sum of c x x') y = sum of (1 + c) x + lambda expected. */
function halfStep(people: readonly (readonly [x: readonly number[], confidence: number])[], exposure: number, expected: ArrayLike<number>): number[] {
  const { userGram: g, regularization: l } = PLAIN;
  let [p, q, r] = [exposure * g[0]! + l, exposure * g[1]!, exposure * g[3]! + l];
  const right = [l * expected[0]!, l * expected[1]!];
  for (const [x, c] of people) {
    p += c * x[0]! ** 2;
    q += c * x[0]! * x[1]!;
    r += c * x[1]! ** 2;
    right[0]! += (1 + c) * x[0]!;
    right[1]! += (1 + c) * x[1]!;
  }
  const determinant = p * r - q * q;
  return [(right[0]! * r - right[1]! * q) / determinant, (p * right[1]! - q * right[0]!) / determinant];
}

const expectNear = (vector: Float32Array | undefined, wanted: readonly number[]): void => {
  expect(vector).toBeDefined();
  wanted.forEach((value, i) => {
    expect(vector![i]).toBeCloseTo(value, 5);
  });
};
const LOOK = Math.log1p(1);

test('an item has what its content lets expect from the moment that it is put, and another one when it changes', () => {
  const { index } = open(MAPPED);
  const expected = (title: string) => expectedFactors(MAPPED.contentMap!, contentVector(CONTENT, contentTokens({ item_id: 'new', title })));
  catalogue.put({ item_id: 'new', title: 'blue kettle' });
  expect(index.get('new')).toEqual(expected('blue kettle'));
  catalogue.put({ item_id: 'new', title: 'red kettle' });
  expect(index.get('new')).toEqual(expected('red kettle'));
  expect(index.get('new')).not.toEqual(expected('blue kettle'));
  catalogue.put({ item_id: 'blank' });
  expect(index.get('blank')).toBeUndefined();
  expect(index.get('a')).toEqual(Float32Array.from(KNOWN.a));
});

test('of acts it has the half-step of ALS over the people who acted, each once, at the 1st, 2nd and 4th', async () => {
  const { index, foldIn } = open();
  for (const [user, item] of [
    ['anna', 'a'],
    ['ben', 'b'],
    ['cleo', 'a'],
    ['cleo', 'b'],
    ['dan', 'a'],
  ] as const)
    await act(foldIn, user, item);
  catalogue.put({ item_id: 'new', title: 'kettle' });
  expect(index.get('new')).toBeUndefined();
  expect(await act(foldIn, 'anna', 'new')).toBe(true);
  // One act of ten.
  expectNear(index.get('new'), halfStep([[[1, 0], LOOK]], 0.25 * 0.1, [0, 0]));
  expect(await act(foldIn, 'anna', 'new')).toBe(false);
  await act(foldIn, 'ben', 'new', 'purchase');
  const bought = LOOK + 2 * Math.log1p(1);
  const two = [
    [[1, 0], LOOK],
    [[0, 2], bought],
  ] as const;
  expectNear(index.get('new'), halfStep(two, 0.25 * 0.3, [0, 0]));
  await act(foldIn, 'cleo', 'new');
  expectNear(index.get('new'), halfStep(two, 0.25 * 0.3, [0, 0]));
  await act(foldIn, 'dan', 'new');
  expectNear(index.get('new'), halfStep([...two, [[1, 2], LOOK], [[1, 0], LOOK]], 0.25 * 0.5, [0, 0]));
});

test('acts draw it away from what content lets expect; people whom training says nothing about do not', async () => {
  const { index, foldIn } = open(MAPPED);
  catalogue.put({ item_id: 'new', title: 'kettle' });
  const expected = index.get('new')!;
  await act(foldIn, 'nobody', 'new');
  expect(index.get('new')).toEqual(expected);
  await act(foldIn, 'anna', 'a');
  await act(foldIn, 'anna', 'new');
  expectNear(index.get('new'), halfStep([[[1, 0], LOOK]], 0.25 * 0.3, expected));
});

test('new items say nothing of the people who acted on other new ones', async () => {
  const { index, foldIn } = open();
  for (const item_id of ['one', 'two']) catalogue.put({ item_id });
  await act(foldIn, 'anna', 'a');
  await act(foldIn, 'anna', 'one');
  await act(foldIn, 'anna', 'two');
  expect(index.get('one')).toBeDefined();
  expectNear(index.get('two'), halfStep([[[1, 0], LOOK]], 0.25 * 0.1, [0, 0]));
});

test('what is deleted is found no more; a known item comes back with what was learned of it, and is still had by those who had it', async () => {
  const { index, foldIn } = open(MAPPED);
  catalogue.put({ item_id: 'new', title: 'kettle' });
  for (const id of ['a', 'new']) catalogue.delete(id);
  expect([...index.ids()]).toEqual(['b']);
  const row = new Float32Array(FACTORS);
  expect(foldIn.copyTo(handles.find('a'), row, 0)).toBe(true);
  expect([...row]).toEqual(KNOWN.a);
  expect(foldIn.copyTo(handles.find('new'), row, 0)).toBe(false);
  catalogue.put({ item_id: 'a', title: 'kettle' });
  expect(index.get('a')).toEqual(Float32Array.from(KNOWN.a));
  expect(await act(foldIn, 'anna', 'a')).toBe(false);
  // Of what is no item nothing is learned.
  expect(await act(foldIn, 'anna', 'new')).toBe(false);
});

test('a comparison finds what happened before it followed; nothing changes once it does not', async () => {
  const { index, foldIn, unfollow } = open(MAPPED);
  unfollow();
  catalogue.delete('b');
  for (let i = 0; i < 10; i++) catalogue.put({ item_id: `n${i}`, title: `kettle ${i}` });
  expect(index.size).toBe(2);
  await foldIn.compare(() => false);
  expect(index.size).toBe(2);
  await foldIn.compare(() => true);
  expect([...index.ids()].sort()).toEqual(['a', ...Array.from({ length: 10 }, (_, i) => `n${i}`)]);
});

test('sums are kept of so many items; one that was forgotten keeps its vector and begins anew', async () => {
  const { index, foldIn } = open();
  await act(foldIn, 'anna', 'a');
  for (let i = 0; i <= FOLDED_ITEMS_MAX; i++) {
    catalogue.put({ item_id: `n${i}` });
    foldIn.note({ event_id: `x${i}`, name: 'view_item', user_id: 'ben', timestamp_ms: 1, items: [{ item_id: `n${i}` }] });
    if (i === 0) await act(foldIn, 'anna', 'n0');
  }
  expect(index.get('n0')).toBeDefined();
  // Ben is told apart on all that are remembered.
  expect(await act(foldIn, 'ben', `n${FOLDED_ITEMS_MAX}`)).toBe(false);
  expect(await act(foldIn, 'ben', 'n0')).toBe(true);
});

test('one new item over the limit has no vector, and whoever serves is told', () => {
  const { index } = open(MAPPED);
  for (let i = 0; i <= NEW_ITEMS_MAX; i++) catalogue.put({ item_id: `n${i}`, brand: 'x' });
  expect(index.size).toBe(NEW_ITEMS_MAX + 2);
  expect(refused).toEqual(['full']);
  catalogue.delete('n0');
  catalogue.put({ item_id: 'last', brand: 'x' });
  expect(index.has('last')).toBe(true);
}, 60_000);

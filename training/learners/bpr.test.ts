import { expect, test } from 'vitest';
import { type BprModel, type BprRows, fitBpr } from './bpr.ts';
import { seededRandom } from './random.ts';

const [USERS, ITEMS, TASTES] = [150, 60, 3];

/** Users meet a third of the items of their own taste. */
function tastes(seed: number): BprRows {
  const random = seededRandom(seed);
  const indptr = [0];
  const indices: number[] = [];
  for (let user = 0; user < USERS; user++) {
    for (let item = 0; item < ITEMS; item++) if (random.next() < (item % TASTES === user % TASTES ? 0.35 : 0.01)) indices.push(item);
    indptr.push(indices.length);
  }
  return {
    users: USERS,
    items: ITEMS,
    indptr: Uint32Array.from(indptr),
    indices: Uint32Array.from(indices),
    values: new Float32Array(indices.length).fill(1),
  };
}

function score({ userFactors, itemFactors, itemBiases, factors }: BprModel, user: number, item: number): number {
  let sum = itemBiases[item]!;
  for (let f = 0; f < factors; f++) sum += userFactors[user * factors + f]! * itemFactors[item * factors + f]!;
  return sum;
}

/** Share of the pairs of an unmet item of the own taste and one of another that are in this order: what was never shown in training. */
function unseenOrder(model: BprModel, rows: BprRows): number {
  let [right, pairs] = [0, 0];
  for (let user = 0; user < USERS; user++) {
    const met = rows.indices.subarray(rows.indptr[user]!, rows.indptr[user + 1]!);
    const unmet = Array.from({ length: ITEMS }, (_, item) => item).filter((item) => !met.includes(item));
    for (const own of unmet.filter((item) => item % TASTES === user % TASTES)) {
      for (const other of unmet.filter((item) => item % TASTES !== user % TASTES)) {
        pairs++;
        if (score(model, user, own) > score(model, user, other)) right++;
      }
    }
  }
  return right / pairs;
}

const rows = tastes(1);
const params = { factors: 8, iterations: 40 };

test('ranks unmet items of the own taste above others; a single step hardly does', () => {
  expect(unseenOrder(fitBpr(rows, params, { seed: 1 }), rows)).toBeGreaterThan(0.9);
  expect(unseenOrder(fitBpr(rows, { ...params, iterations: 1, learningRate: 1e-6 }, { seed: 1 }), rows)).toBeLessThan(0.6);
});

test('what all meet gets a higher bias', () => {
  const indices = Uint32Array.from({ length: 2 * USERS }, (_, i) => (i % 2 === 0 ? 0 : 1 + ((i >> 1) % (ITEMS - 1))));
  const all: BprRows = {
    ...rows,
    indptr: Uint32Array.from({ length: USERS + 1 }, (_, user) => 2 * user),
    indices,
    values: new Float32Array(2 * USERS).fill(1),
  };
  const { itemBiases } = fitBpr(all, params, { seed: 1 });
  expect(itemBiases[0]).toBe(Math.max(...itemBiases));
});

test('the same seed gives the same factors; progress counts iterations', () => {
  const calls: string[] = [];
  const first = fitBpr(rows, { ...params, iterations: 3 }, { seed: 5, progress: (done, total) => calls.push(`${done}/${total}`) });
  expect(fitBpr(rows, { ...params, iterations: 3 }, { seed: 5 })).toEqual(first);
  expect(fitBpr(rows, { ...params, iterations: 3 }, { seed: 6 }).userFactors).not.toEqual(first.userFactors);
  expect(calls).toEqual(['1/3', '2/3', '3/3']);
});

test('a value of zero is not met; a user who met all items ends the search for another', () => {
  const one: BprRows = { users: 1, items: 2, indptr: Uint32Array.of(0, 2), indices: Uint32Array.of(0, 1), values: Float32Array.of(1, 0) };
  const model = fitBpr(one, { factors: 2, iterations: 200 }, { seed: 1 });
  expect(score(model, 0, 0)).toBeGreaterThan(score(model, 0, 1) + 1);
  const full = fitBpr({ ...one, values: Float32Array.of(1, 1) }, { factors: 2, iterations: 5 }, { seed: 1 });
  expect([...full.itemBiases]).toEqual([0, 0]);
});

test('refuses what it cannot learn from', () => {
  const code = expect.objectContaining({ code: 'training_data_insufficient' });
  expect(() => fitBpr({ ...rows, values: rows.values.map(() => 0) }, params, { seed: 1 })).toThrow(code);
  expect(() => fitBpr({ ...rows, values: rows.values.with(0, Number.NaN) }, params, { seed: 1 })).toThrow(code);
  expect(() => fitBpr(rows, { ...params, learningRate: 1e30 }, { seed: 1 })).toThrow(code);
  const falling = { users: 1, items: 3, indptr: Uint32Array.of(0, 2), indices: Uint32Array.of(2, 1), values: Float32Array.of(1, 1) };
  expect(() => fitBpr(falling, params, { seed: 1 })).toThrow(RangeError);
  expect(() => fitBpr(rows, { factors: 0 }, { seed: 1 })).toThrow(RangeError);
  expect(() => fitBpr(rows, { iterations: 0 }, { seed: 1 })).toThrow(RangeError);
});

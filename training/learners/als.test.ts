import { describe, expect, test } from 'vitest';
import { type AlsRows, fitAls, foldIn, gram } from './als.ts';
import { seededRandom } from './random.ts';

/** Users of `groups` tastes, who mostly meet the items of their own. */
function tastes(users: number, items: number, groups: number, seed: number): AlsRows {
  const random = seededRandom(seed);
  const indptr = [0];
  const indices: number[] = [];
  const values: number[] = [];
  for (let user = 0; user < users; user++) {
    for (let item = 0; item < items; item++) {
      if (random.next() >= (item % groups === user % groups ? 0.3 : 0.01)) continue;
      indices.push(item);
      values.push(1 + random.int(4));
    }
    indptr.push(indices.length);
  }
  return { users, items, indptr: Uint32Array.from(indptr), indices: Uint32Array.from(indices), values: Float32Array.from(values) };
}

/** Hu, Koren, Volinsky's objective, term by term over all pairs. */
function lossOf(rows: AlsRows, userFactors: Float32Array, itemFactors: Float32Array, f: number, alpha: number, regularization: number): number {
  let loss = regularization * [...userFactors, ...itemFactors].reduce((sum, x) => sum + x * x, 0);
  for (let user = 0; user < rows.users; user++) {
    const confidence = new Float64Array(rows.items).fill(1);
    const wanted = new Float64Array(rows.items);
    for (let at = rows.indptr[user]!; at < rows.indptr[user + 1]!; at++) {
      confidence[rows.indices[at]!] = 1 + alpha * rows.values[at]!;
      wanted[rows.indices[at]!] = 1;
    }
    for (let item = 0; item < rows.items; item++) {
      let score = 0;
      for (let i = 0; i < f; i++) score += userFactors[user * f + i]! * itemFactors[item * f + i]!;
      loss += confidence[item]! * (wanted[item]! - score) ** 2;
    }
  }
  return loss;
}

const rows = tastes(120, 60, 4, 1);
const params = { factors: 8, regularization: 0.1, alpha: 2, iterations: 8, cgSteps: 3 };

describe('fitAls', () => {
  test('each iteration lowers the objective', () => {
    const losses = [1, 2, 4, 8].map((iterations) => {
      const { userFactors, itemFactors } = fitAls(rows, { ...params, iterations }, { seed: 1 });
      return lossOf(rows, userFactors, itemFactors, 8, params.alpha, params.regularization);
    });
    losses.slice(1).forEach((loss, i) => {
      expect(loss).toBeLessThan(losses[i]!);
    });
  });

  test('learns the planted tastes: items of the own group score higher, seen or not', () => {
    const { userFactors, itemFactors } = fitAls(rows, { ...params, factors: 4 }, { seed: 1 });
    let [own, other] = [0, 0];
    for (let user = 0; user < 120; user++) {
      for (let item = 0; item < 60; item++) {
        if (rows.indices.subarray(rows.indptr[user]!, rows.indptr[user + 1]!).includes(item)) continue;
        let score = 0;
        for (let i = 0; i < 4; i++) score += userFactors[user * 4 + i]! * itemFactors[item * 4 + i]!;
        if (item % 4 === user % 4) own += score / (120 * 15 * 0.7);
        else other += score / (120 * 45);
      }
    }
    expect(own).toBeGreaterThan(5 * Math.abs(other));
  });

  test('the user factors are the fold-in of the final item factors', () => {
    const model = fitAls(rows, { ...params, cgSteps: 12 }, { seed: 1 });
    const itemGram = gram(model.itemFactors, 8);
    for (const user of [0, 7, 50]) {
      const met = [...rows.indices.subarray(rows.indptr[user]!, rows.indptr[user + 1]!)];
      const items = Float32Array.from(met.flatMap((item) => [...model.itemFactors.subarray(item * 8, item * 8 + 8)]));
      const confidence = rows.values.slice(rows.indptr[user]!, rows.indptr[user + 1]!).map((value) => params.alpha * value);
      foldIn(itemGram, items, confidence, params.regularization).forEach((x, i) => {
        expect(model.userFactors[user * 8 + i]).toBeCloseTo(x, 5);
      });
    }
  });

  test('the same seed gives the same factors; progress counts iterations', () => {
    const calls: string[] = [];
    const first = fitAls(rows, params, { seed: 3, progress: (done, total) => calls.push(`${done}/${total}`) });
    expect(fitAls(rows, params, { seed: 3 })).toEqual(first);
    expect(fitAls(rows, params, { seed: 4 }).userFactors).not.toEqual(first.userFactors);
    expect(calls).toEqual(Array.from({ length: 8 }, (_, i) => `${i + 1}/8`));
  });

  test('a user who met nothing and an item that nobody met have zero factors', () => {
    const sparse: AlsRows = {
      users: 3,
      items: 3,
      indptr: Uint32Array.of(0, 2, 2, 3),
      indices: Uint32Array.of(0, 2, 2),
      values: Float32Array.of(1, 2, 0),
    };
    const { userFactors, itemFactors } = fitAls(sparse, { factors: 2 }, { seed: 1 });
    expect([...userFactors.subarray(2, 4), ...itemFactors.subarray(2, 4)]).toEqual([0, 0, 0, 0]);
    expect([...userFactors, ...itemFactors].every(Number.isFinite)).toBe(true);
    expect(Math.hypot(...userFactors.subarray(0, 2))).toBeGreaterThan(0.1);
  });

  test('refuses what it cannot learn from', () => {
    const empty: AlsRows = { users: 1, items: 1, indptr: Uint32Array.of(0, 0), indices: new Uint32Array(0), values: new Float32Array(0) };
    expect(() => fitAls(empty, {}, { seed: 1 })).toThrow(expect.objectContaining({ code: 'training_data_insufficient' }));
    const bad = { ...rows, values: rows.values.map(() => Number.NaN) };
    expect(() => fitAls(bad, params, { seed: 1 })).toThrow(expect.objectContaining({ code: 'training_data_insufficient' }));
    expect(() => fitAls({ ...rows, items: 10 }, params, { seed: 1 })).toThrow(RangeError);
    expect(() => fitAls(rows, { factors: 0 }, { seed: 1 })).toThrow(RangeError);
    expect(() => fitAls(rows, { regularization: 0 }, { seed: 1 })).toThrow(RangeError);
  });
});

describe('foldIn', () => {
  test('solves the hand-computed case', () => {
    // One item y = (1, 2) that is the whole catalogue, extra 3, lambda 1: (y y' (1 + 3) + I) x = 4 y, so x = 4 y / (1 + 4 * 5).
    const y = Float32Array.of(1, 2);
    const user = foldIn(gram(y, 2), y, Float32Array.of(3), 1);
    expect(user[0]).toBeCloseTo(4 / 21, 12);
    expect(user[1]).toBeCloseTo(8 / 21, 12);
  });
});

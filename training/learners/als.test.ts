import { describe, expect, test } from 'vitest';
import { type AlsParams, type AlsRows, fitAls, foldIn, gram } from './als.ts';
import { seededRandom } from './random.ts';
import { type SparseRows, transpose } from './sparse.ts';

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

/** The same alternation in float64, each row solved directly. */
function directly(rows: AlsRows, start: Float32Array, f: number, alpha: number, regularization: number): Float64Array[] {
  const solveAll = (matrix: SparseRows, fixed: Float32Array) => {
    const shared = gram(fixed, f);
    return Float32Array.from(
      Array.from({ length: matrix.indptr.length - 1 }, (_, row) => {
        const [from, to] = [matrix.indptr[row]!, matrix.indptr[row + 1]!];
        const met = [...matrix.indices.subarray(from, to)].flatMap((item) => [...fixed.subarray(item * f, item * f + f)]);
        const confidence = matrix.values.slice(from, to).map((value) => alpha * value);
        return [...foldIn(shared, Float32Array.from(met), confidence, regularization)];
      }).flat(),
    );
  };
  const items = solveAll(transpose(rows.users, rows.items, rows), start);
  const users = solveAll(rows, items);
  return [Float64Array.from(users), Float64Array.from(items)];
}

const code = (name: string) => expect.objectContaining({ code: name });

describe('fitAls', () => {
  test('each iteration lowers the objective', async () => {
    const losses: number[] = [];
    for (const iterations of [1, 2, 4, 8]) {
      const { userFactors, itemFactors } = await fitAls(rows, { ...params, iterations }, { seed: 1 });
      losses.push(lossOf(rows, userFactors, itemFactors, 8, params.alpha, params.regularization));
    }
    losses.slice(1).forEach((loss, i) => {
      expect(loss).toBeLessThan(losses[i]!);
    });
  });

  test('learns the planted tastes: items of the own group score higher, seen or not', async () => {
    const { userFactors, itemFactors } = await fitAls(rows, { ...params, factors: 4 }, { seed: 1 });
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

  test('the user factors are the fold-in of the final item factors', async () => {
    const model = await fitAls(rows, { ...params, cgSteps: 12 }, { seed: 1 });
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

  // Widths that are and are not whole tiles of the kernel; rows with no, one, and many items that are no multiple of four.
  test.each([1, 3, 8, 13, 24])('one iteration with %i factors equals the direct solution in float64', async (factors) => {
    const random = seededRandom(9);
    const start = Float32Array.from({ length: rows.users * factors }, () => 0.01 * random.normal());
    const [users, items] = directly(rows, start, factors, 2, 1);
    const model = await fitAls(rows, { factors, alpha: 2, regularization: 1, iterations: 1, cgSteps: 40 }, { seed: 9 });
    const largest = Math.max(...items!.map(Math.abs));
    model.itemFactors.forEach((x, i) => {
      expect(Math.abs(x - items![i]!)).toBeLessThan(2e-5 * largest);
    });
    const largestUser = Math.max(...users!.map(Math.abs));
    model.userFactors.forEach((x, i) => {
      expect(Math.abs(x - users![i]!)).toBeLessThan(2e-4 * largestUser);
    });
  });

  test('the same seed gives the same factors on one, two and three threads; progress counts iterations', async () => {
    // Large enough that every job is shared.
    const many = tastes(700, 300, 5, 3);
    const calls: string[] = [];
    const settings = { ...params, factors: 20, iterations: 3 };
    const first = await fitAls(many, settings, { seed: 3, threads: 1, progress: (done, total) => calls.push(`${done}/${total}`) });
    for (const threads of [2, 3]) expect(await fitAls(many, settings, { seed: 3, threads })).toEqual(first);
    expect((await fitAls(many, settings, { seed: 4 })).userFactors).not.toEqual(first.userFactors);
    expect(calls).toEqual(['1/3', '2/3', '3/3']);
  });

  test('a user who met nothing and an item that nobody met have zero factors', async () => {
    const sparse: AlsRows = {
      users: 3,
      items: 3,
      indptr: Uint32Array.of(0, 2, 2, 3),
      indices: Uint32Array.of(0, 2, 2),
      values: Float32Array.of(1, 2, 0),
    };
    const { userFactors, itemFactors } = await fitAls(sparse, { factors: 2 }, { seed: 1 });
    expect([...userFactors.subarray(2, 4), ...itemFactors.subarray(2, 4)]).toEqual([0, 0, 0, 0]);
    expect([...userFactors, ...itemFactors].every(Number.isFinite)).toBe(true);
    expect(Math.hypot(...userFactors.subarray(0, 2))).toBeGreaterThan(0.1);
  });

  test('factors stay finite on extremes: one pair alone, the strongest confidence, more factors than items, the least regularisation', async () => {
    const one: AlsRows = { users: 1, items: 1, indptr: Uint32Array.of(0, 1), indices: Uint32Array.of(0), values: Float32Array.of(1e6) };
    const cases: [AlsRows, Partial<AlsParams>][] = [
      [one, {}],
      [
        { ...one, values: Float32Array.of(1e-38) },
        { regularization: 1e-6, cgSteps: 50 },
      ],
      [rows, { factors: 100, regularization: 1e-6 }],
      [
        { ...rows, values: rows.values.map((value) => value * 250_000) },
        { regularization: 1e-6, cgSteps: 30 },
      ],
    ];
    for (const [data, given] of cases) {
      const { userFactors, itemFactors } = await fitAls(data, { iterations: 5, ...given }, { seed: 1 });
      expect([...userFactors, ...itemFactors].every(Number.isFinite)).toBe(true);
    }
  });

  test('refuses what it cannot learn from', async () => {
    const empty: AlsRows = { users: 1, items: 1, indptr: Uint32Array.of(0, 0), indices: new Uint32Array(0), values: new Float32Array(0) };
    await expect(fitAls(empty, {}, { seed: 1 })).rejects.toThrow(code('training_data_insufficient'));
    for (const bad of [Number.NaN, -1, Infinity, 1e7]) {
      const values = rows.values.with(5, bad);
      await expect(fitAls({ ...rows, values }, params, { seed: 1 })).rejects.toThrow(code('training_data_insufficient'));
    }
    await expect(fitAls({ ...rows, items: 10 }, params, { seed: 1 })).rejects.toThrow(RangeError);
    await expect(fitAls(rows, { factors: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
    await expect(fitAls(rows, { regularization: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
    await expect(fitAls(rows, params, { seed: 1, threads: 0 })).rejects.toThrow(RangeError);
    const wide = {
      ...empty,
      users: 1_500_000,
      indptr: new Uint32Array(1_500_001).fill(1, 1),
      indices: Uint32Array.of(0),
      values: Float32Array.of(1),
    };
    await expect(fitAls(wide, { factors: 1024 }, { seed: 1 })).rejects.toThrow(code('training_data_too_large'));
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

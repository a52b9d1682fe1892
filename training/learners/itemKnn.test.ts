import { describe, expect, test } from 'vitest';
import { fitItemKnn, type ItemKnnRows } from './itemKnn.ts';
import { seededRandom } from './random.ts';

function rowsOf(items: number, lists: readonly (readonly (readonly [item: number, value: number])[])[]): ItemKnnRows {
  const indptr = [0];
  for (const list of lists) indptr.push(indptr[indptr.length - 1]! + list.length);
  const flat = lists.flat();
  return {
    rows: lists.length,
    items,
    indptr: Uint32Array.from(indptr),
    indices: Uint32Array.from(flat, ([item]) => item),
    values: Float32Array.from(flat, ([, value]) => value),
  };
}

const ones = (items: number, lists: readonly (readonly number[])[]) =>
  rowsOf(
    items,
    lists.map((list) => list.map((item) => [item, 1] as const)),
  );

function listOf(model: ReturnType<typeof fitItemKnn>, item: number): [number, number][] {
  const [from, to] = [model.indptr[item]!, model.indptr[item + 1]!];
  return [...model.neighbours.subarray(from, to)].map((other, i) => [other, model.similarities[from + i]!]);
}

describe('fitItemKnn', () => {
  test('counts by hand: common rows over root of the counts plus shrinkage', () => {
    // Item 0 in three rows, 1 in two, 2 in two, 3 alone.
    const model = fitItemKnn(ones(4, [[0, 1], [0, 1, 2], [0, 2], [3]]), { shrinkage: 1 }, { seed: 1 });
    const close = 2 / (Math.sqrt(6) + 1);
    expect(listOf(model, 0).map(([item]) => item)).toEqual([1, 2]);
    for (const [, similarity] of listOf(model, 0)) expect(similarity).toBeCloseTo(close, 6);
    expect(listOf(model, 1).map(([item]) => item)).toEqual([0, 2]);
    expect(listOf(model, 1)[1]![1]).toBeCloseTo(1 / 3, 6);
    expect(listOf(model, 3)).toEqual([]);
    expect([...model.indptr]).toEqual([0, 2, 4, 6, 6]);
  });

  test('equals the dense computation, cut at k, with weights and ties', () => {
    const random = seededRandom(5);
    const items = 40;
    const lists = Array.from({ length: 80 }, () =>
      Array.from({ length: items }, (_, item) => [item, random.int(3)] as const).filter(() => random.next() < 0.15),
    );
    const k = 7;
    const model = fitItemKnn(rowsOf(items, lists), { k, shrinkage: 2 }, { seed: 1 });
    const dense = lists.map((list) => {
      const row = new Float64Array(items);
      for (const [item, value] of list) row[item] = value;
      return row;
    });
    const product = (a: number, b: number) => dense.reduce((sum, row) => sum + row[a]! * row[b]!, 0);
    for (let item = 0; item < items; item++) {
      const all = Array.from({ length: items }, (_, other): [number, number] => [
        other,
        Math.fround(product(item, other) / (Math.sqrt(product(item, item) * product(other, other)) + 2)),
      ]);
      const expected = all
        .filter(([other, similarity]) => other !== item && similarity > 0)
        .sort((a, b) => b[1] - a[1] || a[0] - b[0])
        .slice(0, k);
      const given = listOf(model, item);
      expect(given.length).toBe(expected.length);
      given.forEach(([, similarity], i) => {
        expect(similarity).toBeCloseTo(expected[i]![1], 6);
        if (i > 0 && similarity === given[i - 1]![1]) expect(given[i]![0]).toBeGreaterThan(given[i - 1]![0]);
      });
    }
  });

  test.each(['tfidf', 'bm25'] as const)('%s: the weighted rows by hand, then their cosine', (weighting) => {
    // Row sums 3, 4, 1 and 2, their mean 2.5; items in 3, 2 and 2 of 4 rows.
    const data = rowsOf(3, [
      [
        [0, 1],
        [1, 2],
      ],
      [
        [0, 3],
        [2, 1],
      ],
      [[0, 1]],
      [
        [1, 1],
        [2, 1],
      ],
    ]);
    const idf = [3, 2, 2].map((held) => 1 + Math.log(4 / (1 + held)));
    const weigh = (value: number, sum: number, item: number) =>
      idf[item]! * (weighting === 'tfidf' ? Math.sqrt(value) : (value * 3) / (value + 2 * (0.5 + (0.5 * sum) / 2.5)));
    const a = [weigh(1, 3, 0), weigh(3, 4, 0), weigh(1, 1, 0), 0];
    const b = [weigh(2, 3, 1), 0, 0, weigh(1, 2, 1)];
    const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    const model = fitItemKnn(data, { weighting, k1: 2, b: 0.5, shrinkage: 0.3 }, { seed: 1 });
    const similarity = listOf(model, 0).find(([item]) => item === 1)![1];
    expect(similarity).toBeCloseTo(dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) + 0.3), 6);
  });

  test('a long row is sampled: the same seed gives the same table, and the row cannot pair all its items', () => {
    const lists = [Array.from({ length: 200 }, (_, i) => i), [0, 1], [0, 1]];
    const data = ones(200, lists);
    const model = fitItemKnn(data, { rowItemsMax: 10 }, { seed: 2 });
    expect(fitItemKnn(data, { rowItemsMax: 10 }, { seed: 2 })).toEqual(model);
    expect(model.neighbours.length).toBeLessThanOrEqual(10 * 9 + 2);
    expect(model.neighbours.length).toBeGreaterThanOrEqual(10 * 9);
    expect(listOf(model, 0)[0]![0]).toBe(1);
    expect(fitItemKnn(data, { rowItemsMax: 200, k: 199 }, { seed: 2 }).neighbours.length).toBe(200 * 199);
  });

  test('progress ends at the number of items; bad data is refused', () => {
    const calls: string[] = [];
    fitItemKnn(ones(3, [[0, 1]]), {}, { seed: 1, progress: (done, total) => calls.push(`${done}/${total}`) });
    expect(calls).toEqual(['3/3']);
    const code = expect.objectContaining({ code: 'training_data_insufficient' });
    expect(() => fitItemKnn(ones(3, []), {}, { seed: 1 })).toThrow(code);
    expect(() => fitItemKnn(rowsOf(2, [[[0, -1]]]), {}, { seed: 1 })).toThrow(code);
    expect(() => fitItemKnn(ones(2, [[2]]), {}, { seed: 1 })).toThrow(RangeError);
    expect(() => fitItemKnn(ones(2, [[1]]), { k: 0 }, { seed: 1 })).toThrow(RangeError);
    expect(() => fitItemKnn(ones(2, [[1]]), { b: 2 }, { seed: 1 })).toThrow(RangeError);
    expect(() => fitItemKnn(ones(2, [[1]]), { weighting: 'none' as 'bm25' }, { seed: 1 })).toThrow(RangeError);
    expect(() => fitItemKnn({ ...ones(2, [[1]]), indptr: Uint32Array.of(0, 2) }, {}, { seed: 1 })).toThrow(RangeError);
  });
});

import { describe, expect, test } from 'vitest';
import { seededRandom } from './random.ts';
import { fitUserKnn, type UserKnnRows, userKnnScores } from './userKnn.ts';

function rowsOf(items: number, lists: readonly (readonly (readonly [item: number, value: number])[])[]): UserKnnRows {
  const indptr = [0];
  for (const list of lists) indptr.push(indptr[indptr.length - 1]! + list.length);
  const flat = lists.flat();
  return {
    users: lists.length,
    items,
    indptr: Uint32Array.from(indptr),
    indices: Uint32Array.from(flat, ([item]) => item),
    values: Float32Array.from(flat, ([, value]) => value),
  };
}

describe('user neighbours', () => {
  test('by hand: two neighbours, weighted by the cosine of the roots', () => {
    const model = fitUserKnn(
      rowsOf(3, [
        [
          [0, 4],
          [1, 0.25],
        ],
        [
          [0, 1],
          [2, 9],
        ],
        [[2, 1]],
      ]),
      {},
      { seed: 1 },
    );
    const first = 2 / Math.sqrt(4.25);
    const second = 1 / Math.sqrt(10);
    const scores = userKnnScores(model, [0], [1]);
    expect(scores[0]).toBeCloseTo(1, 6);
    expect(scores[1]).toBeCloseTo((0.25 * first) / (first + second), 6);
    expect(scores[2]).toBeCloseTo(second / (first + second), 6);
    // Without the first, the second alone is left.
    expect([...userKnnScores(model, [0], [1], 0)]).toEqual([1, 0, 1]);
    expect([...userKnnScores({ ...model, k: 1 }, [0], [1])]).toEqual([1, 0.25, 0]);
  });

  test('equals the dense computation, with votes of their own', () => {
    const random = seededRandom(2);
    const list = () => Array.from({ length: 20 }, (_, item) => [item, 3 * random.next()] as const).filter(() => random.next() < 0.3);
    const [lists, votes] = [Array.from({ length: 30 }, list), Array.from({ length: 30 }, list)];
    const model = fitUserKnn({ ...rowsOf(20, lists), votes: rowsOf(20, votes) }, { k: 7 }, { seed: 1 });
    const roots = lists.map((own) => new Map(own.map(([item, value]) => [item, Math.sqrt(value)])));
    const length = (vector: Map<number, number>) => Math.hypot(...vector.values());
    for (let user = 0; user < 30; user++) {
      const own = roots[user]!;
      const alike = roots
        .map((other, i) => {
          const dot = [...own].reduce((sum, [item, root]) => sum + root * (other.get(item) ?? 0), 0);
          return { i, similarity: i === user || dot === 0 ? 0 : dot / (length(own) * length(other)) };
        })
        .filter(({ similarity }) => similarity > 0)
        .sort((a, b) => b.similarity - a.similarity)
        .slice(0, 7);
      const total = alike.reduce((sum, { similarity }) => sum + similarity, 0);
      const scores = userKnnScores(
        model,
        lists[user]!.map(([item]) => item),
        lists[user]!.map(([, value]) => value),
        user,
      );
      for (let item = 0; item < 20; item++) {
        const vote = (i: number) => Math.min(1, votes[i]!.find(([other]) => other === item)?.[1] ?? 0);
        const expected = alike.reduce((sum, { i, similarity }) => sum + similarity * vote(i), 0) / total;
        expect(scores[item]).toBeCloseTo(expected, 5);
      }
    }
  });

  test("who holds nothing, or nothing in common, gets zeros; a user of zeros is nobody's neighbour", () => {
    const model = fitUserKnn(rowsOf(3, [[[0, 1]], [[1, 0]], []]), {}, { seed: 1 });
    for (const item of [1, 2]) expect([...userKnnScores(model, [item], [1])]).toEqual([0, 0, 0]);
    expect([...userKnnScores(model, [], [])]).toEqual([0, 0, 0]);
  });

  test('refuses what it cannot learn from', () => {
    const code = expect.objectContaining({ code: 'training_data_insufficient' });
    expect(() => fitUserKnn(rowsOf(2, [[]]), {}, { seed: 1 })).toThrow(code);
    expect(() => fitUserKnn(rowsOf(2, [[[0, -1]]]), {}, { seed: 1 })).toThrow(code);
    expect(() => fitUserKnn({ ...rowsOf(2, [[[0, 1]]]), votes: rowsOf(2, [[[1, Number.NaN]]]) }, {}, { seed: 1 })).toThrow(code);
    expect(() => fitUserKnn({ ...rowsOf(2, [[[0, 1]]]), votes: rowsOf(2, []) }, {}, { seed: 1 })).toThrow(RangeError);
    expect(() => fitUserKnn(rowsOf(2, [[[0, 1]]]), { k: 0 }, { seed: 1 })).toThrow(RangeError);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../learners/random.ts';
import { checkNoLeak, groupedFolds, hashFold, splitsOf, stratifiedFolds, timeSplits } from './splits.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });

function countsOf(folds: Uint8Array, count: number, counts: (row: number) => boolean = () => true): number[] {
  const out = new Array<number>(count).fill(0);
  folds.forEach((fold, row) => {
    if (counts(row)) out[fold]! += 1;
  });
  return out;
}

test('hash folds are those of any md5', () => {
  expect([0, 1, 2, 3, 4].map((key) => hashFold(key, 5))).toEqual([1, 0, 0, 0, 2]);
});

describe('stratified folds', () => {
  test('each has its share of each class, to within one row', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 80 }), fc.integer({ min: 2, max: 7 }), (labels, count) => {
        const folds = stratifiedFolds(labels, count, 3);
        for (const label of [undefined, 0, 1, 2, 3]) {
          const sizes = countsOf(folds, count, (row) => label === undefined || labels[row] === label);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        }
      }),
      { seed: 1 },
    );
  });

  test('a seed deals the same again, another one differently', () => {
    const labels = Array.from({ length: 100 }, (_, i) => i % 2);
    expect(stratifiedFolds(labels, 5, 1)).toEqual(stratifiedFolds(labels, 5, 1));
    expect(stratifiedFolds(labels, 5, 1)).not.toEqual(stratifiedFolds(labels, 5, 2));
  });
});

describe('grouped folds', () => {
  test('a group is in one fold, and the folds are even', () => {
    const random = seededRandom(4);
    const groups = Array.from({ length: 2000 }, () => `customer ${Math.floor(150 * random.next() ** 2)}`);
    const folds = groupedFolds(groups, 5, 1);
    const foldsOf = new Map<string, Set<number>>();
    for (const [row, group] of groups.entries()) foldsOf.set(group, (foldsOf.get(group) ?? new Set()).add(folds[row]!));
    for (const own of foldsOf.values()) expect(own.size).toBe(1);
    const sizes = countsOf(folds, 5);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(20);
    expect(() => groupedFolds(['a', 'b', 'a'], 3, 1)).toThrow(insufficient);
  });
});

test('splits part the rows, and no fold is empty', () => {
  const splits = splitsOf([0, 1, 2, 0, 1], 3);
  expect(splits.map(({ test: rows }) => [...rows])).toEqual([[0, 3], [1, 4], [2]]);
  expect(splits.map(({ train }) => [...train])).toEqual([
    [1, 2, 4],
    [0, 2, 3],
    [0, 1, 3, 4],
  ]);
  expect(() => splitsOf([0, 0, 1], 3)).toThrow(insufficient);
});

describe('splits by time', () => {
  const atMs = Float64Array.from({ length: 20 }, (_, i) => 10 * i);
  const labelMs = atMs.map((ms) => ms + 35);

  test('learn only from labels that were known when the test began', () => {
    const splits = timeSplits(atMs, labelMs, { folds: 2, testMs: 50, endMs: 200 });
    expect([...splits[0]!.test]).toEqual([10, 11, 12, 13, 14]);
    // The rows of the last 35 ms before it are in neither part: their labels were still to come.
    expect([...splits[0]!.train]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...splits[1]!.train]).toEqual(Array.from({ length: 12 }, (_, i) => i));
    for (const split of splits) checkNoLeak(split, atMs, labelMs);
  });

  test('the oracle refuses rows and labels of the future', () => {
    const part = (train: number[], rows: number[]) => ({ train: Uint32Array.from(train), test: Uint32Array.from(rows) });
    expect(() => checkNoLeak(part([0, 12], [10, 11]), atMs, labelMs)).toThrow('training row 12 happened at 120');
    expect(() => checkNoLeak(part([0, 8], [10, 11]), atMs, labelMs)).toThrow('the label of training row 8 was known at 115');
    expect(() => checkNoLeak(part([0, 8], [10, 11]), atMs, labelMs)).toThrow(insufficient);
  });

  test('refuse a label from before its row, and a window without rows', () => {
    const early = labelMs.slice();
    early[3] = 29;
    expect(() => timeSplits(atMs, early, { folds: 2, testMs: 50, endMs: 200 })).toThrow('the label of row 3');
    early[3] = Number.NaN;
    expect(() => timeSplits(atMs, early, { folds: 2, testMs: 50, endMs: 200 })).toThrow(insufficient);
    expect(() => timeSplits(atMs, labelMs, { folds: 4, testMs: 50, endMs: 200 })).toThrow(insufficient);
    expect(() => timeSplits(atMs, labelMs, { folds: 0, testMs: 50, endMs: 200 })).toThrow(RangeError);
  });
});

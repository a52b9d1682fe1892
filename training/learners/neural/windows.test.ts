import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { fillDropout } from './loop.ts';
import { createNegativeSampler } from './negatives.ts';
import { checkSequences, createBuckets, planEpoch, type SequenceRows } from './windows.ts';

function rowsOf(lengths: readonly number[]): SequenceRows {
  const indptr = [0];
  for (const length of lengths) indptr.push(indptr.at(-1)! + length);
  return { items: 5, indptr: Uint32Array.from(indptr), clicks: new Uint32Array(indptr.at(-1)!) };
}

describe('windows', () => {
  test('every click but the first of its sequence is a target exactly once in an epoch', () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 25 }), fc.integer({ min: 1, max: 64 }), fc.integer(), (sizes, lengthMax, targets, seed) => {
        const rows = rowsOf(sizes);
        const buckets = createBuckets(rows, lengthMax, targets);
        const seen = new Uint8Array(rows.clicks.length);
        for (const { bucket, windows } of planEpoch(buckets, seededRandom(seed))) {
          const { n, steps, from, lengths: inputs } = buckets[bucket]!;
          expect(windows.length).toBeLessThanOrEqual(n);
          for (const window of windows) {
            expect(inputs[window]!).toBeLessThanOrEqual(steps);
            for (let t = 1; t <= inputs[window]!; t++) seen[from[window]! + t]!++;
          }
        }
        const wanted = sizes.flatMap((size) => Array.from({ length: size }, (_, i) => Number(i > 0)));
        expect([...seen]).toEqual(wanted);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  test('a long sequence is cut from its end', () => {
    const [short, long] = createBuckets(rowsOf([10]), 6, 100);
    expect([...short!.from, ...short!.lengths]).toEqual([0, 3]);
    expect([...long!.from, ...long!.lengths]).toEqual([3, 6]);
  });

  test('sequences that do not fit together are refused; unknown items only where nothing is learned', () => {
    const rows = { items: 3, indptr: Uint32Array.of(0, 2), clicks: Uint32Array.of(1, 3) };
    expect(() => checkSequences(rows, true)).toThrow('item 3');
    checkSequences(rows, false);
    expect(() => checkSequences({ ...rows, indptr: Uint32Array.of(0, 1) }, false)).toThrow(RangeError);
    expect(() => checkSequences({ ...rows, indptr: Uint32Array.of(0, 2, 1, 2) }, false)).toThrow('falls');
    expect(() => checkSequences({ ...rows, items: 0 }, false)).toThrow('empty');
  });
});

describe('createNegativeSampler', () => {
  test('draws in proportion to a power of the count, and never what does not occur', () => {
    const counts = Float64Array.of(100, 0, 25, 4, 0, 1);
    const draws = 200_000;
    const sampler = createNegativeSampler(counts, 0.5, draws, seededRandom(1));
    const drawn = new Int32Array(draws);
    sampler.draw(drawn);
    const found = new Float64Array(counts.length);
    for (const item of drawn) found[item]!++;
    // Shares 10, 5, 2, 1 of 18; five standard deviations of the largest are 0.006 of all draws.
    counts.forEach((count, item) => {
      const expected = (draws * Math.sqrt(count)) / 18;
      expect(Math.abs(found[item]! - expected)).toBeLessThan(0.006 * draws);
      if (count === 0) expect(found[item]).toBe(0);
      else expect(sampler.logExpected[item]).toBeCloseTo(Math.log(expected), 5);
    });
  });

  test('power 0 draws all that occur alike; nothing at all is refused', () => {
    const sampler = createNegativeSampler(Float64Array.of(9, 0, 1), 0, 10, seededRandom(1));
    expect([...sampler.logExpected]).toEqual([Math.fround(Math.log(5)), -Infinity, Math.fround(Math.log(5))]);
    expect(() => createNegativeSampler(new Float64Array(3), 0.5, 10, seededRandom(1))).toThrow('no item occurs');
  });
});

describe('fillDropout', () => {
  test('drops the share that it should and keeps the mean', () => {
    const mask = new Float32Array(100_000);
    fillDropout(mask, 0.2, seededRandom(1));
    const dropped = mask.filter((x) => x === 0).length / mask.length;
    expect(Math.abs(dropped - 0.2)).toBeLessThan(0.01);
    expect(mask.every((x) => x === 0 || x === 1.25)).toBe(true);
  });
});

import { describe, expect, test } from 'vitest';
import { seededRandom } from '../learners/random.ts';
import { bootstrapInterval } from './bootstrap.ts';
import { rocAuc } from './metrics.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });
const meanOf = (values: readonly number[]) => (rows: Uint32Array) => rows.reduce((sum, row) => sum + values[row]!, 0) / rows.length;

describe('bootstrap', () => {
  test('of a mean has the standard error that the formula gives', () => {
    const random = seededRandom(1);
    const values = Array.from({ length: 400 }, () => 3 + 2 * random.normal());
    const mean = values.reduce((sum, x) => sum + x, 0) / 400;
    const exact = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0)) / 400;
    const interval = bootstrapInterval(400, meanOf(values), 1);
    expect(interval.value).toBeCloseTo(mean, 12);
    expect(interval.standardError / exact).toBeGreaterThan(0.93);
    expect(interval.standardError / exact).toBeLessThan(1.07);
    expect((interval.high - interval.low) / (2 * 1.96 * exact)).toBeCloseTo(1, 0);
  });

  test('covers the truth about as often as it says', () => {
    const random = seededRandom(2);
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const values = Array.from({ length: 60 }, () => random.normal());
      const { low, high } = bootstrapInterval(60, meanOf(values), trial, { replicates: 200, level: 0.9 });
      if (low <= 0 && high >= 0) covered++;
    }
    // 90 % +- three standard errors, and a little less for the 60 rows.
    expect(covered / 200).toBeGreaterThan(0.81);
    expect(covered / 200).toBeLessThan(0.97);
  });

  test('rows of a group are drawn together: copies add no certainty', () => {
    const random = seededRandom(3);
    const values = Array.from({ length: 50 }, () => random.normal());
    const copies = values.flatMap((x) => new Array<number>(10).fill(x));
    const groups = copies.map((_, row) => `g${Math.floor(row / 10)}`);
    const once = bootstrapInterval(50, meanOf(values), 1).standardError;
    const grouped = bootstrapInterval(500, meanOf(copies), 1, { groups }).standardError;
    const alone = bootstrapInterval(500, meanOf(copies), 1).standardError;
    expect(grouped / once).toBeCloseTo(1, 6);
    expect(alone).toBeLessThan(once / 2.5);
  });

  test('a paired difference is sharper than its parts', () => {
    const random = seededRandom(4);
    const labels = Array.from({ length: 300 }, () => random.int(2));
    const a = labels.map((label) => label + 1.5 * random.normal());
    const b = a.map((score) => score + 0.1 * random.normal());
    const auc = (scores: readonly number[]) => (rows: Uint32Array) =>
      rocAuc(
        Array.from(rows, (row) => scores[row]!),
        Array.from(rows, (row) => labels[row]!),
      );
    const alone = bootstrapInterval(300, auc(a), 1, { replicates: 200 });
    const paired = bootstrapInterval(300, (rows) => auc(a)(rows) - auc(b)(rows), 1, { replicates: 200 });
    expect(paired.standardError).toBeLessThan(alone.standardError / 3);
    expect(bootstrapInterval(300, auc(a), 1, { replicates: 200 })).toEqual(alone);
  });

  test('samples without a value are counted, and refused when they are most', () => {
    const labels = [1, 0, 0, 0, 0, 0, 0, 0];
    const auc = (of: readonly number[]) => (rows: Uint32Array) =>
      rocAuc(
        rows,
        Array.from(rows, (row) => of[row]!),
      );
    const interval = bootstrapInterval(8, auc(labels), 1);
    // The positive is missing from a sample with probability (7/8)^8 = 0.34.
    expect(interval.undefinedSamples).toBeGreaterThan(280);
    expect(interval.undefinedSamples).toBeLessThan(410);
    const onlyAll = (rows: Uint32Array) => (rows.every((row, i) => row === i) ? 1 : Number.NaN);
    expect(() => bootstrapInterval(8, onlyAll, 1)).toThrow('no number on 1000 of 1000 samples');
    expect(() => bootstrapInterval(8, auc(new Array<number>(8).fill(0)), 1)).toThrow(insufficient);
    expect(() => bootstrapInterval(0, () => 1, 1)).toThrow(insufficient);
    expect(() => bootstrapInterval(2, () => 1, 1, { level: 1 })).toThrow(RangeError);
  });
});

import { describe, expect, test } from 'vitest';
import { calibrator } from '../scoring/models/calibration.ts';
import { BLOCKS, blockEnds, crossFitted } from './cold-start.ts';
import { type FittedFraud, fitFraud } from './fraud.ts';
import { FROM_MS, large, NAMES, ordinary, PAYMENTS, rowsOf } from './fraud-rows.testing.ts';
import type { FraudRows } from './fraud-rows.ts';
import { predict } from './learners/gbdt/predict.ts';

/** Sixteen frauds, one every three days and a bit. */
const everyFewDays = (i: number): boolean => i % 73 === 40;
const fitted = (rows: FraudRows, costs = {}) => fitFraud(rows, NAMES, { costs }, 1, () => {});

test('blocks have equally many frauds, and all payments', () => {
  const rows = rowsOf(everyFewDays, large);
  const ends = blockEnds(rows);
  expect([ends.length, ends[0], ends.at(-1)]).toEqual([BLOCKS + 1, 0, PAYMENTS]);
  const frauds = ends.slice(1).map((end, block) => rows.frauds(ends[block]!, end));
  expect(Math.max(...frauds) - Math.min(...frauds)).toBeLessThanOrEqual(1);
});

test('no block is scored by a model that saw it: what is true in one block alone is not known there', async () => {
  // Frauds are large everywhere, of another size in each block.
  const rows = rowsOf(everyFewDays, (i, isFraud) => (isFraud ? 1_000 * (1 + Math.floor(i / 240)) : ordinary[i]!));
  const honest = rowsOf(everyFewDays, (i) => ordinary[i]!);
  const [told, blind] = await Promise.all([rows, honest].map((one) => crossFitted(one, blockEnds(one), { minDataInLeaf: 2 }, 1, () => {})));
  const meanOf = (raw: Float32Array, which: (i: number) => boolean): number => {
    const some = Array.from(raw).filter((_, i) => which(i));
    return some.reduce((sum, score) => sum + score, 0) / some.length;
  };
  expect(meanOf(told!, everyFewDays)).toBeGreaterThan(10 * meanOf(told!, (i) => !everyFewDays(i)));
  // By their amount alone these cannot be told; a model that had seen them would know them by heart.
  expect(meanOf(blind!, everyFewDays)).toBeLessThan(0.2);
});

describe('of sixteen known frauds', () => {
  test('that the rules let pass, a model is made, and it tells them', async () => {
    const rows = rowsOf(everyFewDays, large);
    const model = (await fitted(rows)) as FittedFraud;
    expect(model).toMatchObject({ blocks: BLOCKS, rows: { learned: PAYMENTS, measured: PAYMENTS, frauds: 16 }, cutMs: FROM_MS });
    expect(model.metrics['fraud_saving_a_day_at_least']).toBeGreaterThan(0);
    expect(model.metrics['fraud_average_precision']).toBeGreaterThan(0.9);
    const probabilities = Float64Array.from(predict(model.model, rows.slice(0, PAYMENTS).rows), calibrator(model.calibration));
    const stopped = probabilities.map((p, i) => Number(p >= model.thresholds.review === everyFewDays(i)));
    expect(stopped.reduce((sum, right) => sum + right, 0)).toBe(PAYMENTS);
  });

  test('that look like any payment, no model is made', async () => {
    expect(await fitted(rowsOf(everyFewDays, (i) => ordinary[i]!))).toContain('may save nothing beside the rules');
  });

  test('that the rules stop already, no model is made', async () => {
    // Where a challenge lets some through, declining them would still pay.
    expect(await fitted(rowsOf(everyFewDays, large, { newAccounts: true }), { challengeStops: 1 })).toContain('may save nothing beside the rules');
  });

  test('that were all of one day, no model is made: one attack is one witness', async () => {
    expect(await fitted(rowsOf((i) => i >= 600 && i < 616, large))).toContain('may save nothing beside the rules');
  });
});

test('fewer than ten make none', async () => {
  expect(await fitted(rowsOf((i) => i % 140 === 40, large))).toBe('9 known frauds among the payments, 10 are needed');
});

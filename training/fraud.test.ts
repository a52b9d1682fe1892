import { expect, test } from 'vitest';
import { type FittedFraud, fitFraud } from './fraud.ts';
import { large, NAMES, rowsOf } from './fraud-rows.testing.ts';
import type { FraudRows } from './fraud-rows.ts';

/** Sixty frauds: enough on both sides of a cut in time. */
const often = (i: number): boolean => i % 20 === 10;
const fitted = async (rows: FraudRows) => (await fitFraud(rows, NAMES, { costs: { challengeStops: 1 } }, 1, () => {})) as FittedFraud;

test('a model that tells what the rules let pass acts by itself', async () => {
  const { automatic, thresholds, metrics, blocks } = await fitted(rowsOf(often, large));
  expect(blocks).toBeUndefined();
  expect(automatic).toBe(true);
  expect(thresholds.challenge).toBeLessThanOrEqual(1);
  expect(metrics['fraud_saving_a_day_at_least']).toBeGreaterThan(0);
  expect(metrics['fraud_cost_share']).toBeLessThan(0.2);
});

test('a model that may save nothing beside the rules challenges and declines nobody', async () => {
  // The rules challenge each of these frauds already, and a challenge stops them all.
  const { automatic, thresholds, metrics } = await fitted(rowsOf(often, large, { newAccounts: true }));
  expect(automatic).toBe(false);
  expect(thresholds).toMatchObject({ challenge: 1.01, decline: 1.01 });
  expect(metrics['fraud_saving_a_day_at_least']).toBeLessThanOrEqual(0);
});

import { expect, test } from 'vitest';
import type { FraudKind } from '../../simulator/index.ts';
import { median, reportOf, type SeedResult } from './fraud-report.ts';
import { type Prices, Week } from './ledger.ts';

const PRICES: Prices = { margin: 0.25, review: 3, reviewFinds: 0.8, challengeLoses: 0.2, chargebackFee: 10 };

/** One honest payment of 100, challenged where the week is judged, and one fraud, which passes where it is not. */
function week(value: number, fraud: FraudKind, judged: boolean): Week {
  const one = new Week();
  const decision = judged ? ('challenge' as const) : undefined;
  one.add({ userId: 'u1', value: 100, fraud: undefined, authorised: true, decision, allowed: true }, PRICES);
  one.add({ userId: 'u2', value, fraud, authorised: true, decision, allowed: !judged }, PRICES);
  return one;
}

/** The second week brings an attack of its own, of a size that the seed decides; the model is there from the second week on, in the first two seeds. */
const results = [1, 2, 3].map((seed): SeedResult => {
  const course = (judged: boolean) => [week(20, 'card_testing', judged), week(100 * seed, 'stolen_card', judged)];
  return { seed, without: course(false), rules: course(false), model: course(true), modelAgeDays: [undefined, seed < 3 ? 7 : undefined] };
});

test('the median is the middle one, or between the middle two', () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
});

test('a week is told by medians over seeds, a new attack is marked, and who has no model is said', () => {
  const lines = reportOf(results, PRICES, 0).split('\n');
  expect(lines).toContain('| 1 | **card testing** | 2 | 1 | 30 | 30 | 5 | 0 | 0.00 % | 100.00 % | 1 | 0 | no model |');
  expect(lines).toContain('| 2 | **stolen card** | 2 | 1 | 210 | 210 | 5 | 0 | 0.00 % | 100.00 % | 1 | 0 | 7 (1 of 3 without) |');
  expect(lines).toContain('| judged weeks together |  | 4 | 2 | 240 | 240 | 10 | 0 | 0.00 % | 100.00 % | 1 | 0 |  |');
  expect(lines).toContain('| the same, seed 3 |  | 4 | 2 | 340 | 340 | 10 | 0 | 0.00 % | 100.00 % | 1 | 0 |  |');
});

test('weeks in which nobody judged are not among the judged ones', () => {
  expect(reportOf(results, PRICES, 1)).toContain('| the same, seed 1 |  | 2 | 1 | 110 | 110 | 5 |');
});

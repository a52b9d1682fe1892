import { expect, test } from 'vitest';
import { type Outcome, Week } from './ledger.ts';

const PRICES = { margin: 0.25, review: 3, reviewFinds: 0.8, challengeLoses: 0.1, chargebackFee: 15 };
const FRAUD: Outcome = { value: 100, fraud: true, authorised: true, decision: undefined, allowed: true };
const HONEST: Outcome = { ...FRAUD, fraud: false };

test.each<[string, Outcome, number]>([
  ['a fraud that nobody judged costs goods and fee', FRAUD, 115],
  ['a fraud that is refused costs nothing', { ...FRAUD, decision: 'decline', allowed: false }, 0],
  ['a fraud under review costs the look and what the analyst misses', { ...FRAUD, decision: 'review' }, 3 + 0.2 * 115],
  ['a fraud that the provider refuses costs nothing', { ...FRAUD, authorised: false }, 0],
  ['an honest payment that passes costs nothing', { ...HONEST, decision: 'approve' }, 0],
  ['an honest payment that is refused costs its margin', { ...HONEST, decision: 'suspend', allowed: false }, 25],
  ['an honest payment that the provider would refuse anyway is no loss', { ...HONEST, authorised: false, decision: 'decline', allowed: false }, 0],
  ['an honest payment that is challenged costs those who do not come back', { ...HONEST, decision: 'challenge' }, 2.5],
  ['an honest payment under review costs the look', { ...HONEST, decision: 'review' }, 3],
])('%s', (_, outcome, loss) => {
  const week = new Week();
  week.add(outcome, PRICES);
  expect(week.loss).toBeCloseTo(loss, 9);
});

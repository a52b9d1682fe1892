import { expect, test } from 'vitest';
import { type Outcome, together, Week } from './ledger.ts';

const PRICES = { margin: 0.25, review: 3, reviewFinds: 0.8, challengeLoses: 0.1, chargebackFee: 15 };
const FRAUD: Outcome = { userId: 'u1', value: 100, fraud: 'stolen_card', authorised: true, decision: undefined, allowed: true };
const HONEST: Outcome = { ...FRAUD, fraud: undefined };

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

test('says what of the honest money was held up, and whom that hurt', () => {
  const [first, second] = [new Week(), new Week()];
  first.add({ ...HONEST, decision: 'approve' }, PRICES);
  first.add({ ...HONEST, decision: 'challenge' }, PRICES);
  first.add({ ...HONEST, userId: 'u2', decision: 'decline', allowed: false }, PRICES);
  second.add({ ...HONEST, value: 50, decision: 'challenge' }, PRICES);
  second.add({ ...FRAUD, userId: 'u3', decision: 'challenge', allowed: false }, PRICES);
  expect(first).toMatchObject({ honestAmount: 300, challengedAmount: 100, refusedAmount: 100 });
  expect([...first.hurt]).toEqual(['u1', 'u2']);
  const both = together([first, second]);
  expect(both).toMatchObject({ payments: 5, frauds: 1, honestAmount: 350, challengedAmount: 150, refusedAmount: 100 });
  expect(both.loss).toBeCloseTo(first.loss + second.loss, 9);
  expect([[...both.hurt], [...both.kinds]]).toEqual([['u1', 'u2'], ['stolen_card']]);
});

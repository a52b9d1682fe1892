import { describe, expect, test } from 'vitest';
import { cardPrecision, F15_NAMES, f15Rows, foundOut, type Payment } from './fraud-handbook.ts';

const DAY_MS = 86_400_000;
/** Wednesday 8 August 2018, noon. */
const NOON = Date.parse('2018-08-08T12:00Z');
const pay = (days: number, change: Partial<Payment> = {}): Payment => ({
  customer: 1,
  terminal: 1,
  atMs: NOON + days * DAY_MS,
  amount: 10,
  isFraud: false,
  ...change,
});

describe('the 15 features', () => {
  const valuesOf = (all: Payment[]): Record<string, number> => {
    const { rows, n } = f15Rows(all, NOON, NOON + 1);
    expect(n).toBe(1);
    return Object.fromEntries(F15_NAMES.map((name, i) => [name, rows[i]!]));
  };

  test('count the payment itself for the customer, and nothing of the last seven days for the terminal', () => {
    const all = [
      pay(-20, { customer: 2, isFraud: true }),
      pay(-7.5, { customer: 2 }),
      pay(-6.9, { customer: 2, isFraud: true }),
      pay(-3, { terminal: 2, amount: 40 }),
      pay(0),
    ];
    const values = valuesOf(all);
    expect(values).toMatchObject({ tx_amount: 10, tx_during_weekend: 0, tx_during_night: 0 });
    expect(values).toMatchObject({ customer_nb_tx_1d: 1, customer_nb_tx_7d: 2, customer_avg_amount_7d: 25 });
    expect(values).toMatchObject({ terminal_nb_tx_1d: 1, terminal_risk_1d: 0, terminal_nb_tx_30d: 2, terminal_risk_30d: 0.5 });
  });

  test('know nights and weekends', () => {
    const at = Date.parse('2018-08-11T03:00Z');
    const { rows } = f15Rows([{ ...pay(0), atMs: at }], at, at + 1);
    expect([rows[1], rows[2]]).toEqual([1, 1]);
  });
});

test('a customer is gone from the ninth day after a fraud on, one with a fraud in training from the start', () => {
  const [trainFrom, trainTo, testFrom] = [NOON - 14 * DAY_MS, NOON - 7 * DAY_MS, NOON];
  const known = [pay(-10, { customer: 1, isFraud: true }), pay(-5, { customer: 2, isFraud: true }), pay(-20, { customer: 3, isFraud: true })];
  const isGone = foundOut(known, ({ customer }) => customer, trainFrom, trainTo, testFrom);
  expect(isGone(pay(0, { customer: 1 }))).toBe(true);
  expect([2, 3, 4].map((day) => isGone(pay(day, { customer: 2 })))).toEqual([false, true, true]);
  expect(isGone(pay(6, { customer: 3 }))).toBe(false);
});

test('card precision looks at 100 customers a day, and never again at one that was found', () => {
  const payments = [
    pay(0, { customer: 1, isFraud: true }),
    pay(0, { customer: 2 }),
    pay(1, { customer: 1, isFraud: true }),
    pay(1, { customer: 3, isFraud: true }),
  ];
  expect(cardPrecision(payments, [0.9, 0.8, 0.9, 0.1], NOON, 2)).toBeCloseTo((1 / 100 + 1 / 100) / 2, 12);
});

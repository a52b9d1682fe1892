import { describe, expect, test } from 'vitest';
import { DEFAULT_DECLARATIONS } from '../../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../../scoring/features/engine.ts';
import { FRAUD_SET } from '../../../scoring/risk/pipeline.ts';
import type { Payment } from './fraud-handbook.ts';
import { vectorsOf } from './fraud-vectors.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.parse('2018-07-01T12:00Z');
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const names = engine.names(FRAUD_SET);
const pay = (days: number, change: Partial<Payment> = {}): Payment => ({
  customer: 1,
  terminal: 1,
  atMs: START_MS + days * DAY_MS,
  amount: 10,
  isFraud: false,
  ...change,
});

describe('payments through the serving engine', () => {
  test('the terminal’s fraud is known seven days after it, not before; the customer’s payment at once', () => {
    const payments = [pay(0, { isFraud: true }), pay(6.9, { amount: 30 }), pay(7.1, { customer: 2 })];
    const { rows, n, f } = vectorsOf(payments, engine, FRAUD_SET, START_MS).all(START_MS, START_MS + 8 * DAY_MS);
    expect([n, f]).toEqual([3, names.length]);
    const values = (name: string) => payments.map((_, i) => rows[i * f + names.indexOf(name)]!);
    expect(values('amount')).toEqual([10, 30, 10]);
    expect(values('user_attempts_7d')).toEqual([1, 2, 1]);
    expect(values('merchant_frauds_7d')).toEqual([0, 0, 1]);
    expect(values('user_frauds_90d')).toEqual([0, 0, 0]);
  });

  test('spans begin with the payment at their start and end in front of the one at their end', () => {
    const payments = [pay(0, { amount: 1 }), pay(1, { amount: 2, isFraud: true }), pay(2, { amount: 3 }), pay(3, { amount: 4 })];
    const vectors = vectorsOf(payments, engine, FRAUD_SET, START_MS + DAY_MS);
    const [fromMs, toMs] = [START_MS + DAY_MS, START_MS + 3 * DAY_MS];
    expect(vectors.payments(fromMs, toMs).map(({ amount }) => amount)).toEqual([2, 3]);
    const { rows, n, f, labels } = vectors.all(fromMs, toMs);
    expect([n, ...labels]).toEqual([2, 1, 0]);
    expect([0, 1].map((i) => rows[i * f + names.indexOf('amount')])).toEqual([2, 3]);
  });

  test('a sample keeps every fraud and as much weight of honest payments as there are', () => {
    const payments = Array.from({ length: 4000 }, (_, i) => pay(i / 4000, { customer: i % 50, terminal: i % 70, amount: i, isFraud: i % 100 === 0 }));
    const { rows, n, f, labels, weights } = vectorsOf(payments, engine, FRAUD_SET, START_MS).sample(START_MS, START_MS + DAY_MS, 0.25);
    expect(labels.filter((label) => label > 0)).toHaveLength(40);
    const amounts = Array.from({ length: n }, (_, i) => rows[i * f + names.indexOf('amount')]!);
    expect(amounts.every((amount, i) => (amount % 100 === 0) === labels[i]! > 0)).toBe(true);
    expect(weights!.filter((_, i) => labels[i]! > 0).every((weight) => weight === 1)).toBe(true);
    // 3,960 honest ones; the standard deviation of their estimated number is 110.
    const honest = weights!.reduce((sum, weight, i) => sum + (labels[i]! > 0 ? 0 : weight), 0);
    expect(Math.abs(honest - 3960)).toBeLessThan(440);
  });
});

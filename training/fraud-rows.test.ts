import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../contracts/event.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { calibrator } from '../scoring/models/calibration.ts';
import { fitPlatt } from './evaluation/calibration.ts';
import { averagePrecision } from './evaluation/metrics.ts';
import { FraudRows, maturityMs } from './fraud-rows.ts';
import { seededRandom } from './learners/random.ts';
import { Replay } from './replay.ts';

test('maturity is the delay within which 95 % of the frauds came', () => {
  const delays = Float64Array.from({ length: 100 }, (_, i) => 99 - i);
  expect(maturityMs({ fraudDelaysMs: delays })).toBe(95);
  expect(maturityMs({ fraudDelaysMs: new Float64Array(0) })).toBe(0);
  expect(delays[0]).toBe(99);
});

describe('a sample of the honest payments', () => {
  const PAYMENTS = 8_000;
  const random = seededRandom(3);
  const payments = Array.from({ length: PAYMENTS }, (_, i): TimedEvent => {
    const common = { event_id: `p${i}`, transaction_id: `p${i}`, name: 'payment_attempt', user_id: `u${i % 500}` } as const;
    return { ...common, timestamp_ms: 1_700_000_000_000 + i * 60_000, value: Math.round(random.next() * 100) };
  });
  /** The larger the amount, the likelier a fraud. */
  const outcomes = new Map(payments.map((event) => [event.event_id, { isFraud: random.next() < event.value! / 1_000, atMs: 0 }]));
  const window = { fromMs: payments[1_000]!.timestamp_ms, toMs: payments[7_000]!.timestamp_ms };
  const rowsOf = (rowsMax: number): FraudRows => {
    const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
    const rows = new FraudRows(
      engine.names('fraud').length,
      window,
      { outcomes, paymentsMs: Float64Array.from(payments, (e) => e.timestamp_ms) },
      rowsMax,
    );
    const replay = new Replay(engine);
    for (const event of payments) {
      replay.apply({ kind: 'event', at_ms: 0, event });
      rows.take(replay, event);
    }
    return rows;
  };
  const all = rowsOf(6_000);
  const sample = rowsOf(1_500);
  const scoresOf = (rows: FraudRows): number[] =>
    Array.from({ length: rows.count }, (_, i) => (1 + payments[Number(rows.id(i).slice(1))]!.value!) / 102);

  test('keeps every fraud, a share of the rest, and weighs as much as all of them', () => {
    expect(all.count).toBe(6_000);
    expect(all.slice(0, all.count).weights).toBeUndefined();
    expect(sample.frauds()).toBe(all.frauds());
    expect(sample.count).toBeLessThan(2_500);
    const weights = sample.slice(0, sample.count).weights!;
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeGreaterThan(0.95 * 6_000);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeLessThan(1.05 * 6_000);
  });

  test('gives the probabilities and the precision of all payments', () => {
    const [whole, part] = [all.slice(0, all.count), sample.slice(0, sample.count)];
    const plain = calibrator(fitPlatt(scoresOf(sample), part.labels));
    const corrected = calibrator(sample.forAllPayments(fitPlatt(scoresOf(sample), part.labels)));
    const truth = calibrator(all.forAllPayments(fitPlatt(scoresOf(all), whole.labels)));
    for (const score of [0.2, 0.5, 0.9]) {
      expect(corrected(score) / truth(score)).toBeGreaterThan(0.85);
      expect(corrected(score) / truth(score)).toBeLessThan(1.15);
      expect(plain(score) / truth(score)).toBeGreaterThan(2);
    }
    const precision = averagePrecision(scoresOf(all), whole.labels);
    expect(averagePrecision(scoresOf(sample), part.labels, part.weights) / precision).toBeCloseTo(1, 1);
    expect(averagePrecision(scoresOf(sample), part.labels)).toBeGreaterThan(2 * precision);
  });

  test('a row of weight three counts like three rows', () => {
    const [scores, labels, weights] = [
      [0.9, 0.5, 0.4, 0.2],
      [1, 0, 1, 0],
      [1, 3, 2, 3],
    ];
    const repeat = (values: readonly number[]): number[] => values.flatMap((value, i) => new Array<number>(weights[i]!).fill(value));
    expect(averagePrecision(scores, labels, weights)).toBeCloseTo(averagePrecision(repeat(scores), repeat(labels)), 12);
  });
});

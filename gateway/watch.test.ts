import { beforeEach, describe, expect, test } from 'vitest';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { ScoreResponse } from '../contracts/score.ts';
import { type DriftReference, referenceOf } from '../scoring/risk/drift.ts';
import type { FraudModel } from '../scoring/risk/pipeline.ts';
import type { Store } from '../store/contract.ts';
import { openMemoryStore } from '../store/memory.ts';
import { Metrics } from './metrics.ts';
import { ANSWERS_MIN, createWatch, DRIFT_ROWS_MIN, OUTCOMES_MIN, type Watch } from './watch.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Park and Miller's generator. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const next = uniform(3);
const learned = Float32Array.from({ length: 4_000 }, () => next());
const reference: DriftReference = {
  features: [referenceOf('amount', learned), referenceOf('velocity', learned)],
  score: referenceOf('score', learned),
};
const modelOf = (bundle: string): FraudModel => ({
  bundle,
  thresholds: { review: 1, challenge: 1, decline: 1 },
  predict: () => Promise.resolve(0),
  calibrate: (raw) => raw,
  reference,
});
const answerOf = (more: Partial<ScoreResponse> = {}): ScoreResponse => ({
  transaction_id: 't',
  decision: 'approve',
  score: next(),
  probability: 0.5,
  reasons: [],
  rule_hits: [],
  bundle: 'b1',
  degraded: false,
  ...more,
});
const bytes = (answer: ScoreResponse): Uint8Array => Buffer.from(JSON.stringify(answer));

let nowMs: number;
let raised: Alert[];
let metrics: Metrics;
let watch: Watch;
let store: Store<never>;
beforeEach(() => {
  nowMs = 1_700_000_000_000;
  raised = [];
  metrics = new Metrics();
  store = openMemoryStore<never>();
  watch = createWatch({
    store,
    metrics,
    raise: async (alert) => void raised.push(alert),
    now: () => nowMs,
    onError: (error) => {
      throw error;
    },
  });
});
const gauge = async (line: RegExp): Promise<number> => Number(line.exec(await metrics.render())?.[1]);
const pay = (vector: readonly number[], model = modelOf('b1')): void => watch.scored(model, { vector: [...vector], response: answerOf() }, nowMs);

describe('drift', () => {
  test('is no alert while payments look as they did', async () => {
    for (let i = 0; i < DRIFT_ROWS_MIN; i++) pay([next(), next()]);
    watch.look();
    expect(raised).toEqual([]);
    expect(await gauge(/gatehouse_drift_index\{feature="velocity"\} (\S+)/)).toBeLessThan(0.1);
  });

  test('is one alert a day that names what moved', async () => {
    for (let i = 0; i < DRIFT_ROWS_MIN; i++) pay([next(), next() ** 3]);
    watch.look();
    nowMs += MINUTE_MS;
    watch.look();
    expect(raised.map(({ kind, title, reasons }) => [kind, title, reasons?.length])).toEqual([
      ['system', 'Payments have changed since the fraud model b1 was trained', 1],
    ]);
    expect(raised[0]!.reasons![0]).toMatch(/^velocity: stability index \d/);
    expect(await gauge(/gatehouse_drift_index\{feature="velocity"\} (\S+)/)).toBeGreaterThan(0.25);
    nowMs += 23 * 3_600_000;
    for (let i = 0; i < DRIFT_ROWS_MIN; i++) pay([next(), next() ** 3]);
    nowMs += 3_600_000;
    watch.look();
    expect(raised).toHaveLength(2);
  });

  test('is not judged by few payments, nor by those of the bundle before', () => {
    for (let i = 0; i < DRIFT_ROWS_MIN - 1; i++) pay([9, 9]);
    watch.look();
    for (let i = 0; i < DRIFT_ROWS_MIN; i++) pay([next(), next()], modelOf('b2'));
    watch.look();
    expect(raised).toEqual([]);
  });
});

describe('outcomes', () => {
  const label = (fraud: boolean, probability: number | null, decision: ScoreResponse['decision']) =>
    watch.labelled(
      { event_id: 'l', name: fraud ? 'chargeback' : 'label', timestamp_ms: nowMs, ...(fraud ? {} : { is_fraud: false }) },
      bytes(answerOf({ probability, decision })),
      nowMs,
    );

  test('give precision, recall and calibration as labels arrive', async () => {
    for (let i = 0; i < 90; i++) label(false, 0.1, 'approve');
    for (let i = 0; i < 10; i++) label(true, 0.1, i < 5 ? 'review' : 'approve');
    watch.look();
    expect(await gauge(/gatehouse_outcomes\{figure="recall"\} (\S+)/)).toBe(0.5);
    expect(await gauge(/gatehouse_outcomes\{figure="precision"\} (\S+)/)).toBe(1);
    expect(await gauge(/gatehouse_outcomes\{figure="calibration_error"\} (\S+)/)).toBeCloseTo(0, 9);
  });

  test('raise an alert when probabilities are not what they say, once there are enough', () => {
    for (let i = 0; i < OUTCOMES_MIN - 1; i++) label(true, 0.1, 'approve');
    watch.look();
    expect(raised).toEqual([]);
    label(true, 0.1, 'approve');
    watch.look();
    expect(raised.map(({ title }) => title)).toEqual(['The fraud model’s probabilities are not what they say']);
  });

  test('count a label that comes when the answer is forgotten, from the journalled decision', async () => {
    const response = answerOf({ transaction_id: 'old', probability: 0.3, decision: 'review' });
    const request = { transaction_id: 'old', user_id: 'u', amount: 1, timestamp_ms: 0 };
    await store.write([{ kind: 'decision', at_ms: 0, request, response, vector: null, feature_hash: 'h' }]);
    watch.labelled({ event_id: 'l', name: 'chargeback', transaction_id: 'old', timestamp_ms: nowMs }, undefined, nowMs);
    watch.look();
    await expect
      .poll(async () => {
        watch.look();
        return gauge(/gatehouse_outcomes\{figure="known"\} (\S+)/);
      })
      .toBe(1);
    expect(await gauge(/gatehouse_outcomes\{figure="recall"\} (\S+)/)).toBe(1);
  });

  test('of a trial are counted for the model that did not decide, whenever the label comes, and once for the one that did', async () => {
    const decision = (id: string, probability: number): Fact & { kind: 'decision' } => ({
      kind: 'decision',
      at_ms: nowMs,
      request: { transaction_id: id, user_id: 'u', amount: 1, timestamp_ms: nowMs },
      response: answerOf({ transaction_id: id, probability: 0.1, decision: 'approve' }),
      vector: null,
      feature_hash: 'h',
      other_model: { bundle: 'b2', score: probability, probability, decision: probability > 0.5 ? 'challenge' : 'approve' },
    });
    const decisions = [decision('t1', 0.9), decision('t2', 0.9), decision('t3', 0.2)];
    await store.write(decisions);
    for (const fact of decisions) watch.scored(modelOf('b1'), fact, nowMs);
    const labelOf = (id: string, fraud: boolean) =>
      ({ event_id: `l${id}`, name: 'label', is_fraud: fraud, transaction_id: id, timestamp_ms: nowMs }) as const;
    watch.labelled(labelOf('t1', true), bytes(decisions[0]!.response), nowMs);
    watch.labelled(labelOf('t2', false), bytes(decisions[1]!.response), nowMs);
    watch.labelled(labelOf('t3', true), undefined, nowMs);
    await expect
      .poll(async () => {
        watch.look();
        return gauge(/gatehouse_other_outcomes\{bundle="b2",figure="known"\} (\S+)/);
      })
      .toBe(3);
    expect(await gauge(/gatehouse_other_outcomes\{bundle="b2",figure="recall"\} (\S+)/)).toBe(0.5);
    expect(await gauge(/gatehouse_other_outcomes\{bundle="b2",figure="precision"\} (\S+)/)).toBe(0.5);
    expect(await gauge(/gatehouse_outcomes\{figure="known"\} (\S+)/)).toBe(3);
    expect(await gauge(/gatehouse_outcomes\{figure="recall"\} (\S+)/)).toBe(0);
  });

  test('are not counted for refunds, nor where the answer is not known any more', async () => {
    watch.labelled({ event_id: 'r', name: 'refund', timestamp_ms: nowMs }, bytes(answerOf()), nowMs);
    watch.labelled({ event_id: 'l', name: 'label', is_fraud: true, timestamp_ms: nowMs }, undefined, nowMs);
    watch.look();
    expect(await gauge(/gatehouse_outcomes\{figure="known"\} (\S+)/)).toBe(0);
  });
});

test('degraded answers raise an alert when they are more than accidents', () => {
  const answers = (degraded: number): void => {
    for (let i = 0; i < ANSWERS_MIN; i++) watch.scored(undefined, { vector: null, response: answerOf({ degraded: i < degraded }) }, nowMs);
    nowMs += 5 * MINUTE_MS;
    watch.look();
  };
  answers(5);
  expect(raised).toEqual([]);
  answers(6);
  expect(raised.map(({ severity, reasons }) => [severity, reasons])).toEqual([['high', ['6 of the last 100 answers were degraded']]]);
  answers(50);
  expect(raised).toHaveLength(1);
  nowMs += DAY_MS;
  answers(50);
  expect(raised).toHaveLength(2);
});

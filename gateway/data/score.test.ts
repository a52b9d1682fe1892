import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Rule } from '../../contracts/rules.ts';
import type { ScoreRequest, ScoreResponse } from '../../contracts/score.ts';
import type { Encoding } from '../../contracts/wire.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { FRAUD_SET, judge } from '../../scoring/risk/pipeline.ts';
import { RuleBook } from '../../scoring/risk/rules.ts';
import { ADMIN_TOKEN, problemOf, TestGateway } from './data.suite.ts';

// Guarantee 2 (idempotent) for scores, and what the rules do without a model.

const rule = (id: string, when: string, action: Rule['action'], state: Rule['state'] = 'live'): Rule => ({
  id,
  version: 3,
  description: `the rule ${id}`,
  when,
  action,
  state,
});
const RULES: readonly Rule[] = [
  rule('large', 'tx.amount > 1000.0', 'review'),
  rule('huge', 'tx.amount > 5000.0', 'decline'),
  rule('often', 'features.user_attempts_10m >= 3.0', 'challenge'),
  rule('shadowed', 'tx.amount > 100.0', 'suspend', 'shadow'),
  rule('drafted', 'tx.amount > 100.0', 'suspend', 'draft'),
  rule('no-model', 'probability > 0.0', 'suspend'),
];

let folder: string;
let rulesFile: string;
let desk: TestGateway;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-rules-'));
  rulesFile = join(folder, 'rules.json');
  await writeFile(rulesFile, JSON.stringify(RULES));
  desk = await TestGateway.start({ rulesFile });
});
afterAll(async () => {
  await desk.stop();
  await rm(folder, { recursive: true, force: true });
});

const score = (transactionId: string, more: Partial<ScoreRequest> = {}, encoding: Encoding = 'json') =>
  desk.ask<ScoreResponse>('POST', '/v1/score', { transaction_id: transactionId, user_id: `u-${transactionId}`, amount: 20, ...more }, { encoding });
const decisionsOf = async (id: string) => (await desk.facts('decision')).filter(({ request }) => request.transaction_id === id);
const attemptsOf = async (id: string) => (await desk.facts('event')).filter(({ event }) => event.event_id === id);
const alertsOf = async (id: string) => (await desk.gateway.store.alerts(0, 1000)).filter(({ alert }) => alert.transaction_id === id);

describe.each<Encoding>(['json', 'msgpack'])('in %s', (encoding) => {
  test('a payment gets a verdict that says what it was made without', async () => {
    const id = `plain-${encoding}`;
    const answer = await score(id, {}, encoding);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      transaction_id: id,
      decision: 'approve',
      score: null,
      probability: null,
      anomaly: null,
      reasons: [],
      rule_hits: [],
      bundle: null,
      degraded: true,
      degraded_by: ['model_missing'],
    });
    expect(await alertsOf(id)).toEqual([]);
  });

  test('the same transaction again gets the stored answer and is counted once', async () => {
    const id = `again-${encoding}`;
    const first = await score(id, { amount: 2000 }, encoding);
    const end = await desk.journalEnd();
    for (const other of ['json', 'msgpack'] as const) expect((await score(id, { amount: 2000 }, other)).body).toEqual(first.body);
    expect(await desk.journalEnd()).toBe(end);
    expect([(await attemptsOf(id)).length, (await decisionsOf(id)).length, (await alertsOf(id)).length]).toEqual([1, 1, 1]);
  });
});

test('twenty that arrive at the same instant get one answer, one decision and one alert', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => score('twins', { amount: 6000 }, i % 2 === 0 ? 'json' : 'msgpack')));
  for (const { status, body } of answers) expect([status, body]).toEqual([200, answers[0]!.body]);
  expect([(await attemptsOf('twins')).length, (await decisionsOf('twins')).length, (await alertsOf('twins')).length]).toEqual([1, 1, 1]);
});

test('the same id with another content is a conflict, as a score and as an event', async () => {
  await score('taken');
  const end = await desk.journalEnd();
  expect(problemOf(await score('taken', { amount: 21 }))).toEqual({ status: 409, code: 'event_conflict' });
  const event = { event_id: 'taken', name: 'view_item', user_id: 'u', items: [{ item_id: 'i' }] };
  expect(problemOf(await desk.ask('POST', '/v1/events', { events: [event] }))).toEqual({ status: 409, code: 'event_conflict' });
  expect(await desk.journalEnd()).toBe(end);
});

test('a payment attempt that came as an event is judged once its score is asked for', async () => {
  const event = { event_id: 'reported', name: 'payment_attempt', user_id: 'u-reported', transaction_id: 'reported', value: 20 };
  expect((await desk.ask('POST', '/v1/events', { events: [event] })).status).toBe(200);
  expect((await score('reported')).body.decision).toBe('approve');
  expect([(await attemptsOf('reported')).length, (await decisionsOf('reported')).length]).toEqual([1, 1]);
});

test('duplicates do not move a single feature of what follows', async () => {
  const vectors: (ArrayLike<number> | null)[] = [];
  for (const [who, times] of [
    ['careful', 1],
    ['insistent', 7],
  ] as const) {
    const of: Partial<ScoreRequest> = { user_id: who, card_id: `c-${who}`, device_id: `d-${who}`, merchant_id: `m-${who}` };
    const timestamp_ms = 1_750_000_000_000;
    for (let i = 0; i < times; i++) await score(`${who}-1`, { ...of, timestamp_ms });
    await score(`${who}-2`, { ...of, timestamp_ms: timestamp_ms + 5000 });
    vectors.push((await decisionsOf(`${who}-2`))[0]?.vector ?? null);
  }
  expect(vectors[0]?.length).toBeGreaterThan(20);
  expect(vectors[1]).toEqual(vectors[0]);
});

test('the journal holds what a decision can be made again from', async () => {
  const { body } = await score('recomputed', { amount: 1500, card_id: 'c' });
  const [fact] = await decisionsOf('recomputed');
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  expect(fact?.feature_hash).toBe(engine.hash(FRAUD_SET));
  const vector = Float32Array.from(fact?.vector ?? []);
  // What is missing is NaN and must come back as that, not as null or zero.
  expect(vector.some(Number.isNaN)).toBe(true);
  const rules = new RuleBook(RULES, engine.names(FRAUD_SET));
  const again = await judge(engine, { request: fact!.request, vector, model: undefined, rules, nowMs: 0 });
  expect(again.response).toEqual(body);
});

describe('rules', () => {
  test('live ones act and the strongest action wins; shadow, draft and model-less ones do not', async () => {
    const { body } = await score('rules-1', { amount: 6000 });
    expect(body.decision).toBe('decline');
    expect(body.rule_hits).toEqual([
      { rule: 'huge', version: 3, action: 'decline' },
      { rule: 'large', version: 3, action: 'review' },
    ]);
    expect(body.reasons).toEqual([
      { code: 'rule:huge', text: 'the rule huge' },
      { code: 'rule:large', text: 'the rule large' },
    ]);
    expect(body.degraded_by).toEqual(['model_missing']);
    expect((await score('rules-2', { amount: 500 })).body).toMatchObject({ decision: 'approve', rule_hits: [] });
  });

  test('read what has just been counted', async () => {
    const decisions: string[] = [];
    for (let i = 0; i < 4; i++) decisions.push((await score(`often-${i}`, { user_id: 'often' })).body.decision);
    expect(decisions).toEqual(['approve', 'approve', 'challenge', 'challenge']);
  });

  test('an alert says who, how much and why', async () => {
    const { body } = await score('alarming', { amount: 1234.5, currency: 'EUR' });
    const [record] = await alertsOf('alarming');
    expect(record?.alert).toMatchObject({
      kind: 'decision',
      transaction_id: 'alarming',
      user_id: 'u-alarming',
      decision: body.decision,
      amount: 1234.5,
      currency: 'EUR',
      reasons: ['the rule large'],
      bundle: null,
    });
    expect(record?.alert.title).toContain('1234.50 EUR');
  });

  test('a reload acts on the next payment; a broken file changes nothing', async () => {
    const reload = () =>
      fetch(`http://127.0.0.1:${desk.gateway.controlPort}/v1/rules/reload`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
    await writeFile(rulesFile, '[{"id":"half"');
    expect((await reload()).status).toBe(422);
    expect((await score('reload-1', { amount: 6000 })).body.decision).toBe('decline');
    await writeFile(rulesFile, JSON.stringify([rule('huge', 'tx.amount > 5000.0', 'review')]));
    expect((await reload()).status).toBe(200);
    expect((await score('reload-2', { amount: 6000 })).body.decision).toBe('review');
    expect((await score('reload-1', { amount: 6000 })).body.decision).toBe('decline');
  });
});

test('a payment from further ahead than clocks differ is refused and counts nothing', async () => {
  const end = await desk.journalEnd();
  expect(problemOf(await score('future', { timestamp_ms: Date.now() + 2 * 86_400_000 }))).toEqual({ status: 422, code: 'timestamp_out_of_range' });
  expect(await desk.journalEnd()).toBe(end);
});

test('the shipped rules stop a device that tries many cards', async () => {
  const shipped = await TestGateway.start();
  try {
    const decisions: string[] = [];
    for (let i = 0; i < 5; i++) {
      const request = { transaction_id: `card-test-${i}`, user_id: `u${i}`, amount: 1, card_id: `c${i}`, device_id: 'farm' };
      decisions.push((await shipped.ask<ScoreResponse>('POST', '/v1/score', request)).body.decision);
    }
    expect(decisions).toEqual(['approve', 'approve', 'approve', 'restrict_payment_method', 'restrict_payment_method']);
    expect((await shipped.gateway.store.alerts(0, 10)).map(({ alert }) => alert.transaction_id)).toEqual(['card-test-3', 'card-test-4']);
  } finally {
    await shipped.stop();
  }
});

describe('currencies', () => {
  let rated: TestGateway;
  beforeAll(async () => {
    const ratesFile = join(folder, 'rates.json');
    await writeFile(ratesFile, JSON.stringify({ base: 'EUR', rates: { JPY: 0.006 } }));
    rated = await TestGateway.start({ ratesFile });
  });
  afterAll(() => rated.stop());
  const pay = (id: string, amount: number, currency: string) =>
    rated.ask<ScoreResponse>('POST', '/v1/score', { transaction_id: id, user_id: 'traveller', amount, currency });

  test('amounts are counted in the shop’s own, at the rate that the journal keeps', async () => {
    expect((await pay('yen', 20_000, 'JPY')).status).toBe(200);
    expect((await pay('euro', 120, 'EUR')).status).toBe(200);
    const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
    const amountAt = engine.names(FRAUD_SET).indexOf('amount');
    const seen = (await rated.facts('decision')).map(({ request, vector }) => [request.amount, vector?.[amountAt]]);
    expect(seen).toEqual([
      [20_000, 120],
      [120, 120],
    ]);
    expect((await rated.facts('event')).map(({ event }) => event.rate)).toEqual([0.006, undefined]);
  });

  test('one without a rate is refused, and counts nothing', async () => {
    const before = await rated.journalEnd();
    expect(problemOf(await pay('pounds', 5, 'GBP'))).toEqual({ status: 422, code: 'currency_unknown' });
    const event = { event_id: 'x', name: 'page_view', user_id: 'u', value: 5, currency: 'GBP' };
    expect(problemOf(await rated.ask('POST', '/v1/events', { events: [event] })).code).toBe('currency_unknown');
    expect(await rated.journalEnd()).toBe(before);
  });
});

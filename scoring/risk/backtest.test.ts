import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { BacktestResult, Rule } from '../../contracts/rules.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import type { JournalRecord } from '../../store/contract.ts';
import { EntityReplay } from '../entity-replay.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { paymentEvent } from '../ingest.ts';
import { type BacktestInput, runBacktest } from './backtest.ts';
import { RiskList, RiskLists } from './lists.ts';
import { type AnomalyModel, assess, type FraudModel } from './pipeline.ts';
import { RuleBook } from './rules.ts';

const START = 1_750_000_000_000;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const PAYMENTS = 300;

const rule = (id: string, when: string): Rule => ({ id, version: 1, description: id, when, action: 'decline', state: 'live' });
const RULES = [
  rule('large', 'tx.amount > 300.0'),
  rule('often', 'features.user_attempts_10m >= 3.0'),
  rule('sure', 'probability > 0.7'),
  rule('strange', 'anomaly > 0.9'),
  rule('never', 'tx.amount < 0.0'),
  rule('listed', 'in_list("bad_cards", tx.card_id)'),
];
function listsOf(): RiskLists {
  const lists = new RiskLists();
  lists.lists.set('bad_cards', new RiskList({ kind: 'block', of: 'card' }));
  // Listed half-way through, and no longer near the end.
  lists.lists.get('bad_cards')!.set({ value: 'c3', reason: 'r', author: 'a', created_ms: START + 150_000 * 10, expires_ms: START + 250_000 * 10 });
  return lists;
}
const ANOMALY: AnomalyModel = { share: async (vector) => Math.abs(Math.cos(vector.reduce((sum, x) => sum + (Number.isNaN(x) ? 0 : x), 0))) };
const MODEL: FraudModel = {
  bundle: 'b1',
  thresholds: { review: 1, challenge: 1, decline: 1 },
  predict: async (vector) => Math.abs(Math.sin(vector.reduce((sum, x) => sum + (Number.isNaN(x) ? 0 : x), 0))),
  calibrate: (raw) => raw,
};
const requestOf = (i: number): ScoreRequest & { timestamp_ms: number } => ({
  transaction_id: `t${i}`,
  user_id: `u${(i * i) % 17}`,
  card_id: `c${i % 5}`,
  amount: (i * 37) % 400,
  timestamp_ms: START + i * 10_000,
});
const isFraud = (i: number): boolean => i % 7 === 0;

interface History {
  readonly facts: readonly Fact[];
  /** Rules that hit, by transaction: what the engine decided at the time. */
  readonly hits: ReadonlyMap<string, readonly string[]>;
}

/** A journal as the gateway writes it: each payment, its decision if it is to have one, and labels behind all of them. */
async function history(decided: (i: number) => boolean, rules = RULES): Promise<History> {
  const replay = new EntityReplay(engine);
  const book = new RuleBook(rules, engine.names('fraud'), listsOf());
  const facts: Fact[] = [];
  const hits = new Map<string, readonly string[]>();
  for (let i = 0; i < PAYMENTS; i++) {
    const request = requestOf(i);
    const event = paymentEvent(request, request.timestamp_ms);
    const fact: Fact = { kind: 'event', at_ms: request.timestamp_ms, event };
    facts.push(fact);
    replay.apply(fact);
    const [model, anomaly] = decided(i) ? [MODEL, ANOMALY] : [];
    const { states } = replay.paymentSubject(event);
    const { response, decision } = await assess(engine, { request, event, states, model, anomaly, rules: book, nowMs: request.timestamp_ms });
    hits.set(
      request.transaction_id,
      response.rule_hits.map(({ rule: id }) => id),
    );
    if (decided(i)) facts.push(decision);
  }
  for (let i = 0; i < PAYMENTS; i++) {
    const label = (name: TimedEvent['name'], more: Partial<TimedEvent>): Fact => {
      const event = { event_id: `${name}-${i}`, name, transaction_id: `t${i}`, timestamp_ms: START + 9e6, ...more } as TimedEvent;
      return { kind: 'event', at_ms: START + 9e6, event };
    };
    // A chargeback that an analyst takes back is none.
    if (i % 11 === 0) facts.push(label('chargeback', {}));
    facts.push(label('label', { is_fraud: isFraud(i) }));
  }
  return { facts, hits };
}
function storeOf(facts: readonly Fact[]): BacktestInput['store'] {
  const records: JournalRecord[] = facts.map((fact, i) => ({ offset: i + 101, fact }));
  return {
    bounds: async () => ({ first: 101, last: 100 + records.length }),
    read: async (after, limit) => records.filter(({ offset }) => offset > after).slice(0, limit),
  };
}
async function backtest(facts: readonly Fact[], change: Partial<BacktestInput> = {}): Promise<BacktestResult> {
  const result = await runBacktest({ store: storeOf(facts), engine, rules: RULES, lists: listsOf(), request: {}, now: () => 0, ...change });
  if (!result) throw new Error('it was cancelled');
  return result;
}

describe('a journal of decisions', () => {
  test('gives for every rule what the engine decided, and the figures that follow from it', async () => {
    const { facts, hits } = await history(() => true);
    const result = await backtest(facts);
    const frauds = Array.from({ length: PAYMENTS }, (_, i) => i).filter(isFraud);
    expect(result).toMatchObject({ transactions: PAYMENTS, journalled: PAYMENTS, replayed: 0, left_out: 0, without_model: 0, fraud: frauds.length });
    expect(result.fraud_amount).toBeCloseTo(
      frauds.reduce((sum, i) => sum + requestOf(i).amount, 0),
      6,
    );
    expect([result.from_ms, result.to_ms]).toEqual([START, START + (PAYMENTS - 1) * 10_000]);
    for (const { id, ...figures } of result.rules) {
      const hit = Array.from({ length: PAYMENTS }, (_, i) => i).filter((i) => hits.get(`t${i}`)!.includes(id));
      const [bad, good] = [hit.filter(isFraud), hit.filter((i) => !isFraud(i))];
      const sum = (of: readonly number[]) => of.reduce((total, i) => total + requestOf(i).amount, 0);
      expect(figures).toMatchObject({
        hits: hit.length,
        fraud_hits: bad.length,
        precision: hit.length === 0 ? null : bad.length / hit.length,
        recall: bad.length / frauds.length,
        customers_hurt: new Set(good.map((i) => requestOf(i).user_id)).size,
        hits_alone: hit.filter((i) => hits.get(`t${i}`)!.length === 1).length,
        failed: 0,
      });
      expect([figures.amount_saved, figures.amount_hurt].map(Math.round)).toEqual([sum(bad), sum(good)].map(Math.round));
      for (const { id: other, hits: shared } of figures.overlap)
        expect([id, other, shared]).toEqual([id, other, hit.filter((i) => hits.get(`t${i}`)!.includes(other)).length]);
    }
    // Every rule but the one that never does has hit something, so that the comparison means something.
    expect(result.rules.filter((figures) => figures.hits === 0).map(({ id }) => id)).toEqual(['never']);
  });

  test('amounts are added up at the rate that each payment was counted at, while rules read what was sent', async () => {
    const { facts, hits } = await history((i) => i % 2 === 0);
    const rated = facts.map((fact): Fact => {
      if (fact.kind !== 'event' || fact.event.name !== 'payment_attempt') return fact;
      return { ...fact, event: { ...fact.event, rate: 0.5 } };
    });
    const [plain, halved] = [await backtest(facts), await backtest(rated)];
    expect(halved.fraud_amount).toBeCloseTo(plain.fraud_amount / 2, 6);
    const large = (result: BacktestResult) => result.rules.find(({ id }) => id === 'large')!;
    expect(large(halved).hits).toBe([...hits.values()].filter((ids) => ids.includes('large')).length);
    expect(large(halved).amount_saved).toBeCloseTo(large(plain).amount_saved / 2, 6);
    expect(large(halved).amount_hurt).toBeCloseTo(large(plain).amount_hurt / 2, 6);
  });

  test('lists count as of each payment, or as they are now', async () => {
    const { facts } = await history(() => true);
    const listed = async (lists: 'as_of' | 'now', nowMs: number) =>
      (await backtest(facts, { request: { lists }, now: () => nowMs })).rules.find(({ id }) => id === 'listed')!.hits;
    expect([await listed('as_of', 0), await listed('now', START + 2_000_000), await listed('now', START + 3_000_000)]).toEqual([20, 60, 0]);
  });
});

describe('payments without a decision', () => {
  test('are judged on features that a replay of the journal gives: every rule that reads no model hits the same', async () => {
    const { facts, hits } = await history((i) => i % 3 === 0);
    const result = await backtest(facts);
    expect(result).toMatchObject({ transactions: PAYMENTS, journalled: 100, replayed: 200, without_model: 200, left_out: 0 });
    for (const id of ['large', 'often', 'listed']) {
      const expected = [...hits.values()].filter((ids) => ids.includes(id)).length;
      expect([id, result.rules.find((figures) => figures.id === id)!.hits]).toEqual([id, expected]);
    }
  });

  test.each([
    ['the request says so', { request: { replay: 'never' as const } }],
    ['there are too many entities to replay', { entitiesMax: 0 }],
  ])('are left out and counted where %s', async (_, change) => {
    const { facts } = await history((i) => i % 3 === 0);
    expect(await backtest(facts, change)).toMatchObject({ transactions: 100, left_out: 200 });
  });
});

test('it is bounded: the newest so many are kept, in the window that was asked for', async () => {
  const { facts, hits } = await history(() => true);
  const result = await backtest(facts, { request: { transactions_max: 50 } });
  expect(result).toMatchObject({ transactions: 50, left_out: PAYMENTS - 50, from_ms: START + 250 * 10_000 });
  const newest = [...hits].slice(-50).filter(([, ids]) => ids.includes('large')).length;
  expect(result.rules[0]!.hits).toBe(newest);
  const window = { from_ms: START + 10 * 10_000, to_ms: START + 20 * 10_000 };
  expect(await backtest(facts, { request: window })).toMatchObject({
    transactions: 10,
    ...{ from_ms: window.from_ms, to_ms: window.to_ms - 10_000 },
  });
});

test('it tells how far it is, and stops when it is told to', async () => {
  const { facts } = await history(() => true);
  const seen: number[] = [];
  await backtest(facts, { onProgress: (done, total) => seen.push(done / total) });
  expect(seen.at(-1)).toBe(1);
  expect(
    await runBacktest({ store: storeOf(facts), engine, rules: RULES, lists: listsOf(), request: {}, now: () => 0, cancelled: () => true }),
  ).toBeUndefined();
  expect(await backtest([])).toMatchObject({ transactions: 0, from_ms: null, to_ms: null });
});

test('a decision on another feature set is left out', async () => {
  const { facts } = await history(() => true);
  const foreign = facts.map((fact): Fact => (fact.kind === 'decision' ? { ...fact, feature_hash: 'other' } : fact));
  expect(await backtest(foreign)).toMatchObject({ transactions: 0, left_out: PAYMENTS });
});

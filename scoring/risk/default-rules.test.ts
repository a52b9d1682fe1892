import { describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { ScoreRequest, ScoreResponse } from '../../contracts/score.ts';
import { EntityReplay } from '../entity-replay.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { DEFAULT_LISTS, DEFAULT_RULES } from './default-rules.ts';
import { RiskList, RiskLists } from './lists.ts';
import { assess } from './pipeline.ts';
import { RuleBook } from './rules.ts';

const NOW = 1_750_000_000_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const book = (() => {
  const lists = new RiskLists();
  for (const list of DEFAULT_LISTS) lists.lists.set(list.name, new RiskList(list));
  return new RuleBook(DEFAULT_RULES, engine.names('fraud'), lists);
})();

type Past = Partial<TimedEvent> & { readonly name: TimedEvent['name']; readonly agoMs: number };
type Payment = Partial<Omit<ScoreRequest, 'timestamp_ms'>>;
const MEANS = { user_id: 'u1', card_id: 'c1', device_id: 'd1', ip: '192.0.2.1', address_id: 'a1', payment_method: 'card' } as const;

/** What the shipped rules alone decide about a payment, after what happened before it. */
async function scored(past: readonly Past[], payment: Payment): Promise<ScoreResponse> {
  const replay = new EntityReplay(engine);
  const apply = (event: TimedEvent): void => replay.apply({ kind: 'event', at_ms: event.timestamp_ms, event });
  for (const [i, { agoMs, ...event }] of past.entries()) apply({ event_id: `e${i}`, user_id: 'u1', ...event, timestamp_ms: NOW - agoMs });
  const request = { transaction_id: 't', amount: 40, ...MEANS, ...payment, timestamp_ms: NOW };
  const { amount, ...shared } = request;
  const event: TimedEvent = { event_id: 't', name: 'payment_attempt', ...shared, value: amount };
  apply(event);
  const { states } = replay.paymentSubject(event);
  return (await assess(engine, { request, event, states, model: undefined, rules: book, nowMs: NOW })).response;
}

/** Earlier payments of the same means, but where `each` says otherwise; the last one a minute ago. */
function payments(count: number, each: (i: number) => Partial<TimedEvent> = () => ({}), everyMs = MINUTE_MS): Past[] {
  return Array.from({ length: count }, (_, i) => ({ name: 'payment_attempt', agoMs: (count - i) * everyMs, ...MEANS, value: 40, ...each(i) }));
}
const refused = (count: number, each: (i: number) => Partial<TimedEvent>): Past[] =>
  payments(count, each).flatMap((attempt) => [attempt, { ...attempt, name: 'payment_failed', agoMs: attempt.agoMs - 1_000 }]);
const times = (count: number, event: Past): Past[] => Array.from({ length: count }, () => event);
const signUp = (agoMs: number): Past => ({ name: 'sign_up', agoMs });
const others = (i: number) => ({ user_id: `o${i}`, card_id: `o${i}` });

interface Case {
  readonly rule: string;
  readonly decision: ScoreResponse['decision'];
  readonly hit: readonly [string, readonly Past[], Payment];
  readonly miss: readonly [string, readonly Past[], Payment];
}

const CASES: readonly Case[] = [
  {
    rule: 'many-cards-short-time',
    decision: 'restrict_payment_method',
    hit: ['a fourth card within minutes', payments(3, (i) => ({ card_id: `k${i}` })), {}],
    miss: ['a third', payments(2, (i) => ({ card_id: `k${i}` })), {}],
  },
  {
    rule: 'many-payments-short-time',
    decision: 'review',
    hit: ['a fifth payment within minutes', payments(4), {}],
    miss: ['a fifth payment of the day', payments(4, undefined, 60 * MINUTE_MS), {}],
  },
  {
    rule: 'refused-cards-in-a-row',
    decision: 'challenge',
    hit: ['a payment after three refusals over three cards', refused(3, (i) => ({ card_id: `k${i % 2}` })), {}],
    miss: ['a payment after three refusals of one card', refused(3, () => ({})), {}],
  },
  {
    rule: 'busy-ip-few-customers',
    decision: 'challenge',
    hit: ['two accounts with four cards', payments(3, (i) => ({ user_id: `o${i % 2}`, card_id: `k${i}`, device_id: `v${i}` })), { user_id: 'o0' }],
    miss: ['four customers of a carrier', payments(3, (i) => ({ ...others(i), device_id: `v${i}` })), {}],
  },
  {
    rule: 'guessed-password',
    decision: 'challenge',
    hit: ['after five failed logins', times(5, { name: 'login_failed', agoMs: 9 * MINUTE_MS }), {}],
    miss: ['after four', times(4, { name: 'login_failed', agoMs: 9 * MINUTE_MS }), {}],
  },
  {
    rule: 'unlike-own-history',
    decision: 'challenge',
    hit: ['five times the usual, from and to elsewhere', payments(2, undefined, 9 * DAY_MS), { amount: 200, device_id: 'd2', address_id: 'a2' }],
    miss: ['a dear present to a friend', payments(2, undefined, 9 * DAY_MS), { amount: 200, address_id: 'a2' }],
  },
  {
    rule: 'new-account-large-amount',
    decision: 'challenge',
    hit: ['opened yesterday', [signUp(DAY_MS)], { amount: 210 }],
    miss: ['opened a month ago', [signUp(30 * DAY_MS)], { amount: 210 }],
  },
  {
    rule: 'new-account-shared-means',
    decision: 'challenge',
    hit: ['the third customer of a device', [...payments(2, others, DAY_MS), signUp(DAY_MS)], {}],
    miss: ['the second', [...payments(1, others, DAY_MS), signUp(DAY_MS)], {}],
  },
  {
    rule: 'shared-device-new-card',
    decision: 'challenge',
    hit: ['the fourth customer of a device', payments(3, others, DAY_MS), { amount: 210 }],
    miss: ['the fourth customer, a small amount', payments(3, others, DAY_MS), {}],
  },
  {
    rule: 'serial-refunds',
    decision: 'review',
    hit: ['two of three sent back', [...payments(3, undefined, 3 * DAY_MS), ...times(2, { name: 'refund', agoMs: DAY_MS })], { amount: 120 }],
    miss: ['two of nine sent back', [...payments(9, undefined, 3 * DAY_MS), ...times(2, { name: 'refund', agoMs: DAY_MS })], { amount: 120 }],
  },
];

describe.each(CASES)('$rule', ({ rule, decision, hit, miss }) => {
  test(`hits: ${hit[0]}`, async () => {
    const response = await scored(hit[1], hit[2]);
    expect(response.rule_hits.map((one) => one.rule)).toContain(rule);
    expect(response.decision).toBe(decision);
    expect(response.reasons).toContainEqual({ code: `rule:${rule}`, text: DEFAULT_RULES.find(({ id }) => id === rule)!.description });
  });

  test(`does not hit: ${miss[0]}`, async () => {
    expect(await scored(miss[1], miss[2])).toMatchObject({ decision: 'approve', rule_hits: [] });
  });
});

test('every shipped pattern has its two payments here; the others ask lists, or are in shadow', () => {
  const patterns = DEFAULT_RULES.filter(({ when, state }) => state === 'live' && !when.includes('in_list'));
  expect(CASES.map(({ rule }) => rule)).toEqual(patterns.map(({ id }) => id));
});

test('no shipped pattern turns money away for good: each has honest customers, who pass a challenge or a look', () => {
  const actions = DEFAULT_RULES.filter(({ when }) => !when.includes('in_list')).map(({ action }) => action);
  expect(actions).not.toContain('decline');
  expect(actions).not.toContain('suspend');
});

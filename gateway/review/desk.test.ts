import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Alert } from '../../contracts/push.ts';
import { NOTES_MAX, type Verdict } from '../../contracts/review.ts';
import { parseRates, type RateTable } from '../../scoring/rates.ts';
import type { Store } from '../../store/contract.ts';
import { openMemoryStore } from '../../store/memory.ts';
import { createAudit } from '../audit.ts';
import { Metrics } from '../metrics.ts';
import { openReviewDesk, REVIEWS_COLLECTION, type ReviewDesk } from './desk.ts';

const NOW_MS = 1_700_000_000_000;
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

const alertOf = (n: number, more: Partial<Alert> = {}): Alert => ({
  alert_id: `a${n}`,
  kind: 'decision',
  severity: 'high',
  at_ms: NOW_MS + n,
  title: `Alert ${n}`,
  transaction_id: `t${n}`,
  decision: 'review',
  probability: 0.5,
  amount: 100 * n,
  reasons: ['Many cards'],
  codes: ['rule:many-cards'],
  ...more,
});

let store: Store<never>;
let desk: ReviewDesk;
let labels: TimedEvent[];
let labelFailure: Error | undefined;
let nowMs: number;
let rates: RateTable | undefined;
const metrics = new Metrics();

const open = (): Promise<ReviewDesk> =>
  openReviewDesk({
    store,
    audit: createAudit({ store, log: quiet, metrics, now: () => nowMs }),
    rates,
    now: () => nowMs,
    label: async (event) => {
      if (labelFailure) throw labelFailure;
      labels.push(event);
    },
    onError: (error) => {
      throw error;
    },
  });

beforeEach(async () => {
  store = openMemoryStore<never>();
  [labels, labelFailure, nowMs, rates] = [[], undefined, NOW_MS, undefined];
  for (let n = 1; n <= 3; n++) await store.raise(alertOf(n));
  desk = await open();
});

afterEach(() => desk.close());

const ids = (query: Parameters<ReviewDesk['list']>[0]): string[] => desk.list(query).cases.map(({ case_id }) => case_id);

describe('the queue', () => {
  test('holds the alerts of decisions from before and after it was opened, the greatest expected loss first', async () => {
    await store.raise(alertOf(4, { probability: 0.01 }));
    // No model spoke: a rule's word counts whole.
    await store.raise(alertOf(5, { probability: null, amount: 200 }));
    await store.raise({ alert_id: 's1', kind: 'system', severity: 'low', at_ms: NOW_MS, title: 'The disk is nearly full' });
    expect(ids({})).toEqual(['a5', 'a3', 'a2', 'a1', 'a4']);
    expect(ids({ sort: 'oldest' })).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
    expect(ids({ sort: 'newest', skip: 1, limit: 2 })).toEqual(['a4', 'a3']);
    expect(desk.list({ limit: 1 })).toMatchObject({ counts: { open: 5, assigned: 0, closed: 0 }, total: 5 });
  });

  test('compares amounts of several currencies at the declared rates', async () => {
    desk.close();
    rates = parseRates('{"base":"EUR","rates":{"JPY":0.006,"GBP":1.2}}');
    desk = await open();
    await store.raise(alertOf(4, { amount: 10_000, currency: 'JPY' }));
    await store.raise(alertOf(5, { amount: 290, currency: 'GBP' }));
    // 345, 300, 200, 100 and 60 of the shop's own currency, each at one half.
    expect(ids({})).toEqual(['a5', 'a3', 'a2', 'a1', 'a4']);
  });

  test('is filtered by state, assignee, decision and reason', async () => {
    await store.raise(alertOf(4, { decision: 'decline', codes: ['amount', 'rule:x'] }));
    await desk.assign('a2', 'maria', 'admin');
    expect(ids({ state: 'assigned' })).toEqual(['a2']);
    expect(ids({ assignee: 'maria' })).toEqual(['a2']);
    expect(ids({ assignee: 'nobody' })).toEqual([]);
    expect(ids({ decision: 'decline' })).toEqual(['a4']);
    expect(ids({ code: 'rule:x' })).toEqual(['a4']);
    await desk.assign('a2', null, 'admin');
    expect(desk.list({}).counts).toEqual({ open: 4, assigned: 0, closed: 0 });
  });

  test('is the same after a restart: who has what, notes, verdicts', async () => {
    await desk.assign('a1', 'maria', 'admin');
    await desk.note('a1', 'Called the customer', 'admin');
    await desk.decide('a2', { verdict: 'fraud', note: 'Stolen card' }, 'admin');
    const before = desk.list({ limit: 200 });
    desk.close();
    desk = await open();
    expect(desk.list({ limit: 200 })).toEqual(before);
    expect(desk.get('a1').notes).toEqual([{ at_ms: NOW_MS, actor: 'admin', text: 'Called the customer' }]);
  });

  test('every change is in the journal with its actor', async () => {
    await desk.assign('a1', 'maria', 'key_1');
    await desk.note('a1', 'Hm', 'key_1');
    await desk.decide('a1', { verdict: 'legitimate' }, 'key_2');
    const facts = (await store.read(0, 100)).flatMap(({ fact }) =>
      fact.kind === 'admin' ? [`${fact.actor} ${fact.action} ${fact.detail['case_id']}`] : [],
    );
    expect(facts).toEqual(['key_1 review.assign a1', 'key_1 review.note a1', 'key_2 review.decide a1']);
  });
});

describe('a verdict', () => {
  test('labels the payment and closes the case', async () => {
    const closed = await desk.decide('a1', { verdict: 'fraud', note: 'Sure' }, 'key_1');
    expect(closed).toMatchObject({ state: 'closed', verdict: 'fraud', decided_by: 'key_1', decided_ms: NOW_MS, notes: [{ text: 'Sure' }] });
    expect(labels).toEqual([expect.objectContaining({ name: 'label', transaction_id: 't1', is_fraud: true, timestamp_ms: NOW_MS })]);
    await expect(desk.assign('a1', 'maria', 'key_1')).rejects.toThrow(expect.objectContaining({ code: 'case_closed' }));
  });

  test('tried again after the store failed in between is one label; a changed mind is another', async () => {
    const write = store.write.bind(store);
    store.write = () => Promise.reject(new Error('disk'));
    await expect(desk.decide('a1', { verdict: 'fraud' }, 'key_1')).rejects.toThrow('disk');
    expect(desk.get('a1').state).toBe('open');
    store.write = write;
    await desk.decide('a1', { verdict: 'fraud' }, 'key_1');
    nowMs += 1000;
    await desk.decide('a1', { verdict: 'legitimate' }, 'key_1');
    expect(new Set(labels.map(({ event_id }) => event_id)).size).toBe(2);
    expect(labels.map(({ is_fraud }) => is_fraud)).toEqual([true, true, false]);
    expect(desk.get('a1').verdict).toBe('legitimate');
  });

  test('is none when the label could not be taken', async () => {
    labelFailure = new Error('disk');
    await expect(desk.decide('a1', { verdict: 'fraud' }, 'key_1')).rejects.toThrow('disk');
    expect(desk.get('a1')).toMatchObject({ state: 'open', verdict: null });
  });

  test('gives each reason its precision, with an interval', async () => {
    for (let n = 4; n <= 13; n++) await store.raise(alertOf(n, { codes: n % 2 === 0 ? ['amount', 'rule:many-cards'] : ['amount'] }));
    const verdicts: Record<string, Verdict> = { a4: 'fraud', a5: 'legitimate', a6: 'fraud', a8: 'legitimate' };
    for (const [id, verdict] of Object.entries(verdicts)) await desk.decide(id, { verdict }, 'key_1');
    const { all, reasons } = desk.precision();
    expect(all).toMatchObject({ decided: 4, fraud: 2, precision: 0.5 });
    expect(reasons.map(({ code, decided, fraud }) => [code, decided, fraud])).toEqual([
      ['amount', 4, 2],
      ['rule:many-cards', 3, 2],
    ]);
    // Wilson's interval for 2 of 3, from its formula worked by hand.
    expect(reasons[1]!.low).toBeCloseTo(0.2077, 4);
    expect(reasons[1]!.high).toBeCloseTo(0.9385, 4);
  });
});

describe('unhappy', () => {
  test('an unknown case is not found', async () => {
    for (const work of [() => desk.assign('x', 'm', 'k'), () => desk.note('x', 'n', 'k'), () => desk.decide('x', { verdict: 'fraud' }, 'k')])
      await expect(work()).rejects.toThrow(expect.objectContaining({ code: 'not_found' }));
    expect(() => desk.get('x')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  test('notes have a limit', async () => {
    for (let n = 0; n < NOTES_MAX; n++) await desk.note('a1', `${n}`, 'k');
    await expect(desk.note('a1', 'one more', 'k')).rejects.toThrow(expect.objectContaining({ code: 'case_full' }));
  });

  test('later events show on the case of their payment, a bounded number of them, and survive a restart', async () => {
    const event = (n: number): TimedEvent => ({ event_id: `e${n}`, name: 'refund', timestamp_ms: NOW_MS + n, transaction_id: 't1' });
    for (let n = 0; n < 30; n++) await desk.happened(event(n));
    await desk.happened({ ...event(99), transaction_id: 'of-no-case' });
    expect(desk.get('a1').outcomes).toHaveLength(20);
    desk.close();
    desk = await open();
    expect(desk.get('a1').outcomes[0]).toEqual({ name: 'refund', at_ms: NOW_MS });
    expect(await store.doc(REVIEWS_COLLECTION, 'a2')).toBeUndefined();
  });
});

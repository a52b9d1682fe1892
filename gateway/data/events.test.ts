import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Event, EventsResponse } from '../../contracts/event.ts';
import type { Encoding } from '../../contracts/wire.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { problemOf, TestGateway } from './data.suite.ts';

// Guarantees 2 (idempotent) and 3 (fresh), for events.

let shop: TestGateway;
beforeAll(async () => {
  shop = await TestGateway.start();
});
afterAll(() => shop.stop());

const view = (id: string, more: Partial<Event> = {}): Event => ({
  event_id: id,
  name: 'view_item',
  user_id: `u-${id}`,
  items: [{ item_id: 'i1' }],
  ...more,
});
const send = (events: readonly Event[], encoding: Encoding = 'json') => shop.ask<EventsResponse>('POST', '/v1/events', { events }, { encoding });
const pay = (transactionId: string, more: Record<string, unknown> = {}) =>
  shop.ask('POST', '/v1/score', { transaction_id: transactionId, user_id: `u-${transactionId}`, amount: 10, card_id: `c-${transactionId}`, ...more });
const eventFact = async (id: string) => (await shop.facts('event')).filter(({ event }) => event.event_id === id);

describe.each<Encoding>(['json', 'msgpack'])('in %s', (encoding) => {
  test('a batch is journalled whole, in its order', async () => {
    const events = ['a', 'b', 'c'].map((letter) => view(`batch-${encoding}-${letter}`));
    const answer = await send(events, encoding);
    expect(answer).toMatchObject({ status: 200, body: { accepted: 3, duplicates: 0 } });
    expect(answer.headers.get('content-type')).toBe(`application/${encoding}`);
    const ids = (await shop.facts('event')).map(({ event }) => event.event_id);
    expect(ids.slice(-3)).toEqual(events.map(({ event_id }) => event_id));
  });

  test('what was sent before counts nothing, within a batch and across', async () => {
    const one = view(`twice-${encoding}`);
    expect((await send([one, one], encoding)).body).toEqual({ accepted: 1, duplicates: 1 });
    const end = await shop.journalEnd();
    expect((await send([one], encoding)).body).toEqual({ accepted: 0, duplicates: 1 });
    expect(await shop.journalEnd()).toBe(end);
  });
});

test('a retry in the other encoding is a duplicate, with its fields in any order', async () => {
  const { event_id, name, user_id, items } = view('encodings');
  expect((await send([view('encodings', { value: 3 })], 'msgpack')).body.accepted).toBe(1);
  const again = await shop.ask('POST', '/v1/events', { events: [{ value: 3, items, user_id, name, event_id }] });
  expect(again.body).toEqual({ accepted: 0, duplicates: 1 });
});

test('twenty senders of the same event at once count it once', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => send([view('at-once')])));
  expect(answers.map(({ body }) => body.accepted).reduce((sum, n) => sum + n, 0)).toBe(1);
  expect(await eventFact('at-once')).toHaveLength(1);
});

test('the same id with another content is a conflict; the rest of the batch was taken, and counts', async () => {
  await send([view('conflict')]);
  const before = await metric('gatehouse_events_accepted_total');
  const answer = await send([view('beside-1'), view('conflict', { value: 99 }), view('beside-2')]);
  expect(problemOf(answer)).toEqual({ status: 409, code: 'event_conflict' });
  expect(answer.body).toMatchObject({ errors: [{ path: '/events/1/event_id' }] });
  expect((await eventFact('conflict'))[0]?.event.value).toBeUndefined();
  expect(await eventFact('beside-1')).toHaveLength(1);
  expect(await eventFact('beside-2')).toHaveLength(1);
  expect((await metric('gatehouse_events_accepted_total')) - before).toBe(2);
});

test('a batch with one bad event takes nothing', async () => {
  const end = await shop.journalEnd();
  const bad: [unknown, string][] = [
    [{ event_id: 'bad', name: 'no_such_event', user_id: 'u' }, '/events/1/name'],
    [{ event_id: 'bad', name: 'search' }, '/events/1'],
    [{ event_id: 'bad', name: 'purchase', user_id: 'u' }, '/events/1'],
    [{ event_id: 'bad', name: 'label', transaction_id: 't' }, '/events/1'],
    [{ event_id: 'bad', name: 'review', user_id: 'u', rating: 6 }, '/events/1/rating'],
    [{ event_id: 'bad', name: 'label', transaction_id: 'never-scored', is_fraud: true }, ''],
    [{ ...view('bad'), timestamp_ms: Date.now() + 3 * 86_400_000 }, '/events/1/timestamp_ms'],
  ];
  for (const [event, path] of bad) {
    const answer = await shop.ask<{ errors?: { path: string }[] }>('POST', '/v1/events', { events: [view('good'), event] });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    problemOf(answer);
    if (path !== '') expect(answer.body.errors?.map((error) => error.path)).toContain(path);
  }
  expect(await shop.journalEnd()).toBe(end);
});

test('a time is taken up to a day ahead, and given where there is none', async () => {
  const fromMs = Date.now();
  expect((await send([view('no-time'), view('ahead', { timestamp_ms: fromMs + 86_000_000 })])).status).toBe(200);
  const [fact] = await eventFact('no-time');
  expect(fact?.event.timestamp_ms).toBeGreaterThanOrEqual(fromMs);
  expect(fact?.event.timestamp_ms).toBe(fact?.at_ms);
  expect(problemOf(await send([view('too-far', { timestamp_ms: Date.now() + 86_500_000 })]))).toEqual({
    status: 422,
    code: 'timestamp_out_of_range',
  });
});

describe('an event about a transaction', () => {
  test.each<Event>([
    { event_id: 'about-1', name: 'label', transaction_id: 'paid-1', is_fraud: true },
    { event_id: 'about-2', name: 'chargeback', transaction_id: 'paid-2' },
    { event_id: 'about-3', name: 'dispute', transaction_id: 'paid-3' },
    { event_id: 'about-4', name: 'refund', transaction_id: 'paid-4' },
  ])('$name needs no more than its id, and counts for the payer, card and device', async (event) => {
    const transaction = event.transaction_id ?? '';
    await pay(transaction, { device_id: `d-${transaction}` });
    expect((await shop.ask('POST', '/v1/events', { events: [event] })).body).toEqual({ accepted: 1, duplicates: 0 });
    const [fact] = await eventFact(event.event_id);
    expect(fact?.event).toMatchObject({ ...event, user_id: `u-${transaction}`, card_id: `c-${transaction}`, device_id: `d-${transaction}` });
    // The label tells something new about an entity whose state the next score reads.
    if (event.name !== 'label') return;
    await pay(`${transaction}-next`, { user_id: `u-${transaction}`, card_id: `c-${transaction}` });
    const decision = (await shop.facts('decision')).find(({ request }) => request.transaction_id === `${transaction}-next`);
    const earlier = (await shop.facts('decision')).find(({ request }) => request.transaction_id === transaction);
    expect(decision?.vector).not.toEqual(earlier?.vector);
  });

  test('that was fraud takes along what the payer’s state says of it, for the merchant’s', async () => {
    for (const [i, amount] of [10, 11, 9, 90].entries()) {
      await pay(`unlike-${i}`, { user_id: 'u-unlike', merchant_id: 'm-unlike', amount });
    }
    await send([
      { event_id: 'unlike-fraud', name: 'chargeback', transaction_id: 'unlike-3' },
      { event_id: 'unlike-honest', name: 'label', transaction_id: 'unlike-0', is_fraud: false },
    ]);
    expect((await eventFact('unlike-fraud'))[0]?.event.carried).toBe(1);
    expect((await eventFact('unlike-honest'))[0]?.event).not.toHaveProperty('carried');
    await pay('unlike-next', { user_id: 'u-other', merchant_id: 'm-unlike' });
    const decision = (await shop.facts('decision')).find(({ request }) => request.transaction_id === 'unlike-next');
    expect(decision?.vector?.[DEFAULT_DECLARATIONS.sets['fraud']!.findIndex(({ name }) => name === 'merchant_fraud_large_last')]).toBe(1);
  });

  test('is refused where the transaction is unknown and nobody is named', async () => {
    for (const name of ['chargeback', 'refund'] as const) {
      const answer = await send([{ event_id: `lost-${name}`, name, transaction_id: 'nobody-paid' }]);
      expect(problemOf(answer)).toEqual({ status: 404, code: 'transaction_not_found' });
    }
  });

  test('sent again after its transaction became known, it is still the same event', async () => {
    const label: Event = { event_id: 'early-label', name: 'label', transaction_id: 'late-payment', user_id: 'u-late', is_fraud: false };
    expect((await send([label])).body).toEqual({ accepted: 1, duplicates: 0 });
    await pay('late-payment', { user_id: 'u-late' });
    expect((await send([label])).body).toEqual({ accepted: 0, duplicates: 1 });
    expect(problemOf(await send([{ ...label, is_fraud: true }])).code).toBe('event_conflict');
  });

  test('keeps what it says itself', async () => {
    await pay('own-words');
    await send([{ event_id: 'own-words-label', name: 'label', transaction_id: 'own-words', card_id: 'another-card', is_fraud: true }]);
    expect((await eventFact('own-words-label'))[0]?.event).toMatchObject({ card_id: 'another-card', user_id: 'u-own-words' });
  });
});

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${shop.gateway.controlPort}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
}

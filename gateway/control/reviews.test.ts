import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReviewCase, ReviewsResponse } from '../../contracts/review.ts';
import type { ScoreResponse } from '../../contracts/score.ts';
import { ADMIN_TOKEN, problemOf, TestGateway } from '../data/data.suite.ts';
import { referenceOf } from '../privacy/footprint.ts';

let running: TestGateway;
let control: string;

beforeAll(async () => {
  running = await TestGateway.start();
  control = `http://127.0.0.1:${running.gateway.controlPort}`;
});
afterAll(() => running.stop());

async function desk<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
  const response = await fetch(control + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

test('from a payment to a verdict that is its label', async () => {
  const payment = (n: number) => ({
    transaction_id: `pay-${n}`,
    user_id: 'thief',
    amount: 20,
    device_id: 'd1',
    card_id: `c${n}`,
    payment_method: 'card',
  });
  let last: ScoreResponse | undefined;
  for (let n = 0; n < 4; n++) last = (await running.ask<ScoreResponse>('POST', '/v1/score', payment(n))).body;
  expect(last?.decision).toBe('restrict_payment_method');

  const { body: queue } = await desk<ReviewsResponse>('GET', '/v1/reviews?state=open&code=rule:many-cards-short-time');
  expect(queue.cases.map(({ transaction_id }) => transaction_id)).toEqual(['pay-3']);
  const path = `/v1/reviews/${queue.cases[0]!.case_id}`;
  expect((await desk<ReviewCase>('POST', `${path}/assign`, { assignee: 'maria' })).body).toMatchObject({ state: 'assigned', assignee: 'maria' });
  expect((await desk<ReviewCase>('POST', `${path}/notes`, { text: 'Four cards in a minute' })).status).toBe(200);
  const { body: closed } = await desk<ReviewCase>('POST', `${path}/verdict`, { verdict: 'fraud' });
  expect(closed).toMatchObject({ state: 'closed', verdict: 'fraud', outcomes: [{ name: 'label', is_fraud: true }] });

  const labels = (await running.facts('event')).filter(({ event }) => event.name === 'label');
  // It names the payment's entities, so that it counts for the card and the device too.
  expect(labels.map(({ event }) => event)).toEqual([
    expect.objectContaining({ transaction_id: 'pay-3', is_fraud: true, card_id: 'c3', device_id: 'd1', user_id: 'thief' }),
  ]);
  expect((await desk<{ all: unknown }>('GET', '/v1/reviews/precision')).body.all).toMatchObject({ decided: 1, fraud: 1 });

  // A chargeback that comes later is seen on the case.
  await running.ask('POST', '/v1/events', { events: [{ event_id: 'cb', name: 'chargeback', transaction_id: 'pay-3' }] });
  expect((await desk<ReviewCase>('GET', path)).body.outcomes.map(({ name }) => name)).toEqual(['label', 'chargeback']);
});

test('who looks at cases, alerts and restrictions is journalled, and what shows nobody is not', async () => {
  const score = { transaction_id: 'seen', user_id: 'watched', amount: 20, card_id: 'x', device_id: 'd1', payment_method: 'card' };
  await running.ask('POST', '/v1/score', score);
  const { body: queue } = await desk<ReviewsResponse>('GET', '/v1/reviews?limit=1');
  const [first] = queue.cases;
  await desk('GET', `/v1/reviews/${first!.case_id}`);
  await desk('GET', '/v1/alerts?limit=1');
  await desk('GET', '/v1/restrictions');
  await desk('POST', '/v1/stream-token');
  await desk('GET', '/v1/reviews?assignee=nobody');
  await desk('GET', '/v1/alerts?after=1000000');
  const looks = (await running.facts('admin')).filter(({ action }) => /^(alert|case|restriction)\.(list|read|stream)$/.test(action));
  expect(looks.slice(-5).map(({ actor, action, detail }) => [actor, action, detail])).toEqual([
    ['admin', 'case.list', { shown: 1, persons: [referenceOf(first!.user_id!)] }],
    ['admin', 'case.read', { persons: [referenceOf(first!.user_id!)] }],
    ['admin', 'alert.list', { from: 1, to: 1 }],
    ['admin', 'restriction.list', { shown: expect.any(Number), persons: expect.any(Array) }],
    ['admin', 'alert.stream', { for_s: 900 }],
  ]);
});

test.each([
  ['GET', '/v1/reviews/nothing', undefined, 404, 'not_found'],
  ['GET', '/v1/reviews?state=lost', undefined, 422, 'invalid_request'],
  ['GET', '/v1/reviews?limit=100000', undefined, 422, 'invalid_request'],
  ['POST', '/v1/reviews/nothing/verdict', { verdict: 'maybe' }, 422, 'invalid_request'],
  ['POST', '/v1/reviews/nothing/assign', {}, 422, 'invalid_request'],
  ['POST', '/v1/reviews/nothing/notes', { text: '' }, 422, 'invalid_request'],
])('%s %s %j is refused', async (method, path, body, status, code) => {
  const answer = await desk<{ code: string }>(method, path, body);
  expect(answer.status).toBe(status);
  expect(answer.body.code).toBe(code);
});

test('needs the admin token', async () => {
  const response = await fetch(`${control}/v1/reviews`);
  expect(problemOf({ status: response.status, headers: response.headers, body: await response.json() }).code).toBe('unauthenticated');
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StreamTokenResponse } from '../../contracts/push.ts';
import { createStreamTokens } from '../auth/stream-tokens.ts';
import { ADMIN_TOKEN, ORIGIN, PUBLISHABLE_KEY, problemOf, SECRET_KEY, TestGateway } from './data.suite.ts';

// Who may do what on the data plane, and what a browser is told.

let shop: TestGateway;
beforeAll(async () => {
  shop = await TestGateway.start();
  await shop.ask('PUT', '/v1/items', { items: [{ item_id: 'i1' }] });
});
afterAll(() => shop.stop());

/** A good request of every route that needs a key. */
const REQUESTS: readonly [method: string, path: string, body: unknown, publishable: boolean][] = [
  ['POST', '/v1/events', { events: [{ event_id: 'access-event', name: 'search', user_id: 'u' }] }, true],
  ['POST', '/v1/recommend', {}, true],
  ['GET', '/v1/recommend', undefined, true],
  ['POST', '/v1/score', { transaction_id: 'access', user_id: 'u', amount: 1 }, false],
  ['PUT', '/v1/items', { items: [{ item_id: 'access' }] }, false],
  ['PATCH', '/v1/items', { items: [{ item_id: 'i1' }] }, false],
  ['DELETE', '/v1/items', { item_ids: ['access'] }, false],
  ['POST', '/v1/stream/tokens', { channels: ['alerts'] }, false],
];

describe.each(REQUESTS)('%s %s', (method, path, body, publishable) => {
  const bytes = body === undefined ? undefined : JSON.stringify(body);
  const headers = { 'content-type': 'application/json' };

  test.each([
    ['no key', {}],
    ['an unknown key', { authorization: `Bearer gh_sec_${'x'.repeat(43)}` }],
    ['half a key', { authorization: `Bearer ${SECRET_KEY.slice(0, -1)}` }],
    ['another scheme', { authorization: `Basic ${SECRET_KEY}` }],
    ['a very long key', { authorization: `Bearer ${'k'.repeat(4000)}` }],
  ])('%s is unauthenticated', async (_, authorization) => {
    const end = await shop.journalEnd();
    const answer = await shop.raw(method, path, bytes, { ...headers, ...authorization });
    expect(problemOf(answer)).toEqual({ status: 401, code: 'unauthenticated' });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(await shop.journalEnd()).toBe(end);
  });

  test('takes the keys that it should and no other', async () => {
    expect((await shop.ask(method, path, body)).status).toBe(200);
    const answer = await shop.ask(method, path, body, { key: PUBLISHABLE_KEY });
    if (publishable) expect(answer.status).toBe(200);
    else expect(problemOf(answer)).toEqual({ status: 403, code: 'forbidden' });
    expect(problemOf(await shop.ask(method, path, body, { key: ADMIN_TOKEN }))).toEqual({ status: 403, code: 'forbidden' });
  });

  test('a page of a foreign origin may not use the publishable key', async () => {
    const answer = await shop.ask(method, path, body, { key: PUBLISHABLE_KEY, headers: { origin: 'https://evil.example' } });
    expect(problemOf(answer).status).toBe(403);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });
});

test.each(['payment_attempt', 'refund', 'chargeback', 'dispute', 'label'])(
  'a publishable key may not say what only a server knows: %s',
  async (name) => {
    const event = { event_id: `forged-${name}`, name, user_id: 'u', transaction_id: 'access', is_fraud: false };
    const good = { event_id: `beside-${name}`, name: 'search', user_id: 'u' };
    const end = await shop.journalEnd();
    const answer = await shop.ask('POST', '/v1/events', { events: [good, event] }, { key: PUBLISHABLE_KEY });
    expect(problemOf(answer)).toEqual({ status: 403, code: 'forbidden' });
    expect(answer.body).toMatchObject({ errors: [{ path: '/events/1/name' }] });
    expect(await shop.journalEnd()).toBe(end);
    expect((await shop.ask('POST', '/v1/events', { events: [good, event] })).status).toBe(200);
  },
);

describe('a browser', () => {
  const preflight = (path: string, origin: string, method = 'POST') =>
    shop.raw('OPTIONS', path, undefined, { origin, 'access-control-request-method': method, 'access-control-request-headers': 'authorization' });

  test.each(['/v1/events', '/v1/recommend'])('may ask %s from a listed origin', async (path) => {
    const { status, headers } = await preflight(path, ORIGIN);
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(headers.get('access-control-allow-methods')).toContain('POST');
    expect(headers.get('access-control-allow-headers')).toContain('authorization');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect(headers.get('vary')?.toLowerCase()).toContain('origin');
  });

  test('is told nothing from another origin', async () => {
    for (const origin of ['https://evil.example', 'null', `${ORIGIN}.evil.example`, 'http://shop.example']) {
      expect((await preflight('/v1/events', origin)).headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('can read an answer and a refusal', async () => {
    const asked = { key: PUBLISHABLE_KEY, headers: { origin: ORIGIN } };
    for (const body of [{}, { limit: 'many' }]) {
      const answer = await shop.ask('POST', '/v1/recommend', body, asked);
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    }
  });
});

describe('a stream token', () => {
  test('is good for its channels and its time', async () => {
    const fromMs = Date.now();
    const { body } = await shop.ask<StreamTokenResponse>('POST', '/v1/stream/tokens', { channels: ['alerts'], ttl_s: 60 });
    expect(body.expires_ms).toBeGreaterThan(fromMs + 58_000);
    expect(body.expires_ms).toBeLessThanOrEqual(Date.now() + 60_000);
    const tokens = await createStreamTokens({ store: shop.gateway.store, now: Date.now });
    expect(await tokens.verify(body.token)).toEqual({ channels: ['alerts'], expiresMs: body.expires_ms });
    const later = await createStreamTokens({ store: shop.gateway.store, now: () => body.expires_ms + 10_000 });
    await expect(later.verify(body.token)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test.each([{ channels: [] }, { channels: ['secrets'] }, { channels: ['alerts'], ttl_s: 5 }, { channels: ['alerts'], ttl_s: 1e6 }, {}])(
    '%j is refused',
    async (body) => {
      expect(problemOf(await shop.ask('POST', '/v1/stream/tokens', body))).toEqual({ status: 422, code: 'invalid_request' });
    },
  );
});

test('addresses, methods and encodings that are not there are said to be', async () => {
  expect(problemOf(await shop.ask('GET', '/v1/nothing'))).toEqual({ status: 404, code: 'not_found' });
  const wrong = await shop.ask('DELETE', '/v1/score', {});
  expect(problemOf(wrong)).toEqual({ status: 405, code: 'method_not_allowed' });
  expect(wrong.headers.get('allow')).toContain('POST');
  const body = JSON.stringify({ limit: 1 });
  const headers = { authorization: `Bearer ${SECRET_KEY}` };
  expect(problemOf(await shop.raw('POST', '/v1/recommend', body, { ...headers, 'content-type': 'text/plain' })).code).toBe('unsupported_media_type');
  const picky = await shop.raw('POST', '/v1/recommend', body, { ...headers, 'content-type': 'application/json', accept: 'text/html' });
  expect(problemOf(picky)).toEqual({ status: 406, code: 'not_acceptable' });
  expect((await shop.raw('GET', '/healthz')).body).toEqual({ status: 'ok' });
});

test('a client finds its own request id in the answer and in the problem', async () => {
  const answer = await shop.ask<{ request_id: string }>('POST', '/v1/recommend', { limit: 0 }, { headers: { 'x-request-id': 'mine-42' } });
  expect(answer.body.request_id).toBe('mine-42');
});

test('load is shed with the time to come back, scores last', async () => {
  const narrow = await TestGateway.start({ inFlightMax: 1 });
  try {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => narrow.ask('PUT', '/v1/items', { items: [{ item_id: `i${i}` }] })));
    const shed = answers.filter(({ status }) => status !== 200);
    expect(shed.length).toBeGreaterThan(0);
    expect(shed.length).toBeLessThan(30);
    for (const answer of shed) {
      expect(problemOf(answer)).toEqual({ status: 503, code: 'overloaded' });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await narrow.ask('POST', '/v1/score', { transaction_id: 't', user_id: 'u', amount: 1 })).status).toBe(200);
  } finally {
    await narrow.stop();
  }
});

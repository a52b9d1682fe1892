import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EVENTS_PER_BATCH_MAX } from '../contracts/event.ts';
import { ITEMS_PER_BATCH_MAX } from '../contracts/item.ts';
import type { ScoreRequest } from '../contracts/score.ts';
import type { Encoding } from '../contracts/wire.ts';
import { BATCH_MAX, createClient, type GatehouseClient, type NewEvent } from './client.ts';
import { GatehouseClientError } from './errors.ts';
import { startTestGateway, type TestGateway } from './gateway.suite.ts';

let running: TestGateway;
beforeAll(async () => {
  running = await startTestGateway();
});
afterAll(() => running.stop());

function clientOf(key: 'secretKey' | 'publishableKey', encoding: Encoding = 'json'): GatehouseClient {
  return createClient({ baseUrl: `${running.baseUrl}/`, key: running[key], encoding });
}

const view = (user: string, item: string): NewEvent => ({ name: 'view_item', user_id: user, items: [{ item_id: item }] });
const payment = (id: string): ScoreRequest => ({ transaction_id: id, user_id: `${id}-u`, amount: 12.5, currency: 'EUR', card_id: `${id}-c` });

async function errorOf(promise: Promise<unknown>): Promise<GatehouseClientError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GatehouseClientError);
  return error as GatehouseClientError;
}

test('its batch is as large as the contract allows', () => {
  expect([BATCH_MAX, BATCH_MAX]).toEqual([EVENTS_PER_BATCH_MAX, ITEMS_PER_BATCH_MAX]);
});

describe.each<Encoding>(['json', 'msgpack'])('every route of the data plane in %s', (encoding) => {
  test('items are put, changed and deleted, and recommended meanwhile by POST and GET', async () => {
    const shop = clientOf('secretKey', encoding);
    const page = clientOf('publishableKey', encoding);
    const ids = ['a', 'b', 'c'].map((name) => `${encoding}-${name}`);
    expect(await shop.putItems(ids.map((item_id) => ({ item_id, title: 'Crème brûlée', category: encoding, price: 3 })))).toEqual({ changed: 3 });
    expect(await shop.patchItems([{ item_id: ids[0]!, price: 4 }])).toEqual({ changed: 1 });
    const first = await page.recommend({ user_id: 'nobody', limit: 10, category: encoding, exclude: [ids[2]!] });
    expect(first.items.map(({ item_id }) => item_id).sort()).toEqual(ids.slice(0, 2));
    expect(await shop.deleteItems(ids.slice(1))).toEqual({ changed: 2 });
    const second = await page.recommendGet({ user_id: 'nobody', limit: 10, category: encoding });
    const explained = await shop.recommendGet({ user_id: 'nobody', limit: 10, category: encoding, explain: true });
    expect(explained.items.map(({ item_id }) => item_id)).toEqual([ids[0]]);
    expect((await errorOf(page.recommendGet({ user_id: 'nobody', explain: true }))).code).toBe('forbidden');
    const slots = [
      { placement: 'home', category: encoding },
      { placement: 'cart', category: encoding },
    ];
    const { answers } = await page.recommendPage({ user_id: 'nobody', placements: slots });
    expect(answers.map(({ items }) => items.map(({ item_id }) => item_id))).toEqual([[ids[0]], []]);
    expect(second.items.map(({ item_id }) => item_id)).toEqual([ids[0]]);
    expect(second.recommendation_id).not.toBe(first.recommendation_id);
    await shop.deleteItems([ids[0]!]);
  });

  test('a payment is decided once, and a token is issued', async () => {
    const shop = clientOf('secretKey', encoding);
    const request = payment(`pay-${encoding}`);
    const answer = await shop.score(request);
    expect(answer).toMatchObject({ transaction_id: request.transaction_id, decision: 'approve' });
    expect(await shop.score(request)).toEqual(answer);
    const { token, expires_ms } = await shop.streamToken({ channels: ['alerts'], ttl_s: 60 });
    expect(token.split('.')).toHaveLength(3);
    expect(expires_ms).toBeGreaterThan(0);
    expect(await shop.health()).toEqual({ status: 'ok' });
  });

  test('events are journalled as sent, and counted once by their id', async () => {
    const page = clientOf('publishableKey', encoding);
    const event = { ...view('anna', 'i1'), event_id: `once-${encoding}`, timestamp_ms: 1_700_000_000_000 };
    expect(await page.events([event, view('anna', 'i2')])).toEqual({ accepted: 2, duplicates: 0 });
    expect(await page.events([event])).toEqual({ accepted: 0, duplicates: 1 });
    const kept = (await running.facts()).flatMap((fact) => (fact.kind === 'event' && fact.event.event_id === event.event_id ? [fact.event] : []));
    expect(kept).toEqual([event]);
  });
});

describe('batches', () => {
  test('more events than one request takes go in several, in order', async () => {
    const events = Array.from({ length: 2 * BATCH_MAX + 1 }, (_, n) => view('bulk', `i${n}`));
    expect(await clientOf('publishableKey').events(events)).toEqual({ accepted: events.length, duplicates: 0 });
    const kept = (await running.facts()).flatMap((fact) =>
      fact.kind === 'event' && fact.event.user_id === 'bulk' ? [fact.event.items?.[0]?.item_id] : [],
    );
    expect(kept).toEqual(events.map(({ items }) => items?.[0]?.item_id));
    expect(await clientOf('publishableKey').events([])).toEqual({ accepted: 0, duplicates: 0 });
  });

  test('a batch of too many bytes is halved until it fits', async () => {
    const text = 'x'.repeat(5_000);
    const reviews = Array.from({ length: 300 }, (): NewEvent => ({ name: 'review', user_id: 'long', rating: 3, text }));
    expect(await clientOf('publishableKey').events(reviews)).toEqual({ accepted: 300, duplicates: 0 });
  });
});

describe('errors carry what the gateway said', () => {
  test('a wrong event: its place', async () => {
    const error = await errorOf(clientOf('publishableKey').events([view('anna', 'i1'), { name: 'view_item', user_id: 'anna' }]));
    expect(error).toMatchObject({ code: 'invalid_request', status: 422, isTransient: false, retryAfterMs: undefined });
    expect(error.errors?.[0]?.path).toBe('/events/1');
    expect(error.requestId).toMatch(/^.+$/);
    expect(error.message).toContain(error.detail);
  });

  test('a key without the right, a key that nobody knows, an item that is not there', async () => {
    expect(await errorOf(clientOf('publishableKey').score(payment('no')))).toMatchObject({ code: 'forbidden', status: 403 });
    const stranger = createClient({ baseUrl: running.baseUrl, key: 'gh_pub_nobody' });
    expect(await errorOf(stranger.recommend({}))).toMatchObject({ code: 'unauthenticated', status: 401 });
    expect(await errorOf(clientOf('secretKey').patchItems([{ item_id: 'ghost', price: 1 }]))).toMatchObject({ code: 'item_not_found', status: 404 });
  });

  test('a transaction id used for something else', async () => {
    const shop = clientOf('secretKey');
    await shop.score(payment('twice'));
    expect(await errorOf(shop.score({ ...payment('twice'), amount: 99 }))).toMatchObject({ code: 'event_conflict', status: 409 });
  });
});

test('tracked events reach the journal with an id and the time at which they happened', async () => {
  let clockMs = Date.now();
  const page = createClient({ baseUrl: running.baseUrl, key: running.publishableKey, wallClock: () => clockMs, track: { ageMaxMs: 60_000 } });
  const ids = [page.track(view('tracked', 'i1'))];
  clockMs += 1234;
  ids.push(page.track(view('tracked', 'i2')));
  await page.flush();
  const kept = (await running.facts()).flatMap((fact) => (fact.kind === 'event' && fact.event.user_id === 'tracked' ? [fact.event] : []));
  expect(kept.map(({ event_id, timestamp_ms }) => [event_id, timestamp_ms])).toEqual([
    [ids[0], clockMs - 1234],
    [ids[1], clockMs],
  ]);
  await page.close();
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import { readConfig } from '../config.ts';
import { startGateway } from '../main.ts';
import { SECRET_KEY, TestGateway } from './data.suite.ts';

// Demand by category and by country, as the gateway finds it in its journal when it starts.

/** So many that none of the first is among the newest of its category. */
const ITEMS = Array.from({ length: 90 }, (_, i) => ({ item_id: `i${i}`, category: `c${i % 3}`, created_ms: 1_600_000_000_000 + i }));
const PURCHASES = 20;
let shop: TestGateway;

beforeAll(async () => {
  // Without content, whose likenesses would be the reason of some.
  shop = await TestGateway.start({ contentItemsMax: 0 }, async (dataDir) => {
    const before = await startGateway(readConfig({}, { dataDir, port: 0, controlPort: 0, secretKeys: [SECRET_KEY], logLevel: 'silent' }));
    const send = async (method: string, path: string, body: object): Promise<void> => {
      const headers = { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/json' };
      const answer = await fetch(`http://127.0.0.1:${before.dataPort}${path}`, { method, headers, body: JSON.stringify(body) });
      expect(answer.status).toBe(200);
    };
    await send('PUT', '/v1/items', { items: ITEMS });
    const bought = (country: string, item_id: string) =>
      Array.from({ length: PURCHASES }, (_, i) => ({
        event_id: `${country}-${item_id}-${i}`,
        name: 'purchase',
        user_id: `${country}-${i}`,
        country,
        items: [{ item_id }],
      }));
    await send('POST', '/v1/events', { events: [...bought('DE', 'i3'), ...bought('DE', 'i1'), ...bought('FR', 'i1'), ...bought('FR', 'i2')] });
    await before.drain();
  });
});
afterAll(() => shop.stop());

/** Popular items of a cold visitor with their reasons, in the order of their ids. */
async function popular(request: RecommendRequest): Promise<(readonly [string, string])[]> {
  const { body } = await shop.ask<RecommendResponse>('POST', '/v1/recommend', { limit: 12, ...request });
  return body.items
    .filter(({ sources }) => sources.includes('popular'))
    .map(({ item_id, reason }) => [item_id, reason] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

test('a visitor of a country that is known sees what is wanted there, then what is wanted elsewhere', async () => {
  expect(await popular({ country: 'DE' })).toEqual([
    ['i1', 'Popular in Germany'],
    ['i2', 'Popular right now'],
    ['i3', 'Popular in Germany'],
  ]);
});

test('a visitor of no country, or of one that is not known, sees what is wanted in the shop', async () => {
  const whole = ['i1', 'i2', 'i3'].map((id) => [id, 'Popular right now']);
  expect(await popular({})).toEqual(whole);
  expect(await popular({ country: 'JP' })).toEqual(whole);
});

test('where the request does not say it, the visitor is where the events of the visit say', async () => {
  const send = (event_id: string, more: object) =>
    shop.ask('POST', '/v1/events', { events: [{ event_id, name: 'search', session_id: 'visit', user_id: 'traveller', ...more }] });
  const german = [
    ['i1', 'Popular in Germany'],
    ['i2', 'Popular right now'],
    ['i3', 'Popular in Germany'],
  ];
  await send('there', { ip_country: 'DE' });
  await send('anywhere', {});
  expect(await popular({ session_id: 'visit' })).toEqual(german);
  expect(await popular({ user_id: 'traveller' })).toEqual(german);
  // Found in the journal at start as well: DE-1 bought there.
  expect(await popular({ user_id: 'DE-1', placement: 'again' })).toContainEqual(['i2', 'Popular right now']);
  expect((await popular({ session_id: 'visit', country: 'FR' })).map(([, reason]) => reason)).toContain('Popular in France');
});

test('a page of a category, or of an item of one, begins with what is wanted in it', async () => {
  expect(await popular({ category: 'c1', country: 'DE' })).toEqual([['i1', 'Popular in c1']]);
  // The page of i6, of c0: i3 is of its category.
  expect(await popular({ placement: 'product', item_id: 'i6', country: 'FR' })).toEqual([
    ['i1', 'Popular right now'],
    ['i2', 'Popular right now'],
    ['i3', 'Popular in c0'],
  ]);
});

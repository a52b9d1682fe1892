import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import type { Encoding } from '../../contracts/wire.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { ORIGIN, PUBLISHABLE_KEY, problemOf, TestGateway, writeTablesBundle } from './data.suite.ts';

// Guarantees 3 (fresh) and 4 (never empty, never late), for recommendations.

const ITEMS = Array.from({ length: 20 }, (_, i) => ({
  item_id: `i${i}`,
  category: `c${i % 4}`,
  title: `Item ${i}`,
  created_ms: 1_600_000_000_000 + i,
}));
let plain: TestGateway;
let trained: TestGateway;
let visitors = 0;
let visitor: string;

beforeAll(async () => {
  plain = await TestGateway.start();
  const tables = { version: 'tables-1', neighbours: { i3: ['i15', 'i16'], i15: ['i3'] }, popular: ['i7', 'i8', 'i9'] };
  trained = await TestGateway.start({}, async (dataDir) => {
    await writeTablesBundle(dataDir, tables);
  });
  for (const shop of [plain, trained]) await shop.ask('PUT', '/v1/items', { items: ITEMS });
});
afterAll(async () => {
  await plain.stop();
  await trained.stop();
});
beforeEach(() => {
  visitor = `v${visitors++}`;
});

const recommend = (shop: TestGateway, request: RecommendRequest, encoding: Encoding = 'json') =>
  shop.ask<RecommendResponse>('POST', '/v1/recommend', request, { encoding });
const idsOf = ({ body }: { body: RecommendResponse }): string[] => body.items.map(({ item_id }) => item_id);
const say = async (shop: TestGateway, name: string, itemId: string, who: Record<string, string>): Promise<void> => {
  const event = { event_id: `${name}-${itemId}-${visitor}`, name, items: [{ item_id: itemId }], ...who };
  expect((await shop.ask('POST', '/v1/events', { events: [event] })).status).toBe(200);
};

describe.each<Encoding>(['json', 'msgpack'])('in %s', (encoding) => {
  test('a cold user without a bundle gets a full answer that says it is degraded', async () => {
    const answer = await recommend(plain, { user_id: visitor, limit: 5 }, encoding);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ placement: 'home', bundle: null, degraded: true, degraded_by: ['bundle_missing'] });
    expect(new Set(idsOf(answer)).size).toBe(5);
    for (const item of answer.body.items) {
      expect(item.sources.length).toBeGreaterThan(0);
      expect(item.reason).not.toBe('');
      expect(Number.isFinite(item.score)).toBe(true);
    }
  });

  test('an answer names the bundle that gave it, and what it was made without', async () => {
    const { body } = await recommend(trained, { limit: 3 }, encoding);
    expect(body).toMatchObject({ bundle: 'tables-1', degraded: true, degraded_by: ['source_user_vector'] });
  });
});

test('an anonymous session is followed from its first click', async () => {
  const request = { session_id: visitor, limit: 4 };
  expect(idsOf(await recommend(trained, request))).not.toContain('i15');
  await say(trained, 'view_item', 'i3', { session_id: visitor });
  const { body } = await recommend(trained, request);
  expect(body.items[0]).toMatchObject({ item_id: 'i15', reason: 'Because you viewed Item 3' });
  expect(body.items[0]!.sources).toContain('item_to_item');
  expect(body.items[1]!.item_id).toBe('i16');
  expect(idsOf(await recommend(trained, { session_id: `${visitor}-other`, limit: 4 }))).not.toContain('i15');
});

test('the item on the page leads to its neighbours, and is not shown itself', async () => {
  const ids = idsOf(await recommend(trained, { placement: 'product', item_id: 'i3', limit: 8 }));
  expect(ids[0]).toBe('i15');
  expect(ids).not.toContain('i3');
  expect((await recommend(trained, { placement: 'product', item_id: 'never-heard-of' })).body.items.length).toBe(8);
});

test('filters hold: category, exclude, stock, and all of them together leave what is left', async () => {
  const ofCategory = idsOf(await recommend(plain, { category: 'c1', limit: 100 }));
  expect(ofCategory.sort()).toEqual(['i1', 'i13', 'i17', 'i5', 'i9']);
  const rest = idsOf(await recommend(plain, { category: 'c1', exclude: ['i1', 'i5', 'never-heard-of'], item_id: 'i9', limit: 100 }));
  expect(rest.sort()).toEqual(['i13', 'i17']);
  expect(idsOf(await recommend(plain, { category: 'no-such' }))).toEqual([]);
  await plain.ask('PATCH', '/v1/items', { items: [{ item_id: 'i13', stock: 0 }] });
  expect(idsOf(await recommend(plain, { category: 'c1', exclude: ['i1', 'i5', 'i9'] }))).toEqual(['i17']);
  await plain.ask('PATCH', '/v1/items', { items: [{ item_id: 'i13', stock: 9 }] });
});

test('what was bought is left out at once where the placement says so, and offered again where it does not', async () => {
  const user = { user_id: visitor };
  await say(plain, 'purchase', 'i7', user);
  expect(idsOf(await recommend(plain, { ...user, placement: 'home', limit: 12 }))).not.toContain('i7');
  const again = await recommend(plain, { ...user, placement: 'again' });
  expect(again.body.items[0]).toMatchObject({ item_id: 'i7', reason: 'Because you bought it before' });
  // Rather what was bought than nothing.
  expect(idsOf(await recommend(plain, { ...user, placement: 'home', limit: 100 }))).toContain('i7');
});

test('never empty while anything may be sold, and empty without an error when nothing may', async () => {
  const small = await TestGateway.start();
  try {
    expect(await recommend(small, { user_id: visitor })).toMatchObject({ status: 200, body: { items: [] } });
    await small.ask('PUT', '/v1/items', { items: [{ item_id: 'only' }, { item_id: 'gone', stock: 0 }] });
    for (const placement of ['home', 'product', 'cart', 'search', 'again']) {
      expect(idsOf(await recommend(small, { placement, user_id: visitor }))).toEqual(['only']);
    }
    await small.ask('DELETE', '/v1/items', { item_ids: ['only'] });
    expect(idsOf(await recommend(small, {}))).toEqual([]);
  } finally {
    await small.stop();
  }
});

test('an unknown placement is answered by the default one, which the answer names', async () => {
  expect((await recommend(plain, { placement: 'no-such', limit: 3 })).body).toMatchObject({ placement: 'home' });
  expect((await recommend(plain, { placement: 'cart' })).body).toMatchObject({ placement: 'cart' });
});

test('GET says the same as POST', async () => {
  const query = `placement=product&item_id=i3&user_id=${visitor}&limit=4&category=c3&explain=true`;
  const got = await trained.ask<RecommendResponse>('GET', `/v1/recommend?${query}`);
  const posted = await recommend(trained, { placement: 'product', item_id: 'i3', user_id: visitor, limit: 4, category: 'c3', explain: true });
  expect(got.status).toBe(200);
  expect(got.body.items).toEqual(posted.body.items);
  expect(got.body.items.length).toBe(4);
});

test.each([
  ['limit=0', '/limit'],
  ['limit=', '/limit'],
  ['limit=abc', '/limit'],
  ['limit=1e400', '/limit'],
  ['limit=5&limit=6', '/limit'],
  ['explain=perhaps', '/explain'],
  ['exclude=i1', '/exclude'],
  ['__proto__=x', '/__proto__'],
  ['constructor=x', ''],
  ['user_id=%20', '/user_id'],
  ['user_id=a%00b', '/user_id'],
  ['country=germany', '/country'],
  ['nonsense=1', ''],
])('GET with ?%s is refused', async (query, path) => {
  const answer = await plain.ask<{ errors: { path: string }[] }>('GET', `/v1/recommend?${query}`);
  expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_request' });
  expect(answer.body.errors.map((error) => error.path)).toContain(path);
});

test('a page may ask with a publishable key, and what it was shown is journalled under the id of the answer', async () => {
  const headers = { origin: ORIGIN };
  const { body } = await plain.ask<RecommendResponse>('POST', '/v1/recommend', { user_id: visitor, limit: 2 }, { key: PUBLISHABLE_KEY, headers });
  await plain.gateway.store.flush();
  const fact = (await plain.facts('recommendation')).find(({ response }) => response.recommendation_id === body.recommendation_id);
  expect(fact?.request).toEqual({ user_id: visitor, limit: 2 });
  expect(fact?.response).toEqual(body);
});

test('what is tried out is journalled with its chances, and never shown to the shopper', async () => {
  const placement = {
    ...DEFAULT_PLACEMENTS[0]!,
    exploration: { policy: 'epsilon_greedy', epsilon: 1, by: 'slot', among: 'all', slots: 3, pool: 10 },
  };
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-placements-'));
  const placementsFile = join(dir, 'placements.json');
  await writeFile(placementsFile, JSON.stringify([placement]));
  const shop = await TestGateway.start({ placementsFile });
  try {
    await shop.ask('PUT', '/v1/items', { items: ITEMS });
    const { body } = await recommend(shop, { user_id: visitor, limit: 6 });
    expect(Object.keys(body)).not.toContain('exploration');
    await shop.gateway.store.flush();
    const [fact] = await shop.facts('recommendation');
    expect(fact?.took_ms).toBeGreaterThan(0);
    const log = fact!.exploration!;
    expect(log.policy).toEqual(placement.exploration);
    expect(log.propensities).toHaveLength(6);
    for (const { item_id } of body.items) expect(log.items).toContain(item_id);
    // All three places are drawn from the ten of the pool that do not stand in the first three.
    expect(log.propensities).toEqual([1, 1, 1, 1 / 7, 1 / 7, 1 / 7].map((p) => expect.closeTo(p, 12)));
  } finally {
    await shop.stop();
    await rm(dir, { recursive: true });
  }
});

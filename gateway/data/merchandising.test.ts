import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EditorialListsResponse } from '../../contracts/merchandising.ts';
import type { PlacementEntry, PlacementsResponse } from '../../contracts/placement.ts';
import type { RecommendPageResponse, RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import type { RecommendTrace } from '../../contracts/recommend-trace.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../../scoring/recommend/placements.ts';
import { ADMIN_TOKEN, ORIGIN, PUBLISHABLE_KEY, problemOf, TestGateway, writeTablesBundle } from './data.suite.ts';

// What merchandisers and shoppers wish, through both planes.

const ITEMS = Array.from({ length: 20 }, (_, i) => ({
  item_id: `i${i}`,
  category: `c${i % 4}`,
  brand: i < 12 ? 'big' : 'small',
  title: `Item ${i}`,
  created_ms: 1_600_000_000_000 + i,
}));
const WISHES: Placement = {
  ...DEFAULT_PLACEMENTS[0]!,
  id: 'wishes',
  limit: 6,
  diversity: 0,
  new_share: 0,
  exploration: { policy: 'none' },
  pins: [{ item_id: 'i19', position: 1 }],
  boosts: [{ filter: [{ field: 'category', in: ['c2'] }], weight: 1 }],
  caps: [{ field: 'brand', max: 3 }],
};
let shop: TestGateway;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-placements-'));
  const placementsFile = join(dir, 'placements.json');
  await writeFile(placementsFile, JSON.stringify([...DEFAULT_PLACEMENTS, WISHES]));
  shop = await TestGateway.start({ placementsFile }, async (dataDir) => {
    await writeTablesBundle(dataDir, { version: 'tables-1', neighbours: { i3: ['i15', 'i16'] }, popular: ['i7', 'i8', 'i9', 'i10'] });
  });
  await shop.ask('PUT', '/v1/items', { items: ITEMS });
});
afterAll(async () => {
  await shop.stop();
  await rm(dir, { recursive: true });
});

const recommend = async (request: RecommendRequest) => (await shop.ask<RecommendResponse>('POST', '/v1/recommend', request)).body;
const idsOf = ({ items }: RecommendResponse): string[] => items.map(({ item_id }) => item_id);
async function control<T>(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }> {
  const response = await fetch(`http://127.0.0.1:${shop.gateway.controlPort}${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

test('a page tells what a shopper does not want, with its publishable key, and the very next answer keeps to it', async () => {
  const who = { user_id: 'picky', limit: 20 };
  expect(idsOf(await recommend(who))).toContain('i8');
  const event = (name: string) => ({ events: [{ event_id: `${name}-i8`, name, user_id: 'picky', items: [{ item_id: 'i8' }] }] });
  const sent = await shop.ask('POST', '/v1/events', event('hide_item'), { key: PUBLISHABLE_KEY, headers: { origin: ORIGIN } });
  expect(sent.status).toBe(200);
  expect(idsOf(await recommend(who))).not.toContain('i8');
  expect(idsOf(await recommend({ user_id: 'other', limit: 20 }))).toContain('i8');
  await shop.ask('POST', '/v1/events', event('unhide_item'));
  expect(idsOf(await recommend(who))).toContain('i8');
  const nothing = await shop.ask('POST', '/v1/events', { events: [{ event_id: 'h', name: 'hide_item', user_id: 'picky' }] });
  expect(problemOf(nothing)).toEqual({ status: 422, code: 'invalid_request' });
});

test('a placement’s pins, boosts and caps shape the answer', async () => {
  const { items } = await recommend({ placement: 'wishes' });
  expect(items[0]).toMatchObject({ item_id: 'i19' });
  expect(items[0]!.sources).toContain('pinned');
  expect(items.filter(({ item_id }) => Number(item_id.slice(1)) < 12)).toHaveLength(3);
  expect(Number(items[1]!.item_id.slice(1)) % 4).toBe(2);
  await shop.ask('PATCH', '/v1/items', { items: [{ item_id: 'i19', stock: 0 }] });
  expect(idsOf(await recommend({ placement: 'wishes' }))).not.toContain('i19');
  await shop.ask('PATCH', '/v1/items', { items: [{ item_id: 'i19', stock: 5 }] });
});

test('explain is answered to servers alone, and not journalled', async () => {
  const headers = { origin: ORIGIN };
  const asked = { user_id: 'curious', limit: 3, explain: true };
  expect(problemOf(await shop.ask('POST', '/v1/recommend', asked, { key: PUBLISHABLE_KEY, headers }))).toEqual({ status: 403, code: 'forbidden' });
  const got = await shop.ask<RecommendResponse>('GET', '/v1/recommend?user_id=curious&limit=3&explain=true');
  const answer = await recommend(asked);
  for (const { items } of [answer, got.body]) {
    for (const { explanation, score } of items) {
      expect(explanation).toMatchObject({ by: 'blend', base: 0, model_score: score });
      expect(explanation!.contributions![0]).toMatchObject({ feature: 'popular', text: expect.stringContaining('popularity score') });
    }
  }
  await shop.gateway.store.flush();
  const fact = (await shop.facts('recommendation')).find(({ response }) => response.recommendation_id === answer.recommendation_id)!;
  expect(fact.response.items).toEqual(answer.items.map(({ explanation: _, ...item }) => item));
});

test('an editorial list shows in the very next answer, is audited, and goes', async () => {
  const list = { title: 'Staff picks', placements: ['product'], item_ids: ['i2', 'i12'] };
  const made = await control<object>('PUT', '/v1/editorial-lists/staff', list);
  expect(made).toMatchObject({ status: 200, body: { list_id: 'staff', ...list, updated_by: expect.any(String) } });
  const chosen = async () => (await recommend({ placement: 'product', limit: 20 })).items.filter(({ sources }) => sources.includes('editorial'));
  const found = await chosen();
  expect(found.map(({ item_id }) => item_id).sort()).toEqual(['i12', 'i2']);
  expect(found[0]!.reason).toBe('Chosen by our editors');
  expect((await recommend({ placement: 'home', limit: 20 })).items.flatMap(({ sources }) => sources)).not.toContain('editorial');
  expect((await control<EditorialListsResponse>('GET', '/v1/editorial-lists')).body.lists).toEqual([made.body]);
  expect((await control<EditorialListsResponse>('DELETE', '/v1/editorial-lists/staff')).body).toEqual({ lists: [] });
  expect(await chosen()).toEqual([]);
  const actions = (await shop.facts('admin')).map(({ action }) => action).filter((action) => action.startsWith('editorial.'));
  expect(actions).toEqual(['editorial.put', 'editorial.remove']);
});

test.each<[string, unknown, string]>([
  ['without a placement', { title: 'x', placements: [], item_ids: [] }, '/placements'],
  ['of too many items', { title: 'x', placements: ['home'], item_ids: Array.from({ length: 401 }, (_, i) => `i${i}`) }, '/item_ids'],
  ['with what it has not', { title: 'x', placements: ['home'], item_ids: [], colour: 'red' }, '/'],
])('an editorial list %s is refused', async (_, list, path) => {
  const refused = await control<{ code: string; errors: { path: string }[] }>('PUT', '/v1/editorial-lists/bad', list);
  expect(refused).toMatchObject({ status: 422, body: { code: 'invalid_request' } });
  expect(refused.body.errors.map((error) => error.path)).toContain(path);
});

test('a look into an answer tells what every stage did; it is audited without the person’s id, and shown to nobody', async () => {
  await shop.ask('POST', '/v1/events', { events: [{ event_id: 'seen', name: 'view_item', user_id: 'watched', items: [{ item_id: 'i3' }] }] });
  const before = (await shop.facts('recommendation')).length;
  const request = { user_id: 'watched', placement: 'wishes', exclude: ['i7'] };
  const { status, body } = await control<RecommendTrace>('POST', '/v1/recommend/inspect', request);
  expect(status).toBe(200);
  expect(idsOf(body.response)).toEqual(idsOf(await recommend(request)));
  expect(body.response.items[0]!.explanation).toBeDefined();
  const popular = body.sources.find(({ source }) => source === 'popular')!;
  expect(popular).toMatchObject({ outcome: 'answered', cap: 40, refused: expect.arrayContaining([{ item_id: 'i7', reason: 'excluded' }]) });
  expect(body.sources.find(({ source }) => source === 'item_to_item')!.found).toEqual(['i15', 'i16']);
  expect(body.sources.find(({ source }) => source === 'user_vector')!.outcome).toBe('missing');
  expect(body.candidates.map(({ dropped_by }) => dropped_by)).toContain('cap_brand');
  expect(body.candidates.filter(({ place }) => place !== null)).toHaveLength(6);
  await shop.gateway.store.flush();
  expect(await shop.facts('recommendation')).toHaveLength(before + 1);
  const audited = (await shop.facts('admin')).filter(({ action }) => action === 'recommend.inspect');
  expect(audited).toHaveLength(1);
  expect(audited[0]!.detail['placement']).toBe('wishes');
  expect(JSON.stringify(audited)).not.toContain('watched');
});

test('placements of a page are answered at once, each in its own way, and no item is in two of them', async () => {
  const asked = {
    user_id: 'pager',
    exclude: ['i7'],
    placements: [
      { placement: 'wishes' },
      { placement: 'product', item_id: 'i3', limit: 4 },
      { placement: 'home', limit: 20, filter: [{ field: 'brand', in: ['small'] }] },
    ],
  };
  const { status, body } = await shop.ask<RecommendPageResponse>('POST', '/v1/recommend/page', asked, {
    key: PUBLISHABLE_KEY,
    headers: { origin: ORIGIN },
  });
  expect(status).toBe(200);
  expect(body.answers.map(({ placement, items }) => [placement, items.length])).toEqual([
    ['wishes', 6],
    ['product', 4],
    ['home', expect.any(Number)],
  ]);
  const ids = body.answers.flatMap(idsOf);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).not.toContain('i7');
  expect(idsOf(body.answers[1]!)).not.toContain('i3');
  expect(idsOf(body.answers[1]!)).toContain('i15');
  // All of the small brand that the first two leave.
  const left = ITEMS.filter(({ brand, item_id }) => brand === 'small' && !body.answers.slice(0, 2).flatMap(idsOf).includes(item_id));
  expect(idsOf(body.answers[2]!).sort()).toEqual(left.map(({ item_id }) => item_id).sort());
  await shop.gateway.store.flush();
  const journalled = (await shop.facts('recommendation')).map(({ response }) => response.recommendation_id);
  for (const { recommendation_id } of body.answers) expect(journalled).toContain(recommendation_id);
  for (const placements of [[], Array.from({ length: 11 }, () => ({ placement: 'home' })), [{}]])
    expect(problemOf(await shop.ask('POST', '/v1/recommend/page', { placements }))).toEqual({ status: 422, code: 'invalid_request' });
});

test('sources are timed by what they did', async () => {
  await recommend({ user_id: 'timed' });
  const response = await fetch(`http://127.0.0.1:${shop.gateway.controlPort}/metrics`);
  const text = await response.text();
  const count = (labels: string): number =>
    Number(new RegExp(`gatehouse_candidate_source_duration_seconds_count{${labels}} (\\d+)`).exec(text)?.[1] ?? 0);
  expect(count('source="popular",outcome="answered"')).toBeGreaterThan(0);
  expect(count('source="user_vector",outcome="missing"')).toBeGreaterThan(0);
});

test('a placement that is changed live holds from the very next answer, is audited, and goes back to that of the settings', async () => {
  const { id, ...fields } = WISHES;
  const before = idsOf(await recommend({ placement: id }));
  const when = 'item.brand == "small" || item.item_id == "i1"';
  const changed = await control<PlacementEntry>('PUT', `/v1/placements/${id}`, {
    ...fields,
    limit: 3,
    pins: [{ item_id: 'i1', position: 2 }],
    caps: [],
    when,
  });
  expect(changed).toMatchObject({ status: 200, body: { origin: 'live', updated_by: expect.any(String), placement: { id, limit: 3 } } });
  const after = idsOf(await recommend({ placement: id }));
  expect(after).toHaveLength(3);
  expect(after[1]).toBe('i1');
  for (const item of after.filter((one) => one !== 'i1')) expect(ITEMS.find(({ item_id }) => item_id === item)!.brand).toBe('small');
  expect((await control<PlacementEntry>('GET', `/v1/placements/${id}`)).body).toEqual(changed.body);
  const listed = (await control<PlacementsResponse>('GET', '/v1/placements')).body.placements;
  expect(listed.map(({ placement }) => placement.id)).toEqual([...DEFAULT_PLACEMENTS.map((one) => one.id), id]);
  expect(listed.filter(({ origin }) => origin === 'live')).toEqual([changed.body]);
  const back = await control<PlacementsResponse>('DELETE', `/v1/placements/${id}`);
  expect(back.body.placements.map(({ origin }) => origin)).not.toContain('live');
  expect(idsOf(await recommend({ placement: id }))).toEqual(before);
  expect(await control('DELETE', `/v1/placements/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  expect(await control('GET', '/v1/placements/nowhere')).toMatchObject({ status: 404, body: { code: 'not_found' } });
  const actions = (await shop.facts('admin')).map(({ action }) => action).filter((action) => action.startsWith('placement.'));
  expect(actions).toEqual(['placement.put', 'placement.remove']);
});

test('a placement that no file has answers under its own name, and the fallback answers once it is gone', async () => {
  const { id: _, ...fields } = WISHES;
  await control('PUT', '/v1/placements/attic', fields);
  expect((await recommend({ placement: 'attic' })).placement).toBe('attic');
  await control('DELETE', '/v1/placements/attic');
  expect((await recommend({ placement: 'attic' })).placement).toBe('home');
});

test.each<[string, Record<string, unknown>, string]>([
  ['with a field that it has not', { colour: 'red' }, '/'],
  ['with too long an answer', { limit: 1000 }, '/limit'],
  ['with an id besides that of the address', { id: 'home' }, '/'],
])('a placement %s is refused', async (_, fields, path) => {
  const { id: __, ...whole } = WISHES;
  const refused = await control<{ code: string; errors: { path: string }[] }>('PUT', '/v1/placements/wishes', { ...whole, ...fields });
  expect(refused).toMatchObject({ status: 422, body: { code: 'invalid_request' } });
  expect(refused.body.errors.map((error) => error.path)).toContain(path);
});

test('an experiment goes on over a changed placement, and stands in the way of one that its variants do not go with', async () => {
  const { id, ...fields } = WISHES;
  const slots = [{ share: 1, source: 'new' }];
  const variants = [
    { name: 'control', weight: 1, overrides: {} },
    { name: 'pinless', weight: 1, overrides: { pins: [], slots } },
  ];
  await control('POST', '/v1/experiments', { experiment_id: 'pins', placement: id, variants });
  await control('POST', '/v1/experiments/pins/start');
  const visitors = Array.from({ length: 12 }, (_, i) => `visitor-${i}`);
  const answers = () => Promise.all(visitors.map((user_id) => recommend({ user_id, placement: id })));
  const before = await answers();
  expect(new Set(before.map(({ experiment }) => experiment!.variant)).size).toBe(2);
  expect((await control('PUT', `/v1/placements/${id}`, { ...fields, limit: 4 })).status).toBe(200);
  const after = await answers();
  expect(after.map(({ experiment }) => experiment)).toEqual(before.map(({ experiment }) => experiment));
  for (const answer of after) expect(answer.items).toHaveLength(4);
  for (const answer of after.filter(({ experiment }) => experiment!.variant === 'pinless'))
    expect(answer.items.flatMap(({ sources }) => sources)).not.toContain('pinned');
  await control('PUT', '/v1/placements/attic', fields);
  await control('POST', '/v1/experiments', { experiment_id: 'attic', placement: 'attic', variants });
  await control('POST', '/v1/experiments/attic/start');
  expect(await control('DELETE', '/v1/placements/attic')).toMatchObject({ status: 409, body: { code: 'experiment_conflict' } });
  for (const experiment of ['pins', 'attic']) await control('POST', `/v1/experiments/${experiment}/stop`, { reason: 'enough' });
  for (const placement of ['attic', id]) expect((await control('DELETE', `/v1/placements/${placement}`)).status).toBe(200);
});

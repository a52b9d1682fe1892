import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { ContentFile } from '../../contracts/bundle.ts';
import type { RecommendRequest, RecommendResponse } from '../../contracts/recommend.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../../scoring/recommend/placements.ts';
import { TestGateway, writeTablesBundle } from './data.suite.ts';

// Guarantee 3 (fresh), for the content of items: an item is like others from the moment that it is acknowledged.

const CONTENT: ContentFile = { dimensions: 128, idf: new Uint8Array(new Float32Array(256).fill(1).buffer), idf_unseen: 1 };
const ALIKE: Placement = {
  ...DEFAULT_PLACEMENTS[1]!,
  id: 'alike',
  limit: 3,
  sources: { user_vector: 0, item_to_item: 0, buy_again: 0, popular: 0, new: 0, content: 3 },
};
const KITCHEN = ['teapot', 'kettle', 'jug', 'pan'].map((name) => ({ item_id: name, title: `Blue ${name}`, category: 'kitchen', brand: 'ora' }));
const SHOES = Array.from({ length: 30 }, (_, i) => ({ item_id: `shoe${i}`, title: `Boots ${i}`, category: 'shoes', brand: `alpo${i}` }));

let shop: TestGateway;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-placements-'));
  const placementsFile = join(dir, 'placements.json');
  await writeFile(placementsFile, JSON.stringify([...DEFAULT_PLACEMENTS, ALIKE]));
  shop = await TestGateway.start({ placementsFile }, async (dataDir) => {
    await writeTablesBundle(dataDir, { version: 'content-1', neighbours: {}, popular: ['shoe1'], content: CONTENT });
  });
  await put([...KITCHEN, ...SHOES]);
});
afterAll(async () => {
  await shop.stop();
  await rm(dir, { recursive: true });
});

const put = (items: readonly object[]) => shop.ask('PUT', '/v1/items', { items });
async function alike(request: RecommendRequest) {
  const { body } = await shop.ask<RecommendResponse>('POST', '/v1/recommend', { placement: 'alike', ...request });
  expect(body.degraded).toBe(false);
  return body.items.filter(({ sources }) => sources.includes('content'));
}
const idsOf = (items: Awaited<ReturnType<typeof alike>>): string[] => items.map(({ item_id }) => item_id).sort();
/** The index is filled beside the requests. */
const opened = () => vi.waitFor(async () => expect(await alike({ item_id: 'teapot' })).toHaveLength(3), { timeout: 60_000, interval: 20 });

test('an item put a moment ago stands beside its siblings in the very next answer, changed, and gone at once', async () => {
  await opened();
  expect(idsOf(await alike({ item_id: 'teapot' }))).toEqual(['jug', 'kettle', 'pan']);
  await put([{ item_id: 'urn', title: 'Blue urn teapot', category: 'kitchen', brand: 'ora' }]);
  const found = await alike({ item_id: 'teapot' });
  expect(idsOf(found)).toContain('urn');
  expect(found.map(({ reason }) => reason)).toEqual(new Array(3).fill('Similar to Blue teapot'));
  expect(idsOf(await alike({ item_id: 'urn' }))).toContain('teapot');
  await shop.ask('PATCH', '/v1/items', { items: [{ item_id: 'urn', title: 'Boots 40', category: 'shoes', brand: 'alpo1' }] });
  expect(idsOf(await alike({ item_id: 'teapot' }))).toEqual(['jug', 'kettle', 'pan']);
  expect(idsOf(await alike({ item_id: 'shoe1' }))).toContain('urn');
  await shop.ask('DELETE', '/v1/items', { item_ids: ['urn'] });
  expect(idsOf(await alike({ item_id: 'shoe1' }))).not.toContain('urn');
});

test('a visitor without a page gets what is like their last item, behind the request’s filter', async () => {
  await opened();
  const event = { event_id: 'v1', name: 'view_item', session_id: 'visit', items: [{ item_id: 'kettle' }] };
  await shop.ask('POST', '/v1/events', { events: [event] });
  const found = await alike({ session_id: 'visit', exclude: ['kettle'], filter: [{ field: 'brand', in: ['ora'] }] });
  expect(idsOf(found)).toEqual(['jug', 'pan', 'teapot']);
  expect(found[0]!.reason).toBe('Similar to Blue kettle');
});

test('a shop without a bundle answers by content too', async () => {
  const young = await TestGateway.start();
  try {
    await young.ask('PUT', '/v1/items', { items: [...KITCHEN, ...SHOES] });
    await young.ask('POST', '/v1/events', {
      events: [
        { event_id: 'v1', name: 'view_item', session_id: 'visit', items: [{ item_id: 'kettle' }] },
        { event_id: 'v2', name: 'view_item', session_id: 'other', items: [{ item_id: 'shoe29' }] },
      ],
    });
    await vi.waitFor(
      async () => {
        const { body } = await young.ask<RecommendResponse>('POST', '/v1/recommend', { placement: 'home', session_id: 'visit', limit: 8 });
        // Before what is new and nobody asked for, and among what others look at.
        expect(body.items.map(({ item_id }) => item_id)).toEqual(expect.arrayContaining(['teapot', 'jug', 'pan', 'shoe29']));
        expect(body.items.filter(({ sources }) => sources.includes('content')).length).toBeGreaterThanOrEqual(3);
        expect(body).toMatchObject({ degraded: true, degraded_by: ['bundle_missing'] });
      },
      { timeout: 60_000, interval: 20 },
    );
  } finally {
    await young.stop();
  }
});

import { beforeEach, expect, test } from 'vitest';
import type { EditorialListRequest } from '../contracts/merchandising.ts';
import { createAudit } from './audit.ts';
import { DocsStore } from './auth/docs.suite.ts';
import { EDITORIAL_LISTS_MAX, type EditorialLists, openEditorial } from './editorial.ts';
import { Metrics } from './metrics.ts';

const NOW = 1_700_000_000_000;
const metrics = new Metrics();
const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const of = (item_ids: string[], more: Partial<EditorialListRequest> = {}): EditorialListRequest => ({
  title: 'Summer',
  placements: ['home'],
  item_ids,
  ...more,
});

let documents: Map<string, Map<string, unknown>>;
let store: DocsStore;
let editorial: EditorialLists;
const open = (on: DocsStore): Promise<EditorialLists> =>
  openEditorial({
    store: on,
    audit: createAudit({ store: on, log: quiet, metrics, now: () => NOW }),
    now: () => NOW,
    onError: (error) => {
      throw error;
    },
  });
beforeEach(async () => {
  documents = new Map();
  store = new DocsStore(documents);
  editorial = await open(store);
});

test('lists are heard in the order of their ids, each in its own order and in its time', async () => {
  await editorial.put('b', of(['i3', 'i1']), 'anna');
  await editorial.put('a', of(['i9'], { placements: ['home', 'cart', 'home'] }), 'anna');
  await editorial.put('c', of(['i5'], { from_ms: NOW + 10, until_ms: NOW + 20 }), 'anna');
  expect(editorial.picks('home', NOW)).toEqual(['i9', 'i3', 'i1']);
  expect(editorial.picks('home', NOW + 10)).toEqual(['i9', 'i3', 'i1', 'i5']);
  expect(editorial.picks('home', NOW + 20)).toEqual(['i9', 'i3', 'i1']);
  expect(editorial.picks('cart', NOW)).toEqual(['i9']);
  expect(editorial.picks('product', NOW)).toEqual([]);
});

test('a list is replaced whole, removed, and is the same after a restart', async () => {
  await editorial.put('a', of(['i1'], { until_ms: NOW + 5 }), 'anna');
  const made = await editorial.put('a', of(['i2']), 'bert');
  expect(made).toEqual({ list_id: 'a', title: 'Summer', placements: ['home'], item_ids: ['i2'], updated_ms: NOW, updated_by: 'bert' });
  const again = await open(new DocsStore(documents));
  expect(again.list()).toEqual({ lists: [made] });
  expect(again.picks('home', NOW)).toEqual(['i2']);
  await editorial.remove('a', 'anna');
  expect(editorial.picks('home', NOW)).toEqual([]);
  await expect(editorial.remove('a', 'anna')).rejects.toMatchObject({ code: 'not_found' });
  expect((await open(new DocsStore(documents))).list()).toEqual({ lists: [] });
});

test('another process learns of a change through the journal; one that the store refuses changes nothing', async () => {
  const other = new DocsStore(documents);
  const beside = await open(other);
  await editorial.put('a', of(['i1']), 'anna');
  other.foreign(store.facts.at(-1)!);
  await expect.poll(() => beside.picks('home', NOW)).toEqual(['i1']);
  store.failure = new Error('disk');
  await expect(editorial.put('a', of(['i2']), 'anna')).rejects.toThrow('disk');
  await expect(editorial.remove('a', 'anna')).rejects.toThrow('disk');
  expect(editorial.picks('home', NOW)).toEqual(['i1']);
  store.failure = undefined;
  await editorial.remove('a', 'anna');
  other.foreign(store.facts.at(-1)!);
  await expect.poll(() => beside.picks('home', NOW)).toEqual([]);
});

test('what cannot be is refused, and the list is as before', async () => {
  await editorial.put('a', of(['i1']), 'anna');
  await expect(editorial.put('a', of(['i2'], { from_ms: 5, until_ms: 5 }), 'anna')).rejects.toMatchObject({ code: 'invalid_request' });
  expect(editorial.picks('home', NOW)).toEqual(['i1']);
  for (let i = 1; i < EDITORIAL_LISTS_MAX; i++) await editorial.put(`l${i}`, of([]), 'anna');
  await expect(editorial.put('one-more', of([]), 'anna')).rejects.toMatchObject({ code: 'editorial_lists_full' });
  await editorial.put('a', of(['i3']), 'anna');
  expect(editorial.picks('home', NOW)).toEqual(['i3']);
});

import { beforeEach, expect, test } from 'vitest';
import { GatehouseError } from '../contracts/errors.ts';
import { PLACEMENTS_MAX, type PlacementRequest } from '../contracts/placement.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../scoring/recommend/placements.ts';
import { createAudit } from './audit.ts';
import { DocsStore } from './auth/docs.suite.ts';
import { Metrics } from './metrics.ts';
import { openPlacements, PLACEMENTS_COLLECTION, type Placements, storedPlacement } from './placements.ts';

const NOW = 1_700_000_000_000;
const metrics = new Metrics();
const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const [HOME, PRODUCT] = [DEFAULT_PLACEMENTS[0]!, DEFAULT_PLACEMENTS[1]!];
const requestOf = ({ id: _, ...fields }: Placement, more: Partial<PlacementRequest> = {}): PlacementRequest => ({ ...fields, ...more });
const SHORT = requestOf(HOME, { limit: 3 });

let documents: Map<string, Map<string, unknown>>;
let store: DocsStore;
let placements: Placements;
let told: (readonly Placement[])[];
let errors: unknown[];
let running: string | undefined;
const open = (on: DocsStore): Promise<Placements> =>
  openPlacements({
    base: [PRODUCT, HOME],
    store: on,
    audit: createAudit({ store: on, log: quiet, metrics, now: () => NOW }),
    now: () => NOW,
    requireFits(id) {
      if (id === running) throw new GatehouseError('experiment_conflict', 'an experiment runs there');
    },
    onChange: (all) => told.push(all),
    onError: (error) => errors.push(error),
  });
beforeEach(async () => {
  [documents, told, errors, running] = [new Map(), [], [], undefined];
  store = new DocsStore(documents);
  placements = await open(store);
});

test('a change lies over the placement of the settings, also after a restart, and is taken back', async () => {
  expect(placements.entry('home')).toEqual({ placement: HOME, origin: 'settings' });
  const made = await placements.put('home', SHORT, 'anna');
  expect(made).toEqual({ placement: { ...HOME, limit: 3 }, origin: 'live', updated_ms: NOW, updated_by: 'anna' });
  expect(placements.get('home')).toEqual({ ...HOME, limit: 3 });
  expect(await storedPlacement(store, 'home')).toEqual({ ...HOME, limit: 3 });
  expect(await storedPlacement(store, 'product')).toBeUndefined();
  const again = await open(new DocsStore(documents));
  expect(again.list()).toEqual({ placements: [{ placement: PRODUCT, origin: 'settings' }, made] });
  await placements.remove('home', 'bert');
  expect(placements.get('home')).toEqual(HOME);
  await expect(placements.remove('home', 'bert')).rejects.toMatchObject({ code: 'not_found' });
  expect((await open(new DocsStore(documents))).get('home')).toEqual(HOME);
  expect(store.facts).toMatchObject([
    { kind: 'admin', actor: 'anna', action: 'placement.put', detail: { placement_id: 'home', fields: ['limit'] } },
    { kind: 'admin', actor: 'bert', action: 'placement.remove', detail: { placement_id: 'home' } },
  ]);
});

test('new placements stand behind those of the settings; what a request gets without one follows the changes', async () => {
  for (const id of ['zoo', 'attic']) await placements.put(id, SHORT, 'anna');
  await placements.put('product', requestOf(PRODUCT, { limit: 2 }), 'anna');
  expect(placements.all().map(({ id }) => id)).toEqual(['product', 'home', 'attic', 'zoo']);
  expect(told.at(-1)).toEqual(placements.all());
  expect(placements.fallback()).toBe(placements.get('home'));
  await placements.put('home', SHORT, 'anna');
  expect(placements.fallback().limit).toBe(3);
  await placements.remove('attic', 'anna');
  expect(placements.get('attic')).toBeUndefined();
  expect(() => placements.entry('attic')).toThrow('not_found');
});

test('another process learns of a change through the journal; one that the store refuses changes nothing', async () => {
  const other = new DocsStore(documents);
  const beside = await open(other);
  await placements.put('home', SHORT, 'anna');
  other.foreign(store.facts.at(-1)!);
  await expect.poll(() => beside.get('home')!.limit).toBe(3);
  store.failure = new Error('disk');
  await expect(placements.put('home', requestOf(HOME, { limit: 5 }), 'anna')).rejects.toThrow('disk');
  await expect(placements.remove('home', 'anna')).rejects.toThrow('disk');
  expect(placements.get('home')!.limit).toBe(3);
  store.failure = undefined;
  await placements.remove('home', 'anna');
  other.foreign(store.facts.at(-1)!);
  await expect.poll(() => beside.get('home')!.limit).toBe(HOME.limit);
});

test.each<[string, Partial<PlacementRequest>]>([
  ['a rule that does not compile', { when: 'item.price <' }],
  ['slots of more than the whole', { slots: [0.6, 0.6].map((share) => ({ share, source: 'new' })) }],
  ['a pin that ends before it begins', { pins: [{ item_id: 'i1', position: 1, from_ms: 5, until_ms: 5 }] }],
])('%s is refused, and the placement is as before', async (_, fields) => {
  await expect(placements.put('home', requestOf(HOME, fields), 'anna')).rejects.toMatchObject({ code: 'invalid_request' });
  expect(placements.get('home')).toEqual(HOME);
  expect(store.facts).toEqual([]);
});

test('there are no more than fit', async () => {
  for (let i = 2; i < PLACEMENTS_MAX; i++) await placements.put(`p${i}`, SHORT, 'anna');
  await expect(placements.put('one-more', SHORT, 'anna')).rejects.toMatchObject({ code: 'placements_full' });
  await placements.put('home', SHORT, 'anna');
  expect(placements.get('home')!.limit).toBe(3);
});

test('what runs on a placement may stand in the way of its change', async () => {
  await placements.put('home', SHORT, 'anna');
  running = 'home';
  await expect(placements.put('home', requestOf(HOME), 'anna')).rejects.toMatchObject({ code: 'experiment_conflict' });
  await expect(placements.remove('home', 'anna')).rejects.toMatchObject({ code: 'experiment_conflict' });
  expect(placements.get('home')!.limit).toBe(3);
});

test('what an older version stored and is no placement any more gives way to that of the settings', async () => {
  documents.set(
    PLACEMENTS_COLLECTION,
    new Map([['home', { placement: { ...HOME, sources: { crystal_ball: 5 } }, updated_ms: 1, updated_by: 'old' }]]),
  );
  const again = await open(new DocsStore(documents));
  expect(again.get('home')).toEqual(HOME);
  expect(errors).toMatchObject([{ code: 'config_invalid' }]);
});

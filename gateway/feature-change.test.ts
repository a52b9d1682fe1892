import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Feature, FeatureDeclarations } from '../scoring/features/contract.ts';
import type { Store } from '../store/contract.ts';
import { openMemoryStore } from '../store/memory.ts';
import { openFeatureChange } from './feature-change.ts';
import { Metrics } from './metrics.ts';

const DAY_MS = 86_400_000;
let store: Store<never>;
let metrics: Metrics;
let nowMs: number;
let warned: unknown[];
beforeEach(() => {
  [store, metrics, nowMs, warned] = [openMemoryStore<never>(), new Metrics(), 1_700_000_000_000, []];
});
afterEach(() => metrics.close());

const count = (name: string, window: '24h' | '7d', entity: 'user' | 'card' = 'user'): Feature => ({
  ...{ name, text: '{value}', aggregate: 'count', entity, window },
  events: ['payment_attempt'],
});
const subject: Feature = { name: 'amount', text: '{value}', aggregate: 'subject', field: 'amount' };
const open = (...fraud: Feature[]) => {
  const declarations: FeatureDeclarations = { version: 1, histories: [], sets: { fraud } };
  const log = { info: () => {}, error: () => {}, warn: (fields: object) => void warned.push(fields) };
  return openFeatureChange({ store, declarations, log, metrics, now: () => nowMs });
};
const event = () =>
  store.write([{ kind: 'event', at_ms: nowMs, event: { event_id: 'e', name: 'payment_attempt', user_id: 'u', timestamp_ms: nowMs } }]);
const alerts = async () => (await store.alerts(0, 10)).map(({ alert }) => alert);
const gauge = async () => Number(/^gatehouse_features_filling (\S+)$/m.exec(await metrics.render())?.[1]);

test('a new feature over a store with events is named in the log, an alert and a warning, until its window has passed', async () => {
  await open(count('day', '24h'));
  await event();
  const filling = await open(count('day', '24h'), count('week', '7d'), subject);
  expect(warned).toEqual([{ features: ['fraud.week'] }]);
  expect(await alerts()).toMatchObject([{ severity: 'medium', reasons: ['fraud.week', expect.stringContaining('gatehouse rebuild')] }]);
  expect(filling()).toEqual([expect.stringMatching(/still filling .*: fraud\.week$/)]);
  expect(await gauge()).toBe(1);
  // Said once, but true for as long as it holds, also after a restart.
  nowMs += DAY_MS;
  expect((await open(count('day', '24h'), count('week', '7d')))()).toHaveLength(1);
  expect(await alerts()).toHaveLength(1);
  nowMs += 6 * DAY_MS;
  expect(filling()).toEqual([]);
  expect(await gauge()).toBe(0);
});

test('what was taken out and comes back starts empty again', async () => {
  await open(count('day', '24h'), count('week', '7d'));
  await event();
  await open(count('day', '24h'));
  expect(warned).toEqual([]);
  await open(count('day', '24h'), count('week', '7d'));
  expect(warned).toEqual([{ features: ['fraud.week'] }]);
});

test('nothing is said of a store without events, of the first start, nor of another name for the same', async () => {
  await open(count('day', '24h'));
  expect((await open(count('day', '24h'), count('week', '7d')))()).toEqual([]);
  await event();
  expect((await open(count('renamed', '24h'), count('week', '7d')))()).toEqual([]);
  store = openMemoryStore<never>();
  await event();
  expect((await open(count('day', '24h')))()).toEqual([]);
  expect(warned).toEqual([]);
});

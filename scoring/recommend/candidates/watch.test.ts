import { expect, test } from 'vitest';
import { createExactIndex } from '../../../index/exact.ts';
import { NOW, PLAIN, testItems, testShop } from '../shop.testing.ts';
import type { SourceOutcome } from './gather.ts';

// Guarantee 4 (never empty, never late): each source has a time of its own.

function harness(now: () => number) {
  const told = new Map<string, { readonly outcome: SourceOutcome; readonly ms: number }>();
  const shop = testShop(testItems(6), { now, onSource: (source, outcome, ms) => told.set(source, { outcome, ms }) });
  const itemIndex = createExactIndex({ dimensions: 1, metric: 'ip', handles: shop.catalogue.handles });
  for (let i = 0; i < 6; i++) itemIndex.upsert(`i${i}`, Float32Array.of(i));
  return { shop, told, itemIndex };
}

test('a model that does not answer is waited for no longer than its source may take, and the answer says so', async () => {
  const { shop, told, itemIndex } = harness(() => performance.now());
  await shop.say('view_item', 'i0', NOW - 1);
  const userTower = { fold: () => new Promise<never>(() => {}) };
  const placement = { ...PLAIN, source_deadlines_ms: { user_vector: 5 } };
  const { ids, degradedBy } = await shop.ask({ user_id: 'u1', limit: 6 }, placement, { itemIndex, userTower }, performance.now() + 60_000);
  expect(ids).toHaveLength(6);
  expect(degradedBy).toContain('source_user_vector');
  expect(told.get('user_vector')!.outcome).toBe('late');
  expect(told.get('user_vector')!.ms).toBeGreaterThanOrEqual(4);
});

test('nor longer than the answer itself may take', async () => {
  const { shop, told, itemIndex } = harness(() => performance.now());
  await shop.say('view_item', 'i0', NOW - 1);
  const userTower = { fold: () => new Promise<never>(() => {}) };
  const { ids, degradedBy } = await shop.ask({ user_id: 'u1', limit: 6 }, PLAIN, { itemIndex, userTower }, performance.now() + 20);
  expect(ids).toHaveLength(6);
  expect(degradedBy).toContain('source_user_vector');
  expect(told.get('user_vector')!.outcome).toBe('late');
});

test('a source that computed too long is left out as well, and each is told once with its time', async () => {
  let clock = 0;
  const { shop, told, itemIndex } = harness(() => clock);
  await shop.say('view_item', 'i0', NOW - 1);
  const userTower = {
    fold: async () => {
      clock += 7;
      return Float32Array.of(1);
    },
  };
  const ask = (limitMs: number) =>
    shop.ask({ user_id: 'u1', limit: 6 }, { ...PLAIN, source_deadlines_ms: { user_vector: limitMs } }, { itemIndex, userTower }, clock + 1000);
  expect((await ask(6)).degradedBy).toContain('source_user_vector');
  expect(told.get('user_vector')).toEqual({ outcome: 'late', ms: 7 });
  // Of a visitor who touched nothing since, what came late is known by now.
  expect((await ask(6)).degradedBy).not.toContain('source_user_vector');
  expect(told.get('user_vector')).toEqual({ outcome: 'answered', ms: 0 });
  await shop.say('view_item', 'i1', NOW - 1);
  const intime = await ask(7);
  expect(intime.degradedBy).not.toContain('source_user_vector');
  expect(told.get('user_vector')).toEqual({ outcome: 'answered', ms: 7 });
  expect(intime.items[0]!.sources).toContain('user_vector');
  expect(Object.fromEntries([...told].map(([source, { outcome }]) => [source, outcome]))).toMatchObject({
    item_to_item: 'missing',
    look_alike: 'off',
    popular: 'answered',
    buy_again: 'off',
  });
});

test('editors are heard in their order, within their cap, each item once; what may not be shown is passed over', async () => {
  const picks = ['i4', 'unknown', 'i2', 'i4', 'i5', 'i1'];
  const shop = testShop(
    testItems(6, (i) => (i === 2 ? { stock: 0 } : {})),
    { editorial: { picks: (placement) => (placement === PLAIN.id ? picks : []) } },
  );
  const only = { user_vector: 0, item_to_item: 0, buy_again: 0, popular: 0, new: 0 };
  const answer = await shop.ask({ limit: 2 }, { ...PLAIN, sources: { ...only, editorial: 2 } });
  expect(answer.trace.sources.find(({ source }) => source === 'editorial')!.found).toEqual(['i4', 'i5']);
  expect(answer.items[0]).toMatchObject({ sources: ['editorial'], reason: 'Chosen by our editors' });
  expect((await shop.ask({ limit: 2 }, { ...PLAIN, sources: only })).items[0]!.sources).toEqual(['fallback']);
});

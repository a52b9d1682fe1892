import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { indexReaders } from '../../index/readers.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { type LoadedBundle, loadBundle } from '../models/bundle.ts';
import { HOUR, NOW, PLAIN, testItems, testShop } from './shop.testing.ts';

// Guarantee 8 (explained), for recommendations.

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const shop = testShop(testItems(60, (i) => ({ title: `Item ${i}`, attributes: { margin: (i % 10) / 10 } })));
const sumOf = (parts: readonly { readonly contribution: number }[]): number => parts.reduce((sum, { contribution }) => sum + contribution, 0);
let dir: string;
let bundle: LoadedBundle;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-explain-'));
  await writeBundle(dir, await testParts(engine, 'v1'));
  bundle = await loadBundle(join(dir, 'v1'), { engine, ...indexReaders, handles: shop.catalogue.handles });
  for (const [n, item] of ['i3', 'i4', 'i5'].entries()) await shop.say('view_item', item, NOW - HOUR + n);
});
afterAll(async () => {
  await bundle.release();
  await rm(dir, { recursive: true });
});

test('base and contributions of each item are its score, and every sentence is the feature’s own', async () => {
  const { items, degradedBy } = await shop.ask({ user_id: 'u1', limit: 20, explain: true }, PLAIN, bundle.recommend);
  expect(degradedBy).toEqual([]);
  expect(items).toHaveLength(20);
  const names = engine.names('rank');
  for (const { score, explanation } of items) {
    expect(explanation).toMatchObject({ by: 'ranker', model_score: score });
    expect(explanation!.base! + sumOf(explanation!.contributions!)).toBeCloseTo(score, 5);
    const sizes = explanation!.contributions!.map(({ contribution }) => Math.abs(contribution));
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    for (const { feature, value, text } of explanation!.contributions!)
      expect(text).toBe(engine.explain('rank', names.indexOf(feature), value ?? Number.NaN));
  }
});

test('what objectives and boosts made of the model’s score is told apart, and adds up to the score shown', async () => {
  const placement = { ...PLAIN, objectives: { margin: 10 }, boosts: [{ filter: [{ field: 'category', in: ['c1'] }], weight: 0.5 }] };
  const { items, trace } = await shop.ask({ user_id: 'u1', limit: 20, explain: true }, placement, bundle.recommend);
  expect(items[0]!.item_id).toMatch(/9$/);
  for (const { score, explanation } of items) {
    const { adjustments, base, contributions, model_score } = explanation!;
    expect(adjustments!.reduce((sum, { amount }) => sum + amount, 0)).toBeCloseTo(score, 12);
    expect(base! + sumOf(contributions!)).toBeCloseTo(model_score, 5);
  }
  expect(trace.candidates.map(({ score }) => score)).toEqual(trace.candidates.map(({ score }) => score).sort((a, b) => b - a));
});

test('a ranker without trees is named and not guessed at; without a ranker the terms of the blend are told', async () => {
  const { shap: _, ...untold } = bundle.recommend.ranker!;
  const foreign = await shop.ask({ user_id: 'u1', limit: 3, explain: true }, PLAIN, { ...bundle.recommend, ranker: untold });
  for (const { score, explanation } of foreign.items) expect(explanation).toEqual({ by: 'ranker', model_score: score });
  const blended = await shop.ask({ user_id: 'u1', limit: 10, explain: true }, PLAIN, { ...bundle.recommend, ranker: undefined });
  for (const { score, explanation } of blended.items) {
    expect(explanation!.by).toBe('blend');
    expect(sumOf(explanation!.contributions!)).toBeCloseTo(score, 12);
  }
});

test('nothing is explained unasked, and a reason names what was viewed or bought', async () => {
  const { items } = await shop.ask({ user_id: 'u1', limit: 12 }, PLAIN, bundle.recommend);
  expect(items.flatMap((item) => Object.keys(item))).not.toContain('explanation');
  const reasons = items.map(({ reason }) => reason);
  expect(reasons.some((reason) => /^Because you viewed Item [345]$/.test(reason))).toBe(true);
  // All there are: the ranker is made up, and cares for none of them.
  const page = await shop.ask({ item_id: 'i3', limit: 60 }, PLAIN, bundle.recommend);
  expect(page.items.map(({ reason }) => reason)).toContain('Goes with Item 3');
  await shop.say('purchase', 'i4', NOW - 5, { user_id: 'u2' });
  const buyer = await shop.ask({ user_id: 'u2', limit: 60 }, PLAIN, bundle.recommend);
  expect(buyer.items.map(({ reason }) => reason)).toContain('Because you bought Item 4');
});

test('vectors of the bundle make an answer varied where the placement says so', async () => {
  const spread = async (wishes: Partial<typeof PLAIN>): Promise<number> => {
    const { ids } = await shop.ask({ user_id: 'u1', limit: 8 }, { ...PLAIN, ...wishes }, bundle.recommend);
    const vectors = ids.map((id) => bundle.recommend.itemIndex!.get(id)!);
    const length = (v: Float32Array): number => Math.hypot(...v);
    let closest = 0;
    vectors.forEach((v, i) => {
      closest += Math.max(0, ...vectors.filter((_, j) => j !== i).map((w) => v.reduce((sum, x, k) => sum + x * w[k]!, 0) / (length(v) * length(w))));
    });
    return closest / vectors.length;
  };
  const alike = await spread({});
  expect(await spread({ diversity: 0.8, diversity_by: 'vector' })).toBeLessThan(alike - 0.1);
});

test('a trace has every candidate with its rank, its place, or why it has none, and what each source did', async () => {
  const placement = { ...PLAIN, limit: 6, caps: [{ field: 'category', max: 2 }], pins: [{ item_id: 'i40', position: 2 }] };
  const { ids, trace } = await shop.ask({ user_id: 'u1' }, placement, bundle.recommend);
  expect(trace.scoredBy).toBe('ranker');
  expect(trace.stages.map(({ stage }) => stage)).toEqual(['state', 'candidates', 'features', 'rank', 'select']);
  const placed = trace.candidates.filter(({ place }) => place !== null).sort((a, b) => a.place! - b.place!);
  expect(placed.map(({ item_id }) => item_id)).toEqual(ids);
  expect(ids[1]).toBe('i40');
  expect(placed[1]!.sources).toContain('pinned');
  for (const { place, dropped_by } of trace.candidates) expect(dropped_by === null).toBe(place !== null);
  expect(new Set(trace.candidates.map(({ dropped_by }) => dropped_by))).toContain('cap_category');
  const found = new Set(trace.sources.flatMap((source) => source.found));
  for (const { item_id, sources } of trace.candidates) if (!sources.includes('pinned')) expect(found).toContain(item_id);
  const outcomes = Object.fromEntries(trace.sources.map(({ source, outcome }) => [source, outcome]));
  expect(outcomes).toMatchObject({ user_vector: 'answered', buy_again: 'off', editorial: 'silent' });
});

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BundleManifest } from '../contracts/bundle.ts';
import type { Fact } from '../contracts/fact.ts';
import { indexReaders } from '../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { loadBundle } from '../scoring/models/bundle.ts';
import type { ContentModel } from '../scoring/recommend/content-vector.ts';
import { Checkpoint, identityOf } from './checkpoint.ts';
import { CONTENT_DEFAULTS } from './learners/content.ts';
import { silentProgress } from './progress.ts';
import { END_MS, eventFact, factsOfShop, smallShop, sourceOf } from './shop.testing.ts';
import { resumableOffset, type TrainOptions, type TrainParams, type TrainResult, train } from './train.ts';

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const PARAMS: TrainParams = { queriesMax: 300, retrieval: { als: { factors: 8, regularization: 1, iterations: 3 } } };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gatehouse-train-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function trainInto(name: string, facts: readonly Fact[], more: Partial<TrainOptions> = {}): Promise<TrainResult> {
  return train({
    facts: sourceOf(facts),
    engine,
    outDir: join(root, name),
    seed: 5,
    params: PARAMS,
    progress: silentProgress,
    now: () => END_MS,
    ...more,
  });
}

/** Every hash of the manifest but the report's, which tells the seconds that each stage took. */
function hashes({ files, report }: BundleManifest): Record<string, string> {
  return Object.fromEntries(files.filter(({ name }) => name !== report).map(({ name, sha256 }) => [name, sha256]));
}

describe('a simulated shop', () => {
  const facts = factsOfShop(smallShop());
  let result: TrainResult;

  beforeAll(async () => {
    result = await trainInto('first', facts);
  }, 120_000);

  test('becomes a bundle with every model, which the gateway loads', async () => {
    expect(result.skipped).toEqual({});
    expect(Object.keys(result.manifest.models).sort()).toEqual(['anomaly', 'fraud', 'ranker', 'user_tower']);
    const models: ContentModel[] = [];
    const openContent = (model: ContentModel) => {
      models.push(model);
      return { index: undefined, close: async () => {} };
    };
    const bundle = await loadBundle(join(root, 'first', result.version), { engine, ...indexReaders, openContent });
    try {
      await bundle.probe();
      expect(models).toMatchObject([{ dimensions: CONTENT_DEFAULTS.dimensions }]);
      expect(models[0]!.idf.filter((weight) => weight > 0).length).toBeGreaterThan(10);
      expect(bundle.recommend.itemIndex!.size).toBeGreaterThan(100);
      expect(bundle.userIndex!.size).toBeGreaterThan(200);
    } finally {
      await bundle.release();
    }
  });

  test('is learned from: the models beat what needs no learning, on the later time slice', () => {
    const { metrics } = result.manifest;
    expect(metrics['recommend_ndcg20_ranker']!).toBeGreaterThan(1.3 * metrics['recommend_ndcg20_popularity']!);
    expect(metrics['fraud_average_precision']!).toBeGreaterThan(2 * metrics['fraud_average_precision_amount']!);
    expect(metrics['fraud_auc']!).toBeGreaterThan(0.8);
    // Without a single outcome.
    expect(metrics['anomaly_auc']!).toBeGreaterThan(0.6);
  });

  test('has a report with a chart of each model', async () => {
    const page = await readFile(join(root, 'first', result.version, result.manifest.report!), 'utf8');
    const expected = ['Ranker', 'Fraud model', 'Anomaly model', 'Retrieval', 'Data quality', result.version, '<svg'];
    expect(expected.filter((text) => !page.includes(text))).toEqual([]);
  });

  test('gives the same bytes for the same facts and seed, and others for another seed', async () => {
    const again = await trainInto('again', facts);
    expect(hashes(again.manifest)).toEqual(hashes(result.manifest));
    const other = await trainInto('other', facts, { seed: 6 });
    expect(hashes(other.manifest)).not.toEqual(hashes(result.manifest));
  }, 120_000);

  test.each([0.1, 0.5, 0.95])(
    'stopped at %f of its work it leaves no bundle, and resumed it ends with the same bytes',
    async (share) => {
      const name = `stopped-${share}`;
      const abort = new AbortController();
      let updates = 0;
      // How many updates a whole run gives is known from one; each of these stops at another stage.
      const total = await countUpdates(facts);
      const counting = (limit: number) => ({
        task: () => ({
          update: () => {
            if (++updates > limit) abort.abort();
          },
          end: () => {},
        }),
      });
      await expect(trainInto(name, facts, { progress: counting(share * total), signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' });
      expect((await readdir(join(root, name))).filter((entry) => entry !== '.training')).toEqual([]);
      expect(await resumableOffset(join(root, name), engine, 5, PARAMS)).toBe(facts.length);

      updates = 0;
      const { manifest, version } = await trainInto(name, facts, { progress: counting(Number.POSITIVE_INFINITY), resume: true });
      expect(hashes(manifest)).toEqual(hashes(result.manifest));
      expect(await readdir(join(root, name))).toEqual([version]);
      // The journal is read anew; what was finished is not made anew.
      if (share > 0.4) expect(updates).toBeLessThan(0.9 * total);
    },
    120_000,
  );

  test('a run with another seed or other settings is no continuation', async () => {
    const abort = new AbortController();
    const progress = { task: () => ({ update: () => abort.abort(), end: () => {} }) };
    await expect(trainInto('other-run', facts, { progress, signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' });
    await expect(trainInto('other-run', facts)).resolves.toMatchObject({ skipped: {} });
    expect(await resumableOffset(join(root, 'other-run'), engine, 5, PARAMS)).toBeUndefined();
    const checkpoint = await Checkpoint.open(join(root, 'other-run'), identityOf(5, 'other'), 10, false);
    await expect(resumableOffset(join(root, 'other-run'), engine, 5, PARAMS)).rejects.toMatchObject({ code: 'config_invalid' });
    await checkpoint.remove();
  }, 120_000);
});

let updatesOfRun: number | undefined;
async function countUpdates(facts: readonly Fact[]): Promise<number> {
  if (updatesOfRun === undefined) {
    let updates = 0;
    await trainInto('counted', facts, { progress: { task: () => ({ update: () => updates++, end: () => {} }) } });
    updatesOfRun = updates;
  }
  return updatesOfRun;
}

describe('too little', () => {
  test('no events', async () => {
    await expect(trainInto('none', [])).rejects.toMatchObject({ code: 'training_data_insufficient' });
  });

  test('events that say nothing of items or payments', async () => {
    const facts = Array.from({ length: 50 }, (_, i) =>
      eventFact({ event_id: `e${i}`, name: 'page_view', user_id: 'u', timestamp_ms: END_MS - i * 1000 }),
    );
    await expect(trainInto('pages', facts)).rejects.toMatchObject({ code: 'training_data_insufficient' });
  });

  test('one purchase makes retrieval alone, and says what is missing and why', async () => {
    const facts = [eventFact({ event_id: 'e', name: 'purchase', user_id: 'u', items: [{ item_id: 'i' }], timestamp_ms: END_MS })];
    const { manifest, skipped } = await trainInto('one', facts);
    expect(Object.keys(manifest.models)).toEqual(['user_tower']);
    expect(Object.keys(skipped).sort()).toEqual(['anomaly', 'content', 'fraud', 'ranker']);
    expect(skipped['fraud']).toContain('frauds');
  });

  test('payments of one class make no fraud model', async () => {
    const facts = Array.from({ length: 100 }, (_, i) =>
      eventFact({
        event_id: `t${i}`,
        name: 'payment_attempt',
        transaction_id: `t${i}`,
        user_id: `u${i % 5}`,
        value: i,
        timestamp_ms: END_MS + i * 1000,
      }),
    );
    await expect(trainInto('honest', facts)).rejects.toMatchObject({ code: 'training_data_insufficient', detail: expect.stringContaining('frauds') });
  });
});

import { createHnswIndex } from '../../index/hnsw.ts';
import { ProfileIndex } from '../../index/profiles.ts';
import type { FeatureEngine } from '../../scoring/features/contract.ts';
import type { ItemFoldInModel } from '../../scoring/recommend/item-fold-in-model.ts';
import { type DriftReference, referenceOf } from '../../scoring/risk/drift.ts';
import { scaleOf } from '../anomaly.ts';
import { fitAls, gram } from '../learners/als.ts';
import { fitIsolationForest, isolationScores } from '../learners/anomaly/isolationForest.ts';
import { fitContent } from '../learners/content.ts';
import { easeNeighbours, fitEase } from '../learners/ease.ts';
import { fitGbdt } from '../learners/gbdt/fit.ts';
import { syntheticRows } from '../learners/gbdt/synthetic.ts';
import { fitItemKnn } from '../learners/itemKnn.ts';
import { fitNextItem } from '../learners/neural/nextItem.ts';
import { itemVectors } from '../learners/neural/nextItemServing.ts';
import { seededRandom } from '../learners/random.ts';
import type { SparseRows } from '../learners/sparse.ts';
import { fitVmis } from '../learners/vmis.ts';
import type { BundleParts, RowModel } from './write.ts';

const ROWS = 400;
const FACTORS = 8;
const ITEMS = 60;
const USERS = 40;
const ITEMS_A_USER = 6;
const CONTENT_DIMENSIONS = 32;

/** Every part of a bundle, small and really learned from seeded made-up data. The items are `i0` to `i59`, the users `u0` to `u39`. */
export async function testParts(engine: FeatureEngine, version: string, seed = 1): Promise<Required<BundleParts> & { readonly ranker: RowModel }> {
  const trees = { numIterations: 6, numLeaves: 8, minDataInLeaf: 5 };
  const learn = async (set: string, kind: 'binary' | 'regression') => ({
    model: await fitGbdt(syntheticRows(ROWS, engine.names(set).length, seed, kind), { ...trees, objective: kind }, { seed }),
    set,
    hash: engine.hash(set),
  });
  const met = meetings(seed);
  const als = await fitAls({ ...met, users: USERS, items: ITEMS }, { factors: FACTORS, iterations: 4 }, { seed });
  const itemIds = idsOf('i', ITEMS);
  return {
    version,
    created_ms: Date.UTC(2026, 0, 1),
    trained: { from_ms: 0, to_ms: Date.UTC(2026, 0, 1), events: USERS * ITEMS_A_USER, users: USERS, items: ITEMS, seed, journal_offset: 240 },
    metrics: { 'fraud.ap': 0.5, 'ranker.ndcg_at_10': 0.25 },
    fraud: {
      ...(await learn('fraud', 'binary')),
      reference: referenceFor(engine.names('fraud'), seed),
      calibration: { kind: 'platt', a: 1.1, b: -0.2 },
      thresholds: { review: 0.2, challenge: 0.5, decline: 0.9 },
    },
    anomaly: anomalyOf(engine, seed),
    ranker: await learn('rank', 'regression'),
    userTower: { itemFactors: als.itemFactors, factors: FACTORS, regularization: 0.05, alpha: 1, history: 'interactions' },
    itemIndex: indexOf(itemIds, als.itemFactors),
    itemFoldIn: foldInOf(als.userFactors, seed),
    userIndex: indexOf(idsOf('u', USERS), als.userFactors),
    neighbours: { ids: itemIds, ...(await fitItemKnn({ ...met, rows: USERS, items: ITEMS }, { k: 5 }, { seed })) },
    linear: { ids: itemIds, ...easeNeighbours(await fitEase({ ...met, users: USERS, items: ITEMS }, { lambda: 5 }, { seed }), 5) },
    profiles: new ProfileIndex({ ...met, items: met.indices, votes: met.values, ids: itemIds }),
    sessionSearch: 'followers',
    sessions: fitVmis({ ...met, ids: itemIds }, {}, { seed }),
    nextItem: await learnNextItem(met, itemIds, seed),
    popularity: { ids: itemIds, scores: Float32Array.from(itemIds, (_, i) => 1 / (i + 1)) },
    content: fitContent(
      itemIds.map((item_id, i) => ({ item_id, title: `Item ${i}`, category: `c${i % 4}` })),
      { dimensions: CONTENT_DIMENSIONS, buckets: 256 },
      { seed },
    ),
    report: (manifest) => `<!doctype html><title>${manifest.version}</title>`,
  };
}

function foldInOf(userFactors: Float32Array, seed: number): ItemFoldInModel {
  const random = seededRandom(seed);
  const weights = Float32Array.from({ length: FACTORS * (CONTENT_DIMENSIONS + 1) }, () => 0.1 * random.normal());
  return {
    factors: FACTORS,
    regularization: 0.05,
    alpha: 1,
    acts: USERS * ITEMS_A_USER,
    userGram: gram(userFactors, FACTORS),
    contentMap: { dimensions: CONTENT_DIMENSIONS, weights, r2: 0.1 },
  };
}

function anomalyOf(engine: FeatureEngine, seed: number): NonNullable<BundleParts['anomaly']> {
  const columns = engine.names('fraud').length;
  const { rows } = syntheticRows(ROWS, columns, seed, 'binary');
  const model = fitIsolationForest({ values: rows, columns }, { trees: 6, sampleRows: 32 }, { seed });
  return { model, set: 'fraud', hash: engine.hash('fraud'), scale: scaleOf(isolationScores(model, rows)) };
}

function referenceFor(names: readonly string[], seed: number): DriftReference {
  const { rows } = syntheticRows(ROWS, names.length, seed, 'binary');
  return {
    features: names.map((name, i) => referenceOf(name, rows, { column: i, width: names.length })),
    score: referenceOf(
      'score',
      Float32Array.from({ length: ROWS }, (_, i) => i / ROWS),
    ),
  };
}

async function learnNextItem({ indptr, indices }: SparseRows, ids: readonly string[], seed: number): Promise<NonNullable<BundleParts['nextItem']>> {
  const sizes = { width: 8, lengthMax: 5, negatives: 16, batchSize: 64, epochs: 1 };
  const model = await fitNextItem({ items: ITEMS, indptr, clicks: indices }, sizes, { seed, threads: 1 });
  return { model, ids, index: indexOf(ids, itemVectors(model), model.width + 1) };
}

function idsOf(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i}`);
}

function meetings(seed: number): SparseRows {
  const random = seededRandom(seed);
  const indices: number[] = [];
  for (let user = 0; user < USERS; user++) {
    // Tastes: a user keeps to one third of the items.
    const taste = user % 3;
    const items = new Set<number>();
    while (items.size < ITEMS_A_USER) items.add(3 * random.int(ITEMS / 3) + taste);
    indices.push(...[...items].sort((a, b) => a - b));
  }
  return {
    indptr: Uint32Array.from({ length: USERS + 1 }, (_, i) => i * ITEMS_A_USER),
    indices: Uint32Array.from(indices),
    values: new Float32Array(indices.length).fill(1),
  };
}

/** With a graph from the first slots on, so that a small index has all the files of a large one. */
function indexOf(ids: readonly string[], vectors: Float32Array, dimensions = FACTORS) {
  const index = createHnswIndex({ dimensions, metric: 'ip', graphFromSlots: 16 });
  ids.forEach((id, i) => {
    index.upsert(id, vectors.subarray(i * dimensions, (i + 1) * dimensions));
  });
  return index;
}

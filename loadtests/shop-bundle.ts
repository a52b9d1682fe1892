import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import type { BundleFile, BundleManifest } from '../contracts/bundle.ts';
import type { Item } from '../contracts/item.ts';
import type { TreeEnsemble } from '../contracts/trees.ts';
import { clusteredVectors } from '../index/clustered.ts';
import { buildInChild } from '../index/compaction.ts';
import type { SnapshotManifest } from '../index/contract.ts';
import { chooseSphere } from '../index/graph-row.ts';
import { settingsOf } from '../index/hnsw.ts';
import { VectorSlab } from '../index/slab.ts';
import { writeSlab } from '../index/snapshot.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { sha256File } from '../scoring/models/verify.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import { fitGbdt } from '../training/learners/gbdt/fit.ts';
import { type Random, seededRandom } from '../training/learners/random.ts';
import { foldInModel } from '../training/onnx/foldIn.ts';
import { treeEnsembleToOnnx } from '../training/onnx/treeEnsemble.ts';
import { skewed } from './draws.ts';

// The bundle of the shop to measure on: models as large as real ones, learnt from random rows.

export const FACTORS = 64;
export const CONTENT_FILE = 'content.msgpack';
/** Amounts over this are fraud in the training rows, and one payment in a hundred of the load is over it: about as many alerts as a real desk bears. */
export const FRAUD_AMOUNT = 900;
const TREES = 100;
const LEAVES = 31;
const MODEL_ROWS = 4_000;
const QUERY_ROWS = 20;
const NEIGHBOURS_PER_ITEM = 20;
const ITEMS_PER_CLUSTER = 500;
const MODELS_SEED = 2;
const DAY_MS = 86_400_000;

/** Learnt factors are small: confidences of a fold-in are built for them. */
function factorsOf(items: number, seed: number): () => Float32Array {
  const clusters = Math.max(1, Math.ceil(items / ITEMS_PER_CLUSTER));
  const next = clusteredVectors({ dimensions: FACTORS, clusters, seed, normSpread: 0.3 });
  return () => next().map((x) => x * 0.1);
}

/** Writes the items' vectors and begins to build their graph in a process of its own, of which `done` tells. */
export async function beginItemIndex(folder: string, items: readonly Item[], seed: number): Promise<{ readonly done: Promise<SnapshotManifest> }> {
  const name = 'items';
  const metric = 'ip';
  const slab = new VectorSlab({ dimensions: FACTORS, metric, capacityInitial: items.length });
  const next = factorsOf(items.length, seed);
  for (const { item_id } of items) slab.putFresh(item_id, next());
  const { files, count } = await writeSlab(slab, slab.slotCount, folder, name);
  const { m, efConstruction, ...shape } = settingsOf({});
  const sphere = chooseSphere(slab);
  const order = { dir: folder, name, metric, dimensions: FACTORS, slots: slab.slotCount, shape: { m, efConstruction, ...shape }, sphere } as const;
  const manifest = { format: 'gatehouse-index-1', kind: 'hnsw', metric, dimensions: FACTORS, count, m, efConstruction, sphere } as const;
  return { done: buildInChild(order).done.then((graph) => ({ ...manifest, files: [...files, graph] })) };
}

/** Rows as wide as the set, of counts, amounts and missing values; the first feature decides most of the label. */
function modelRows(width: number, amountAt: number, random: Random): { rows: Float32Array; labels: Float32Array } {
  const rows = new Float32Array(MODEL_ROWS * width);
  const labels = new Float32Array(MODEL_ROWS);
  for (let row = 0; row < MODEL_ROWS; row++) {
    for (let i = 0; i < width; i++) rows[row * width + i] = random.next() < 0.1 ? Number.NaN : Math.floor(random.next() ** 3 * 50);
    const amount = random.next() * 1_000;
    if (amountAt >= 0) rows[row * width + amountAt] = amount;
    const fraud = amount > FRAUD_AMOUNT ? 0.95 : 0.03;
    labels[row] = random.next() < fraud ? 1 : 0;
  }
  return { rows, labels };
}

function fraudTrees(engine: FeatureEngine, seed: number, random: Random): Promise<TreeEnsemble> {
  const names = engine.names(FRAUD_SET);
  const { rows, labels } = modelRows(names.length, names.indexOf('amount'), random);
  return fitGbdt(
    { rows, labels, n: MODEL_ROWS, f: names.length },
    { objective: 'binary', numIterations: TREES, numLeaves: LEAVES, minDataInLeaf: 5 },
    { seed },
  );
}

function rankerTrees(engine: FeatureEngine, seed: number, random: Random): Promise<TreeEnsemble> {
  const f = engine.names(RANK_SET).length;
  const { rows } = modelRows(f, -1, random);
  const labels = Float32Array.from({ length: MODEL_ROWS }, (_, row) => Math.min(3, Math.floor((rows[row * f] || 0) / 15) + random.int(2)));
  const groups = new Int32Array(MODEL_ROWS / QUERY_ROWS).fill(QUERY_ROWS);
  return fitGbdt(
    { rows, labels, n: MODEL_ROWS, f, groups },
    { objective: 'lambdarank', numIterations: TREES, numLeaves: LEAVES, minDataInLeaf: 5 },
    { seed },
  );
}

export interface BundleParts {
  readonly engine: FeatureEngine;
  readonly items: readonly Item[];
  readonly index: SnapshotManifest;
  readonly events: number;
  readonly users: number;
  readonly seed: number;
  readonly nowMs: number;
}

/** Writes the bundle's other files beside those of its item index and its content, and its manifest last. */
export async function writeLoadBundle(folder: string, version: string, parts: BundleParts): Promise<void> {
  const { engine, items, index, seed, nowMs } = parts;
  const random = seededRandom(seed + MODELS_SEED);
  const fraud = await fraudTrees(engine, seed, random);
  const ranker = await rankerTrees(engine, seed, random);
  const factors = new Float32Array(items.length * FACTORS);
  const next = factorsOf(items.length, seed);
  for (let i = 0; i < items.length; i++) factors.set(next(), i * FACTORS);
  await writeFile(join(folder, 'fraud.onnx'), treeEnsembleToOnnx(fraud));
  await writeFile(join(folder, 'fraud-trees.json'), JSON.stringify(fraud));
  await writeFile(join(folder, 'ranker.onnx'), treeEnsembleToOnnx(ranker));
  await writeFile(join(folder, 'ranker-trees.json'), JSON.stringify(ranker));
  await writeFile(join(folder, 'user-tower.onnx'), foldInModel({ itemFactors: factors, factors: FACTORS, regularization: 0.1 }));
  await writeFile(join(folder, 'neighbours.msgpack'), encode(neighbours(items, random)));
  await writeFile(join(folder, 'popularity.msgpack'), encode(popularity(items)));
  const files = [
    'fraud.onnx',
    'fraud-trees.json',
    'ranker.onnx',
    'ranker-trees.json',
    'user-tower.onnx',
    'neighbours.msgpack',
    'popularity.msgpack',
    CONTENT_FILE,
  ];
  const entries = await Promise.all(files.map((name) => entryOf(folder, name)));
  const featuresIn = (set: string) => [{ name: 'features', shape: [-1, engine.names(set).length] }];
  const manifest: BundleManifest = {
    format: 'gatehouse-bundle-1',
    version,
    created_ms: nowMs,
    trained: {
      from_ms: nowMs - 90 * DAY_MS,
      to_ms: nowMs,
      events: parts.events,
      users: parts.users,
      items: items.length,
      seed,
      journal_offset: 0,
    },
    models: {
      fraud: {
        file: 'fraud.onnx',
        inputs: featuresIn(FRAUD_SET),
        outputs: [
          { name: 'score', shape: [-1, 1] },
          { name: 'probability', shape: [-1, 1] },
        ],
        set: FRAUD_SET,
        hash: engine.hash(FRAUD_SET),
        calibration: { kind: 'platt', a: 1, b: 0 },
        thresholds: { review: 0.6, challenge: 0.8, decline: 0.9 },
        trees: 'fraud-trees.json',
      },
      ranker: {
        file: 'ranker.onnx',
        inputs: featuresIn(RANK_SET),
        outputs: [{ name: 'score', shape: [-1, 1] }],
        set: RANK_SET,
        hash: engine.hash(RANK_SET),
        trees: 'ranker-trees.json',
      },
      user_tower: {
        file: 'user-tower.onnx',
        inputs: [
          { name: 'items', shape: [-1, FACTORS] },
          { name: 'confidence', shape: [-1] },
        ],
        outputs: [{ name: 'user', shape: [1, FACTORS] }],
        factors: FACTORS,
        alpha: 10,
        history: 'interactions',
      },
    },
    indexes: { items: { ...index, files: [...index.files] } },
    tables: { neighbours: 'neighbours.msgpack', popularity: 'popularity.msgpack', content: CONTENT_FILE },
    files: [...entries, ...index.files],
    metrics: {},
  };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

async function entryOf(folder: string, name: string): Promise<BundleFile> {
  const path = join(folder, name);
  return { name, bytes: (await stat(path)).size, sha256: await sha256File(path) };
}

function neighbours(items: readonly Item[], random: Random) {
  const indptr = new Uint32Array(items.length + 1);
  const positions = new Uint32Array(items.length * NEIGHBOURS_PER_ITEM);
  const similarities = new Float32Array(positions.length);
  for (let i = 0, at = 0; i < items.length; i++) {
    for (let n = 0; n < NEIGHBOURS_PER_ITEM; n++, at++) {
      positions[at] = skewed(random, items.length);
      similarities[at] = 1 / (n + 1);
    }
    indptr[i + 1] = at;
  }
  const bytes = (data: Uint32Array | Float32Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { ids: items.map((item) => item.item_id), indptr: bytes(indptr), neighbours: bytes(positions), similarities: bytes(similarities) };
}

function popularity(items: readonly Item[]) {
  const scores = Float32Array.from(items, (_, i) => 1 / (i + 1));
  return { ids: items.map((item) => item.item_id), scores: new Uint8Array(scores.buffer) };
}

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import type { BundleFile, BundleManifest } from '../contracts/bundle.ts';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import type { Rule } from '../contracts/rules.ts';
import type { TreeEnsemble } from '../contracts/trees.ts';
import { generateKey } from '../gateway/auth/keys.ts';
import { readConfig } from '../gateway/config.ts';
import { ITEMS_COLLECTION } from '../gateway/data/items.ts';
import { bundlesDir, openStore } from '../gateway/resources.ts';
import { clusteredVectors } from '../index/clustered.ts';
import { createHnswIndex } from '../index/hnsw.ts';
import { writeSnapshot } from '../index/snapshot.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { eventUnit } from '../scoring/ingest.ts';
import { sha256File } from '../scoring/models/verify.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import { contentBytes } from '../training/bundle/write.ts';
import { fitContent } from '../training/learners/content.ts';
import { fitGbdt } from '../training/learners/gbdt/fit.ts';
import { type Random, seededRandom } from '../training/learners/random.ts';
import { foldInModel } from '../training/onnx/foldIn.ts';
import { treeEnsembleToOnnx } from '../training/onnx/treeEnsemble.ts';

/**
 * A shop to measure on: a catalogue, events of its users, and a bundle whose models are as large as real ones but learnt from random rows, so that
 * it is ready in seconds. It says nothing about quality.
 */
export interface ShopOptions {
  readonly items: number;
  readonly users: number;
  readonly seed: number;
}

/** `shop.json`: what the generators need to know. */
export interface PreparedShop extends ShopOptions {
  readonly secretKey: string;
  readonly bundle: string;
}

export const FACTORS = 64;
const TREES = 100;
const LEAVES = 31;
const RULES = 20;
const MODEL_ROWS = 4_000;
const QUERY_ROWS = 20;
const NEIGHBOURS_PER_ITEM = 20;
const EVENTS_PER_USER = 12;
const ITEMS_PER_CATEGORY = 500;
const ITEMS_PER_BRAND = 300;
const WRITE_BATCH = 1_000;
const DAY_MS = 86_400_000;
/** Amounts over this are fraud in the training rows, and one payment in a hundred of the load is over it: about as many alerts as a real desk bears. */
export const FRAUD_AMOUNT = 900;
const BUNDLE = 'load-1';

export const itemId = (i: number): string => `item-${i}`;
export const userId = (i: number): string => `user-${i}`;

/** Popular items and busy users come first: squaring a uniform number gives the first tenth a third of all draws. */
export function skewed(random: Random, count: number): number {
  return Math.floor(random.next() ** 2 * count);
}

export const rulesPath = (dir: string): string => join(dir, 'rules.json');

/** The shop in `dir`, made if it is not there yet; one that was made with other options is refused. */
export async function prepareShop(dir: string, options: ShopOptions, nowMs: number, say: (text: string) => void): Promise<PreparedShop> {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isSafeInteger(value)) throw new Error(`${name} must be a whole number, not ${value}`);
  }
  const path = join(dir, 'shop.json');
  if ((await stat(path).catch(() => undefined)) !== undefined) {
    const shop = JSON.parse(await readFile(path, 'utf8')) as PreparedShop;
    if (shop.items !== options.items || shop.users !== options.users || shop.seed !== options.seed) {
      throw new Error(`${dir} holds a shop of ${shop.items} items, ${shop.users} users and seed ${shop.seed}: name another folder`);
    }
    return shop;
  }
  await mkdir(dir, { recursive: true });
  const random = seededRandom(options.seed);
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const items = makeItems(options, nowMs, random);
  say(`events of ${options.users} users on ${options.items} items`);
  await fillStore(dir, engine, items, options, nowMs, random);
  say('models and index');
  await writeLoadBundle(dir, engine, items, options, nowMs, random);
  await writeFile(rulesPath(dir), JSON.stringify(makeRules(), null, 2));
  const shop: PreparedShop = { ...options, secretKey: generateKey('secret'), bundle: BUNDLE };
  await writeFile(path, JSON.stringify(shop));
  return shop;
}

function makeItems({ items }: ShopOptions, nowMs: number, random: Random): Item[] {
  return Array.from({ length: items }, (_, i): Item => {
    const price = Math.round((2 + 200 * random.next() ** 3) * 100) / 100;
    return {
      item_id: itemId(i),
      title: `Item ${i}`,
      category: `category-${random.int(Math.ceil(items / ITEMS_PER_CATEGORY))}`,
      brand: `brand-${random.int(Math.ceil(items / ITEMS_PER_BRAND))}`,
      price,
      currency: 'EUR',
      stock: random.next() < 0.03 ? 0 : 1 + random.int(500),
      active: random.next() >= 0.02,
      created_ms: nowMs - Math.floor(random.next() * 700 * DAY_MS),
    };
  });
}

/** Half of the events fall into the last week, the rest into the three months before. */
function makeEvent(n: number, user: number, options: ShopOptions, nowMs: number, random: Random): TimedEvent {
  const draw = random.next();
  const spanMs = random.next() < 0.5 ? 7 * DAY_MS : 90 * DAY_MS;
  const item = itemId(skewed(random, options.items));
  return {
    event_id: `past-${n}`,
    name: draw < 0.75 ? 'view_item' : draw < 0.9 ? 'add_to_cart' : 'purchase',
    timestamp_ms: nowMs - Math.floor(random.next() * spanMs),
    user_id: userId(user),
    session_id: `session-${user}`,
    items: [{ item_id: item, quantity: 1, price: 10 }],
  };
}

async function fillStore(
  dir: string,
  engine: FeatureEngine,
  items: readonly Item[],
  options: ShopOptions,
  nowMs: number,
  random: Random,
): Promise<void> {
  const catalogue = new Catalogue();
  const store = await openStore(readConfig({}, { dataDir: dir }), engine, catalogue);
  try {
    for (let from = 0; from < items.length; from += WRITE_BATCH) {
      const part = items.slice(from, from + WRITE_BATCH);
      for (const item of part) catalogue.put(item);
      await store.write(
        part.map((item): Fact => ({ kind: 'item_put', at_ms: nowMs, item })),
        part.map((item) => ({ collection: ITEMS_COLLECTION, id: item.item_id, value: item })),
      );
    }
    const total = options.users * EVENTS_PER_USER;
    for (let from = 0; from < total; from += WRITE_BATCH) {
      const events = Array.from({ length: Math.min(WRITE_BATCH, total - from) }, (_, i) => {
        const n = from + i;
        return makeEvent(n, n % options.users, options, nowMs, random);
      });
      await store.ingest(events.map((event) => eventUnit(engine, (id) => catalogue.get(id), event, nowMs)));
    }
  } finally {
    await store.close();
  }
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

async function writeLoadBundle(
  dir: string,
  engine: FeatureEngine,
  items: readonly Item[],
  options: ShopOptions,
  nowMs: number,
  random: Random,
): Promise<void> {
  const root = bundlesDir(readConfig({}, { dataDir: dir }));
  const folder = join(root, BUNDLE);
  await mkdir(folder, { recursive: true });
  const fraud = await fraudTrees(engine, options.seed, random);
  const ranker = await rankerTrees(engine, options.seed, random);
  const next = clusteredVectors({
    dimensions: FACTORS,
    clusters: Math.max(1, Math.ceil(options.items / ITEMS_PER_CATEGORY)),
    seed: options.seed,
    normSpread: 0.3,
  });
  const index = createHnswIndex({ dimensions: FACTORS, metric: 'ip', capacityInitial: items.length });
  const factors = new Float32Array(items.length * FACTORS);
  items.forEach((item, i) => {
    // Learnt factors are small: confidences of a fold-in are built for them.
    const vector = next().map((x) => x * 0.1);
    factors.set(vector, i * FACTORS);
    index.upsert(item.item_id, vector);
  });
  await writeFile(join(folder, 'fraud.onnx'), treeEnsembleToOnnx(fraud));
  await writeFile(join(folder, 'fraud-trees.json'), JSON.stringify(fraud));
  await writeFile(join(folder, 'ranker.onnx'), treeEnsembleToOnnx(ranker));
  await writeFile(join(folder, 'ranker-trees.json'), JSON.stringify(ranker));
  await writeFile(join(folder, 'user-tower.onnx'), foldInModel({ itemFactors: factors, factors: FACTORS, regularization: 0.1 }));
  await writeFile(join(folder, 'neighbours.msgpack'), encode(neighbours(items, random)));
  await writeFile(join(folder, 'popularity.msgpack'), encode(popularity(items)));
  await writeFile(join(folder, 'content.msgpack'), contentBytes(fitContent(items, {}, { seed: options.seed })));
  const snapshot = await writeSnapshot(index, folder, { name: 'items' });
  const files = [
    'fraud.onnx',
    'fraud-trees.json',
    'ranker.onnx',
    'ranker-trees.json',
    'user-tower.onnx',
    'neighbours.msgpack',
    'popularity.msgpack',
    'content.msgpack',
  ];
  const entries = await Promise.all(files.map((name) => entryOf(folder, name)));
  const featuresIn = (set: string) => [{ name: 'features', shape: [-1, engine.names(set).length] }];
  const manifest: BundleManifest = {
    format: 'gatehouse-bundle-1',
    version: BUNDLE,
    created_ms: nowMs,
    trained: {
      from_ms: nowMs - 90 * DAY_MS,
      to_ms: nowMs,
      events: options.users * EVENTS_PER_USER,
      users: options.users,
      items: options.items,
      seed: options.seed,
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
    indexes: { items: { ...snapshot, files: [...snapshot.files] } },
    tables: { neighbours: 'neighbours.msgpack', popularity: 'popularity.msgpack', content: 'content.msgpack' },
    files: [...entries, ...snapshot.files],
    metrics: {},
  };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  await writeFile(join(root, 'active.json'), JSON.stringify({ active: BUNDLE, previous: null }));
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

/** Twenty live rules as a risk team would write them; hardly any is hit by the load. */
function makeRules(): Rule[] {
  const conditions = [
    'features.device_cards_10m >= 40.0 || features.user_cards_24h >= 40.0',
    'features.user_attempts_10m >= 8000.0 || features.card_attempts_10m >= 8000.0',
    'features.device_customers_30d >= 40.0 && tx.amount > 200.0',
    'tx.amount > 5000.0',
    'tx.country in ["KP", "IR", "SY"]',
    'tx.amount > 900.0 && features.is_night == 1.0 && features.user_first_attempt < 60.0',
    'features.ip_cards_10m >= 60.0 && tx.payment_method == "card"',
    'features.ip_customers_24h >= 60.0',
    'features.card_customers_30d >= 10.0',
    'features.user_frauds_90d >= 3.0 && tx.amount > 10.0',
    'features.amount_to_user_mean > 50.0 && tx.amount > 500.0',
    'features.amount_to_card_mean > 50.0 && tx.amount > 500.0',
    'features.merchant_fraud_rate_7d > 0.5 && features.merchant_labels_7d > 20.0',
    'tx.email_domain == "mailinator.com" && tx.amount > 50.0',
    'features.card_first_attempt < 5.0 && tx.amount > 980.0 && probability > 0.99',
    'features.session_views_1h == 0.0 && tx.amount > 999.0 && score > 0.99',
    'tx.currency != "EUR" && tx.currency != "USD" && tx.amount > 100.0',
    'probability >= 0.995 && tx.amount > 100.0',
    'features.user_payment_methods_24h >= 10.0',
    'tx.merchant_id == "blocked-merchant" || tx.device_id == "blocked-device"',
  ];
  if (conditions.length !== RULES) throw new Error(`there are ${conditions.length} rules instead of ${RULES}`);
  return conditions.map((when, i) => ({ id: `load-${i + 1}`, version: 1, description: `Rule ${i + 1}`, when, action: 'review', state: 'live' }));
}

import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TimedEvent } from '../contracts/event.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Item } from '../contracts/item.ts';
import type { Rule } from '../contracts/rules.ts';
import { generateKey } from '../gateway/auth/keys.ts';
import { type Config, readConfig } from '../gateway/config.ts';
import { openContentIndexes } from '../gateway/content.ts';
import { ITEMS_COLLECTION } from '../gateway/data/items.ts';
import { bundlesDir, openStore, ownDir } from '../gateway/resources.ts';
import type { SnapshotManifest } from '../index/contract.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { eventUnit } from '../scoring/ingest.ts';
import { sha256File } from '../scoring/models/verify.ts';
import { Catalogue } from '../scoring/recommend/catalogue.ts';
import { contentBytes } from '../training/bundle/write.ts';
import { fitContent } from '../training/learners/content.ts';
import { type Random, seededRandom } from '../training/learners/random.ts';
import { skewed } from './draws.ts';
import { beginItemIndex, CONTENT_FILE, writeLoadBundle } from './shop-bundle.ts';

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

const RULES = 20;
const EVENTS_PER_USER = 12;
const ITEMS_PER_CATEGORY = 500;
const ITEMS_PER_BRAND = 300;
const WRITE_BATCH = 1_000;
const DAY_MS = 86_400_000;
const BUNDLE = 'load-1';
const EVENTS_SEED = 1;
const POLL_MS = 200;

export const itemId = (i: number): string => `item-${i}`;
export const userId = (i: number): string => `user-${i}`;

export const rulesPath = (dir: string): string => join(dir, 'rules.json');

/**
 * The shop in `dir`, made if it is not there yet; one that was made with other options is refused. A million items take minutes: the graph over their
 * vectors and the one over their content are built in processes of their own beside the rest, and what was cut off goes on behind the steps that it ended.
 */
export async function prepareShop(dir: string, options: ShopOptions, nowMs: number, say: (text: string) => void): Promise<PreparedShop> {
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isSafeInteger(value)) throw new Error(`${name} must be a whole number, not ${value}`);
  }
  const path = join(dir, 'shop.json');
  const known = await readJson<PreparedShop>(path);
  if (known) {
    if (known.items !== options.items || known.users !== options.users || known.seed !== options.seed) {
      throw new Error(`${dir} holds a shop of ${known.items} items, ${known.users} users and seed ${known.seed}: name another folder`);
    }
    return known;
  }
  const config = readConfig({}, { dataDir: dir });
  const folder = join(bundlesDir(config), BUNDLE);
  await mkdir(folder, { recursive: true });
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const note = join(dir, `${name}.done.json`);
    const done = await readJson<{ readonly result: T }>(note);
    if (done) return done.result;
    const startedMs = performance.now();
    const result = await work();
    await writeFile(note, JSON.stringify({ result }));
    say(`${name}: ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
    return result;
  };
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const items = makeItems(options, nowMs, seededRandom(options.seed));
  const catalogue = new Catalogue();
  for (const item of items) catalogue.put(item);
  const [index] = await Promise.all([
    step<SnapshotManifest>('item index', async () => (await beginItemIndex(folder, items, options.seed)).done),
    step('content index', () => writeContent(config, folder, catalogue, items, options.seed)),
    step('store', () => fillStore(config, engine, catalogue, items, options, nowMs)),
  ]);
  const { seed, users } = options;
  await step('bundle', () => writeLoadBundle(folder, BUNDLE, { engine, items, index, events: users * EVENTS_PER_USER, users, seed, nowMs }));
  await writeFile(join(bundlesDir(config), 'active.json'), JSON.stringify({ active: BUNDLE, previous: null }));
  await writeFile(rulesPath(dir), JSON.stringify(makeRules(), null, 2));
  const shop: PreparedShop = { ...options, secretKey: generateKey('secret'), bundle: BUNDLE };
  await writeFile(path, JSON.stringify(shop));
  return shop;
}

/** Undefined where there is no such file. */
async function readJson<T>(path: string): Promise<T | undefined> {
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  return JSON.parse(await readFile(path, 'utf8')) as T;
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
  config: Config,
  engine: FeatureEngine,
  catalogue: Catalogue,
  items: readonly Item[],
  options: ShopOptions,
  nowMs: number,
): Promise<void> {
  const random = seededRandom(options.seed + EVENTS_SEED);
  const store = await openStore(config, engine, catalogue);
  try {
    for (let from = 0; from < items.length; from += WRITE_BATCH) {
      const part = items.slice(from, from + WRITE_BATCH);
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

/** Fits the weights of words, and has the index of the catalogue by content built where a gateway on this folder finds it. */
async function writeContent(config: Config, folder: string, catalogue: Catalogue, items: readonly Item[], seed: number): Promise<void> {
  const model = fitContent(items, {}, { seed });
  const file = join(folder, CONTENT_FILE);
  await writeFile(file, contentBytes(model));
  let problem: unknown;
  const indexes = openContentIndexes({
    dir: ownDir(config, 'content'),
    catalogue,
    itemsMax: config.contentItemsMax,
    now: Date.now,
    onRefused: (reason) => {
      problem = new Error(`the content index is ${reason}`);
    },
    onError: (error) => {
      problem = error;
    },
  });
  const content = indexes.open(model, await sha256File(file));
  try {
    while (problem === undefined && indexes.stats()?.isCompacting !== false) await sleep(POLL_MS);
    if (problem !== undefined) throw problem;
  } finally {
    await content.close();
    await indexes.close();
  }
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

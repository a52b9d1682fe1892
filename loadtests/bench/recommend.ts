/**
 * The recommend path in process, by stage, without HTTP: the shop of the load tests, its bundle and placements, one request after the other.
 * Counted in CPU time of the process, so that neighbours on the machine change little.
 *
 *   node dist/loadtests/bench/recommend.js [items] [folder]     (default 100000, a folder beside the load tests' own)
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Filter } from '../../contracts/filter.ts';
import type { Item } from '../../contracts/item.ts';
import type { RecommendRequest } from '../../contracts/recommend.ts';
import { readConfig } from '../../gateway/config.ts';
import { openContentIndexes } from '../../gateway/content.ts';
import { ITEMS_COLLECTION } from '../../gateway/data/items.ts';
import { bundlesDir, openStore } from '../../gateway/resources.ts';
import { indexReaders } from '../../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { loadBundle } from '../../scoring/models/bundle.ts';
import { Catalogue } from '../../scoring/recommend/catalogue.ts';
import { ClickCounts } from '../../scoring/recommend/explore/click-counts.ts';
import { ItemFilter } from '../../scoring/recommend/item-filter.ts';
import { ItemNumbersTable } from '../../scoring/recommend/item-numbers.ts';
import { createRecommender, RANK_SET, RECOMMEND_STAGES, type RecommendModels, type RecommendStage } from '../../scoring/recommend/pipeline.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { Trending } from '../../scoring/recommend/trending.ts';
import { seededRandom } from '../../training/learners/random.ts';
import { itemId, prepareShop, skewed, userId } from '../shop.ts';

const USERS = 20_000;
const SEED = 1;
const LIMIT = 12;
const WARM_REQUESTS = 2_000;
const ROUNDS = 5;
const ROUND_REQUESTS = 1_000;
const NO_HURRY_MS = 60_000;
const POLL_MS = 50;
const FILTER_REQUESTS = 300;
/** From narrow to wide: the slow ones used to be those that let a few of a hundred through. */
const FILTERS: readonly Filter[] = [
  [{ field: 'category', in: ['category-3'] }],
  [
    { field: 'brand', in: ['brand-1', 'brand-2', 'brand-3', 'brand-4', 'brand-5'] },
    { field: 'price', max: 40 },
  ],
  [{ field: 'price', min: 100, max: 110 }],
  [
    { field: 'price', min: 20, max: 100 },
    { field: 'stock', min: 100 },
  ],
];

function line(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(34)}${value}\n`);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

async function main(): Promise<void> {
  const items = Number(process.argv[2] ?? 100_000);
  const shopDir = process.argv[3] ?? join(tmpdir(), `gatehouse-load-${items}-${USERS}-${SEED}`);
  const shop = await prepareShop(shopDir, { items, users: USERS, seed: SEED }, Date.now(), (text) => line('', text));
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'));
  await cp(shopDir, dataDir, { recursive: true });
  const config = readConfig({}, { dataDir });
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const catalogue = new Catalogue();
  const store = await openStore(config, engine, catalogue);
  try {
    for await (const { value } of store.docs(ITEMS_COLLECTION)) catalogue.put(value as Item);
    const { handles } = catalogue;
    const content = await openContentIndexes({
      dir: join(dataDir, 'content'),
      catalogue,
      itemsMax: items,
      now: Date.now,
      onRefused: (reason) => {
        throw new Error(`the content index is ${reason}`);
      },
      onError: (cause) => {
        throw cause;
      },
    });
    const openedMs = performance.now();
    const bundle = await loadBundle(join(bundlesDir(config), shop.bundle), { engine, ...indexReaders, handles, openContent: content.open });
    while (content.stats()?.isCompacting !== false) await setTimeout(POLL_MS);
    line('content index built in', `${((performance.now() - openedMs) / 1000).toFixed(1)} s, beside`);
    const withoutContent: RecommendModels = { ...bundle.recommend, content: undefined };
    const spentMs = Object.fromEntries(RECOMMEND_STAGES.map((stage) => [stage, 0])) as Record<RecommendStage, number>;
    const recommend = createRecommender({
      store,
      engine,
      catalogue,
      trending: new Trending(handles),
      itemNumbers: new ItemNumbersTable(engine, RANK_SET, handles),
      clicks: new ClickCounts(DEFAULT_PLACEMENTS.map(({ id }) => id)),
      candidatesMax: config.candidatesMax,
      onStage: (stage, ms) => {
        spentMs[stage] += ms;
      },
      onSource: () => {},
      editorial: { picks: () => [] },
      now: cpuMs,
    });
    const random = seededRandom(SEED);
    const [home, product] = DEFAULT_PLACEMENTS;
    let answers = 0;
    const ask = async (filter: Filter = [], models: RecommendModels = bundle.recommend): Promise<void> => {
      const user = skewed(random, USERS);
      const request: RecommendRequest = { user_id: userId(user), session_id: `session-${user}`, limit: LIMIT, filter };
      const onProduct = random.next() < 0.5;
      const { items: answer, degradedBy } = await recommend(
        onProduct ? { ...request, item_id: itemId(skewed(random, items)) } : request,
        onProduct ? product! : home!,
        models,
        Date.now(),
        cpuMs() + NO_HURRY_MS,
        `r${answers++}`,
      );
      if (degradedBy.length > 0 || answer.length < LIMIT) throw new Error(`${answer.length} items, degraded by ${degradedBy}`);
    };
    for (let i = 0; i < WARM_REQUESTS; i++) await ask([], i % 2 === 0 ? bundle.recommend : withoutContent);
    const rounds: Record<string, number>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const stage of RECOMMEND_STAGES) spentMs[stage] = 0;
      const whole = await meanUs(ROUND_REQUESTS, () => ask());
      const stages = mapValues(spentMs, (ms) => (ms * 1000) / ROUND_REQUESTS);
      rounds.push({ whole, ...stages, 'whole, without content': await meanUs(ROUND_REQUESTS, () => ask([], withoutContent)) });
    }
    line('items', `${items}, median of ${ROUNDS} rounds of ${ROUND_REQUESTS}`);
    for (const stage of [...RECOMMEND_STAGES, 'whole', 'whole, without content'])
      line(stage, `${median(rounds.map((round) => round[stage]!)).toFixed(0)} us a request`);
    for (const filter of FILTERS) {
      // Warm like the rest: states of items that nobody asked for yet are read from the store.
      for (let i = 0; i < WARM_REQUESTS; i++) await ask(filter);
      const us = await meanUs(FILTER_REQUESTS, () => ask(filter));
      line(`behind ${filter.map(({ field }) => field).join(' and ')}`, `${us.toFixed(0)} us a request; ${fitting(catalogue, filter)} items fit`);
    }
    const someItems = Array.from({ length: FILTER_REQUESTS }, () => catalogue.at(random.int(items))!);
    line(
      'changing an item',
      `${(await meanUs(someItems.length, async (i) => catalogue.put({ ...someItems[i]!, price: 1 + (i % 97) }))).toFixed(0)} us`,
    );
    const changed = await meanUs(someItems.length, async (i) => catalogue.put({ ...someItems[i]!, title: `Changed ${i}` }));
    line('changing its words', `${changed.toFixed(0)} us`);
    line('resident', `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`);
    await bundle.release();
    await content.close();
  } finally {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function meanUs(times: number, work: (i: number) => Promise<void>): Promise<number> {
  const start = cpuMs();
  for (let i = 0; i < times; i++) await work(i);
  return ((cpuMs() - start) * 1000) / times;
}

function fitting(catalogue: Catalogue, filter: Filter): number {
  const { fits } = new ItemFilter(catalogue).evaluate([filter]);
  let count = 0;
  for (let handle = 0; handle < catalogue.handles.size; handle++) if (fits(handle)) count++;
  return count;
}

function mapValues(record: Readonly<Record<string, number>>, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

await main();

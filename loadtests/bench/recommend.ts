/**
 * The recommend path in process, by stage, without HTTP: the shop of the load tests, its bundle and placements, one request after the other.
 * Counted in CPU time of the process, so that neighbours on the machine change little; a stage has its share of that by the clock, as reading the CPU time
 * costs 10 us. Each round asks of visitors whom nobody asked of before, then the same once more.
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
import { bundlesDir, openStore, ownDir } from '../../gateway/resources.ts';
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
import { skewed } from '../draws.ts';
import { itemId, prepareShop, userId } from '../shop.ts';

const USERS = 20_000;
const SEED = 1;
const LIMIT = 12;
const WARM_REQUESTS = 2_000;
const ROUNDS = 5;
const ROUND_REQUESTS = 1_000;
/** A machine that is busy with others, or was suspended, makes an answer late; what it costs is counted in CPU time. */
const NO_HURRY_MS = 3_600_000;
const POLL_MS = 50;
const ASKED = ['visitors anew', 'anew, without content', 'visitors again'] as const;
type Asked = (typeof ASKED)[number];
type Round = Record<RecommendStage | 'whole', number>;
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
    const content = openContentIndexes({
      dir: ownDir(config, 'content'),
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
    line('content index opened in', `${((performance.now() - openedMs) / 1000).toFixed(1)} s, beside`);
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
      now: () => performance.now(),
    });
    const random = seededRandom(SEED);
    const [home, product] = DEFAULT_PLACEMENTS;
    let answers = 0;
    const drawn = (filter: Filter = []): RecommendRequest => {
      const user = skewed(random, USERS);
      const request = { user_id: userId(user), session_id: `session-${user}`, limit: LIMIT, filter };
      return random.next() < 0.5 ? request : { ...request, item_id: itemId(skewed(random, items)) };
    };
    const ask = async (request: RecommendRequest, models: RecommendModels = bundle.recommend): Promise<void> => {
      const placement = request.item_id === undefined ? home! : product!;
      const deadline = performance.now() + NO_HURRY_MS;
      const { items: answer, degradedBy } = await recommend(request, placement, models, Date.now(), deadline, `r${answers++}`);
      if (degradedBy.length > 0 || answer.length < LIMIT) throw new Error(`${answer.length} items, degraded by ${degradedBy}`);
    };
    for (let i = 0; i < WARM_REQUESTS; i++) await ask(drawn(), i % 2 === 0 ? bundle.recommend : withoutContent);
    const timed = async (requests: readonly RecommendRequest[], models: RecommendModels): Promise<Round> => {
      for (const stage of RECOMMEND_STAGES) spentMs[stage] = 0;
      const whole = await meanUs(requests.length, (i) => ask(requests[i]!, models));
      const all = RECOMMEND_STAGES.reduce((sum, stage) => sum + spentMs[stage], 0);
      return { whole, ...mapValues(spentMs, (ms) => (ms / all) * whole) };
    };
    const rounds: Record<Asked, Round>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const requests = Array.from({ length: ROUND_REQUESTS }, () => drawn());
      rounds.push({
        'visitors anew': await timed(requests, withoutMemory(bundle.recommend)),
        'anew, without content': await timed(requests, withoutMemory(withoutContent)),
        'visitors again': await timed(await askedBefore(requests, ask), bundle.recommend),
      });
    }
    line('items', `${items}, median of ${ROUNDS} rounds of ${ROUND_REQUESTS}`);
    for (const asked of ASKED) {
      for (const stage of [...RECOMMEND_STAGES, 'whole'] as const)
        line(`${asked}: ${stage}`, `${median(rounds.map((round) => round[asked][stage])).toFixed(0)} us a request`);
    }
    for (const filter of FILTERS) {
      // Warm like the rest: states of items that nobody asked for yet are read from the store.
      for (let i = 0; i < WARM_REQUESTS; i++) await ask(drawn(filter));
      const us = await meanUs(FILTER_REQUESTS, () => ask(drawn(filter)));
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

/** The same models, of whose searches nothing is kept yet: that is kept by the user tower. */
function withoutMemory(models: RecommendModels): RecommendModels {
  return { ...models, userTower: models.userTower && { fold: (touched) => models.userTower!.fold(touched) } };
}

async function askedBefore(requests: readonly RecommendRequest[], ask: (request: RecommendRequest) => Promise<void>) {
  for (const request of requests) await ask(request);
  return requests;
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

function mapValues<K extends string>(record: Readonly<Record<K, number>>, change: (value: number) => number): Record<K, number> {
  return Object.fromEntries(Object.entries<number>(record).map(([key, value]) => [key, change(value)])) as Record<K, number>;
}

await main();

/**
 * The recommend path in process, by stage, without HTTP: the shop of the load tests, its bundle and placements, one request after the other.
 * Counted in CPU time of the process, so that neighbours on the machine change little.
 *
 *   node dist/loadtests/bench/recommend.js [items] [folder]     (default 100000, a folder beside the load tests' own)
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Item } from '../../contracts/item.ts';
import type { RecommendRequest } from '../../contracts/recommend.ts';
import { readConfig } from '../../gateway/config.ts';
import { ITEMS_COLLECTION } from '../../gateway/data/items.ts';
import { bundlesDir, openStore } from '../../gateway/main.ts';
import { readSnapshot } from '../../index/snapshot.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { loadBundle } from '../../scoring/models/bundle.ts';
import { Catalogue } from '../../scoring/recommend/catalogue.ts';
import { ItemNumbersTable } from '../../scoring/recommend/item-numbers.ts';
import { createRecommender, RANK_SET, RECOMMEND_STAGES, type RecommendStage } from '../../scoring/recommend/pipeline.ts';
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
    const bundle = await loadBundle(join(bundlesDir(config), shop.bundle), { engine, readIndex: readSnapshot, handles });
    const spentMs = Object.fromEntries(RECOMMEND_STAGES.map((stage) => [stage, 0])) as Record<RecommendStage, number>;
    const recommend = createRecommender({
      store,
      engine,
      catalogue,
      trending: new Trending(handles),
      itemNumbers: new ItemNumbersTable(engine, RANK_SET, handles),
      candidatesMax: config.candidatesMax,
      onStage: (stage, ms) => {
        spentMs[stage] += ms;
      },
      now: cpuMs,
    });
    const random = seededRandom(SEED);
    const [home, product] = DEFAULT_PLACEMENTS;
    const ask = async (): Promise<void> => {
      const user = skewed(random, USERS);
      const request: RecommendRequest = { user_id: userId(user), session_id: `session-${user}`, limit: LIMIT };
      const onProduct = random.next() < 0.5;
      const { items: answer, degradedBy } = await recommend(
        onProduct ? { ...request, item_id: itemId(skewed(random, items)) } : request,
        onProduct ? product! : home!,
        bundle.recommend,
        Date.now(),
        cpuMs() + NO_HURRY_MS,
      );
      if (degradedBy.length > 0 || answer.length < LIMIT) throw new Error(`${answer.length} items, degraded by ${degradedBy}`);
    };
    for (let i = 0; i < WARM_REQUESTS; i++) await ask();
    const rounds: Record<string, number>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const stage of RECOMMEND_STAGES) spentMs[stage] = 0;
      const start = cpuMs();
      for (let i = 0; i < ROUND_REQUESTS; i++) await ask();
      const wholeMs = cpuMs() - start;
      rounds.push({ whole: (wholeMs * 1000) / ROUND_REQUESTS, ...mapValues(spentMs, (ms) => (ms * 1000) / ROUND_REQUESTS) });
    }
    line('items', `${items}, median of ${ROUNDS} rounds of ${ROUND_REQUESTS}`);
    for (const stage of [...RECOMMEND_STAGES, 'whole']) line(stage, `${median(rounds.map((round) => round[stage]!)).toFixed(0)} us a request`);
    line('resident', `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`);
    await bundle.release();
  } finally {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function mapValues(record: Readonly<Record<string, number>>, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

await main();

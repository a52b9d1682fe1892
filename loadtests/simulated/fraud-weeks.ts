/**
 * Money lost to fraud week by week: with nobody who judges, with the shipped rules, and with rules and a model. A simulated shop under attacks that come in
 * waves, whose labels arrive days late, and whose gateway is trained anew each week on what had become known. The gateway is a real one behind HTTP; only
 * its clock is the shop's.
 *
 *   npm run build && node dist/loadtests/simulated/fraud-weeks.js --help
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { createClient, type GatehouseClient } from '../../client/index.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { DecisionName } from '../../contracts/score.ts';
import { generateKey } from '../../gateway/auth/keys.ts';
import { readConfig } from '../../gateway/config.ts';
import { type Gateway, startGateway } from '../../gateway/main.ts';
import { bundlesDir } from '../../gateway/resources.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { type Audience, actOut, passes, type Shop } from '../../simulator/index.ts';
import { journalSource, SESSION_DEFAULTS, train } from '../../training/index.ts';
import { progressBars } from '../../training/progress.ts';
import { reportOf, type SeedResult } from './fraud-report.ts';
import { type Prices, Week } from './ledger.ts';
import { HOUR_MS, type ShopOptions, seedsOf, shopOf, WEEK_MS, withShopOptions } from './options.ts';

interface Options extends ShopOptions {
  readonly alone: string;
  readonly fraud: string;
  readonly margin: string;
  readonly review: string;
  readonly reviewFinds: string;
  readonly challengeLoses: string;
  readonly fee: string;
}

const BATCH = 1_000;
/** No one is recommended anything here: the smallest retrieval that trains. */
const RETRIEVAL = { als: { factors: 4, iterations: 1 }, sessions: { ...SESSION_DEFAULTS, neighbours: false, nextItem: false } };

type PayAsk = Parameters<Audience['judged']>[0];

/** What the payments of one course of the shop came to. */
class Books implements Audience {
  readonly weeks: Week[] = [];
  readonly #shop: Shop;
  readonly #prices: Prices;
  readonly #door: Door | undefined;

  constructor(shop: Shop, prices: Prices, door?: Door) {
    this.#shop = shop;
    this.#prices = prices;
    this.#door = door;
  }

  happened(event: TimedEvent): Promise<void> | undefined {
    return this.#door?.happened(event);
  }

  listed(): undefined {
    return undefined;
  }

  async judged(ask: PayAsk): Promise<DecisionName | undefined> {
    const decision = await this.#door?.judged(ask);
    const { attempt, authorised, fraud } = ask;
    const n = Math.floor((attempt.timestamp_ms - this.#shop.settings.startMs) / WEEK_MS);
    this.weeks[n] ??= new Week();
    const allowed = decision === undefined || passes(decision, fraud === undefined);
    this.weeks[n].add({ userId: attempt.user_id, value: attempt.value, fraud, authorised, decision, allowed }, this.#prices);
    return decision;
  }

  async dayEnded(atMs: number): Promise<void> {
    await this.#door?.dayEnded(atMs);
  }
}

interface DoorParts {
  readonly client: GatehouseClient;
  readonly startMs: number;
  /** Payments before it are judged by nobody. */
  readonly fromMs: number;
  /** Trains and puts into force; whether there is a fraud model now that knows the payments up to here. Undefined: rules alone decide. */
  readonly trained: (() => Promise<boolean>) | undefined;
}

/** The shop's side of the gateway, and the weekly training. */
class Door {
  nowMs: number;
  /** Days since the training of the model in force at the end of each week; undefined: there was none. */
  readonly modelAgeDays: (number | undefined)[] = [];
  readonly #parts: DoorParts;
  #trainedMs: number | undefined;
  #waiting: TimedEvent[] = [];

  constructor(parts: DoorParts) {
    this.#parts = parts;
    this.nowMs = parts.startMs;
  }

  async happened(event: TimedEvent): Promise<void> {
    this.nowMs = Math.max(this.nowMs, event.timestamp_ms);
    this.#waiting.push(event);
    if (this.#waiting.length >= BATCH) await this.#send();
  }

  async judged({ attempt }: PayAsk): Promise<DecisionName | undefined> {
    if (attempt.timestamp_ms < this.#parts.fromMs) return undefined;
    this.nowMs = Math.max(this.nowMs, attempt.timestamp_ms);
    await this.#send();
    const { event_id: _id, name: _name, value, ...shared } = attempt;
    return (await this.#parts.client.score({ ...shared, amount: value })).decision;
  }

  async dayEnded(atMs: number): Promise<void> {
    this.nowMs = atMs;
    await this.#send();
    const { startMs, fromMs, trained } = this.#parts;
    if ((atMs - startMs) % WEEK_MS !== 0) return;
    this.modelAgeDays.push(this.#trainedMs === undefined ? undefined : (atMs - this.#trainedMs) / (24 * HOUR_MS));
    if (trained && atMs >= fromMs && (await trained())) this.#trainedMs = atMs;
  }

  async #send(): Promise<void> {
    if (this.#waiting.length > 0) await this.#parts.client.events(this.#waiting);
    this.#waiting = [];
  }
}

/** The shop of one seed three times over: nobody judges, the shipped rules do, rules and models do. */
async function playSeed(seed: number, options: Options, prices: Prices): Promise<SeedResult> {
  const shop = shopOf(options, seed, { fraudRate: Number(options.fraud), fraudWaves: true });
  const without = new Books(shop, prices);
  await actOut(shop.world, without);
  const rules = await playAgainst(shop, seed, options, prices, false);
  const model = await playAgainst(shop, seed, options, prices, true);
  return { seed, without: without.weeks, rules: rules.weeks, model: model.weeks, modelAgeDays: model.modelAgeDays };
}

async function playAgainst(
  shop: Shop,
  seed: number,
  options: Options,
  prices: Prices,
  withModel: boolean,
): Promise<{ readonly weeks: readonly Week[]; readonly modelAgeDays: Door['modelAgeDays'] }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-weeks-'));
  const secretKey = generateKey('secret');
  // The training shares this process: being late for it is no overload. Nothing here has to outlive a power cut, so that no payment waits for the disk.
  const patient = { eventLoopDelayMaxMs: 60_000, scoreDeadlineMs: 10_000, durability: 'async' } as const;
  const config = readConfig({}, { dataDir, port: 0, controlPort: 0, secretKeys: [secretKey], logLevel: 'warn', ...patient });
  const { startMs } = shop.settings;
  let door: Door | undefined;
  const now = (): number => door?.nowMs ?? startMs;
  const gateway = await startGateway(config, now);
  try {
    const client = createClient({ baseUrl: `http://127.0.0.1:${gateway.dataPort}`, key: secretKey, timeoutMs: 60_000 });
    const fromMs = startMs + Number(options.alone) * WEEK_MS;
    const trained = withModel ? () => trainAndActivate(gateway, bundlesDir(config), seed, prices, now) : undefined;
    door = new Door({ client, startMs, fromMs, trained });
    await client.putItems(shop.items());
    const books = new Books(shop, prices, door);
    await actOut(shop.world, books);
    return { weeks: books.weeks, modelAgeDays: door.modelAgeDays };
  } finally {
    await gateway.drain();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** False, and the model that is in force stays, where the payments were not enough for a new one. */
async function trainAndActivate(gateway: Gateway, outDir: string, seed: number, prices: Prices, now: () => number): Promise<boolean> {
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const progress = progressBars(process.stderr, () => performance.now());
  // A challenge stops every thief of this shop; nobody counts what a refused customer thinks.
  const params = { retrieval: RETRIEVAL, queriesMax: 0, risk: { costs: { ...prices, challengeStops: 1, goodwill: 0 } } };
  const facts = await journalSource(gateway.store);
  const { version, skipped } = await train({ facts, engine, outDir, seed, params, progress, now });
  if (skipped['fraud'] !== undefined) {
    process.stderr.write(`no new fraud model: ${skipped['fraud']}\n`);
    return false;
  }
  await gateway.bundles.activate(version);
  return true;
}

async function main(options: Options): Promise<void> {
  const prices: Prices = {
    margin: Number(options.margin),
    review: Number(options.review),
    reviewFinds: Number(options.reviewFinds),
    challengeLoses: Number(options.challengeLoses),
    chargebackFee: Number(options.fee),
  };
  const results: SeedResult[] = [];
  for (const seed of seedsOf(options)) {
    const result = await playSeed(seed, options, prices);
    results.push(result);
    // Minutes pass between seeds: what is there is shown.
    process.stderr.write(`${reportOf([result], prices, Number(options.alone))}\n`);
  }
  process.stdout.write(`${reportOf(results, prices, Number(options.alone))}\n`);
}

const program = withShopOptions(
  new Command('fraud-weeks').description('Money lost to fraud with the gateway and without, week by week, on a simulated shop'),
  { users: '600', items: '300', weeks: '14', seeds: '1,2,3' },
)
  .option('--alone <n>', 'weeks at the beginning in which nobody judges', '0')
  .option('--fraud <share>', 'share of payments that are fraud', '0.04')
  .option('--margin <share>', 'of an honest payment, lost when it is refused', '0.25')
  .option('--review <money>', 'cost of one review', '3')
  .option('--review-finds <share>', 'of the frauds under review', '0.8')
  .option('--challenge-loses <share>', 'of the honest payers who are challenged', '0.15')
  .option('--fee <money>', 'the bank’s fee for a fraud', '15');

await main(program.parse().opts<Options>());

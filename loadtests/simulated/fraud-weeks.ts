/**
 * Money lost to fraud with the gateway and without, week by week: a simulated shop under attacks that come in waves, whose labels arrive days late, and
 * whose gateway is trained anew each week on what had become known. The gateway is a real one behind HTTP; only its clock is the shop's.
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
import { bundlesDir, type Gateway, startGateway } from '../../gateway/main.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { type Audience, actOut, createShop, passes, type Shop } from '../../simulator/index.ts';
import { journalSource, SESSION_DEFAULTS, train } from '../../training/index.ts';
import { progressBars } from '../../training/progress.ts';
import { whole } from '../load/report.ts';
import { type Prices, Week } from './ledger.ts';

interface Options {
  readonly users: string;
  readonly items: string;
  readonly weeks: string;
  readonly alone: string;
  readonly fraud: string;
  readonly seed: string;
  readonly margin: string;
  readonly review: string;
  readonly reviewFinds: string;
  readonly challengeLoses: string;
  readonly fee: string;
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const END_MS = Date.UTC(2026, 0, 5);
const BATCH = 1_000;
/** No one is recommended anything here: the smallest retrieval that trains. */
const RETRIEVAL = { als: { factors: 4, iterations: 1 }, sessions: { ...SESSION_DEFAULTS, neighbours: false, nextItem: false } };

type PayAsk = Parameters<Audience['judged']>[0];

/** Acts the shop out; `judge` answers for the payments of the weeks from `fromMs` on. */
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
    const honest = fraud === undefined;
    const n = Math.floor((attempt.timestamp_ms - this.#shop.settings.startMs) / WEEK_MS);
    this.weeks[n] ??= new Week();
    const allowed = decision === undefined || passes(decision, honest);
    this.weeks[n].add({ value: attempt.value, fraud: !honest, authorised, decision, allowed }, this.#prices);
    return decision;
  }

  async dayEnded(atMs: number): Promise<void> {
    await this.#door?.dayEnded(atMs);
  }
}

/** The shop's side of the gateway, and the weekly training. */
class Door {
  nowMs: number;
  readonly bundles: string[] = [];
  readonly #client: GatehouseClient;
  readonly #gateway: Gateway;
  readonly #fromMs: number;
  readonly #startMs: number;
  readonly #train: () => Promise<string>;
  #waiting: TimedEvent[] = [];

  constructor(client: GatehouseClient, gateway: Gateway, startMs: number, fromMs: number, trainNow: () => Promise<string>) {
    this.#client = client;
    this.#gateway = gateway;
    this.#startMs = startMs;
    this.#fromMs = fromMs;
    this.#train = trainNow;
    this.nowMs = startMs;
  }

  async happened(event: TimedEvent): Promise<void> {
    this.nowMs = Math.max(this.nowMs, event.timestamp_ms);
    this.#waiting.push(event);
    if (this.#waiting.length >= BATCH) await this.#send();
  }

  async judged({ attempt }: PayAsk): Promise<DecisionName | undefined> {
    if (attempt.timestamp_ms < this.#fromMs) return undefined;
    this.nowMs = Math.max(this.nowMs, attempt.timestamp_ms);
    await this.#send();
    const { event_id: _id, name: _name, value, ...shared } = attempt;
    return (await this.#client.score({ ...shared, amount: value })).decision;
  }

  async dayEnded(atMs: number): Promise<void> {
    this.nowMs = atMs;
    await this.#send();
    if (atMs < this.#fromMs || (atMs - this.#startMs) % WEEK_MS !== 0) return;
    const version = await this.#train();
    await this.#gateway.bundles.activate(version);
    this.bundles[(atMs - this.#startMs) / WEEK_MS] = version;
  }

  async #send(): Promise<void> {
    if (this.#waiting.length > 0) await this.#client.events(this.#waiting);
    this.#waiting = [];
  }
}

async function main(options: Options): Promise<void> {
  const weeks = Number(options.weeks);
  const seed = Number(options.seed);
  const prices: Prices = {
    margin: Number(options.margin),
    review: Number(options.review),
    reviewFinds: Number(options.reviewFinds),
    challengeLoses: Number(options.challengeLoses),
    chargebackFee: Number(options.fee),
  };
  const shop = createShop({
    seed,
    endMs: END_MS,
    users: Number(options.users),
    items: Number(options.items),
    days: weeks * 7,
    fraudRate: Number(options.fraud),
    fraudWaves: true,
  });
  const without = new Books(shop, prices);
  await actOut(shop.world, without);

  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-weeks-'));
  const secretKey = generateKey('secret');
  // The training shares this process: being late for it is no overload.
  const patient = { eventLoopDelayMaxMs: 60_000, scoreDeadlineMs: 10_000 };
  const config = readConfig({}, { dataDir, port: 0, controlPort: 0, secretKeys: [secretKey], logLevel: 'warn', ...patient });
  const { startMs } = shop.settings;
  let door: Door | undefined;
  const now = (): number => door?.nowMs ?? startMs;
  const gateway = await startGateway(config, now);
  try {
    const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
    const progress = progressBars(process.stderr, () => performance.now());
    // A challenge stops every thief of this shop; nobody counts what a refused customer thinks.
    const params = { retrieval: RETRIEVAL, queriesMax: 0, risk: { costs: { ...prices, challengeStops: 1, goodwill: 0 } } };
    const trainNow = async (): Promise<string> => {
      const facts = await journalSource(gateway.store);
      return (await train({ facts, engine, outDir: bundlesDir(config), seed, params, progress, now })).version;
    };
    const client = createClient({ baseUrl: `http://127.0.0.1:${gateway.dataPort}`, key: secretKey, timeoutMs: 60_000 });
    door = new Door(client, gateway, startMs, startMs + Number(options.alone) * WEEK_MS, trainNow);
    await client.putItems(shop.items());
    const withIt = new Books(shop, prices, door);
    await actOut(shop.world, withIt);
    process.stdout.write(`${report(without.weeks, withIt.weeks, Number(options.alone), prices)}\n`);
  } finally {
    await gateway.drain();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function report(without: readonly Week[], withIt: readonly Week[], alone: number, prices: Prices): string {
  const lines = withIt.map((week, n) => line(`${n + 1}${n < alone ? ' (nobody judges)' : ''}`, without[n]!, week));
  return [
    `A fraud costs its goods and ${prices.chargebackFee}; a refused honest payment ${100 * prices.margin} % of it; a review ${prices.review}, and finds ${100 * prices.reviewFinds} % of the frauds it looks at; a challenge stops thieves and loses ${100 * prices.challengeLoses} % of honest payers. Trained anew at the end of each week.`,
    '',
    '| week | payments | frauds | lost without | lost with | of that: fraud | refused | reviews | honest refused | reviewed |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...lines,
    line('judged weeks together', total(without.slice(alone)), total(withIt.slice(alone))),
  ].join('\n');
}

function line(name: string, without: Week, week: Week): string {
  const money = [without.loss, week.loss, week.fraudLoss, week.refusedLoss, week.reviewCost].map(whole).join(' | ');
  return `| ${name} | ${week.payments} | ${week.frauds} | ${money} | ${week.honestRefused} | ${week.reviews} |`;
}

function total(weeks: readonly Week[]): Week {
  const sum = new Week();
  for (const week of weeks) {
    for (const key of ['payments', 'frauds', 'fraudLoss', 'refusedLoss', 'honestRefused', 'reviews', 'reviewCost'] as const) sum[key] += week[key];
  }
  return sum;
}

const program = new Command('fraud-weeks')
  .description('Money lost to fraud with the gateway and without, week by week, on a simulated shop')
  .option('--users <n>', 'users of the shop', '3000')
  .option('--items <n>', 'its items', '600')
  .option('--weeks <n>', 'weeks of its life', '14')
  .option('--alone <n>', 'weeks at the beginning in which nobody judges: what the first model learns from', '4')
  .option('--fraud <share>', 'share of payments that are fraud', '0.04')
  .option('--seed <n>', 'seed of the shop and of the training', '1')
  .option('--margin <share>', 'of an honest payment, lost when it is refused', '0.25')
  .option('--review <money>', 'cost of one review', '3')
  .option('--review-finds <share>', 'of the frauds under review', '0.8')
  .option('--challenge-loses <share>', 'of the honest payers who are challenged', '0.15')
  .option('--fee <money>', 'the bank’s fee for a fraud', '15');

await main(program.parse().opts<Options>());

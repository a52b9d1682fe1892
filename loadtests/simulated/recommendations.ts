/**
 * How good recommendations are for people whose tastes are known: a simulated shop whose pages show what a real gateway behind HTTP recommends, on the
 * shop's clock, trained anew each week. Prints the share of the best possible reward, the curves of new visitors and new items, and the same weeks with
 * less and more exploration. A reward is the true want of a list's items (`affinity`), the mean over the list.
 *
 *   npm run build && node dist/loadtests/simulated/recommendations.js --help
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { createClient, type GatehouseClient } from '../../client/index.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Exploration } from '../../contracts/exploration.ts';
import { Handles } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import { generateKey } from '../../gateway/auth/keys.ts';
import { readConfig } from '../../gateway/config.ts';
import { startGateway } from '../../gateway/main.ts';
import { bundlesDir } from '../../gateway/resources.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { drawOf } from '../../scoring/recommend/explore/draw.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../../scoring/recommend/placements.ts';
import { Trending } from '../../scoring/recommend/trending.ts';
import { type Audience, actOut, createShop, type Shop } from '../../simulator/index.ts';
import { journalSource, SESSION_DEFAULTS, train } from '../../training/index.ts';
import { progressBars } from '../../training/progress.ts';
import { HEAD_PLACES, type ItemWant, ListLedger, meanWant, Sums } from './list-ledger.ts';

interface Options {
  readonly users: string;
  readonly items: string;
  readonly weeks: string;
  readonly alone: string;
  readonly visits: string;
  readonly seed: string;
  readonly arms: string;
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const END_MS = Date.UTC(2026, 0, 5);
const BATCH = 1_000;
/** A small shop has few tastes to tell apart. */
const RETRIEVAL = { als: { factors: 16, iterations: 8 }, sessions: { ...SESSION_DEFAULTS, nextItem: false } };
/** Pages that the ranker learns from: a small shop has little more, and there is a training each week of each arm. */
const QUERIES_MAX = 1_500;

type ListAsk = Parameters<Audience['listed']>[0];

/** What each arm makes of the shipped placements. */
const ARMS: Readonly<Record<string, (placement: Placement) => Placement>> = {
  none: (placement) => ({ ...placement, new_share: 0, exploration: { policy: 'none' } }),
  kept: (placement) => ({ ...placement, exploration: { policy: 'none' } }),
  shipped: (placement) => placement,
  thompson: (placement) => ({ ...placement, exploration: WIDE }),
  epsilon: (placement) => ({ ...placement, exploration: { policy: 'epsilon_greedy', epsilon: 0.1, by: 'slot', among: 'all', slots: 8, pool: 40 } }),
};
const WIDE: Exploration = { policy: 'thompson', among: 'all', slots: 2, pool: 30 };
const ARM_TEXT: Readonly<Record<string, string>> = {
  none: 'nothing is tried, no place is kept for new items',
  kept: 'a place of home is kept for the best ranked new item',
  shipped: 'that place goes round among new items by Thompson sampling',
  thompson: 'the last two places go round among the thirty best by Thompson sampling',
  epsilon: 'each place is drawn from the forty best one time in ten',
};

/** The people of the shop with the gateway's lists before them. */
class Floor implements Audience {
  nowMs: number;
  clicks = 0;
  lists = 0;
  readonly ledger = new ListLedger();
  readonly #shop: Shop;
  readonly #client: GatehouseClient;
  readonly #fromMs: number;
  readonly #train: () => Promise<void>;
  readonly #handles = new Handles();
  readonly #trending = new Trending(this.#handles);
  readonly #offered: Item[] = [];
  readonly #coming: Item[];
  readonly #visits = new Map<string, Set<string>>();
  #waiting: TimedEvent[] = [];

  constructor(shop: Shop, client: GatehouseClient, fromMs: number, trainNow: () => Promise<void>) {
    this.#shop = shop;
    this.#client = client;
    this.#fromMs = fromMs;
    this.#train = trainNow;
    this.nowMs = shop.settings.startMs;
    this.#coming = shop.items().sort((a, b) => (a.created_ms ?? 0) - (b.created_ms ?? 0));
  }

  /** Items come into the catalogue when the shop first offers them, at the end of the day before. */
  async offer(untilMs: number): Promise<void> {
    const fresh: Item[] = [];
    while (this.#coming.length > 0 && (this.#coming[0]!.created_ms ?? 0) <= untilMs) fresh.push(this.#coming.shift()!);
    if (fresh.length === 0) return;
    await this.#client.putItems(fresh);
    this.#offered.push(...fresh);
  }

  async happened(event: TimedEvent): Promise<void> {
    this.nowMs = Math.max(this.nowMs, event.timestamp_ms);
    this.#trending.add(event);
    if (event.name === 'select_item' && event.recommendation_id !== undefined) this.clicks++;
    if (event.user_id !== undefined && event.session_id !== undefined) this.#sessionsOf(event.user_id).add(event.session_id);
    this.#waiting.push(event);
    if (this.#waiting.length >= BATCH) await this.#send();
  }

  listed(ask: ListAsk, atMs: number): ReturnType<Audience['listed']> {
    return atMs < this.#fromMs ? undefined : this.#answer(ask, atMs);
  }

  judged(): undefined {
    return undefined;
  }

  async dayEnded(atMs: number): Promise<void> {
    this.nowMs = atMs;
    await this.offer(atMs);
    await this.#send();
    if (atMs >= this.#fromMs && (atMs - this.#fromMs) % WEEK_MS === 0 && atMs < this.#shop.settings.endMs) await this.#train();
  }

  async #answer({ placement, userId, sessionId, itemId, limit }: ListAsk, atMs: number) {
    this.nowMs = Math.max(this.nowMs, atMs);
    await this.#send();
    const who = { session_id: sessionId, ...(userId === undefined ? {} : { user_id: userId }) };
    const { items, recommendation_id } = await this.#client.recommend({
      placement,
      limit,
      ...who,
      ...(itemId === undefined ? {} : { item_id: itemId }),
    });
    const itemIds = items.map(({ item_id }) => item_id);
    this.lists++;
    if (userId !== undefined) this.#measure(userId, sessionId, itemIds, atMs, recommendation_id);
    return { itemIds, recommendationId: recommendation_id };
  }

  #measure(userId: string, sessionId: string, itemIds: readonly string[], atMs: number, name: string): void {
    const { startMs } = this.#shop.settings;
    const wants = new Map<string, ItemWant>();
    for (const { item_id, created_ms = 0 } of this.#offered) {
      const ageDays = created_ms > startMs ? (atMs - created_ms) / DAY_MS : undefined;
      wants.set(item_id, { id: item_id, want: this.#shop.affinity(userId, item_id, atMs), ageDays });
    }
    const all = [...wants.values()];
    const known = (ids: readonly string[]): ItemWant[] => ids.flatMap((id) => wants.get(id) ?? []);
    const draw = drawOf(name);
    const random = Array.from({ length: itemIds.length }, () => all[draw.int(all.length)]!);
    this.ledger.add({
      week: Math.floor((atMs - this.#fromMs) / WEEK_MS),
      earlierVisits: [...this.#sessionsOf(userId)].filter((session) => session !== sessionId).length,
      shown: known(itemIds),
      oracle: all.sort((a, b) => b.want - a.want).slice(0, itemIds.length),
      popularWant: meanWant(known(Array.from(this.#trending.top(atMs), (handle) => this.#handles.idOf(handle))).slice(0, itemIds.length)),
      randomWant: meanWant(random),
    });
  }

  #sessionsOf(userId: string): Set<string> {
    let sessions = this.#visits.get(userId);
    if (sessions === undefined) {
      sessions = new Set();
      this.#visits.set(userId, sessions);
    }
    return sessions;
  }

  async #send(): Promise<void> {
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) await this.#client.events(events);
  }
}

async function play(shop: Shop, arm: string, fromMs: number, seed: number): Promise<Floor> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-lists-'));
  const placementsFile = join(dataDir, 'placements.json');
  await writeFile(placementsFile, JSON.stringify(DEFAULT_PLACEMENTS.map(ARMS[arm]!)));
  const secretKey = generateKey('secret');
  // The training shares this process, and the machine may be busy: being late is not what is measured.
  const patient = { eventLoopDelayMaxMs: 60_000, recommendDeadlineMs: 10_000 };
  const overrides = { dataDir, placementsFile, port: 0, controlPort: 0, secretKeys: [secretKey], logLevel: 'warn', durability: 'async' } as const;
  const config = readConfig({}, { ...overrides, ...patient });
  let floor: Floor | undefined;
  const now = (): number => floor?.nowMs ?? shop.settings.startMs;
  const gateway = await startGateway(config, now);
  try {
    const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
    const progress = progressBars(process.stderr, () => performance.now());
    const trainNow = async (): Promise<void> => {
      await gateway.store.flush();
      const facts = await journalSource(gateway.store);
      const { version } = await train({
        facts,
        engine,
        outDir: bundlesDir(config),
        seed,
        params: { retrieval: RETRIEVAL, queriesMax: QUERIES_MAX },
        progress,
        now,
      });
      await gateway.bundles.activate(version);
    };
    const client = createClient({ baseUrl: `http://127.0.0.1:${gateway.dataPort}`, key: secretKey, timeoutMs: 60_000 });
    floor = new Floor(shop, client, fromMs, trainNow);
    await floor.offer(shop.settings.startMs);
    await actOut(shop.world, floor);
    return floor;
  } finally {
    await gateway.drain();
    await rm(dataDir, { recursive: true, force: true });
  }
}

const percent = (share: number): string => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(1)} %`);

function armTable(floors: ReadonlyMap<string, Floor>): string[] {
  const weeks = Math.max(...[...floors.values()].map(({ ledger }) => ledger.weeks.length));
  const numbers = Array.from({ length: weeks }, (_, n) => n);
  return [
    `| exploration | lists | clicks a list | ${numbers.map((n) => `week ${n + 1}`).join(' | ')} | all weeks | first ${HEAD_PLACES} places | popular alone | drawn |`,
    `|---|---|---|${numbers.map(() => '---|').join('')}---|---|---|---|`,
    ...[...floors].map(([arm, { ledger, lists, clicks }]) => {
      const byWeek = numbers.map((n) => percent((ledger.weeks[n] ?? new Sums()).share('shown')));
      const { all } = ledger;
      const rest = [all.share('shown'), all.headShare(), all.share('popular'), all.share('random')].map(percent).join(' | ');
      return `| ${ARM_TEXT[arm]} | ${lists} | ${(clicks / lists).toFixed(3)} | ${byWeek.join(' | ')} | ${rest} |`;
    }),
  ];
}

function visitorTable(floors: ReadonlyMap<string, Floor>): string[] {
  const arms = [...floors.keys()];
  const [first] = floors.values();
  return [
    `| earlier visits | lists | ${arms.join(' | ')} | popular alone |`,
    `|---|---|${arms.map(() => '---|').join('')}---|`,
    ...[...first!.ledger.byVisits].map(([name, sums]) => {
      const shares = arms.map((arm) => percent(floors.get(arm)!.ledger.byVisits.get(name)!.share('shown')));
      return `| ${name} | ${sums.lists} | ${shares.join(' | ')} | ${percent(sums.share('popular'))} |`;
    }),
  ];
}

function itemTable(floors: ReadonlyMap<string, Floor>): string[] {
  const arms = [...floors.keys()];
  const [first] = floors.values();
  return [
    `| age in days | places of the best lists | ${arms.map((arm) => `${arm}: of those filled | shown | want of what was shown`).join(' | ')} |`,
    `|---|---|${arms.map(() => '---|---|---|').join('')}`,
    ...[...first!.ledger.byAge].map(([name, { wanted }]) => {
      const cells = arms.map((arm) => {
        const sums = floors.get(arm)!.ledger.byAge.get(name)!;
        return `${percent(sums.filled / sums.wanted)} | ${sums.shown} | ${sums.shown === 0 ? '' : (sums.want / sums.shown).toFixed(3)}`;
      });
      return `| ${name} | ${wanted} | ${cells.join(' | ')} |`;
    }),
  ];
}

async function main(options: Options): Promise<void> {
  const weeks = Number(options.weeks);
  const seed = Number(options.seed);
  const arms = options.arms.split(',');
  const unknown = arms.find((arm) => ARMS[arm] === undefined);
  if (unknown !== undefined) throw new RangeError(`there is no arm ${unknown}; there are ${Object.keys(ARMS).join(', ')}`);
  const floors = new Map<string, Floor>();
  for (const arm of arms) {
    const shop = createShop({
      seed,
      endMs: END_MS,
      users: Number(options.users),
      items: Number(options.items),
      days: weeks * 7,
      visitsPerUserDay: Number(options.visits),
      fraudRate: 0,
    });
    floors.set(arm, await play(shop, arm, shop.settings.startMs + Number(options.alone) * WEEK_MS, seed));
  }
  const lines = [
    `Share of the best possible reward: the mean true want of what was shown, over that of the items wanted most. ${options.users} people, ${options.items} items; the shop lists by itself for ${options.alone} weeks, then the gateway, trained anew at the end of each week.`,
    '',
    ...armTable(floors),
    '',
    'By earlier visits of the visitor (lists of the first row above):',
    '',
    ...visitorTable(floors),
    '',
    'By age of the item: places that it has in the best lists, those that it got, and how much what was shown is wanted:',
    '',
    ...itemTable(floors),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const program = new Command('recommendations')
  .description('Recommendations for people whose tastes are known, with less and more exploration, on a simulated shop')
  .option('--users <n>', 'users of the shop', '300')
  .option('--items <n>', 'its items', '300')
  .option('--weeks <n>', 'weeks of its life', '6')
  .option('--alone <n>', 'weeks at the beginning in which the shop lists by itself: what the first models learn from', '2')
  .option('--visits <n>', 'visits of a user a day', '0.3')
  .option('--seed <n>', 'seed of the shop and of the training', '1')
  .option('--arms <names>', `which to play, of ${Object.keys(ARMS).join(', ')}`, 'none,shipped,thompson');

await main(program.parse().opts<Options>());

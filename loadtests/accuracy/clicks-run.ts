import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openBundleFolder } from '../../cli/bundle-folder.ts';
import { type OpenShop, openShop, takeIn } from '../../cli/shared.ts';
import { trainShop } from '../../cli/train.ts';
import { createClient, type GatehouseClient } from '../../client/index.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Item } from '../../contracts/item.ts';
import { generateKey } from '../../gateway/auth/keys.ts';
import { type Config, readConfig } from '../../gateway/config.ts';
import { startGateway } from '../../gateway/main.ts';
import { bundlesDir } from '../../gateway/resources.ts';
import { ACT_GRADE } from '../../training/collect.ts';
import { type Means, RankingScores } from '../../training/evaluation/ranking-scores.ts';
import { evaluateHeldOut, type HoldOutResult, journalSource } from '../../training/index.ts';
import type { ProgressReporter } from '../../training/progress.ts';
import { CUT } from '../../training/ranker-rows.ts';
import { importFile } from '../../training/sources/import.ts';
import { copyShop } from '../load/processes.ts';

export interface ClicksOptions {
  /** The log, and the mapping that reads it: a shipped one's name or a JSON file. */
  readonly path: string;
  readonly mapping: string;
  /** Learned from: the events in [learnFromMs, fromMs). Asked for: those in [fromMs, untilMs). */
  readonly learnFromMs?: number;
  readonly fromMs: number;
  readonly untilMs?: number;
  /** Gets the store and the bundle, and keeps them. A bundle that serves there already is measured as it is. */
  readonly dir: string;
  readonly seed: number;
  readonly progress: ProgressReporter;
}

/** What a stage took of this process; the memory is the peak of all stages so far. */
export interface StageCost {
  readonly stage: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssBytesMax: number;
}

interface Asked {
  readonly questions: number;
  readonly overHttp: Means;
  /** How many answers were less than they can be, by reason. */
  readonly degraded: Readonly<Record<string, number>>;
}

export interface ClicksResult extends Asked {
  readonly version: string;
  /** The bundle's own, from its validation period. */
  readonly metrics: Readonly<Record<string, number>>;
  /** The same bundle, asked the same in process, source by source. */
  readonly evaluated: HoldOutResult;
  readonly stages: readonly StageCost[];
}

interface HeldOut {
  readonly events: readonly TimedEvent[];
  /** Items that the log has only then, the oldest first. */
  readonly items: readonly Item[];
  /** Visits that had begun before. */
  readonly begun: ReadonlySet<string>;
}

/** `maxRSS` is in KiB. */
const RSS_UNIT = 1024;
const PROGRESS_EVENTS = 1_000;
const OVER_HTTP = 'over HTTP';
/** The placement that leaves nothing out. */
const PLACEMENT = 'again';

/**
 * Learns from a log of sessions up to a time, then lets what came after happen at a real gateway, one event after the other at the log's own time:
 * before each act of a visit but its first one, the gateway is asked over HTTP for 20 items. Then the same bundle is asked in process.
 */
export async function measureNextClicks(options: ClicksOptions): Promise<ClicksResult> {
  const { dir, fromMs, seed, progress } = options;
  const stages: StageCost[] = [];
  const stage = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const [startMs, cpu] = [performance.now(), process.cpuUsage()];
    const result = await work();
    const { user, system } = process.cpuUsage(cpu);
    const rssBytesMax = process.resourceUsage().maxRSS * RSS_UNIT;
    stages.push({ stage: name, seconds: (performance.now() - startMs) / 1e3, cpuSeconds: (user + system) / 1e6, rssBytesMax });
    return result;
  };

  await mkdir(dir, { recursive: true });
  const learned = configOf(dir);
  if ((await openBundleFolder(learned)).current === undefined) {
    await stage('import', () => withShop(learned, (shop) => takeInLog(shop, options)));
    await stage('train', () => withShop(learned, (shop) => trainAndActivate(shop, learned, seed)));
  }
  const { version, metrics } = (await openBundleFolder(learned)).current!;
  const heldOut = await stage('read what is held out', () => readHeldOut(options));
  // The gateway writes what happens into its store; the next run begins with the one that was learned from.
  const run = await copyShop(dir);
  try {
    const config = configOf(run.dataDir);
    const asked = await stage(OVER_HTTP, () => browse(config, heldOut, progress));
    const evaluated = await stage('in process', () =>
      withShop(config, async ({ store, engine }) =>
        evaluateHeldOut({
          facts: await journalSource(store),
          engine,
          outDir: run.dataDir,
          bundleDir: join(bundlesDir(config), version),
          fromMs,
          seed,
          questionsMax: asked.questions,
          progress,
          now: Date.now,
        }),
      ),
    );
    return { version, metrics, ...asked, evaluated, stages };
  } finally {
    await run.remove();
  }
}

/** The settings of a gateway that waits: the models are measured here, not the machine, and nothing has to outlive a power cut. */
function configOf(dataDir: string): Config {
  const patient = { eventLoopDelayMaxMs: 60_000, recommendDeadlineMs: 10_000, durability: 'async' } as const;
  return readConfig({}, { dataDir, port: 0, controlPort: 0, logLevel: 'warn', ...patient });
}

async function withShop<T>(config: Config, work: (shop: OpenShop) => Promise<T>): Promise<T> {
  const shop = await openShop(config);
  try {
    return await work(shop);
  } finally {
    await shop.close();
  }
}

async function takeInLog(shop: OpenShop, { path, mapping, learnFromMs, fromMs, progress }: ClicksOptions): Promise<void> {
  await importFile({
    path,
    mapping,
    ...(learnFromMs !== undefined && { fromMs: learnFromMs }),
    untilMs: fromMs,
    sink: async (events, items) => {
      await takeIn(shop, items, events, Date.now());
    },
    progress,
  });
  await shop.store.flush();
}

async function trainAndActivate(shop: OpenShop, config: Config, seed: number): Promise<void> {
  const { version } = await trainShop(shop, bundlesDir(config), seed, {});
  await (await openBundleFolder(config)).activate(version);
}

async function readHeldOut({ path, mapping, learnFromMs, fromMs, untilMs, progress }: ClicksOptions): Promise<HeldOut> {
  const [events, items, begun]: [TimedEvent[], Item[], Set<string>] = [[], [], new Set()];
  await importFile({
    path,
    mapping,
    ...(learnFromMs !== undefined && { fromMs: learnFromMs }),
    ...(untilMs !== undefined && { untilMs }),
    sink: async (someEvents, someItems) => {
      for (const event of someEvents) {
        if (event.timestamp_ms >= fromMs) events.push(event);
        else if (isAct(event)) begun.add(event.session_id!);
      }
      items.push(...someItems.filter(({ created_ms = 0 }) => created_ms >= fromMs));
    },
    progress,
  });
  return { events, items: items.sort((a, b) => a.created_ms! - b.created_ms!), begun };
}

function isAct({ name, session_id, items }: TimedEvent): boolean {
  return session_id !== undefined && ACT_GRADE[name] !== undefined && items !== undefined && items.length > 0;
}

/** Everything that is held out happens at the gateway, whose clock is the log's. */
async function browse(config: Config, { events, items, begun }: HeldOut, progress: ProgressReporter): Promise<Asked> {
  const secretKey = generateKey('secret');
  let nowMs = events[0]?.timestamp_ms ?? 0;
  const gateway = await startGateway({ ...config, secretKeys: [secretKey] }, () => nowMs);
  const bar = progress.task('asking over HTTP', 'events');
  try {
    const client = createClient({ baseUrl: `http://127.0.0.1:${gateway.dataPort}`, key: secretKey });
    const scores = new RankingScores(CUT);
    const degraded: Record<string, number> = {};
    const visits = new Set(begun);
    let [put, questions] = [0, 0];
    for (const [i, event] of events.entries()) {
      nowMs = event.timestamp_ms;
      // An item may be shown from the moment after the one in which the log has it first: it is no answer to the act that it begins with.
      const due: Item[] = [];
      while (put < items.length && items[put]!.created_ms! < nowMs) due.push(items[put++]!);
      if (due.length > 0) await client.putItems(due);
      if (isAct(event)) {
        const { session_id, user_id } = event;
        if (visits.has(session_id!)) {
          const { ranked, reasons } = await ask(client, { session_id: session_id!, ...(user_id !== undefined && { user_id }) });
          for (const { item_id } of event.items!) scores.add(OVER_HTTP, ranked, new Set([item_id]));
          questions += event.items!.length;
          for (const reason of reasons) degraded[reason] = (degraded[reason] ?? 0) + 1;
        }
        visits.add(session_id!);
      }
      await client.events([event]);
      if (i % PROGRESS_EVENTS === 0) bar.update(i, events.length);
    }
    const overHttp = scores.means()[OVER_HTTP]!;
    // The questions in process take long too: what is known by now is shown.
    bar.end(`HR@20 ${overHttp.hitRate.toFixed(4)}, MRR@20 ${overHttp.mrr.toFixed(4)}`);
    return { overHttp, questions, degraded };
  } finally {
    await gateway.drain();
  }
}

async function ask(
  client: GatehouseClient,
  visitor: { readonly session_id: string; readonly user_id?: string },
): Promise<{ readonly ranked: string[]; readonly reasons: readonly string[] }> {
  const { items, degraded_by = [] } = await client.recommend({ ...visitor, placement: PLACEMENT, limit: CUT });
  return { ranked: items.map(({ item_id }) => item_id), reasons: degraded_by };
}

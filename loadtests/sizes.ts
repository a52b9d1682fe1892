/**
 * Recommendations of a small and of a large catalogue: two gateways side by side, asked in turns, so that what the machine does meanwhile meets both.
 *
 *   npm run build && node dist/loadtests/sizes.js --help
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { RECOMMEND_STAGES } from '../scoring/recommend/pipeline.ts';
import { busyBefore, copyShop, type Driven, drive, gatewayEnv, machine, type StartedTarget, startTarget } from './load/processes.ts';
import { DOCS_PAGE, median, ms, type Verdict, verdictTable, whole, writeDocs } from './load/report.ts';
import type { Workload } from './load/workloads.ts';
import { type PreparedShop, prepareShop } from './shop.ts';

interface Options {
  readonly items: string;
  readonly dirs?: string;
  readonly users: string;
  readonly seed: string;
  readonly connections: string;
  readonly rounds: string;
  readonly round: string;
  readonly warmup: string;
  readonly content: boolean;
  readonly writeDocs?: string | true;
}

interface Running {
  readonly shop: PreparedShop;
  readonly target: StartedTarget;
  readonly rounds: Map<Workload, Round[]>;
}

interface Round {
  readonly driven: Driven;
  /** Milliseconds that a request spent, by stage: by the clock, what others took of it included. */
  readonly stagesMs: readonly number[];
}

const WORKLOADS: readonly [Workload, string][] = [
  ['recommend', 'visitors who come again'],
  ['recommend_new', 'new visitors'],
];
/** A million items may take so much more. */
const TIMES_MAX = 1.5;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

async function main(options: Options): Promise<void> {
  const busy = busyBefore();
  const { users, seed } = options;
  const sizes = options.items.split(',').map(Number);
  const dirs = options.dirs?.split(',') ?? sizes.map((items) => join(tmpdir(), `gatehouse-load-${items}-${users}-${seed}`));
  if (sizes.length !== 2 || dirs.length !== 2) throw new Error('--items takes two sizes, and --dirs two folders');
  const undo: (() => Promise<void>)[] = [];
  try {
    const shops: { readonly shop: PreparedShop; readonly dir: string }[] = [];
    for (const [i, items] of sizes.entries()) {
      const dir = dirs[i]!;
      const given = { items, users: Number(users), seed: Number(seed) };
      shops.push({ dir, shop: await prepareShop(dir, given, Date.now(), (text) => say(`preparing ${items}: ${text}`)) });
    }
    say('starting both');
    const started = await Promise.allSettled(
      shops.map(async ({ dir, shop }): Promise<Running> => {
        const copy = await copyShop(dir);
        undo.push(copy.remove);
        const env = gatewayEnv(shop, dir, copy.dataDir, options.content ? {} : { GATEHOUSE_CONTENT_ITEMS_MAX: '0' });
        const target = await startTarget({ what: 'gateway', env, hasContent: options.content });
        undo.push(target.stop);
        return { shop, target, rounds: new Map(WORKLOADS.map(([workload]) => [workload, []])) };
      }),
    );
    // Not before both are there or failed: one that still starts would be left behind.
    const gateways = started.map((start) => {
      if (start.status === 'rejected') throw start.reason;
      return start.value;
    });
    for (const [workload] of WORKLOADS) {
      for (let round = 0; round < Number(options.rounds); round++) {
        for (const gateway of gateways) gateway.rounds.get(workload)!.push(await measure(gateway, workload, round, options));
      }
    }
    await report(gateways, busy, options);
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

async function measure({ shop, target }: Running, workload: Workload, round: number, options: Options): Promise<Round> {
  say(`${shop.items} items, ${workload}, round ${round + 1}`);
  const before = await stages(target);
  const driven = await drive(target, {
    port: target.port,
    connections: Number(options.connections),
    warmupMs: Number(options.warmup) * 1000,
    rounds: 1,
    roundMs: Number(options.round) * 1000,
    spec: {
      workload,
      key: shop.secretKey,
      items: shop.items,
      users: shop.users,
      // Each round has visitors of its own where they have to be new.
      seed: workload === 'recommend_new' ? shop.seed + round : shop.seed,
      run: `size${String(round).padStart(2, '0')}`,
    },
  });
  const after = await stages(target);
  const stagesMs = RECOMMEND_STAGES.map((_, i) => ((after[i]!.sumS - before[i]!.sumS) * 1000) / (after[i]!.count - before[i]!.count));
  const { unitsPerS, p50Ms, p99Ms } = driven.rounds[0]!;
  say(
    `  ${whole(unitsPerS)}/s, ${driven.targetCores.toFixed(3)} cores, p50 ${ms(p50Ms)} ms, p99 ${ms(p99Ms)} ms, stages ${stagesMs.map(ms).join(', ')} ms`,
  );
  return { driven, stagesMs };
}

async function stages({ controlPort }: StartedTarget): Promise<{ readonly sumS: number; readonly count: number }[]> {
  const metrics = await (await fetch(`http://127.0.0.1:${controlPort}/metrics`)).text();
  const figure = (stage: string, part: string): number =>
    Number(new RegExp(`gatehouse_stage_duration_seconds_${part}\\{stage="${stage}"\\} (\\S+)`).exec(metrics)?.[1] ?? 0);
  return RECOMMEND_STAGES.map((stage) => ({ sumS: figure(stage, 'sum'), count: figure(stage, 'count') }));
}

async function report(gateways: readonly Running[], busy: string, options: Options): Promise<void> {
  const [small, large] = [gateways[0]!, gateways[1]!];
  const lines: string[] = [];
  const verdicts: Verdict[] = [];
  const row = (what: string, figureOf: (gateway: Running) => number, format: (value: number) => string, ratio?: number): void => {
    const [a, b] = [figureOf(small), figureOf(large)];
    lines.push(`| ${what} | ${format(a)} | ${format(b)} | ${(ratio ?? b / a).toFixed(2)} |`);
  };
  const seconds = (value: number): string => (value / 1000).toFixed(1);
  const megabytes = (bytes: number): string => whole(bytes / 2 ** 20);
  row('start, both at once: listens after, s', ({ target }) => target.started.readyMs, seconds);
  row('its processor time, s', ({ target }) => target.started.ready.cpuMs, seconds);
  row('resident memory then, MB', ({ target }) => target.started.ready.rssBytes, megabytes);
  if (options.content) {
    row('index of content is there after, s', ({ target }) => target.started.settledMs, seconds);
    row('processor time until then, s', ({ target }) => target.started.settled.cpuMs, seconds);
  }
  for (const [workload, who] of WORKLOADS) {
    const figure = (what: string, of: (round: Round) => number, format: (value: number) => string): number => {
      const [a, b] = [small, large].map(({ rounds }) => rounds.get(workload)!.map(of));
      const ratio = median(a!.map((value, i) => b![i]! / value));
      row(`${who}: ${what}`, ({ rounds }) => median(rounds.get(workload)!.map(of)), format, ratio);
      return ratio;
    };
    const perS = figure('answers a second', ({ driven }) => driven.rounds[0]!.unitsPerS, whole);
    const perCore = figure('a second and core', ({ driven }) => driven.rounds[0]!.unitsPerS / driven.targetCores, whole);
    figure('p50 ms', ({ driven }) => driven.rounds[0]!.p50Ms, ms);
    figure('p95 ms', ({ driven }) => driven.rounds[0]!.p95Ms, ms);
    figure('p99 ms', ({ driven }) => driven.rounds[0]!.p99Ms, ms);
    RECOMMEND_STAGES.forEach((stage, i) => {
      figure(`stage ${stage}, ms`, ({ stagesMs }) => stagesMs[i]!, ms);
    });
    verdicts.push({ goal: `${who}: answers a second, within ${TIMES_MAX} times`, got: `${(1 / perS).toFixed(2)} times`, met: 1 / perS <= TIMES_MAX });
    verdicts.push({
      goal: `${who}: processor time an answer, within ${TIMES_MAX} times`,
      got: `${(1 / perCore).toFixed(2)} times`,
      met: 1 / perCore <= TIMES_MAX,
    });
  }
  row('resident memory after the load, MB', ({ rounds }) => rounds.get(WORKLOADS.at(-1)![0])!.at(-1)!.driven.rssBytes, megabytes);
  const errors = gateways.reduce(
    (sum, { rounds }) => sum + [...rounds.values()].flat().reduce((all, { driven }) => all + driven.rounds[0]!.errors, 0),
    0,
  );
  const text = [
    `${machine()}; ${busy}. ${new Date().toISOString().slice(0, 10)}. ${options.connections} connections, ${whole(small.shop.users)} users; ${options.rounds} rounds of ${options.round} s after ${options.warmup} s of warm-up each, the two gateways in turns; medians of the rounds, and of their ratios.${options.content ? '' : ' Without the source content.'} ${errors} errors.`,
    '',
    `| what | ${whole(small.shop.items)} items | ${whole(large.shop.items)} items | ratio |`,
    '|---|---|---|---|',
    ...lines,
    '',
    verdictTable(verdicts),
  ].join('\n');
  process.stdout.write(`${text}\n`);
  await writeDocs(options.writeDocs, 'sizes', text);
}

const program = new Command('sizes')
  .description('Recommendations of a small and of a large catalogue, by two gateways that are asked in turns')
  .option('--items <list>', 'items of the two shops', '100000,1000000')
  .option('--dirs <list>', 'folders of the prepared shops, kept for the next run; on a disk')
  .option('--users <n>', 'users of each', '20000')
  .option('--seed <n>', 'seed of the shops and of the load', '1')
  .option('--connections <n>', 'connections', '16')
  .option('--warmup <s>', 'seconds before each round', '2')
  .option('--rounds <n>', 'rounds of each', '5')
  .option('--round <s>', 'seconds of a round', '4')
  .option('--no-content', 'without the source content, whose index of a million items takes minutes to build')
  .option('--write-docs [page]', `put the table into ${DOCS_PAGE}, or the page named`);

await main(program.parse().opts<Options>());

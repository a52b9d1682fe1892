/**
 * Load test: the bare echo first, then the gateway, one after another on this machine, each driven by a generator in a process of its own.
 *
 *   npm run build && node dist/loadtests/run.js --help
 */
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { busyBefore, copyShop, drive, gatewayEnv, machine, startTarget } from './load/processes.ts';
import { DOCS_PAGE, type Measured, measured, ms, table, type Verdict, verdictTable, whole, writeDocs } from './load/report.ts';
import type { Workload } from './load/workloads.ts';
import { type PreparedShop, prepareShop } from './shop.ts';

interface Options {
  readonly items: string;
  readonly users: string;
  readonly seed: string;
  readonly dir?: string;
  readonly connections: string;
  readonly warmup: string;
  readonly rounds: string;
  readonly round: string;
  readonly only?: string;
  readonly json?: string;
  readonly prof?: string;
  readonly writeDocs?: string | true;
}

interface Scenario {
  readonly name: string;
  readonly target: 'echo' | 'gateway';
  readonly workload: Workload;
  readonly env: Readonly<Record<string, string>>;
  /** Of the paced ones: no more requests a second than these. */
  readonly perS?: number;
}

const ECHO = 'echo';
/** What a shop of some million page views a day asks in its busiest minutes: an answer then waits for hardly another one. */
const PACED_PER_S = 200;
const PACED = `recommend at ${PACED_PER_S} a second`;
const ASYNC = { GATEHOUSE_DURABILITY: 'async' };
const SCENARIOS: readonly Scenario[] = [
  { name: ECHO, target: 'echo', workload: 'score', env: {} },
  { name: 'score', target: 'gateway', workload: 'score', env: {} },
  { name: 'score async', target: 'gateway', workload: 'score', env: ASYNC },
  { name: 'recommend', target: 'gateway', workload: 'recommend', env: {} },
  { name: 'recommend to new visitors', target: 'gateway', workload: 'recommend_new', env: {} },
  { name: PACED, target: 'gateway', workload: 'recommend', env: {}, perS: PACED_PER_S },
  { name: `${PACED} to new visitors`, target: 'gateway', workload: 'recommend_new', env: {}, perS: PACED_PER_S },
  { name: 'events', target: 'gateway', workload: 'events', env: {} },
];

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

async function main(options: Options): Promise<void> {
  const busy = busyBefore();
  const shopOptions = { items: Number(options.items), users: Number(options.users), seed: Number(options.seed) };
  const shopDir = options.dir ?? join(tmpdir(), `gatehouse-load-${shopOptions.items}-${shopOptions.users}-${shopOptions.seed}`);
  const wanted = options.only?.split(',');
  const scenarios = SCENARIOS.filter(({ name }) => wanted === undefined || wanted.includes(name));
  if (scenarios.length === 0) throw new Error(`--only takes ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  say(`${machine()}; target and generator share these cores, nothing is pinned`);
  const shop = await prepareShop(shopDir, shopOptions, Date.now(), (text) => say(`preparing: ${text}`));
  const rows: Measured[] = [];
  for (const scenario of scenarios) rows.push(...(await measure(scenario, shop, shopDir, options)));

  const verdicts = judge(rows, shop);
  const report = [
    `${machine()}; ${busy}. ${new Date().toISOString().slice(0, 10)}. ${whole(shop.items)} items, ${whole(shop.users)} users; medians of ${options.rounds} rounds of ${options.round} s after ${options.warmup} s of warm-up.`,
    '',
    table(rows, ECHO),
    '',
    verdictTable(verdicts),
  ].join('\n');
  process.stdout.write(`${report}\n`);
  if (options.json !== undefined)
    await writeFile(
      options.json,
      `${JSON.stringify({ machine: machine(), at: new Date().toISOString(), shop: shopOptions, rows, verdicts }, null, 2)}\n`,
    );
  await writeDocs(options.writeDocs, `load ${shop.items}`, report);
}

async function measure(scenario: Scenario, shop: PreparedShop, shopDir: string, options: Options): Promise<Measured[]> {
  const copy = scenario.target === 'gateway' ? await copyShop(shopDir) : undefined;
  try {
    const env = copy ? gatewayEnv(shop, shopDir, copy.dataDir, scenario.env) : {};
    const target = await startTarget({ what: scenario.target, env, profileDir: options.prof });
    try {
      const rows: Measured[] = [];
      for (const [at, connections] of options.connections.split(',').map(Number).entries()) {
        say(`${scenario.name}, ${connections} connections`);
        const driven = await drive(target, {
          port: target.port,
          connections,
          warmupMs: Number(options.warmup) * 1000,
          rounds: Number(options.rounds),
          roundMs: Number(options.round) * 1000,
          ...(scenario.perS !== undefined && { perS: scenario.perS }),
          spec: {
            workload: scenario.workload,
            key: shop.secretKey,
            items: shop.items,
            users: shop.users,
            seed: shop.seed,
            run: `run${String(at).padStart(3, '0')}`,
          },
        });
        rows.push(measured(scenario.name, connections, scenario.workload === 'events' ? 'events' : 'requests', driven));
      }
      return rows;
    } finally {
      await target.stop();
    }
  } finally {
    await copy?.remove();
  }
}

/** The goals that this run can judge. */
function judge(rows: readonly Measured[], shop: PreparedShop): Verdict[] {
  const row = (name: string, connections: number) => rows.find((other) => other.name === name && other.connections === connections);
  const verdicts: Verdict[] = [];
  const shares: [string, number, string][] = [
    ['score async', 1 / 2, 'score async, 64 connections: at least 0.5 of echo'],
    ['score', 1 / 3, 'score durable, 64 connections: at least 0.33 of echo'],
  ];
  for (const [name, least, goal] of shares) {
    const [own, floor] = [row(name, 64), row(ECHO, 64)];
    if (!own || !floor) continue;
    verdicts.push({ goal, got: (own.perS / floor.perS).toFixed(2), met: own.perS / floor.perS >= least });
    verdicts.push({
      goal: `${name}, 64 connections: p99 under 3 times echo’s`,
      got: `${(own.p99Ms / floor.p99Ms).toFixed(1)} times`,
      met: own.p99Ms < 3 * floor.p99Ms,
    });
  }
  const recommend = row('recommend', 16);
  if (recommend) {
    const scale = shop.items > 100_000 ? 1.5 : 1;
    const { perCoreS, p50Ms, p99Ms } = recommend;
    verdicts.push({ goal: `recommend: at least ${whole(2500 / scale)}/s a core`, got: `${whole(perCoreS)}/s`, met: perCoreS >= 2500 / scale });
    verdicts.push({ goal: `recommend, 16 connections: p50 under ${scale} ms`, got: `${ms(p50Ms)} ms`, met: p50Ms < scale });
    verdicts.push({ goal: `recommend, 16 connections: p99 under ${5 * scale} ms`, got: `${ms(p99Ms)} ms`, met: p99Ms < 5 * scale });
  }
  for (const { name } of SCENARIOS.filter(({ perS }) => perS !== undefined)) {
    const paced = row(name, 16);
    if (!paced) continue;
    const scale = shop.items > 100_000 ? 1.5 : 1;
    const { p50Ms, p99Ms } = paced;
    verdicts.push({ goal: `${name}, 16 connections: p50 under ${scale} ms`, got: `${ms(p50Ms)} ms`, met: p50Ms < scale });
    verdicts.push({ goal: `${name}, 16 connections: p99 under ${5 * scale} ms`, got: `${ms(p99Ms)} ms`, met: p99Ms < 5 * scale });
  }
  const events = rows.filter(({ name }) => name === 'events');
  if (events.length > 0) {
    const best = Math.max(...events.map(({ perCoreS }) => perCoreS));
    verdicts.push({ goal: 'events: at least 60,000 durable events/s in batches of 100 on one core', got: `${whole(best)}/s`, met: best >= 60_000 });
  }
  return verdicts;
}

const program = new Command('loadtest')
  .description('Throughput and latency of the gateway beside a bare uWebSockets.js echo, in one run on one machine')
  .option('--items <n>', 'items of the prepared shop', '100000')
  .option('--users <n>', 'its users', '20000')
  .option('--seed <n>', 'seed of the shop and of the load', '1')
  .option('--dir <folder>', 'folder of the prepared shop, kept for the next run; on a disk, as durability is measured')
  .option('--connections <list>', 'connections, comma-separated', '16,64')
  .option('--warmup <s>', 'seconds before the timed rounds', '3')
  .option('--rounds <n>', 'timed rounds', '5')
  .option('--round <s>', 'seconds of a round', '3')
  .option('--only <list>', `some of: ${SCENARIOS.map(({ name }) => name).join(', ')}`)
  .option('--json <file>', 'write the figures there too')
  .option('--prof <folder>', 'write CPU profiles of the processes under load there')
  .option('--write-docs [page]', `put the tables into ${DOCS_PAGE}, or the page named`);

await main(program.parse().opts<Options>());

/**
 * Payment scoring side by side: the gateway, with its journal durable and its features, rules and reasons on, and what a team would write instead,
 * (a) FastAPI and LightGBM with the features handed in, (b) the same with its velocity features read and updated in Redis.
 *
 *   sh loadtests/peers/python-env.sh && npm run build && node dist/loadtests/peers/score.js --help     (needs redis-server)
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { RedisServer } from '../../store/redis-server.testing.ts';
import { busyBefore, copyShop, drive, gatewayEnv, machine, startTarget, type Target } from '../load/processes.ts';
import { type Measured, measured, ms, putBetweenMarkers, table, type Verdict, verdictTable, whole } from '../load/report.ts';
import type { Workload } from '../load/workloads.ts';
import { type PreparedShop, prepareShop } from '../shop.ts';
import { PYTHON, startPythonService } from './python-service.ts';

interface Options {
  readonly connections: string;
  readonly warmup: string;
  readonly rounds: string;
  readonly round: string;
  readonly workers: string;
  readonly writeDocs?: string | true;
}

const SHOP = { items: 100_000, users: 20_000, seed: 1 };
const DOCS_PAGE = 'docs/performance.md';
const OURS = 'Gatehouse, durable';
const HANDED_IN = 'FastAPI + LightGBM, features handed in';
const IN_REDIS = 'FastAPI + LightGBM, features in Redis';
/** Times their throughput, and the share of their p99, that the gateway is to reach. */
const GOALS: readonly (readonly [string, number])[] = [
  [HANDED_IN, 5],
  [IN_REDIS, 15],
];
const P99_SHARE_GOAL = 1 / 4;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

async function main(options: Options): Promise<void> {
  if (!existsSync(PYTHON)) throw new Error('there is no .venv-peers: run sh loadtests/peers/python-env.sh first');
  const busy = busyBefore();
  const shopDir = join(tmpdir(), `gatehouse-load-${SHOP.items}-${SHOP.users}-${SHOP.seed}`);
  const shop = await prepareShop(shopDir, SHOP, Date.now(), (text) => say(`preparing: ${text}`));
  const columns = createFeatureEngine(DEFAULT_DECLARATIONS).names(FRAUD_SET).length;
  const workers = Number(options.workers);
  const rows: Measured[] = [];

  const copy = await copyShop(shopDir);
  try {
    const gateway = await startTarget({ what: 'gateway', env: gatewayEnv(shop, shopDir, copy.dataDir, {}) });
    rows.push(await measure(OURS, gateway, 'score', shop, columns, options));
  } finally {
    await copy.remove();
  }
  rows.push(await measure(HANDED_IN, await startPythonService({ workers, features: columns }), 'features', shop, columns, options));
  const redis = new RedisServer();
  await redis.start();
  try {
    const service = await startPythonService({ workers, features: columns, redisSocket: redis.url.slice('unix://'.length) });
    rows.push(await measure(IN_REDIS, service, 'score', shop, columns, options));
  } finally {
    await redis.destroy();
  }

  const report = [
    `${machine()}; ${busy}. ${new Date().toISOString().slice(0, 10)}. ${columns} features, 100 trees of 31 leaves everywhere; ${workers} workers of uvicorn; medians of ${options.rounds} rounds of ${options.round} s after ${options.warmup} s of warm-up.`,
    '',
    table(rows, ''),
    '',
    verdictTable(judge(rows)),
  ].join('\n');
  process.stdout.write(`${report}\n`);
  if (options.writeDocs !== undefined) {
    const page = options.writeDocs === true ? DOCS_PAGE : options.writeDocs;
    await writeFile(page, putBetweenMarkers(await readFile(page, 'utf8'), 'score peers', `\n${report}\n`));
  }
}

async function measure(name: string, target: Target, workload: Workload, shop: PreparedShop, columns: number, options: Options): Promise<Measured> {
  say(name);
  const connections = Number(options.connections);
  try {
    const driven = await drive(target, {
      port: target.port,
      connections,
      warmupMs: Number(options.warmup) * 1000,
      rounds: Number(options.rounds),
      roundMs: Number(options.round) * 1000,
      spec: { workload, key: shop.secretKey, items: shop.items, users: shop.users, seed: shop.seed, columns, run: 'peers0' },
    });
    return measured(name, connections, 'requests', driven);
  } finally {
    await target.stop();
  }
}

function judge(rows: readonly Measured[]): Verdict[] {
  const row = (name: string) => rows.find((other) => other.name === name)!;
  const own = row(OURS);
  return GOALS.flatMap(([name, times]): Verdict[] => {
    const peer = row(name);
    const [faster, late] = [own.perS / peer.perS, own.p99Ms / peer.p99Ms];
    return [
      {
        goal: `at least ${times} times ${name}`,
        got: `${faster.toFixed(1)} times (${whole(own.perS)} to ${whole(peer.perS)})`,
        met: faster >= times,
      },
      {
        goal: `at most ${P99_SHARE_GOAL} of its p99`,
        got: `${late.toFixed(2)} (${ms(own.p99Ms)} to ${ms(peer.p99Ms)} ms)`,
        met: late <= P99_SHARE_GOAL,
      },
    ];
  });
}

const program = new Command('score')
  .description('Payment scoring beside what a team would write instead, in one run on one machine')
  .option('--connections <n>', 'connections', '64')
  .option('--warmup <s>', 'seconds before the timed rounds', '3')
  .option('--rounds <n>', 'timed rounds', '5')
  .option('--round <s>', 'seconds of a round', '3')
  .option('--workers <n>', 'processes of the Python services; the gateway has one', '1')
  .option('--write-docs [page]', `put the tables into ${DOCS_PAGE}, or the page named`);

await main(program.parse().opts<Options>());

/**
 * Load test of the alert stream: many open streams, payments that raise alerts at a fixed rate, and how late each alert reaches each stream.
 *
 *   npm run build && node dist/loadtests/push.js --help
 */
import { fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { seededRandom } from '../training/learners/random.ts';
import { skewed } from './draws.ts';
import { busyBefore, copyShop, exitOf, gatewayEnv, machine, nextMessage, startTarget, type Target } from './load/processes.ts';
import { DOCS_PAGE, ms, whole, writeDocs } from './load/report.ts';
import type { SubscribersJob, SubscribersMessage, SubscribersReport } from './load/subscribers.ts';
import { payment } from './load/workloads.ts';
import { type PreparedShop, prepareShop } from './shop.ts';

interface Options {
  readonly connections: string;
  readonly rate: string;
  readonly seconds: string;
  readonly json?: string;
  readonly writeDocs?: string | true;
}

interface PushRow extends SubscribersReport {
  readonly connections: number;
  /** Payments that the gateway shed. */
  readonly refused: number;
  readonly deliveriesPerS: number;
  readonly gatewayCores: number;
  readonly bytesPerConnection: number;
}

const SHOP = { items: 2_000, users: 1_000, seed: 1 };
const SUBSCRIBED_MS_MAX = 90_000;
const REPORT_MS_MAX = 30_000;
/** Garbage of the handshakes goes before memory is read. */
const REST_MS = 2_000;

async function main(options: Options): Promise<void> {
  const busy = busyBefore();
  const shopDir = join(tmpdir(), `gatehouse-push-${SHOP.items}`);
  const shop = await prepareShop(shopDir, SHOP, Date.now(), (text) => process.stderr.write(`preparing: ${text}\n`));
  const rows: PushRow[] = [];
  for (const connections of options.connections.split(',').map(Number)) {
    process.stderr.write(`${connections} streams\n`);
    const copy = await copyShop(shopDir);
    const target = await startTarget({ what: 'gateway', env: gatewayEnv(shop, shopDir, copy.dataDir, {}) });
    try {
      rows.push(await measure(target, shop, connections, Number(options.rate), Number(options.seconds)));
    } finally {
      await target.stop();
      await copy.remove();
    }
  }
  const report = [
    `${machine()}; ${busy}. ${new Date().toISOString().slice(0, 10)}. ${options.rate} payments a second for ${options.seconds} s, nearly all of which raise an alert; lag is from the payment’s arrival at the gateway to the alert’s at the stream, the commit to disk included.`,
    '',
    '| streams | deliveries a second | a second and core | lag p50 ms | p95 ms | p99 ms | KB a stream | gateway cores | payments shed | gaps | streams with alerts missing |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${row.connections} | ${whole(row.deliveriesPerS)} | ${whole(row.deliveriesPerS / row.gatewayCores)} | ${ms(row.lagP50Ms)} | ${ms(row.lagP95Ms)} | ${ms(row.lagP99Ms)} | ${(row.bytesPerConnection / 1024).toFixed(1)} | ${row.gatewayCores.toFixed(2)} | ${row.refused} | ${row.gaps} | ${row.behind} |`,
    ),
  ].join('\n');
  process.stdout.write(`${report}\n`);
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify({ machine: machine(), at: new Date().toISOString(), rows }, null, 2)}\n`);
  await writeDocs(options.writeDocs, 'push', report);
}

async function measure(target: Target, shop: PreparedShop, connections: number, rate: number, seconds: number): Promise<PushRow> {
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`http://127.0.0.1:${target.port}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${shop.secretKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const { token } = (await (await post('/v1/stream/tokens', { channels: ['alerts'] })).json()) as { token: string };
  const idle = await target.usage();
  const child = fork(fileURLToPath(new URL('./load/subscribers.js', import.meta.url)), [], { execArgv: [] });
  try {
    const subscribed = nextMessage<SubscribersMessage>(child, SUBSCRIBED_MS_MAX);
    child.send({ port: target.port, token, connections } satisfies SubscribersJob);
    expectKind(await subscribed, 'subscribed');
    await sleep(REST_MS);
    const before = await target.usage();

    const random = seededRandom(shop.seed);
    const startMs = performance.now();
    const sent: Promise<Response>[] = [];
    for (let n = 0; n < rate * seconds; n++) {
      await sleep(Math.max(0, startMs + (n * 1000) / rate - performance.now()));
      const transaction = { ...payment('push00', skewed(random, shop.users), true, random), transaction_id: `push-${n}` };
      sent.push(post('/v1/score', transaction));
    }
    const statuses = (await Promise.all(sent)).map(({ status }) => status);
    const refused = statuses.filter((status) => status === 503).length;
    const wrong = statuses.find((status) => status !== 200 && status !== 503);
    if (wrong !== undefined) throw new Error(`a payment was answered with ${wrong}`);
    const elapsedMs = performance.now() - startMs;
    const after = await target.usage();

    const reported = nextMessage<SubscribersMessage>(child, REPORT_MS_MAX);
    child.send('stop');
    const message = await reported;
    if (message.kind !== 'report') throw new Error(message.kind === 'failed' ? message.reason : `unexpected ${message.kind}`);
    return {
      ...message.report,
      connections,
      refused,
      deliveriesPerS: (message.report.deliveries * 1000) / elapsedMs,
      gatewayCores: (after.cpuMs - before.cpuMs) / elapsedMs,
      bytesPerConnection: (before.rssBytes - idle.rssBytes) / connections,
    };
  } finally {
    child.kill();
    await exitOf(child, REPORT_MS_MAX);
  }
}

function expectKind(message: SubscribersMessage, kind: SubscribersMessage['kind']): void {
  if (message.kind !== kind) throw new Error(message.kind === 'failed' ? message.reason : `${message.kind} came instead of ${kind}`);
}

const program = new Command('push')
  .description('Deliveries, lag and memory of the alert stream')
  .option('--connections <list>', 'open streams, comma-separated', '1000,2000')
  .option('--rate <n>', 'payments a second', '15')
  .option('--seconds <n>', 'how long payments are made', '10')
  .option('--json <file>', 'write the figures there too')
  .option('--write-docs [page]', `put the table into ${DOCS_PAGE}, or the page named`);

await main(program.parse().opts<Options>());

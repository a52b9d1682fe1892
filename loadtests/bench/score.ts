/**
 * What one `POST /v1/score`, and one `POST /v1/events` of 100 events, cost in this process: everything between the socket and the disk, without
 * sockets. Durable, on a folder of its own; the shop is that of the load tests, made on first use.
 *
 * First each stage of a score alone, in microseconds of CPU, then the whole.
 *
 *   node dist/loadtests/bench/score.js [folder of the shop] [requests] [stages | score | events]
 */
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Rule } from '../../contracts/rules.ts';
import { readConfig } from '../../gateway/config.ts';
import type { DataDeps } from '../../gateway/data/plane.ts';
import { createRecommendations } from '../../gateway/data/recommend.ts';
import { createDataRoutes } from '../../gateway/data/routes.ts';
import { Metrics } from '../../gateway/metrics.ts';
import { createAdmission } from '../../gateway/overload/admission.ts';
import { bundlesDir, openStore } from '../../gateway/resources.ts';
import type { HttpRequest, HttpRoute } from '../../gateway/transport/http.ts';
import { createWatch } from '../../gateway/watch.ts';
import { indexReaders } from '../../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { loadBundle } from '../../scoring/models/bundle.ts';
import { Catalogue } from '../../scoring/recommend/catalogue.ts';
import { ClickCounts } from '../../scoring/recommend/explore/click-counts.ts';
import { ItemNumbersTable } from '../../scoring/recommend/item-numbers.ts';
import { RANK_SET } from '../../scoring/recommend/pipeline.ts';
import { DEFAULT_PLACEMENTS } from '../../scoring/recommend/placements.ts';
import { Trending } from '../../scoring/recommend/trending.ts';
import { VisitorCountries } from '../../scoring/recommend/visitor-countries.ts';
import { FRAUD_SET } from '../../scoring/risk/pipeline.ts';
import { RuleBook } from '../../scoring/risk/rules.ts';
import { copyShop } from '../load/processes.ts';
import { EVENTS_PER_REQUEST, requestSource, type Workload } from '../load/workloads.ts';
import { prepareShop, rulesPath } from '../shop.ts';
import { scoreStages } from './score-stages.ts';

const SHOP = { items: 10_000, users: 20_000, seed: 1 };
/** Requests in flight: as many as the load test's connections. */
const IN_FLIGHT = 64;
const EVENT_REQUESTS_IN_FLIGHT = 16;
/** Payments of which the stages are timed. */
const STAGE_PAYMENTS = 4096;

const shopDir = process.argv[2] ?? join(tmpdir(), `gatehouse-load-${SHOP.items}-${SHOP.users}-${SHOP.seed}`);
const requests = Number(process.argv[3] ?? 20_000);
const only = process.argv[4];
const wants = (part: string): boolean => only === undefined || only === part;

/** What a handler reads of a request, without a socket behind it. */
function requestOf(path: string, body: Uint8Array, key: string): HttpRequest {
  const headers: Record<string, string> = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  return {
    method: 'POST',
    path,
    params: {},
    query: '',
    queryValue: () => undefined,
    header: (name) => headers[name],
    body,
    remoteAddress: '127.0.0.1',
    requestId: 'bench',
    isAborted: () => false,
  };
}

/** Bodies of `count` requests, each with ids of its own. */
function bodiesOf(workload: Workload, run: string, count: number): Uint8Array[] {
  const source = requestSource({ workload, key: '', items: SHOP.items, users: SHOP.users, seed: SHOP.seed, run });
  return Array.from({ length: count }, () => {
    const bytes = source.next();
    return new Uint8Array(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4));
  });
}

async function drive(route: HttpRoute, workload: Workload, run: string, count: number, inFlight: number): Promise<number[]> {
  const bodies = bodiesOf(workload, run, count);
  const latenciesMs: number[] = [];
  const client = async (): Promise<void> => {
    for (let body = bodies.pop(); body; body = bodies.pop()) {
      const startMs = performance.now();
      const { status, body: answer } = await route.handler(requestOf(route.path, body, ''));
      if (status >= 300) throw new Error(`${workload} was answered ${status}: ${String(answer)}`);
      latenciesMs.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, client));
  return latenciesMs.sort((a, b) => a - b);
}

async function measure(route: HttpRoute, workload: Workload, run: string, count: number, inFlight: number, units: number): Promise<void> {
  await drive(route, workload, `w${run}`, Math.ceil(count / 4), inFlight);
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const latenciesMs = await drive(route, workload, `x${run}`, count, inFlight);
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const at = (share: number): string => latenciesMs[Math.floor(latenciesMs.length * share)]!.toFixed(2);
  const perUnit = (us: number): string => (us / (count * units)).toFixed(2);
  process.stdout.write(
    `${workload}: ${perUnit(elapsedMs * 1000)} us by the clock, ${perUnit(user + system)} us of CPU (system ${perUnit(system)}) a ${units > 1 ? 'event' : 'request'}; ` +
      `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`,
  );
}

const shop = await prepareShop(shopDir, SHOP, Date.now(), (text) => process.stderr.write(`preparing: ${text}\n`));
const copy = await copyShop(shopDir);
const config = readConfig({}, { dataDir: copy.dataDir });
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const catalogue = new Catalogue();
const store = await openStore(config, engine, catalogue);
const metrics = new Metrics();
try {
  const bundle = await loadBundle(join(bundlesDir(config), shop.bundle), { engine, ...indexReaders, handles: catalogue.handles });
  const rules = new RuleBook(JSON.parse(await readFile(rulesPath(shopDir), 'utf8')) as Rule[], engine.names(FRAUD_SET));
  if (wants('stages')) {
    if (!bundle.fraud) throw new Error('the bundle has no fraud model');
    await scoreStages(engine, bundle.fraud, rules, bodiesOf('score', 'stages', STAGE_PAYMENTS), (stage, us) => {
      process.stdout.write(`${stage.padEnd(34)} ${us.toFixed(2).padStart(8)} us\n`);
    });
  }
  const watch = createWatch({ store, metrics, raise: (alert) => store.raise(alert), now: Date.now, onError: (error) => console.error(error) });
  const data: DataDeps = {
    config,
    store,
    engine,
    catalogue,
    trending: new Trending(catalogue.handles),
    editorial: { picks: () => [] },
    clicks: new ClickCounts([]),
    items: { acted: () => {} },
    countries: new VisitorCountries('bench'),
    experiments: { trialOf: () => undefined },
    itemNumbers: new ItemNumbersTable(engine, RANK_SET, catalogue.handles),
    bundles: { lease: (use) => use(bundle, undefined) },
    desk: { book: () => rules, observe: () => {} },
    restrictions: { standing: () => [], impose: () => true },
    watch,
    onPaymentEvent: () => {},
    rates: undefined,
    placements: { get: () => undefined, fallback: () => DEFAULT_PLACEMENTS[0]! },
    keyring: { check: () => ({ kind: 'secret', id: 'bench', origins: [] }) },
    streamTokens: {
      issue: () => {
        throw new Error('not measured here');
      },
    },
    admission: createAdmission({ inFlightMax: config.inFlightMax, queueDelayMaxMs: Number.POSITIVE_INFINITY, queueDelayMs: () => 0 }),
    metrics,
    log: pino({ level: 'warn' }),
    now: Date.now,
  };
  const routes = createDataRoutes(data, createRecommendations(data));
  const routeOf = (path: string): HttpRoute => {
    const route = routes.find((other) => other.path === path);
    if (!route) throw new Error(`no route ${path}`);
    return route;
  };
  if (wants('score')) await measure(routeOf('/v1/score'), 'score', 'score', requests, IN_FLIGHT, 1);
  if (only !== 'score')
    await measure(routeOf('/v1/events'), 'events', 'event', Math.ceil(requests / 50), EVENT_REQUESTS_IN_FLIGHT, EVENTS_PER_REQUEST);
} finally {
  await store.close();
  metrics.close();
  await copy.remove();
}

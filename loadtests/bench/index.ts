/**
 * Vector search: how long it takes to build, to open and to search, how much it finds, and what updates and compactions cost while it is searched.
 *
 *   node dist/loadtests/bench/index.js [vectors] [dimensions] [metric] [--write-docs]     (default 100000 64 ip)
 *
 * A process of its own builds the base, so that the memory shown is that of serving.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { clusteredVectors, gaussian, seededRandom } from '../../index/clustered.ts';
import type { Metric, SnapshotManifest, VectorIndex } from '../../index/contract.ts';
import { createExactIndex } from '../../index/exact.ts';
import { createHnswIndex } from '../../index/hnsw.ts';
import { type CompactionReport, type LiveIndex, openLiveIndex, TOMBSTONES_SHARE_MAX } from '../../index/live.ts';
import { writeSnapshot } from '../../index/snapshot.ts';
import { busyBefore, machine } from '../load/processes.ts';
import { writeDocs } from '../load/report.ts';

/** Queries that are also scanned exactly, for recall. */
const QUERIES = 200;
/** What a placement asks the index for. */
const K = 100;
/** Vectors per cluster, about a catalogue's leaf category. */
const CLUSTER_SIZE = 200;
/** What popularity does to the norms of trained factors. */
const NORM_SPREAD = 0.3;
/** How far an updated vector moves: as far as vectors of a cluster lie apart. */
const MOVE = 0.4;
/** In one turn of the event loop while updates are measured: a busy shop's mix. */
const UPDATES_PER_TURN = 2;
/** Searches timed before updates begin. */
const SEARCHES = 2_000;
const MB = 2 ** 20;

interface Prepared {
  readonly manifest: SnapshotManifest;
  readonly buildS: number;
  readonly queries: number[][];
  readonly truth: string[][];
  readonly scanUs: number;
}

const report: string[] = [];
function line(name: string, value: string): void {
  report.push(`| ${name} | ${value} |`);
  process.stderr.write(`${name.padEnd(50)}${value}\n`);
}

/** Builds the base and writes it with its queries and their true neighbours to the folder. */
async function prepare(dir: string, count: number, dimensions: number, metric: Metric): Promise<void> {
  const next = clusteredVectors({ dimensions, clusters: Math.max(1, Math.round(count / CLUSTER_SIZE)), seed: 1, normSpread: NORM_SPREAD });
  const index = createHnswIndex({ dimensions, metric, capacityInitial: count });
  const oracle = createExactIndex({ dimensions, metric, handles: index.handles });
  let buildMs = 0;
  for (let i = 0; i < count; i++) {
    const vector = next();
    oracle.upsert(`item-${i}`, vector);
    const startMs = performance.now();
    index.upsert(`item-${i}`, vector);
    buildMs += performance.now() - startMs;
  }
  const queries = Array.from({ length: QUERIES }, next);
  const startMs = performance.now();
  const truth = queries.map((query) => oracle.search(query, K).map(({ id }) => id));
  const scanUs = ((performance.now() - startMs) * 1_000) / QUERIES;
  const manifest = await writeSnapshot(index, dir);
  const prepared: Prepared = { manifest, buildS: buildMs / 1_000, queries: queries.map((query) => [...query]), truth, scanUs };
  await writeFile(join(dir, 'prepared.json'), JSON.stringify(prepared));
}

/** What was read to open the index is garbage now, outside of V8's heap: it would go only when V8 next looks. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;
}

function recallOf(index: VectorIndex, queries: readonly Float32Array[], truth: readonly (readonly string[])[]): number {
  const found = queries.reduce((sum, query, i) => {
    const wanted = new Set(truth[i]);
    return sum + index.search(query, K).filter(({ id }) => wanted.has(id)).length;
  }, 0);
  return found / (K * queries.length);
}

/** Microseconds of each search by handle, as candidates ask. */
function searchUs(index: VectorIndex, queries: readonly Float32Array[], searches: number): number[] {
  const handles = new Int32Array(K);
  return Array.from({ length: searches }, (_, i) => {
    const startMs = performance.now();
    index.nearest(queries[i % queries.length]!, K, {}, handles);
    return (performance.now() - startMs) * 1_000;
  });
}

function us(times: readonly number[]): string {
  return `p50 ${quantile(times, 0.5).toFixed(0)} us, p99 ${quantile(times, 0.99).toFixed(0)} us`;
}

/** Calls `work` once a turn of the event loop until `until` holds; returns how long the loop kept each turn waiting, in ms. */
async function turns(work: () => void, until: () => boolean): Promise<number[]> {
  const waitsMs: number[] = [];
  while (!until()) {
    work();
    const startMs = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    waitsMs.push(performance.now() - startMs);
  }
  return waitsMs;
}

function pauses(waitsMs: readonly number[]): string {
  return `event loop held p99 ${quantile(waitsMs, 0.99).toFixed(1)} ms, longest ${quantile(waitsMs, 1).toFixed(1)} ms`;
}

/** Searches and updates in turns until one more compaction has ended. */
async function underUpdates(index: LiveIndex, reports: readonly CompactionReport[], queries: readonly Float32Array[]): Promise<void> {
  const random = seededRandom(9);
  const times: number[] = [];
  const updates: number[] = [];
  let rssMost = 0;
  const startMs = performance.now();
  const count = index.size;
  const before = reports.length;
  const waitsMs = await turns(
    () => {
      times.push(...searchUs(index, queries.slice(times.length % QUERIES), 1));
      for (let i = 0; i < UPDATES_PER_TURN; i++) {
        const id = `item-${Math.floor(random() * count)}`;
        const vector = index.get(id)?.map((x) => x + MOVE * gaussian(random));
        if (vector === undefined) continue;
        const updateMs = performance.now();
        index.upsert(id, vector);
        updates.push((performance.now() - updateMs) * 1_000);
      }
      rssMost = Math.max(rssMost, process.memoryUsage.rss());
    },
    () => reports.length > before,
  );
  const spentS = (performance.now() - startMs) / 1_000;
  await turns(
    () => undefined,
    () => !index.stats().isCompacting,
  );
  const { kind, slots, durationMs } = reports.at(-1)!;
  line(`${kind}: compaction of ${slots} slots`, `${(durationMs / 1_000).toFixed(1)} s; ${pauses(waitsMs)}`);
  line(`${kind}: searches meanwhile`, us(times));
  line(
    `${kind}: updates meanwhile`,
    `${(updates.length / spentS).toFixed(0)}/s beside ${(times.length / spentS).toFixed(0)} searches/s; an update ${us(updates)}`,
  );
  line(`${kind}: resident memory, most`, `${(rssMost / MB).toFixed(0)} MB, without the child`);
}

function recallNow(index: LiveIndex, queries: readonly Float32Array[]): string {
  const oracle = createExactIndex({ dimensions: index.dimensions, metric: index.metric, handles: index.handles });
  for (const id of index.ids()) oracle.upsert(id, index.get(id)!);
  const truth = queries.map((query) => oracle.search(query, K).map(({ id }) => id));
  return recallOf(index, queries, truth).toFixed(4);
}

async function measure(dir: string): Promise<void> {
  const { manifest, buildS, queries: rows, truth, scanUs } = JSON.parse(await readFile(join(dir, 'prepared.json'), 'utf8')) as Prepared;
  const { dimensions, metric, count } = manifest;
  const queries = rows.map((row) => Float32Array.from(row));
  line('vectors', `${count} x ${dimensions} ${metric}`);
  line('build of the base, one thread', `${buildS.toFixed(1)} s, ${((buildS * 1e6) / count).toFixed(0)} us a vector`);

  const reports: CompactionReport[] = [];
  const fail = (error: unknown): never => {
    throw error;
  };
  const rssBefore = process.memoryUsage.rss();
  const startMs = performance.now();
  let index: LiveIndex | undefined;
  const opening = openLiveIndex({
    dir: join(dir, 'live'),
    base: { dir, manifest },
    dimensions,
    metric,
    now: () => Math.floor(performance.now()),
    onCompacted: (done) => reports.push(done),
    onError: fail,
  }).then((opened) => {
    index = opened;
  });
  const openWaits = await turns(
    () => undefined,
    () => index !== undefined,
  );
  await opening;
  if (index === undefined) throw new Error('the index was opened, yet is not there');
  const served = index;
  line('open from files', `${((performance.now() - startMs) / 1_000).toFixed(1)} s; ${pauses(openWaits)}`);
  const openedRss = process.memoryUsage.rss();
  collectGarbage();
  const rssMb = (rss: number): string => ((rss - rssBefore) / MB).toFixed(0);
  line('resident memory, ids included', `${rssMb(process.memoryUsage.rss())} MB, ${rssMb(openedRss)} MB when just opened`);
  searchUs(index, queries, QUERIES);
  line(
    `top ${K}`,
    `${us(searchUs(index, queries, SEARCHES))}, recall ${recallOf(index, queries, truth).toFixed(4)}; exact scan ${scanUs.toFixed(0)} us`,
  );

  let asked = 0;
  const calmWaits = await turns(
    () => void searchUs(served, queries, 1),
    () => asked++ >= SEARCHES,
  );
  line('searches alone, one a turn', `${pauses(calmWaits)}: what the machine itself does`);

  await underUpdates(index, reports, queries);
  line('after it', `${us(searchUs(index, queries, SEARCHES))}, recall ${recallNow(index, queries)}`);
  for (let i = 0; i < 2 * TOMBSTONES_SHARE_MAX * count && !index.stats().isCompacting; i++) index.remove(`item-${i}`);
  await underUpdates(index, reports, queries);
  line('after it', `${us(searchUs(index, queries, SEARCHES))}, recall ${recallNow(index, queries)}`);
  await index.close();
}

async function main(): Promise<void> {
  const given = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const [count = 100_000, dimensions = 64] = given.slice(0, 2).map(Number);
  const metric = (given[2] ?? 'ip') as Metric;
  const self = fileURLToPath(import.meta.url);
  const dir = process.env['GATEHOUSE_BENCH_PREPARE'];
  if (dir !== undefined) return prepare(dir, count, dimensions, metric);
  const busy = busyBefore();
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-bench-index-'));
  try {
    const args = [self, String(count), String(dimensions), metric];
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, GATEHOUSE_BENCH_PREPARE: folder } });
    if (status !== 0) throw new Error(`the base could not be built: exit code ${status}`);
    await measure(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
  const text = [`${machine()}; ${busy}. ${new Date().toISOString().slice(0, 10)}.`, '', '| what | measured |', '|---|---|', ...report].join('\n');
  process.stdout.write(`${text}\n`);
  if (process.argv.includes('--write-docs')) await writeDocs(true, `index ${count}`, text);
}

await main();

/**
 * Vector search: build time, search time at several k, recall, and the exact scan as the rival in the same run.
 *
 *   node dist/loadtests/bench/index.js [vectors] [dimensions] [metric]     (default 100000 64 ip)
 */
import { clusteredVectors } from '../../index/clustered.ts';
import type { Metric, VectorIndex } from '../../index/contract.ts';
import { createExactIndex } from '../../index/exact.ts';
import { createHnswIndex } from '../../index/hnsw.ts';

/** Timed queries of the graph; enough for a stable mean within a second. */
const QUERIES = 500;
/** Queries that are also scanned exactly, for recall and the rival's time. */
const QUERIES_EXACT = 40;
/** Vectors per cluster, about a catalogue's leaf category. */
const CLUSTER_SIZE = 200;
/** What popularity does to the norms of trained factors. */
const NORM_SPREAD = 0.3;

function meanUs(queries: readonly Float32Array[], run: (query: Float32Array) => unknown): number {
  const start = performance.now();
  for (const query of queries) run(query);
  return ((performance.now() - start) * 1_000) / queries.length;
}

function recallOf(index: VectorIndex, oracle: VectorIndex, queries: readonly Float32Array[], k: number): number {
  let found = 0;
  for (const query of queries) {
    const truth = new Set(oracle.search(query, k).map(({ id }) => id));
    found += index.search(query, k).filter(({ id }) => truth.has(id)).length;
  }
  return found / (queries.length * k);
}

function line(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(34)}${value}\n`);
}

function main(): void {
  const [count = 100_000, dimensions = 64] = process.argv.slice(2, 4).map(Number);
  const metric = (process.argv[4] ?? 'ip') as Metric;
  const next = clusteredVectors({ dimensions, clusters: Math.max(1, Math.round(count / CLUSTER_SIZE)), seed: 1, normSpread: NORM_SPREAD });
  const vectors = Array.from({ length: count }, next);
  const queries = Array.from({ length: QUERIES }, next);
  const index = createHnswIndex({ dimensions, metric, capacityInitial: count });
  const oracle = createExactIndex({ dimensions, metric });
  for (let i = 0; i < count; i++) oracle.upsert(`item-${i}`, vectors[i]!);

  const start = performance.now();
  for (let i = 0; i < count; i++) index.upsert(`item-${i}`, vectors[i]!);
  const buildS = (performance.now() - start) / 1_000;
  line('vectors', `${count} x ${dimensions} ${metric}`);
  line('build', `${buildS.toFixed(1)} s, ${((buildS * 1e6) / count).toFixed(0)} us a vector`);

  const sample = queries.slice(0, QUERIES_EXACT);
  for (const k of [20, 100, 200]) {
    meanUs(sample, (query) => index.search(query, k));
    const searchUs = meanUs(queries, (query) => index.search(query, k));
    const scanUs = meanUs(sample, (query) => oracle.search(query, k));
    line(`top ${k}`, `${searchUs.toFixed(0)} us, recall ${recallOf(index, oracle, sample, k).toFixed(4)}; exact scan ${scanUs.toFixed(0)} us`);
  }

  const tenth = { filter: (id: string) => id.endsWith('7') };
  const thousandth = { filter: (id: string) => id.endsWith('777') };
  line('top 100 behind a 10% filter', `${meanUs(sample, (query) => index.search(query, 100, tenth)).toFixed(0)} us`);
  line('top 100 behind a 0.1% filter', `${meanUs(sample, (query) => index.search(query, 100, thousandth)).toFixed(0)} us`);
  line('replace one', `${meanUs(queries, (query) => index.upsert(`item-${Math.abs(Math.round(query[0]! * 1e4)) % count}`, query)).toFixed(0)} us`);
}

main();

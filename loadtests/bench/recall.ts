/**
 * How much of the true 100 nearest the graph finds, by how the vectors lie: clustered as in the other benchmarks, of few dimensions, random in all of
 * them, and factors that ALS learnt from real sessions, asked for by the factors of sessions.
 *
 *   node dist/loadtests/bench/recall.js [session_clicks.parquet] [--write-docs]     (Diginetica; without it no learnt factors)
 */
import { existsSync } from 'node:fs';
import { clusteredVectors, gaussian, seededRandom } from '../../index/clustered.ts';
import { createExactIndex } from '../../index/exact.ts';
import { createHnswIndex } from '../../index/hnsw.ts';
import { readClicks } from '../../training/evaluation/protocols/sessions-neighbours.ts';
import { fitAls } from '../../training/learners/als.ts';
import { writeDocs } from '../load/report.ts';

const DIMENSIONS = 64;
/** About Diginetica's. */
const COUNT = 43_000;
const QUERIES = 100;
const K = 100;
const EF_WIDE = 2_400;
const NEIGHBOURS = 20;

interface Vectors {
  readonly items: readonly Float32Array[];
  readonly queries: readonly Float32Array[];
}

function made(next: () => Float32Array): Vectors {
  return { items: Array.from({ length: COUNT }, next), queries: Array.from({ length: QUERIES }, next) };
}

/** Normal in `rank` directions, and a little in the others; norms spread as in `clusteredVectors`. */
function normal(rank: number, normSpread: number): () => Float32Array {
  const random = seededRandom(1);
  const vector = () => Float32Array.from({ length: DIMENSIONS }, () => gaussian(random));
  const directions = Array.from({ length: rank }, vector);
  return () => {
    const scale = Math.exp(normSpread * gaussian(random));
    if (rank === DIMENSIONS) return vector().map((x) => x * scale);
    const out = vector().map((x) => 0.05 * x);
    for (const direction of directions) {
      const weight = gaussian(random) / Math.sqrt(rank);
      for (let i = 0; i < DIMENSIONS; i++) out[i]! += weight * direction[i]!;
    }
    return out.map((x) => x * scale);
  };
}

async function learnt(path: string): Promise<Vectors> {
  const { ids, train } = await readClicks(path);
  const indptr = new Uint32Array(train.length + 1);
  const rows = train.map((session) => [...new Set(session)].sort((a, b) => a - b));
  rows.forEach((row, i) => {
    indptr[i + 1] = indptr[i]! + row.length;
  });
  const indices = Uint32Array.from(rows.flat());
  const data = { users: train.length, items: ids.length, indptr, indices, values: new Float32Array(indices.length).fill(1) };
  const { itemFactors, userFactors } = await fitAls(data, { factors: DIMENSIONS, iterations: 8 }, { seed: 1 });
  const rowsOf = (table: Float32Array, from: number, count: number) =>
    Array.from({ length: count }, (_, i) => table.slice((from + i) * DIMENSIONS, (from + i + 1) * DIMENSIONS));
  return { items: rowsOf(itemFactors, 0, ids.length), queries: rowsOf(userFactors, train.length - QUERIES, QUERIES) };
}

/** Local intrinsic dimension, the median over the queries' nearest vectors (Levina and Bickel 2004): in how many directions neighbours lie. */
function intrinsicDimension(items: readonly Float32Array[]): number {
  const exact = createExactIndex({ dimensions: DIMENSIONS, metric: 'l2' });
  items.forEach((vector, i) => {
    exact.upsert(`i${i}`, vector);
  });
  const estimates = Array.from({ length: QUERIES }, (_, i) => {
    const own = items[Math.floor((i * items.length) / QUERIES)]!;
    const distances = exact.search(own, NEIGHBOURS + 1).map(({ similarity }) => Math.sqrt(-similarity));
    const near = distances.slice(1).filter((distance) => distance > 0);
    const far = near.at(-1) ?? 0;
    return (near.length - 1) / near.reduce((sum, distance) => sum + Math.log(far / distance), 0);
  });
  return estimates.filter(Number.isFinite).sort((a, b) => a - b)[QUERIES >> 1] ?? 0;
}

function row(name: string, { items, queries }: Vectors): string {
  const index = createHnswIndex({ dimensions: DIMENSIONS, metric: 'ip', capacityInitial: items.length });
  const exact = createExactIndex({ dimensions: DIMENSIONS, metric: 'ip' });
  items.forEach((vector, i) => {
    index.upsert(`i${i}`, vector);
    exact.upsert(`i${i}`, vector);
  });
  const truth = queries.map((query) => new Set(exact.search(query, K).map(({ id }) => id)));
  const recall = (options: { ef?: number }): string =>
    (
      queries.reduce((sum, query, i) => sum + index.search(query, K, options).filter(({ id }) => truth[i]!.has(id)).length, 0) /
      (K * QUERIES)
    ).toFixed(3);
  return `| ${name} | ${items.length} | ${intrinsicDimension(items).toFixed(0)} | ${recall({ ef: 300 })} | ${recall({})} | ${recall({ ef: EF_WIDE })} |`;
}

async function main(): Promise<void> {
  const [path = 'data/diginetica_sessions/session_clicks.parquet'] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const rows = [`| vectors | how many | intrinsic dimension | recall at ef 300 | at the served ef | at ef ${EF_WIDE} |`, '|---|---|---|---|---|---|'];
  const clusters = Math.round(COUNT / 200);
  rows.push(row('clustered, norms spread', made(clusteredVectors({ dimensions: DIMENSIONS, clusters, seed: 1, normSpread: 0.3 }))));
  rows.push(row('normal in 16 dimensions, norms spread', made(normal(16, 0.3))));
  rows.push(row('normal in all 64', made(normal(DIMENSIONS, 0))));
  rows.push(row('normal in all 64, norms spread', made(normal(DIMENSIONS, 0.3))));
  if (existsSync(path)) rows.push(row('ALS factors of Diginetica’s items, asked by sessions', await learnt(path)));
  const text = rows.join('\n');
  process.stdout.write(`${text}\n`);
  if (process.argv.includes('--write-docs')) await writeDocs(true, 'index recall', text);
}

await main();

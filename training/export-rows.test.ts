import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import { collect } from './collect.ts';
import { exportFraudRows } from './export-rows.ts';
import { FraudRows, fraudWindowOf } from './fraud-rows.ts';
import { silentProgress } from './progress.ts';
import { Replay } from './replay.ts';
import { END_MS, factsOfShop, smallShop, sourceOf } from './shop.testing.ts';
import { type Cell, openTables, quote } from './sources/duckdb.ts';

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const names = engine.names(FRAUD_SET);
const facts = factsOfShop(smallShop());
const source = sourceOf(facts);
const LEADING = ['transaction_id', 'timestamp_ms', 'is_fraud', 'weight'];

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gatehouse-rows-'));
});
afterAll(() => rm(dir, { recursive: true }));

const write = (file: string, params = {}) => exportFraudRows({ facts: source, engine, path: join(dir, file), params, progress: silentProgress });

async function read(file: string): Promise<{ columns: string[]; rows: Cell[][] }> {
  const tables = await openTables(join(dir, file));
  try {
    const sql = `SELECT * FROM ${file.endsWith('.csv') ? 'read_csv' : 'read_parquet'}(${quote(join(dir, file))})`;
    return { columns: (await tables.describe(sql)).map(({ name }) => name), rows: await tables.all(sql) };
  } finally {
    await tables.close();
  }
}

/** The trainer's own rows, as `train` makes them. */
async function trainerRows(): Promise<FraudRows> {
  const log = await collect(source, { outcomesUntilMs: Number.POSITIVE_INFINITY, progress: silentProgress.task(''), check: () => {} });
  const rows = new FraudRows(names.length, fraudWindowOf(log, {}), log);
  const replay = new Replay(engine);
  for (const fact of facts) {
    replay.apply(fact);
    if (fact.kind === 'event' && fact.event.name === 'payment_attempt') rows.take(replay, fact.event);
  }
  return rows;
}

test.each(['rows.parquet', 'rows.csv'])('%s holds, bit for bit, the rows that the fraud model is trained on', async (file) => {
  const exported = await write(file);
  const { columns, rows } = await read(file);
  const own = await trainerRows();
  expect(columns).toEqual([...LEADING, ...names]);
  expect(exported).toEqual({ set: 'fraud', hash: engine.hash('fraud'), features: names.length, rows: own.count, frauds: own.frauds() });
  expect(own.count).toBeGreaterThan(100);
  expect(own.frauds()).toBeGreaterThan(10);
  expect(rows).toHaveLength(own.count);
  const { rows: vectors, labels } = own.slice(0, own.count);
  rows.forEach(([id, atMs, label, weight, ...features], i) => {
    expect([id, atMs, label, weight]).toEqual([own.id(i), own.atMs(i), labels[i], 1]);
    const vector = Float32Array.from(features, (value) => (value === null ? Number.NaN : Number(value)));
    expect(vector, `row ${i}`).toEqual(vectors.subarray(i * names.length, (i + 1) * names.length));
  });
  expect(rows.some((row) => row.includes(null))).toBe(true);
});

test('a window takes the payments within it', async () => {
  const [fromMs, toMs] = [END_MS - 30 * 86_400_000, END_MS - 20 * 86_400_000];
  const { rows: count } = await write('window.parquet', { fraudFromMs: fromMs, fraudToMs: toMs });
  const { rows } = await read('window.parquet');
  expect(rows).toHaveLength(count);
  expect(count).toBeGreaterThan(0);
  for (const [, atMs] of rows) expect(Number(atMs) >= fromMs && Number(atMs) < toMs).toBe(true);
});

test('is refused with nothing left behind', async () => {
  const before = (await readdir(dir)).sort();
  await expect(write('rows.xlsx')).rejects.toMatchObject({ code: 'input_unreadable', detail: expect.stringContaining('only .parquet and .csv') });
  await expect(write('nowhere/rows.csv')).rejects.toMatchObject({ code: 'input_unreadable', detail: expect.stringContaining('cannot be written') });
  await expect(write('none.csv', { fraudFromMs: END_MS + 1 })).rejects.toMatchObject({ code: 'training_data_insufficient' });
  expect((await readdir(dir)).sort()).toEqual(before);
});

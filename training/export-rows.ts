import { GatehouseError } from '../contracts/errors.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import { collect, PROGRESS_RECORDS } from './collect.ts';
import type { FactSource } from './facts.ts';
import { FraudRows, type FraudWindowParams, fraudWindowOf } from './fraud-rows.ts';
import type { ProgressReporter } from './progress.ts';
import { Replay } from './replay.ts';
import { type ColumnType, tableFormat, writeTable } from './sources/duckdb.ts';

export interface ExportRowsOptions {
  readonly facts: FactSource;
  readonly engine: FeatureEngine;
  /** A .parquet or .csv file. */
  readonly path: string;
  readonly params?: FraudWindowParams;
  readonly progress: ProgressReporter;
}

/** What was written. `hash` is the feature set's: a model trained on these rows names it. */
export interface ExportedRows {
  readonly set: string;
  readonly hash: string;
  readonly features: number;
  readonly rows: number;
  readonly frauds: number;
}

const LEADING: readonly { readonly name: string; readonly type: ColumnType }[] = [
  { name: 'transaction_id', type: 'VARCHAR' },
  { name: 'timestamp_ms', type: 'BIGINT' },
  // The converters of LightGBM and scikit-learn know int64 labels, but no smaller ones.
  { name: 'is_fraud', type: 'BIGINT' },
  { name: 'weight', type: 'FLOAT' },
];

/**
 * Writes the rows that the trainer's fraud model would learn from: transaction, time, label, weight, and the vector that the gateway computes, with
 * null for what is missing. Throws `training_data_insufficient` when there are none, `input_unreadable` when the file can't be written.
 */
export async function exportFraudRows(options: ExportRowsOptions): Promise<ExportedRows> {
  const { facts, engine, path, params = {}, progress } = options;
  // Before an hour of replay, not after it.
  tableFormat(path);
  const bar = progress.task('reading', 'records');
  const log = await collect(facts, { outcomesUntilMs: params.labelsUntilMs ?? Number.POSITIVE_INFINITY, progress: bar, check: () => {} });
  bar.end();
  const names = engine.names(FRAUD_SET);
  const rows = new FraudRows(names.length, fraudWindowOf(log, params), log);
  await replayPayments(facts, engine, rows, progress);
  if (rows.count === 0) throw new GatehouseError('training_data_insufficient', 'the journal holds no payment whose outcome has had its time');
  await writeTable(path, [...LEADING, ...names.map((name) => ({ name, type: 'FLOAT' as const }))], tableOf(rows));
  return { set: FRAUD_SET, hash: engine.hash(FRAUD_SET), features: names.length, rows: rows.count, frauds: rows.frauds() };
}

async function replayPayments(facts: FactSource, engine: FeatureEngine, rows: FraudRows, progress: ProgressReporter): Promise<void> {
  const bar = progress.task('replay', 'records');
  const replay = new Replay(engine);
  let record = 0;
  for await (const { fact } of facts.read()) {
    replay.apply(fact);
    if (fact.kind === 'event' && fact.event.name === 'payment_attempt') rows.take(replay, fact.event);
    if (++record % PROGRESS_RECORDS === 0) bar.update(record, facts.count);
  }
  bar.end();
}

function* tableOf(rows: FraudRows): Generator<(string | number | null)[]> {
  for (let row = 0; row < rows.count; row++) {
    const { rows: vector, labels, weights } = rows.slice(row, row + 1);
    yield [rows.id(row), rows.atMs(row), labels[0]!, weights?.[0] ?? 1, ...Array.from(vector, (value) => (Number.isNaN(value) ? null : value))];
  }
}

/**
 * Next click in a session on the Diginetica clicks, by a sequence encoder: HR@20 and MRR@20 beside the reference.
 *
 *   node dist/training/evaluation/protocols/sessions-neural.js <session_clicks.parquet> [--on validation|test] [--encoder gru|lstm|sasrec|cnn]
 *     [--seed n] [--threads n] [--sessions n: only the last n train sessions] [--validation n] [--epochs n] [--batch n] [--rate x] [--dropout x]
 *
 * `validation` (the default) holds back the last 8,000 train sessions, and is where settings are chosen; `test` learns from all train sessions.
 * With the defaults and seed 0 the GRU gives HR@20 54.10 and MRR@20 18.73 on validation, 54.04 and 18.74 on test.
 */
import { parseArgs } from 'node:util';
import { requireParam } from '../../learners/contract.ts';
import { ENCODERS, type EncoderName } from '../../learners/neural/encoders.ts';
import { fitNextItem, NEXT_ITEM_DEFAULTS } from '../../learners/neural/nextItem.ts';
import { hitRateAndMrr, rankNextItems } from '../../learners/neural/nextItemServing.ts';
import { TRAINING_THREADS } from '../../learners/neural/step.ts';
import type { SequenceRows } from '../../learners/neural/windows.ts';
import { progressBars } from '../../progress.ts';
import { openTables, readFunction } from '../../sources/duckdb.ts';

const LIST_LENGTH = 20;
const VALIDATION_SESSIONS = 8000;
/** A GRU of the same size, per cent: two seeds gave 54.10 / 18.54 and 54.01 / 18.58. */
const REFERENCE = 'GRU, 100 units: HR@20 54.06, MRR@20 18.56';

type Sessions = readonly (readonly number[])[];

async function readSessions(path: string): Promise<{ train: Sessions; test: Sessions }> {
  const tables = await openTables(path);
  const parts = { train: [] as number[][], test: [] as number[][] };
  const sql = `SELECT split, session_id, item_id FROM ${readFunction(tables.files)} ORDER BY session_id, position`;
  let last: unknown;
  for await (const rows of tables.stream(sql)) {
    // Chunks come column by column.
    const [splits, sessions, items] = rows;
    sessions!.forEach((session, i) => {
      const part = splits![i] === 'train' ? parts.train : parts.test;
      if (session !== last) part.push([]);
      last = session;
      part.at(-1)!.push(Number(items![i]));
    });
  }
  await tables.close();
  return parts;
}

/** Numbers the items of `train` in the order of their ids, so that ties are broken as the protocol says; all others become unknown. */
function numbered(train: Sessions, watched: Sessions): { rows: SequenceRows; against: SequenceRows } {
  const ids = [...new Set(train.flat())].sort((a, b) => a - b);
  const numbers = new Map(ids.map((id, number) => [id, number]));
  const rowsOf = (sessions: Sessions): SequenceRows => {
    const indptr = new Uint32Array(sessions.length + 1);
    sessions.forEach((session, s) => {
      indptr[s + 1] = indptr[s]! + session.length;
    });
    return { items: ids.length, indptr, clicks: Uint32Array.from(sessions.flat(), (id) => numbers.get(id) ?? ids.length) };
  };
  return { rows: rowsOf(train), against: rowsOf(watched) };
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      on: { ...text, default: 'validation' },
      encoder: { ...text, default: 'gru' },
      seed: { ...text, default: '0' },
      threads: { ...text, default: String(TRAINING_THREADS) },
      validation: { ...text, default: String(VALIDATION_SESSIONS) },
      sessions: text,
      epochs: text,
      batch: text,
      rate: text,
      dropout: text,
    },
  });
  const [path] = positionals;
  requireParam(
    path !== undefined && values.encoder in ENCODERS && ['validation', 'test'].includes(values.on),
    'see the head of this file for the use',
  );
  const { train, test } = await readSessions(path);
  const held = values.on === 'test' ? 0 : Number(values.validation);
  const learned = train.slice(0, train.length - held);
  const { rows, against } = numbered(values.sessions ? learned.slice(-Number(values.sessions)) : learned, held > 0 ? train.slice(-held) : test);
  const params = {
    ...NEXT_ITEM_DEFAULTS,
    encoder: values.encoder as EncoderName,
    ...(values.epochs ? { epochs: Number(values.epochs) } : {}),
    ...(values.batch ? { batchSize: Number(values.batch) } : {}),
    ...(values.rate ? { learningRate: Number(values.rate) } : {}),
    ...(values.dropout ? { dropout: Number(values.dropout) } : {}),
  };
  const out = (line: string) => process.stdout.write(`${line}\n`);
  out(`sessions: ${rows.indptr.length - 1} learned from, ${against.indptr.length - 1} of ${values.on}; ${rows.items} items`);
  const progress = progressBars(process.stderr, () => performance.now()).task(`training ${params.encoder}`, 'steps');
  const threads = Number(values.threads);
  const startMs = performance.now();
  const model = await fitNextItem(rows, params, { seed: Number(values.seed), threads, progress: progress.update });
  progress.end();
  const trainedMs = performance.now();
  const ranks = await rankNextItems(model, against, threads);
  const { hitRate, mrr } = hitRateAndMrr(ranks, LIST_LENGTH);
  out(`losses by epoch: ${model.history.trainLosses.map((loss) => loss.toFixed(4)).join(' ')}`);
  out(
    `trained in ${((trainedMs - startMs) / 1000).toFixed(0)} s, ${ranks.length} prefixes ranked in ${((performance.now() - trainedMs) / 1000).toFixed(0)} s`,
  );
  out(`${params.encoder}, seed ${values.seed}, on ${values.on}: HR@20 ${(100 * hitRate).toFixed(2)}, MRR@20 ${(100 * mrr).toFixed(2)}`);
  out(`reference on test: ${REFERENCE}`);
}

await main();

// Next click in a session, Diginetica: HR@20 and MRR@20 of session neighbours beside reference figures.
//   node dist/training/evaluation/protocols/sessions-neighbours.js <session_clicks.parquet> [validation]
// Protocol: each prefix of a test session asks for the click after it; all train items are ranked, those of the session included, equal scores by the
// lower id. Settings are chosen by HR + MRR on the last 8,000 train sessions (`validation` prints those), and then measured on the test sessions.
import { fileURLToPath } from 'node:url';
import { GatehouseError } from '../../../contracts/errors.ts';
import { S_KNN, SessionIndex, type SessionSearchParams, V_STAN, VMIS_KNN } from '../../../index/sessions.ts';
import { openTables, readFunction } from '../../sources/duckdb.ts';
import { countSteps } from './steps.ts';

const LIST_LENGTH = 20;
const VALIDATION_SESSIONS = 8_000;

/** Sessions in the order of their ids, which is that of time. */
export interface Sessions {
  readonly ids: readonly string[];
  readonly train: readonly Uint32Array[];
  /** Numbers of items; those that no train session has are `ids.length`. */
  readonly test: readonly Uint32Array[];
}

export interface NextClickScores {
  /** Percent of the prefixes whose next click is within the first 20. */
  readonly hr: number;
  /** Percent: mean of 1 / rank, 0 beyond 20. */
  readonly mrr: number;
  readonly prefixes: number;
  readonly meanUs: number;
}

interface Model {
  readonly name: string;
  readonly reference: string;
  readonly candidates: readonly SessionSearchParams[];
}

/**
 * The references (numpy, same prefixes) give nothing to the click that a neighbour was found by. One next click in ten repeats the last one, so
 * the same models are measured with that click as well.
 */
const withoutMatches = (...candidates: readonly SessionSearchParams[]) => candidates.map((params) => ({ ...params, matchShare: 0 }));

const MODELS: readonly Model[] = [
  { name: 'S-KNN', reference: '45.00 / 13.98', candidates: withoutMatches(S_KNN, { ...S_KNN, k: 500 }) },
  { name: 'VMIS-kNN', reference: '47.01 / 14.36', candidates: withoutMatches(VMIS_KNN, { ...VMIS_KNN, sessionsMax: 100_000 }) },
  {
    name: 'V-STAN like',
    reference: '48.37 / 15.12',
    candidates: withoutMatches(V_STAN, { ...V_STAN, lastItems: 3 }, { ...V_STAN, itemWeight: 'linear' }),
  },
  { name: 'S-KNN, matches too', reference: '', candidates: [S_KNN, { ...S_KNN, k: 500 }] },
  {
    name: 'VMIS-kNN, matches too',
    reference: '',
    candidates: [VMIS_KNN, { ...VMIS_KNN, sessionsMax: 100_000 }, { ...VMIS_KNN, sessionsMax: 100_000, lengthNorm: true }],
  },
  {
    name: 'V-STAN like, matches too',
    reference: '54.06 / 18.56 (GRU)',
    candidates: [V_STAN, { ...V_STAN, lastItems: 3 }, { ...V_STAN, lastItems: 9 }, { ...V_STAN, matchShare: 1.5 }, { ...V_STAN, idf: false }],
  },
];

/** Reads sessions; rejects with `input_unreadable` when there is no such file. */
export async function readClicks(path: string): Promise<Sessions> {
  const tables = await openTables(path);
  try {
    const sql = `SELECT session_id, item_id, split = 'train' FROM ${readFunction(tables.files)} ORDER BY session_id, position`;
    const rows: { session: number; item: number; train: boolean }[] = [];
    for await (const [session, item, train] of tables.stream(sql)) {
      for (let i = 0; i < session!.length; i++) rows.push({ session: Number(session![i]), item: Number(item![i]), train: train![i] === true });
    }
    const known = [...new Set(rows.filter(({ train }) => train).map(({ item }) => item))].sort((a, b) => a - b);
    const numbers = new Map(known.map((id, number) => [id, number]));
    const [train, test]: [Uint32Array[], Uint32Array[]] = [[], []];
    for (let from = 0, to = 0; from < rows.length; from = to) {
      while (to < rows.length && rows[to]!.session === rows[from]!.session) to++;
      const clicks = rows.slice(from, to).map(({ item }) => numbers.get(item) ?? known.length);
      (rows[from]!.train ? train : test).push(Uint32Array.from(clicks));
    }
    return { ids: known.map(String), train, test };
  } finally {
    await tables.close();
  }
}

export function indexSessions(sessions: readonly Uint32Array[], ids: readonly string[]): SessionIndex {
  const indptr = new Uint32Array(sessions.length + 1);
  sessions.forEach((clicks, i) => {
    indptr[i + 1] = indptr[i]! + clicks.length;
  });
  const items = new Uint32Array(indptr[sessions.length]!);
  sessions.forEach((clicks, i) => {
    items.set(clicks, indptr[i]!);
  });
  return new SessionIndex({ indptr, items, ids });
}

/** Asks for each click of each session from the second on. */
export function measureNextClick(index: SessionIndex, sessions: readonly Uint32Array[], params: SessionSearchParams): NextClickScores {
  const known = index.table.ids.length;
  let [prefixes, hits, reciprocal] = [0, 0, 0];
  const startMs = performance.now();
  for (const clicks of sessions) {
    for (let t = 1; t < clicks.length; t++) {
      prefixes++;
      const prefix = clicks.subarray(0, t).filter((item) => item < known);
      const at = index.searchNumbers(prefix, LIST_LENGTH, params).items.indexOf(clicks[t]!);
      if (at < 0) continue;
      hits++;
      reciprocal += 1 / (at + 1);
    }
  }
  const meanUs = (1_000 * (performance.now() - startMs)) / prefixes;
  return { hr: (100 * hits) / prefixes, mrr: (100 * reciprocal) / prefixes, prefixes, meanUs };
}

/** The candidate with the best HR + MRR on the last sessions of train, learned from those before. */
export function chooseParams({ train, ids }: Sessions, candidates: readonly SessionSearchParams[], held: number, report: (line: string) => void) {
  const index = indexSessions(train.slice(0, -held), ids);
  const tried = candidates.map((params) => {
    const scores = measureNextClick(index, train.slice(-held), params);
    report(`  validation ${describe(scores)}  ${JSON.stringify(params)}`);
    return { params, sum: scores.hr + scores.mrr };
  });
  return tried.reduce((best, next) => (next.sum > best.sum ? next : best)).params;
}

function describe({ hr, mrr, meanUs }: NextClickScores): string {
  return `HR@20 ${hr.toFixed(2)}  MRR@20 ${mrr.toFixed(2)}  ${meanUs.toFixed(0).padStart(4)} us`;
}

async function main(path: string, isVerbose: boolean): Promise<void> {
  const sessions = await readClicks(path);
  const index = indexSessions(sessions.train, sessions.ids);
  const prefixes = sessions.test.reduce((sum, clicks) => sum + clicks.length - 1, 0);
  console.log(`${sessions.train.length} train sessions, ${sessions.ids.length} items, ${prefixes} test prefixes`);
  const { step, end } = countSteps('models', MODELS.length);
  for (const { name, reference, candidates } of MODELS) {
    const params = chooseParams(sessions, candidates, VALIDATION_SESSIONS, isVerbose ? console.log : () => {});
    const scores = measureNextClick(index, sessions.test, params);
    console.log(`${name.padEnd(24)} ${describe(scores)}   reference ${reference}   ${JSON.stringify(params)}`);
    step();
  }
  end();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path, verbose] = process.argv.slice(2);
  main(path ?? 'data/diginetica_sessions/session_clicks.parquet', verbose === 'validation').catch((error) => {
    if (!(error instanceof GatehouseError)) throw error;
    console.error(`The data are absent: ${error.message}`);
    process.exitCode = 1;
  });
}

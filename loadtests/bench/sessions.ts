/**
 * Session candidates: microseconds a prediction of 20 items, at the settings of the Serenade measurements and at our default. One process, one thread.
 *
 *   node dist/loadtests/bench/sessions.js [session_clicks.parquet]     (Diginetica; made-up sessions of its size without it)
 */
import { existsSync } from 'node:fs';
import { seededRandom } from '../../index/clustered.ts';
import { type SessionIndex, type SessionSearchParams, V_STAN, VMIS_KNN } from '../../index/sessions.ts';
import { decodeSessions, encodeSessions } from '../../index/sessions-file.ts';
import { indexSessions, readClicks, type Sessions } from '../../training/evaluation/protocols/sessions-neighbours.ts';

const PATH_DEFAULT = 'data/diginetica_sessions/session_clicks.parquet';
const LIST_LENGTH = 20;
/** Answers that are timed: enough for a p99. */
const QUERIES = 20_000;
const WARM_UP = 3_000;
/** Of Diginetica. */
const SIZE = { sessions: 186_670, items: 43_097, testSessions: 15_979 };
/** Serenade 0.3.1, in process, same data, a machine of the same kind: 107 and 169 us. */
const SETTINGS: readonly { readonly name: string; readonly params: SessionSearchParams; readonly rivalUs?: number }[] = [
  { name: 'VMIS-kNN m 500 k 50, 2 items', params: { ...VMIS_KNN, sessionsPerItem: 500, sessionsMax: 500, k: 50, lastItems: 2 }, rivalUs: 107 },
  { name: 'VMIS-kNN m 250 k 1500, 9 items', params: { ...VMIS_KNN, sessionsPerItem: 250, sessionsMax: 250, k: 1_500, lastItems: 9 }, rivalUs: 169 },
  { name: 'V-STAN like, 5 items', params: V_STAN },
];

/** Sessions about popular items and their neighbours, as long as Diginetica's. */
function madeUp(): Sessions {
  const random = seededRandom(1);
  const session = () => {
    const start = Math.floor(SIZE.items * random() ** 2.5);
    const length = 2 + Math.floor(-3.5 * Math.log(1 - random()));
    return Uint32Array.from({ length: Math.min(50, length) }, () => (start + Math.floor(40 * random() ** 2)) % SIZE.items);
  };
  return {
    ids: Array.from({ length: SIZE.items }, (_, item) => String(item)),
    train: Array.from({ length: SIZE.sessions }, session),
    test: Array.from({ length: SIZE.testSessions }, session),
  };
}

function measure(index: SessionIndex, prefixes: readonly Uint32Array[], params: SessionSearchParams) {
  for (const prefix of prefixes.slice(0, WARM_UP)) index.searchNumbers(prefix, LIST_LENGTH, params);
  const before = process.cpuUsage();
  const us = Float64Array.from(prefixes, (prefix) => {
    const startMs = performance.now();
    index.searchNumbers(prefix, LIST_LENGTH, params);
    return 1_000 * (performance.now() - startMs);
  }).sort();
  const { user, system } = process.cpuUsage(before);
  return {
    cpuUs: (user + system) / us.length,
    meanUs: us.reduce((a, b) => a + b, 0) / us.length,
    p50Us: us[us.length >> 1]!,
    p99Us: us[Math.floor(us.length * 0.99)]!,
  };
}

async function main(path: string): Promise<void> {
  const real = existsSync(path);
  const sessions = real ? await readClicks(path) : madeUp();
  const startMs = performance.now();
  const index = indexSessions(sessions.train, sessions.ids);
  const buildMs = performance.now() - startMs;
  const bytes = encodeSessions(index);
  const readMs = performance.now();
  decodeSessions(bytes);
  console.log(`${real ? 'Diginetica' : `made-up sessions (${path} is absent)`}: ${index.sessions} sessions, ${sessions.ids.length} items`);
  console.log(
    `built in ${buildMs.toFixed(0)} ms; ${(bytes.length / 2 ** 20).toFixed(1)} MiB on disk, read and checked in ${(performance.now() - readMs).toFixed(0)} ms`,
  );
  const known = sessions.ids.length;
  const prefixes = sessions.test
    .flatMap((clicks) => Array.from({ length: clicks.length - 1 }, (_, i) => clicks.subarray(0, i + 1).filter((item) => item < known)))
    .slice(0, QUERIES);
  for (const { name, params, rivalUs } of SETTINGS) {
    const { cpuUs, meanUs, p50Us, p99Us } = measure(index, prefixes, params);
    const beside =
      rivalUs === undefined || !real ? '' : `   Serenade 0.3.1 took ${rivalUs} us, not in this run: ${(rivalUs / meanUs).toFixed(1)} times ours`;
    console.log(
      `${name.padEnd(32)} ${meanUs.toFixed(1).padStart(6)} us a prediction (p50 ${p50Us.toFixed(1)}, p99 ${p99Us.toFixed(1)}; ${cpuUs.toFixed(1)} of a processor)${beside}`,
    );
  }
}

await main(process.argv[2] ?? PATH_DEFAULT);

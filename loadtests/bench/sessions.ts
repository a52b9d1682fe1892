/**
 * Session candidates: microseconds a prediction of 20 items and how good it is, at two settings of Serenade's and at our default. One process, one
 * thread. Where Serenade's own evaluator is installed (serenade.sh), it answers the same prefixes of the same sessions right after.
 *
 *   node dist/loadtests/bench/sessions.js [session_clicks.parquet] [--write-docs]     (Diginetica; made-up sessions of its size without it)
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { seededRandom } from '../../index/clustered.ts';
import { type SessionIndex, type SessionSearchParams, V_STAN, VMIS_KNN } from '../../index/sessions.ts';
import { decodeSessions, encodeSessions } from '../../index/sessions-file.ts';
import { indexSessions, readClicks, type Sessions } from '../../training/evaluation/protocols/sessions-neighbours.ts';
import { machine } from '../load/processes.ts';
import { writeDocs } from '../load/report.ts';

const PATH_DEFAULT = 'data/diginetica_sessions/session_clicks.parquet';
const LIST_LENGTH = 20;
/** Sessions whose prefixes are asked: enough for a p99. */
const TEST_SESSIONS = 4_000;
/** Where serenade.sh installs it. */
const SERENADE = '.serenade/bin/evaluator';
const WARM_UP = 3_000;
/** Of Diginetica. */
const SIZE = { sessions: 186_670, items: 43_097, testSessions: 15_979 };
const SETTINGS: readonly { readonly name: string; readonly params: SessionSearchParams }[] = [
  { name: 'VMIS-kNN m 500 k 50, 2 items', params: { ...VMIS_KNN, sessionsPerItem: 500, sessionsMax: 500, k: 50, lastItems: 2 } },
  { name: 'VMIS-kNN m 250 k 1500, 9 items', params: { ...VMIS_KNN, sessionsPerItem: 250, sessionsMax: 250, k: 1_500, lastItems: 9 } },
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

interface Prefix {
  readonly clicked: Uint32Array;
  readonly next: number;
}

/** Whether the very next item is among the predicted, and one over its rank. */
function accuracy(index: SessionIndex, prefixes: readonly Prefix[], params: SessionSearchParams) {
  let [hits, ranks] = [0, 0];
  for (const { clicked, next } of prefixes) {
    const at = index.searchNumbers(clicked, LIST_LENGTH, params).items.indexOf(next);
    if (at < 0) continue;
    hits++;
    ranks += 1 / (at + 1);
  }
  return { hitRate: hits / prefixes.length, mrr: ranks / prefixes.length };
}

function measure(index: SessionIndex, prefixes: readonly Prefix[], params: SessionSearchParams) {
  for (const { clicked } of prefixes.slice(0, WARM_UP)) index.searchNumbers(clicked, LIST_LENGTH, params);
  const before = process.cpuUsage();
  const us = Float64Array.from(prefixes, ({ clicked }) => {
    const startMs = performance.now();
    index.searchNumbers(clicked, LIST_LENGTH, params);
    return 1_000 * (performance.now() - startMs);
  }).sort();
  const { user, system } = process.cpuUsage(before);
  return {
    cpuUs: (user + system) / us.length,
    p50Us: us[us.length >> 1]!,
    p90Us: us[Math.floor(us.length * 0.9)]!,
    p99Us: us[Math.floor(us.length * 0.99)]!,
  };
}

/** Tab-separated clicks as Serenade reads them; the clock says nothing but the order. Its sessions need numbers of 32 bits. */
function clicksText(sessions: readonly Uint32Array[], firstId: number): string {
  const lines = ['SessionId\tItemId\tTime'];
  let time = 0;
  for (const [i, clicks] of sessions.entries()) for (const item of clicks) lines.push(`${firstId + i}\t${item}\t${time++}`);
  return `${lines.join('\n')}\n`;
}

/** What Serenade's evaluator says of the same prefixes: its median and p90, in microseconds, and how good its lists are. */
async function serenade(train: string, test: string, { k, sessionsMax, lastItems }: SessionSearchParams, folder: string) {
  const config = join(folder, 'serenade.toml');
  await writeFile(
    config,
    [
      '[data]',
      `training_data_path = "${train}"`,
      '[model]',
      `m_most_recent_sessions = ${sessionsMax}`,
      `neighborhood_size_k = ${k}`,
      `max_items_in_session = ${lastItems}`,
      `num_items_to_recommend = ${LIST_LENGTH}`,
      'idf_weighting = 1',
      '[logic]',
      'enable_business_logic = false',
      // Of a search over settings, which this is none: the file is read whole all the same.
      '[hyperparam]',
      `training_data_path = "${train}"`,
      `test_data_path = "${test}"`,
      `validation_data_path = "${test}"`,
      'num_iterations = 1',
      'save_records = false',
      'out_path = "none.csv"',
      'enable_business_logic = false',
      ...['n_most_recent_sessions', 'neighborhood_size_k', 'last_items_in_session', 'idf_weighting'].map((name) => `${name}_range = [1, 2]`),
      '',
    ].join('\n'),
  );
  const { stdout } = await promisify(execFile)(SERENADE, [config], { maxBuffer: 2 ** 24 });
  const number = (label: string): number => {
    const found = new RegExp(`^${label}[^:]*: ([0-9.]+)`, 'm').exec(stdout)?.[1];
    if (found === undefined) throw new Error(`Serenade's evaluator said nothing of ${label}: ${stdout}`);
    return Number(found);
  };
  const names = /^qty_evaluations,.*$/m.exec(stdout)?.[0].split(',') ?? [];
  const values = stdout.slice(stdout.indexOf('qty_evaluations')).split('\n')[1]?.split(',') ?? [];
  const score = (name: string): number => Number(values[names.indexOf(`${name}@${LIST_LENGTH}`)]);
  return {
    prefixes: number('Qty test evaluations'),
    p50Us: number('p50'),
    p90Us: number('p90'),
    hitRate: score('HitRate'),
    mrr: score('Mrr'),
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
  console.error(`${real ? 'Diginetica' : `made-up sessions (${path} is absent)`}: ${index.sessions} sessions, ${sessions.ids.length} items`);
  console.error(
    `built in ${buildMs.toFixed(0)} ms; ${(bytes.length / 2 ** 20).toFixed(1)} MiB on disk, read and checked in ${(performance.now() - readMs).toFixed(0)} ms`,
  );
  const known = sessions.ids.length;
  // What no train session knows is left out for both.
  const asked = sessions.test.slice(0, TEST_SESSIONS).map((clicks) => clicks.filter((item) => item < known));
  const prefixes = asked.flatMap((clicks) =>
    Array.from({ length: Math.max(0, clicks.length - 1) }, (_, i) => ({ clicked: clicks.subarray(0, i + 1), next: clicks[i + 1]! })),
  );
  const percent = (share: number): string => (100 * share).toFixed(2);
  const rows = ['| search | by | p50 µs | p90 µs | p99 µs | µs of a processor, mean | HR@20 | MRR@20 |', '|---|---|---|---|---|---|---|---|'];
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-sessions-'));
  try {
    const [train, test] = [join(folder, 'train.txt'), join(folder, 'test.txt')];
    await writeFile(train, clicksText(sessions.train, 1));
    await writeFile(test, clicksText(asked, sessions.train.length + 1));
    for (const { name, params } of SETTINGS) {
      const { cpuUs, p50Us, p90Us, p99Us } = measure(index, prefixes, params);
      const ours = accuracy(index, prefixes, params);
      const times = [p50Us, p90Us, p99Us, cpuUs].map((us) => us.toFixed(1)).join(' | ');
      rows.push(`| ${name} | Gatehouse | ${times} | ${percent(ours.hitRate)} | ${percent(ours.mrr)} |`);
      console.error(rows.at(-1));
      if (!existsSync(SERENADE) || params.clickWeight !== VMIS_KNN.clickWeight) continue;
      const rival = await serenade(train, test, params, folder);
      if (rival.prefixes !== prefixes.length) throw new Error(`Serenade answered ${rival.prefixes} prefixes, not ${prefixes.length}`);
      rows.push(
        `| the same settings | Serenade | ${rival.p50Us.toFixed(1)} | ${rival.p90Us.toFixed(1)} | - | - | ${percent(rival.hitRate)} | ${percent(rival.mrr)} |`,
      );
      console.error(rows.at(-1));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const text = [`${machine()}. ${prefixes.length} prefixes of ${asked.length} sessions.`, '', ...rows].join('\n');
  process.stdout.write(`${text}\n`);
  if (process.argv.includes('--write-docs')) await writeDocs(true, 'sessions', text);
}

const [given = PATH_DEFAULT] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
await main(given);

// Implicit ALS on this machine beside Python's `implicit` on the same data in the same run: seconds an iteration, peak memory, and the loss reached.
//   node dist/loadtests/bench/als.js [share] [iterations] [runs] [threads]     (default 1 5 3 2; share 0.1 is a tenth of users, items and meetings)
// `implicit` runs where the script python-env.sh has made its environment. Each run is a process of its own, and the two take turns.
import { execFileSync, type StdioOptions } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AlsRows, fitAls, gram } from '../../training/learners/als.ts';
import { seededRandom } from '../../training/learners/random.ts';

/** MovieLens 20M's shape, half its ratings. */
const FULL = { users: 138_000, items: 27_000, meetings: 10_000_000 };
const FACTORS = 64;
const REGULARIZATION = 0.05;
const SEED = 1;
const RUN_MS_MAX = 20 * 60_000;
/** Seconds an iteration over those of `implicit`, and peak memory over its. */
const TIME_GOAL = 1;
const MEMORY_GOAL = 2;

interface Run {
  readonly iterationS: readonly number[];
  /** Processor time of the whole fit, all threads: what a busy machine disturbs less. */
  readonly cpuS: number;
  readonly peakMiB: number;
  readonly version?: string;
}

interface Shape {
  readonly users: number;
  readonly items: number;
}

/** Popular items and busy users by power laws; no pair twice. */
function synthetic(share: number): AlsRows {
  const random = seededRandom(SEED);
  const [users, items, meetings] = [FULL.users, FULL.items, FULL.meetings].map((count) => Math.round(count * share)) as [number, number, number];
  const ranks = Float64Array.from({ length: users }, () => random.next() ** -0.6);
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  const indptr = new Uint32Array(users + 1);
  const indices = new Uint32Array(meetings + users * 2);
  const latest = new Int32Array(items).fill(-1);
  let at = 0;
  for (let user = 0; user < users; user++) {
    const wanted = Math.min(items >> 2, Math.max(1, Math.round((meetings * ranks[user]!) / total)));
    const from = at;
    // A user's draws that repeat an item are not made good, so busy users hold fewer.
    for (let draw = 0; draw < wanted && at < indices.length; draw++) {
      const item = Math.floor(items * random.next() ** 2.2);
      if (latest[item] === user) continue;
      latest[item] = user;
      indices[at++] = item;
    }
    indices.subarray(from, at).sort();
    indptr[user + 1] = at;
  }
  return { users, items, indptr, indices: indices.slice(0, at), values: new Float32Array(at).fill(1) };
}

function read<T>(path: string, make: (buffer: ArrayBuffer, offset: number, length: number) => T): T {
  const bytes = readFileSync(path);
  return make(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4);
}

const words = (path: string) => read(path, (buffer, offset, length) => new Uint32Array(buffer, offset, length));
const floats = (path: string) => read(path, (buffer, offset, length) => new Float32Array(buffer, offset, length));

function readRows(folder: string, { users, items }: Shape): AlsRows {
  return {
    users,
    items,
    indptr: words(join(folder, 'indptr.u32')),
    indices: words(join(folder, 'indices.u32')),
    values: floats(join(folder, 'values.f32')),
  };
}

/** One run of ours, in this process: prints a `Run` as JSON. */
async function fitOnce(folder: string, shape: Shape, iterations: number, threads: number): Promise<void> {
  const rows = readRows(folder, shape);
  const iterationS: number[] = [];
  const before = process.cpuUsage();
  let lastMs = performance.now();
  const progress = () => {
    iterationS.push((performance.now() - lastMs) / 1000);
    lastMs = performance.now();
  };
  const model = await fitAls(
    rows,
    { factors: FACTORS, regularization: REGULARIZATION, alpha: 1, iterations, cgSteps: 3 },
    { seed: SEED, threads, progress },
  );
  const used = process.cpuUsage(before);
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  writeFileSync(join(folder, 'users.f32'), model.userFactors);
  writeFileSync(join(folder, 'items.f32'), model.itemFactors);
  console.log(JSON.stringify({ iterationS, cpuS: (used.user + used.system) / 1e6, peakMiB } satisfies Run));
}

/** Hu, Koren, Volinsky's objective, of the factors in the folder, a meeting. */
function lossOf(folder: string, rows: AlsRows): number {
  const [users, items] = [floats(join(folder, 'users.f32')), floats(join(folder, 'items.f32'))];
  const [byUser, byItem] = [gram(users, FACTORS), gram(items, FACTORS)];
  let loss = byUser.reduce((sum, value, i) => sum + value * byItem[i]!, 0);
  for (const factors of [users, items]) loss += REGULARIZATION * factors.reduce((sum, x) => sum + x * x, 0);
  for (let user = 0; user < rows.users; user++) {
    for (let at = rows.indptr[user]!; at < rows.indptr[user + 1]!; at++) {
      let score = 0;
      for (let f = 0; f < FACTORS; f++) score += users[user * FACTORS + f]! * items[rows.indices[at]! * FACTORS + f]!;
      // Of the sum over all pairs, score squared is counted above.
      loss += 2 * (1 - score) ** 2 - score ** 2;
    }
  }
  return loss / rows.indices.length;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** The first iteration also holds what is done once (checks, copies, the transpose): it is left out. */
const laterS = (runs: readonly Run[]) => runs.flatMap(({ iterationS }) => iterationS.slice(1));

function summary(name: string, runs: readonly Run[], loss: number): { readonly seconds: number; readonly peakMiB: number; readonly cpuS: number } {
  const seconds = median(laterS(runs));
  const best = Math.min(...laterS(runs));
  const [peakMiB, cpuS] = [median(runs.map((run) => run.peakMiB)), median(runs.map((run) => run.cpuS))];
  console.log(
    `${name.padEnd(16)} ${seconds.toFixed(3)} s an iteration (best ${best.toFixed(3)}), processor ${cpuS.toFixed(2)} s in all, peak ${peakMiB.toFixed(0)} MiB, loss ${loss.toFixed(5)}`,
  );
  return { seconds, peakMiB, cpuS };
}

function compare(share: number, iterations: number, runs: number, threads: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  try {
    const rows = synthetic(share);
    writeFileSync(join(folder, 'indptr.u32'), rows.indptr);
    writeFileSync(join(folder, 'indices.u32'), rows.indices);
    writeFileSync(join(folder, 'values.f32'), rows.values);
    const python = join('.venv-bench', 'bin', 'python');
    const script = join('loadtests', 'bench', 'als_implicit.py');
    const limits = { timeout: RUN_MS_MAX, stdio: ['ignore', 'pipe', 'inherit'] as StdioOptions, encoding: 'utf8' as const };
    const sizes = [rows.users, rows.items, iterations, threads].map(String);
    const [ours, theirs]: [Run[], Run[]] = [[], []];
    let [ownLoss, peerLoss] = [0, 0];
    console.log(
      `${rows.users} x ${rows.items}, ${rows.indices.length} meetings, ${FACTORS} factors, ${threads} threads, medians of ${runs} runs of ${iterations} iterations`,
    );
    for (let run = 0; run < runs; run++) {
      ours.push(JSON.parse(execFileSync(process.execPath, [fileURLToPath(import.meta.url), 'once', folder, ...sizes], limits)) as Run);
      ownLoss = lossOf(folder, rows);
      if (!existsSync(python)) continue;
      const args = [script, folder, ...sizes, String(FACTORS), String(REGULARIZATION)];
      theirs.push(JSON.parse(execFileSync(python, args, { ...limits, env: { ...process.env, OPENBLAS_NUM_THREADS: '1' } })) as Run);
      peerLoss = lossOf(folder, rows);
    }
    const own = summary('gatehouse', ours, ownLoss);
    if (theirs.length === 0) {
      console.log('implicit did not run: python-env.sh makes its environment');
      return;
    }
    const peer = summary(`implicit ${theirs[0]!.version}`, theirs, peerLoss);
    const ratio = (a: number, b: number) => (a / b).toFixed(2);
    console.log(
      `ratio: time ${ratio(own.seconds, peer.seconds)} (goal ${TIME_GOAL}), processor ${ratio(own.cpuS, peer.cpuS)}, memory ${ratio(own.peakMiB, peer.peakMiB)} (goal ${MEMORY_GOAL})`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'once') {
  const [users, items, iterations, threads] = rest.slice(1).map(Number) as [number, number, number, number];
  await fitOnce(rest[0]!, { users, items }, iterations, threads);
} else {
  const [iterations = 5, runs = 3, threads = 2] = rest.map(Number);
  compare(Number(first ?? 1), iterations, runs, threads);
}

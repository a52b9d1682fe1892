// Prints what the tree trainer does on this machine beside LightGBM on the same rows: seconds, AUC on held-out rows, and peak memory.
//   node dist/loadtests/bench/trees.js [rows] [runs] [threads]
// LightGBM runs where `loadtests/bench/python-env.sh` has made its environment. Each run is a process of its own, and the two take turns.
import { execFileSync, type StdioOptions } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fitGbdt } from '../../training/learners/gbdt/fit.ts';
import { predictMargin } from '../../training/learners/gbdt/predict.ts';
import { syntheticRows } from '../../training/learners/gbdt/synthetic.ts';

const FEATURES = 30;
const HELD_ROWS = 100_000;
const TREES = 100;
const LEAVES = 63;
const SEED = 1;
/** A run of LightGBM or of ours on tens of millions of rows. */
const RUN_MS_MAX = 30 * 60_000;
/** Training seconds over LightGBM's, and peak memory over its. */
const TIME_GOAL = 1.5;
const MEMORY_GOAL = 2;

interface Run {
  readonly binS: number;
  readonly trainS: number;
  /** Processor time of both, all threads: what a busy machine disturbs less. */
  readonly cpuS: number;
  readonly auc: number;
  readonly peakMiB: number;
  readonly version?: string;
}

function floats(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function write(path: string, values: Float32Array): void {
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** Area under the ROC curve; scores of float64 hardly tie. */
function auc(scores: Float64Array, labels: Float32Array): number {
  const order = Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]!);
  let positives = 0;
  let rankSum = 0;
  order.forEach((row, i) => {
    if (labels[row]! === 0) return;
    positives += 1;
    rankSum += i + 1;
  });
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (labels.length - positives));
}

/** One run of ours, in this process: prints a `Run` as JSON. */
async function trainOnce(folder: string, threads: number): Promise<void> {
  const labels = floats(join(folder, 'train-labels.f32'));
  const data = { rows: floats(join(folder, 'train.f32')), n: labels.length, f: FEATURES, labels };
  const startMs = performance.now();
  const before = process.cpuUsage();
  let firstTreeMs = 0;
  const progress = (done: number) => {
    if (done === 1) firstTreeMs = performance.now();
  };
  const model = await fitGbdt(data, { numIterations: TREES, numLeaves: LEAVES }, { seed: SEED, threads, progress });
  const endMs = performance.now();
  const used = process.cpuUsage(before);
  // The first tree's own time is about that of the others.
  const treeMs = (endMs - firstTreeMs) / (TREES - 1);
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  const heldLabels = floats(join(folder, 'held-labels.f32'));
  const run: Run = {
    binS: (firstTreeMs - treeMs - startMs) / 1000,
    trainS: (treeMs * TREES) / 1000,
    cpuS: (used.user + used.system) / 1e6,
    auc: auc(predictMargin(model, floats(join(folder, 'held.f32'))), heldLabels),
    peakMiB,
  };
  console.log(JSON.stringify(run));
}

/** Reads a run's answer, and prints it at once: the whole takes minutes. */
function told(name: string, answer: string): Run {
  const run = JSON.parse(answer) as Run;
  console.log(`  ${name}: ${(run.binS + run.trainS).toFixed(2)} s, processor ${run.cpuS.toFixed(2)} s`);
  return run;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function summary(name: string, runs: readonly Run[]): { readonly totalS: number; readonly peakMiB: number } {
  const totals = runs.map(({ binS, trainS }) => binS + trainS);
  const peakMiB = median(runs.map((run) => run.peakMiB));
  const seconds = (values: readonly number[]) => values.map((value) => value.toFixed(2)).join(' ');
  console.log(
    `${name.padEnd(16)} bin ${median(runs.map(({ binS }) => binS)).toFixed(2)} s, trees ${median(runs.map(({ trainS }) => trainS)).toFixed(2)} s, ` +
      `together ${median(totals).toFixed(2)} s (runs: ${seconds(totals)}), processor ${median(runs.map(({ cpuS }) => cpuS)).toFixed(2)} s, AUC ${runs[0]!.auc.toFixed(4)}, peak ${peakMiB.toFixed(0)} MiB`,
  );
  return { totalS: median(totals), peakMiB };
}

function compare(rows: number, runs: number, threads: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  try {
    const all = syntheticRows(rows + HELD_ROWS, FEATURES, SEED);
    write(join(folder, 'train.f32'), all.rows.subarray(0, rows * FEATURES));
    write(join(folder, 'train-labels.f32'), all.labels.subarray(0, rows));
    write(join(folder, 'held.f32'), all.rows.subarray(rows * FEATURES));
    write(join(folder, 'held-labels.f32'), all.labels.subarray(rows));
    const python = join('.venv-bench', 'bin', 'python');
    const script = join('loadtests', 'bench', 'trees_lightgbm.py');
    const limits = { timeout: RUN_MS_MAX, stdio: ['ignore', 'pipe', 'inherit'] as StdioOptions, encoding: 'utf8' as const };
    const sizes = [rows, FEATURES, HELD_ROWS, TREES, LEAVES, threads].map(String);
    const ours: Run[] = [];
    const theirs: Run[] = [];
    console.log(`${rows} rows x ${FEATURES}, ${TREES} trees of ${LEAVES} leaves, ${threads} threads, medians of ${runs} runs`);
    for (let run = 0; run < runs; run++) {
      ours.push(told('gatehouse', execFileSync(process.execPath, [fileURLToPath(import.meta.url), 'once', folder, String(threads)], limits)));
      if (existsSync(python)) theirs.push(told('LightGBM', execFileSync(python, [script, folder, ...sizes], limits)));
    }
    const own = summary('gatehouse', ours);
    if (theirs.length === 0) {
      console.log('LightGBM did not run: loadtests/bench/python-env.sh makes its environment');
      return;
    }
    const peer = summary(`LightGBM ${theirs[0]!.version}`, theirs);
    const [time, memory] = [own.totalS / peer.totalS, own.peakMiB / peer.peakMiB];
    console.log(`ratio: time ${time.toFixed(2)} (goal ${TIME_GOAL}), memory ${memory.toFixed(2)} (goal ${MEMORY_GOAL})`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [first, second, third] = process.argv.slice(2);
if (first === 'once') await trainOnce(second!, Number(third));
else compare(Number(first ?? 1_000_000), Number(second ?? 3), Number(third ?? 2));

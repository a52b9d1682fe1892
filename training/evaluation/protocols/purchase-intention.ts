// Purchase intention, UCI Online Shoppers (12,330 sessions): AUC, average precision and F1 of boosting and of a forest beside published figures.
//   node dist/training/evaluation/protocols/purchase-intention.js <sessions.parquet> [seeds]
// Protocol: five folds by the hash of the row number. Of each test fold's four others the settings are chosen by cross-validation (AUC), and the F1
// threshold on fold k + 1 with a model of the other three; then the model of all four is scored on the test fold. Means over folds. The reference had
// one setting for all folds: a row of its own has that.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { GatehouseError } from '../../../contracts/errors.ts';
import { fitForest } from '../../learners/forest/forest.ts';
import { fitGbdt } from '../../learners/gbdt/fit.ts';
import type { GbdtRows } from '../../learners/gbdt/objective.ts';
import type { GbdtParams } from '../../learners/gbdt/params.ts';
import { predict } from '../../learners/gbdt/predict.ts';
import { type Cell, openTables, readFunction } from '../../sources/duckdb.ts';
import { averagePrecision, bestF1Threshold, f1, rocAuc } from '../metrics.ts';
import { countSteps } from './steps.ts';

export const FOLDS = 5;
const NUMBERS = [
  'administrative_pages',
  'administrative_duration_s',
  'informational_pages',
  'informational_duration_s',
  'product_pages',
  'product_duration_s',
  'bounce_rate',
  'exit_rate',
  'page_value',
  'special_day',
  'weekend',
];
const CATEGORIES = ['month', 'visitor_type', 'operating_system', 'browser', 'region', 'traffic_type'];
const LABEL = 'purchased';
export const COLUMNS = [...NUMBERS, ...CATEGORIES];

/** Published for the same folds: LightGBM 4.7 (five seeds) and scikit-learn's random forest (400 trees, leaf 3). */
const REFERENCES = [
  ['LightGBM', 0.9339, 0.7514, 0.6828],
  ['random forest', 0.929, 0.7487, 0.6793],
] as const;

/** The candidates of boosting. The first is the reference's own choice. */
const COMMON = { learningRate: 0.03, minDataInLeaf: 40, featureFraction: 0.5, baggingFraction: 0.8, lambdaL2: 5 } as const;
const CATEGORICAL = CATEGORIES.map((_, i) => NUMBERS.length + i);
const CANDIDATES: readonly Partial<GbdtParams>[] = [
  { ...COMMON, numIterations: 250, numLeaves: 15, categoricalFeature: CATEGORICAL },
  { ...COMMON, numIterations: 250, numLeaves: 15 },
  { ...COMMON, numIterations: 250, numLeaves: 7, categoricalFeature: CATEGORICAL },
  { ...COMMON, numIterations: 250, numLeaves: 7 },
];
const FOREST = { nEstimators: 200, minSamplesLeaf: 3 } as const;

/** The first 32 bits of the MD5 of the number's decimal text, modulo `folds`. */
export function hashFold(key: number, folds: number): number {
  return createHash('md5').update(String(key)).digest().readUInt32BE(0) % folds;
}

/** Trains on some rows and answers the probabilities of others. */
type Learner = (train: GbdtRows, rows: Float32Array, seed: number) => Promise<Float32Array>;

export interface Scores {
  readonly auc: number;
  readonly ap: number;
  readonly f1: number;
}

/** Sessions in file order; category texts are numbered in byte order. Rejects with `input_unreadable` when there is no such file. */
export async function readSessions(path: string): Promise<GbdtRows> {
  const tables = await openTables(path);
  try {
    const list = [...COLUMNS, LABEL].map((name) => `"${name}"`).join(', ');
    const cells = await tables.all(`SELECT ${list} FROM ${readFunction(tables.files)}`);
    const columns = [...COLUMNS, LABEL].map((name, i) =>
      numbersOf(
        cells.map((row) => row[i]!),
        CATEGORIES.includes(name),
      ),
    );
    const f = COLUMNS.length;
    const rows = Float32Array.from({ length: cells.length * f }, (_, i) => columns[i % f]![Math.floor(i / f)]!);
    return { rows, n: cells.length, f, labels: Float32Array.from(columns[f]!) };
  } finally {
    await tables.close();
  }
}

function numbersOf(cells: readonly Cell[], isCategory: boolean): number[] {
  if (!isCategory) return cells.map((value) => (value === null ? Number.NaN : Number(value)));
  const texts = [...new Set(cells.map(String))].sort();
  const numbers = new Map(texts.map((text, i) => [text, i]));
  return cells.map((value) => (value === null ? Number.NaN : numbers.get(String(value))!));
}

/** The rows of the folds for which `wanted` holds. */
function rowsOf(data: GbdtRows, wanted: (fold: number) => boolean): GbdtRows {
  const chosen = Array.from({ length: data.n }, (_, row) => row).filter((row) => wanted(hashFold(row, FOLDS)));
  const rows = new Float32Array(chosen.length * data.f);
  chosen.forEach((row, i) => {
    rows.set(data.rows.subarray(row * data.f, (row + 1) * data.f), i * data.f);
  });
  return { rows, n: chosen.length, f: data.f, labels: Float32Array.from(chosen, (row) => data.labels[row]!) };
}

const boosting =
  (params: Partial<GbdtParams>): Learner =>
  async (train, rows, seed) =>
    predict(await fitGbdt(train, params, { seed }), rows);

const forest: Learner = async (train, rows, seed) => predict(await fitForest(train, FOREST, { seed }), rows);

/** The candidate with the largest mean AUC over the folds beside the test fold, each predicted by a model of the other three. */
async function chooseParams(data: GbdtRows, testFold: number, candidates: readonly Partial<GbdtParams>[]): Promise<Partial<GbdtParams>> {
  let chosen = candidates[0]!;
  let best = -1;
  for (const candidate of candidates) {
    let sum = 0;
    for (let fold = 0; fold < FOLDS; fold++) {
      if (fold === testFold) continue;
      const held = rowsOf(data, (other) => other === fold);
      const train = rowsOf(data, (other) => other !== fold && other !== testFold);
      sum += rocAuc(await boosting(candidate)(train, held.rows, 0), held.labels);
    }
    if (sum > best) [best, chosen] = [sum, candidate];
  }
  return chosen;
}

async function scoreFold(data: GbdtRows, testFold: number, learn: Learner, seed: number): Promise<Scores> {
  const nextFold = (testFold + 1) % FOLDS;
  const next = rowsOf(data, (fold) => fold === nextFold);
  const three = rowsOf(data, (fold) => fold !== testFold && fold !== nextFold);
  const threshold = bestF1Threshold(await learn(three, next.rows, seed), next.labels);
  const test = rowsOf(data, (fold) => fold === testFold);
  const answers = await learn(
    rowsOf(data, (fold) => fold !== testFold),
    test.rows,
    seed,
  );
  return { auc: rocAuc(answers, test.labels), ap: averagePrecision(answers, test.labels), f1: f1(answers, test.labels, threshold) };
}

/** Means over folds and seeds. `report` gets a line for each fold. */
export async function evaluate(
  data: GbdtRows,
  seeds: number,
  candidates: readonly Partial<GbdtParams>[],
  report: (line: string) => void,
): Promise<{ readonly boosting: Scores; readonly forest: Scores }> {
  const [ofBoosting, ofForest]: [Scores[], Scores[]] = [[], []];
  for (let fold = 0; fold < FOLDS; fold++) {
    const params = await chooseParams(data, fold, candidates);
    for (let seed = 0; seed < seeds; seed++) ofBoosting.push(await scoreFold(data, fold, boosting(params), seed));
    ofForest.push(await scoreFold(data, fold, forest, 0));
    report(
      `fold ${fold}: ${params.numLeaves} leaves, ${params.categoricalFeature ? 'sets of categories' : 'category numbers'}, ${line(mean(ofBoosting.slice(-seeds)))}`,
    );
  }
  return { boosting: mean(ofBoosting), forest: mean(ofForest) };
}

function mean(all: readonly Scores[]): Scores {
  const of = (pick: (scores: Scores) => number) => all.reduce((sum, scores) => sum + pick(scores), 0) / all.length;
  return { auc: of(({ auc }) => auc), ap: of(({ ap }) => ap), f1: of((scores) => scores.f1) };
}

const line = (scores: Scores) => `AUC ${scores.auc.toFixed(4)}  AP ${scores.ap.toFixed(4)}  F1 ${scores.f1.toFixed(4)}`;

async function main(path: string, seeds: number): Promise<void> {
  const data = await readSessions(path);
  console.log(`${data.n} sessions, ${data.labels.reduce((sum, label) => sum + label, 0)} with a purchase; ${seeds} seeds`);
  const { step, end } = countSteps('folds', 2 * FOLDS);
  const told = (line: string): void => {
    console.log(line);
    step();
  };
  const result = await evaluate(data, seeds, CANDIDATES, told);
  const fixed = await evaluate(data, seeds, CANDIDATES.slice(0, 1), step);
  end();
  const rows = [
    ['gatehouse, as LightGBM', fixed.boosting],
    ['gatehouse, chosen', result.boosting],
    ['gatehouse forest', result.forest],
  ] as const;
  for (const [name, scores] of rows) console.log(`${name.padEnd(24)}${line(scores)}`);
  for (const [name, auc, ap, ofF1] of REFERENCES) console.log(`${name.padEnd(24)}${line({ auc, ap, f1: ofF1 })}  (reference)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path, seeds] = process.argv.slice(2);
  try {
    if (path === undefined)
      throw new GatehouseError('input_unreadable', 'name the file sessions.parquet of the UCI Online Shoppers data set (UCI 468)');
    await main(path, Number(seeds ?? 5));
  } catch (error) {
    if (!(error instanceof GatehouseError)) throw error;
    console.error(error.detail);
    process.exitCode = 1;
  }
}

import { createHash } from 'node:crypto';
import { requireData, requireParam } from '../learners/contract.ts';
import { type Random, seededRandom } from '../learners/random.ts';

/** Row numbers to learn from and to measure on, both ascending; no row is in both. */
export interface Split {
  readonly train: Uint32Array;
  readonly test: Uint32Array;
}

/** The first 32 bits of the MD5 of the key's decimal text, modulo `folds`: a fold that any language computes alike. */
export function hashFold(key: number | string, folds: number): number {
  return createHash('md5').update(String(key)).digest().readUInt32BE(0) % folds;
}

/** Fold by fold: the rows with that fold's number are the test rows, all others the training rows. */
export function splitsOf(folds: ArrayLike<number>, count: number): Split[] {
  return Array.from({ length: count }, (_, fold) => {
    const test: number[] = [];
    const train: number[] = [];
    for (let row = 0; row < folds.length; row++) (folds[row] === fold ? test : train).push(row);
    requireData(test.length > 0 && train.length > 0, `fold ${fold} of ${count} has ${test.length} rows of ${folds.length}`);
    return { train: Uint32Array.from(train), test: Uint32Array.from(test) };
  });
}

/** A fold for each row, so that every fold has its share of each class, to within one row. */
export function stratifiedFolds(labels: ArrayLike<number>, count: number, seed: number): Uint8Array {
  checkCount(count);
  const byClass = new Map<number, number[]>();
  for (let row = 0; row < labels.length; row++) {
    const rows = byClass.get(labels[row]!);
    if (rows) rows.push(row);
    else byClass.set(labels[row]!, [row]);
  }
  const folds = new Uint8Array(labels.length);
  const random = seededRandom(seed);
  // Each class goes on where the one before ended, so that the folds are of one size.
  let next = 0;
  for (const label of [...byClass.keys()].sort((a, b) => a - b)) {
    for (const row of shuffled(byClass.get(label)!, random)) folds[row] = next++ % count;
  }
  return folds;
}

/** A fold for each row, so that rows of one group (a customer, a card) share a fold; the folds are as even as large groups let them be. */
export function groupedFolds(groups: ArrayLike<number | string>, count: number, seed: number): Uint8Array {
  checkCount(count);
  const sizes = new Map<number | string, number>();
  for (let row = 0; row < groups.length; row++) sizes.set(groups[row]!, (sizes.get(groups[row]!) ?? 0) + 1);
  requireData(sizes.size >= count, `there are ${sizes.size} groups for ${count} folds`);
  // The largest first, each into the emptiest fold; equal ones in an order by chance.
  const order = shuffled([...sizes], seededRandom(seed)).sort(([, a], [, b]) => b - a);
  const filled = new Float64Array(count);
  const foldOf = new Map<number | string, number>();
  for (const [group, size] of order) {
    const emptiest = filled.indexOf(Math.min(...filled));
    foldOf.set(group, emptiest);
    filled[emptiest]! += size;
  }
  return Uint8Array.from({ length: groups.length }, (_, row) => foldOf.get(groups[row]!)!);
}

export interface TimeSplitParams {
  /** Tests, one after another; each learns from all that was known before it. */
  folds: number;
  /** Length of a test. */
  testMs: number;
  /** When the last test ends; the first starts folds x testMs earlier. */
  endMs: number;
}

/**
 * Forward chaining: for each test window the training rows are those that happened, and whose labels were known, before it starts. `labelMs` is
 * when a row's label became known. A label that is known before its row happens comes from the future of another clock: it is refused.
 */
export function timeSplits(atMs: Float64Array, labelMs: Float64Array, { folds, testMs, endMs }: TimeSplitParams): Split[] {
  checkCount(folds, 1);
  requireParam(testMs > 0 && Number.isFinite(endMs), 'testMs must be positive and endMs a time');
  requireParam(labelMs.length === atMs.length, `there must be ${atMs.length} label times, not ${labelMs.length}`);
  for (let row = 0; row < atMs.length; row++) {
    if (!(labelMs[row]! >= atMs[row]!)) requireData(false, `the label of row ${row} was known before the row happened`);
  }
  return Array.from({ length: folds }, (_, fold) => {
    const fromMs = endMs - (folds - fold) * testMs;
    const train: number[] = [];
    const test: number[] = [];
    for (let row = 0; row < atMs.length; row++) {
      if (labelMs[row]! < fromMs) train.push(row);
      else if (atMs[row]! >= fromMs && atMs[row]! < fromMs + testMs) test.push(row);
    }
    requireData(train.length > 0 && test.length > 0, `the window from ${fromMs} has ${test.length} rows to test and ${train.length} before it`);
    return { train: Uint32Array.from(train), test: Uint32Array.from(test) };
  });
}

/**
 * Refuses a split that would learn from the future: a training row that happened, or whose label became known, at or after the first test row.
 * Throws `training_data_insufficient` and names the first such row.
 */
export function checkNoLeak({ train, test }: Split, atMs: Float64Array, labelMs: Float64Array): void {
  let startMs = Number.POSITIVE_INFINITY;
  for (const row of test) startMs = Math.min(startMs, atMs[row]!);
  for (const row of train) {
    if (!(atMs[row]! < startMs)) requireData(false, `training row ${row} happened at ${atMs[row]}, the test starts at ${startMs}`);
    if (!(labelMs[row]! < startMs))
      requireData(false, `the label of training row ${row} was known at ${labelMs[row]}, the test starts at ${startMs}`);
  }
}

/** Folds are numbered in a byte; ten are usual. */
const FOLDS_MAX = 255;

function checkCount(count: number, least = 2): void {
  requireParam(Number.isInteger(count) && count >= least && count <= FOLDS_MAX, `there must be ${least} to ${FOLDS_MAX} folds, not ${count}`);
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  const out = [...values];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

import type { FraudRows } from './fraud-rows.ts';
import type { Progress } from './learners/contract.ts';
import { fitGbdt } from './learners/gbdt/fit.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import type { GbdtParams } from './learners/gbdt/params.ts';
import { predict } from './learners/gbdt/predict.ts';

/**
 * A model from few known frauds. A cut in time would leave too few on one side, so each block of time is scored by a model of all the others: every fraud is
 * learned from, and every fraud is measured on, by a model that never saw it.
 *
 *   payments ──────────────────────────────►  time
 *            [ 1 | 2 | 3 | 4 | 5 ]            as many frauds in each
 *              ▲   └───┴───┴───┴── scored by what these taught
 *
 * Blocks and not a shuffle: the payments of one attack lie together, and a model that learned from half of an attack knows the other half.
 */
export const BLOCKS = 5;

/** Where each block of the rows from `from` on begins, counted from there, and the end: blocks of equally many frauds, the honest payments around them. */
export function blockEnds(rows: FraudRows, from = 0): number[] {
  const frauds = rows.frauds(from);
  const ends = [0];
  let seen = 0;
  for (let row = from; row < rows.count && ends.length < BLOCKS; row++) {
    seen += rows.frauds(row, row + 1);
    if (seen >= (frauds * ends.length) / BLOCKS) ends.push(row + 1 - from);
  }
  return [...ends, rows.count - from];
}

/** The score of each row by a model that learned from the other blocks. */
export async function crossFitted(
  rows: FraudRows,
  ends: readonly number[],
  params: Partial<GbdtParams>,
  seed: number,
  progress: Progress,
): Promise<Float32Array> {
  const raw = new Float32Array(rows.count);
  const all = rows.slice(0, rows.count);
  const blocks = ends.length - 1;
  for (let block = 0; block < blocks; block++) {
    const [from, to] = [ends[block]!, ends[block + 1]!];
    const model = await fitGbdt(without(all, from, to), params, { seed, progress: (done, total) => progress(block * total + done, blocks * total) });
    raw.set(predict(model, all.rows.subarray(from * all.f, to * all.f)), from);
  }
  return raw;
}

function without({ rows, n, f, labels, weights }: GbdtRows, from: number, to: number): GbdtRows {
  const rest = (values: Float32Array, width: number): Float32Array => {
    const kept = new Float32Array((n - (to - from)) * width);
    kept.set(values.subarray(0, from * width));
    kept.set(values.subarray(to * width), from * width);
    return kept;
  };
  return { rows: rest(rows, f), n: n - (to - from), f, labels: rest(labels, 1), ...(weights && { weights: rest(weights, 1) }) };
}

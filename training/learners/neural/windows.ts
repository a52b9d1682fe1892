import { requireData, requireParam } from '../contract.ts';
import type { Random } from '../random.ts';
import { shuffle } from './loop.ts';

/** Sequences of item numbers, the oldest first: sequence s is `clicks[indptr[s]..indptr[s + 1])`. */
export interface SequenceRows {
  /** Size of the catalogue: item numbers are below it. In sequences that are only watched, higher ones stand for items unknown to the model. */
  readonly items: number;
  readonly indptr: Uint32Array;
  readonly clicks: Uint32Array;
}

/** Item numbers are compared as float32 in the training graph, which holds whole numbers exactly up to here. */
const ITEMS_MAX = 2 ** 24;

/** Throws where the arrays do not fit together; in what is learned from, where a number is not of the catalogue as well. */
export function checkSequences({ items, indptr, clicks }: SequenceRows, allKnown: boolean): void {
  requireData(items >= 1, 'the catalogue is empty');
  requireData(items <= ITEMS_MAX, `${items} items are over the limit of ${ITEMS_MAX}`, 'training_data_too_large');
  requireParam(indptr.length >= 1 && indptr[0] === 0 && indptr.at(-1) === clicks.length, 'indptr must go from 0 to the number of clicks');
  for (let s = 1; s < indptr.length; s++) requireParam(indptr[s]! >= indptr[s - 1]!, `indptr falls at sequence ${s - 1}`);
  if (allKnown) for (const item of clicks) requireData(item < items, `item ${item} is not below ${items}`);
}

/** Windows of about the same length: `steps` inputs and as many targets, in batches of `n`. */
export interface Bucket {
  readonly steps: number;
  readonly n: number;
  /** Place of each window's first click, and its number of inputs (at most `steps`). */
  readonly from: Int32Array;
  readonly lengths: Uint8Array;
}

/** Sequences are short and few are long: fine steps where most of them are, so that little is padded. */
const BUCKET_STEPS = [1, 2, 3, 4, 5, 7, 9, 12, 16, 20, 28, 36, 50, 70, 100];
export const LENGTH_MAX = 100;

/**
 * Cuts each sequence into windows of at most `lengthMax` inputs so that every click but the first is a target once. The cuts are made from the
 * end, where a long sequence's context matters. A batch holds about `targets` targets.
 */
export function createBuckets({ indptr }: SequenceRows, lengthMax: number, targets: number): Bucket[] {
  const steps = [...BUCKET_STEPS.filter((size) => size < lengthMax), lengthMax];
  const found = steps.map(() => ({ from: [] as number[], lengths: [] as number[] }));
  for (let s = 0; s + 1 < indptr.length; s++) {
    for (let last = indptr[s + 1]! - 1; last > indptr[s]!; ) {
      const from = Math.max(indptr[s]!, last - lengthMax);
      const bucket = found[steps.findIndex((size) => size >= last - from)]!;
      bucket.from.push(from);
      bucket.lengths.push(last - from);
      last = from;
    }
  }
  return found.flatMap(({ from, lengths }, i) => {
    if (from.length === 0) return [];
    const n = Math.min(from.length, Math.max(1, Math.round(targets / steps[i]!)));
    return [{ steps: steps[i]!, n, from: Int32Array.from(from), lengths: Uint8Array.from(lengths) }];
  });
}

/** One mini-batch: windows `order[from..from + n)` of a bucket. */
export interface BatchPlan {
  readonly bucket: number;
  readonly windows: Int32Array;
}

/** All batches of an epoch, windows shuffled within their bucket and batches among each other. */
export function planEpoch(buckets: readonly Bucket[], random: Random): BatchPlan[] {
  const plans = buckets.flatMap(({ from, n }, bucket) => {
    const order = Int32Array.from(from.keys());
    shuffle(order, random);
    return Array.from({ length: Math.ceil(order.length / n) }, (_, i) => ({ bucket, windows: order.subarray(i * n, (i + 1) * n) }));
  });
  const order = Int32Array.from(plans.keys());
  shuffle(order, random);
  return Array.from(order, (i) => plans[i]!);
}

import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { mul, scale } from '../../onnx/autodiff/arithmetic.ts';
import { concatNode } from '../../onnx/autodiff/layout.ts';
import { transpose } from '../../onnx/autodiff/matrix.ts';
import { sum } from '../../onnx/autodiff/reduction.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import { ENCODERS } from './encoders.ts';
import { asFloat, column, embedItems, isItemNumber } from './itemInputs.ts';
import { type NextItemModel, queryOf } from './nextItemModel.ts';
import { servedWeights, TRAINING_THREADS } from './step.ts';
import type { SequenceRows } from './windows.ts';

/**
 * The encoder as ONNX, so that the gateway needs nothing but the last clicks: input `items` int64 [N, lengthMax], item numbers with the oldest
 * first; -1 or any other number that is not an item's, wherever it stands, counts as no click. Output `query` float [N, width + 1]: its inner product with a row of `itemVectors` is the item's logit, so an index over those rows (inner product) finds what comes next.
 */
export function nextItemToOnnx(model: NextItemModel, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const { items, lengthMax } = model;
  const tape = new Tape('next_item', { metadata });
  const weight = servedWeights(tape, model.weights);
  const given = tape.input('items', ['N', lengthMax], { type: 'int64' });
  const numbers = compacted(given, isItemNumber(given, items), lengthMax);
  const isClick = isItemNumber(numbers, items);
  const inputs = embedItems(numbers, isClick, model.itemEmbeddings, items);

  const states = ENCODERS[model.encoder].states(transpose(inputs, [1, 0, 2]), weight, model);
  const isLast = lastClick(isClick);
  const atLast = (value: Value) => sum(mul(value, isLast), [1]);
  const query = queryOf(atLast(transpose(states, [1, 0, 2])), atLast(inputs), weight);
  // A last value of 1 meets the bias that ends each item vector.
  const first = tape.node('Slice', [query, tape.graph.ints(0), tape.graph.ints(1), tape.graph.ints(1)], ['N', 1]);
  const one = tape.node('Add', [tape.node('Mul', [first, tape.scalar(0)], ['N', 1]), tape.scalar(1)], ['N', 1]);
  tape.output('query', concatNode([scale(query, model.logitScale), one], 1));
  return tape.graph.toBytes();
}

/** Moves the clicks of each row to the front, their order kept. */
function compacted(given: Value, isClick: Value, steps: number): Value {
  const { tape, shape } = given;
  const ramp = (name: string, from: number) =>
    tape.constant(
      name,
      Float32Array.from({ length: steps }, (_, t) => from - t),
      [1, steps],
    );
  // Sorted from high to low: clicks are positive and others negative, both falling with time.
  const order = tape.node('Where', [isClick, ramp('click_order', steps), ramp('gap_order', -1)], shape);
  const [, places] = tape.nodes('TopK', [order, tape.graph.ints(steps)], [shape, shape], { axis: { i: 1 } });
  return tape.node('GatherElements', [given, places!], shape, { axis: { i: 1 } });
}

/** Bool [N, steps] to float [N, steps, 1]: 1 at the last click of each row, 0 elsewhere. */
function lastClick(isClick: Value): Value {
  const { tape, shape } = isClick;
  const flags = asFloat(isClick);
  const upToHere = tape.node('CumSum', [flags, tape.whole(1)], shape);
  const isLast = tape.node('Equal', [upToHere, sum(flags, [1], true)], shape);
  return column(asFloat(tape.node('And', [isLast, isClick], shape)));
}

/** Row-major items x (width + 1): each item's unit vector, then its bias. */
export function itemVectors({ items, width, itemEmbeddings, itemBias }: NextItemModel): Float32Array {
  const out = new Float32Array(items * (width + 1));
  for (let item = 0; item < items; item++) {
    out.set(itemEmbeddings.subarray(item * width, (item + 1) * width), item * (width + 1));
    out[item * (width + 1) + width] = itemBias[item]!;
  }
  return out;
}

/** Prefixes in one call: with 50,000 items their scores take 50 MB. */
const PREFIXES_AT_ONCE = 256;

/**
 * The rank of every click but the first of its sequence among all items, asked as the gateway asks: with the last `lengthMax` clicks before it.
 * 1 + items with a higher score + items with an equal score and a smaller number; items + 1 where the click is unknown to the model.
 */
export async function rankNextItems(model: NextItemModel, rows: SequenceRows, threads = TRAINING_THREADS): Promise<Uint32Array> {
  const { lengthMax, width, items } = model;
  const encoder = await loadOnnx(nextItemToOnnx(model), { intraOpThreads: threads });
  const ranker = await loadOnnx(rankingGraph(itemVectors(model), items, width + 1), { intraOpThreads: threads });
  const ranks: Uint32Array[] = [];
  const contexts = new BigInt64Array(PREFIXES_AT_ONCE * lengthMax);
  const targets = new BigInt64Array(PREFIXES_AT_ONCE);
  let filled = 0;
  const flush = async (): Promise<void> => {
    if (filled === 0) return;
    const n = filled;
    filled = 0;
    const { query } = await encoder.run({ items: { data: contexts.subarray(0, n * lengthMax), dims: [n, lengthMax] } });
    const { rank } = await ranker.run({ query: query!, target: { data: targets.subarray(0, n), dims: [n, 1] } });
    ranks.push(Uint32Array.from(rank!.data as Float32Array, (found, i) => (targets[i]! < items ? found : items + 1)));
  };
  for (let s = 0; s + 1 < rows.indptr.length; s++) {
    const start = rows.indptr[s]!;
    for (let at = start + 1; at < rows.indptr[s + 1]!; at++) {
      const from = Math.max(start, at - lengthMax);
      for (let i = 0; i < lengthMax; i++) contexts[filled * lengthMax + i] = from + i < at ? BigInt(rows.clicks[from + i]!) : -1n;
      targets[filled++] = BigInt(rows.clicks[at]!);
      if (filled === PREFIXES_AT_ONCE) await flush();
    }
  }
  await flush();
  await encoder.release();
  await ranker.release();
  const all = new Uint32Array(ranks.reduce((count, part) => count + part.length, 0));
  ranks.reduce((at, part) => {
    all.set(part, at);
    return at + part.length;
  }, 0);
  return all;
}

/** Share of ranks up to k, and the mean of 1 / rank with 0 beyond k. */
export function hitRateAndMrr(ranks: Uint32Array, k: number): { hitRate: number; mrr: number } {
  let [hits, reciprocals] = [0, 0];
  for (const rank of ranks) {
    if (rank > k) continue;
    hits++;
    reciprocals += 1 / rank;
  }
  return { hitRate: hits / ranks.length, mrr: reciprocals / ranks.length };
}

const LIST_LENGTH = 20;

/** What early stopping makes small. */
export async function rankingLoss(model: NextItemModel, rows: SequenceRows, threads = TRAINING_THREADS): Promise<number> {
  const { hitRate, mrr } = hitRateAndMrr(await rankNextItems(model, rows, threads), LIST_LENGTH);
  return -(hitRate + mrr);
}

/** `query` [n, width], `target` int64 [n, 1] to `rank` float [n]. Counts fit float32: there are at most 2^24 items. */
function rankingGraph(vectors: Float32Array, items: number, width: number): Uint8Array {
  const tape = new Tape('ranks');
  const query = tape.input('query', ['n', width]);
  const target = tape.input('target', ['n', 1], { type: 'int64' });
  const scores = tape.node('Gemm', [query, tape.constant('vectors', vectors, [items, width])], ['n', items], { transB: { i: 1 } });
  const safe = tape.node('Min', [target, tape.whole(items - 1)], ['n', 1]);
  const own = tape.node('GatherElements', [scores, safe], ['n', 1], { axis: { i: 1 } });
  const shape = scores.shape;
  const numbers = tape.constant(
    'numbers',
    BigInt64Array.from({ length: items }, (_, i) => BigInt(i)),
    [1, items],
  );
  const isEqual = tape.node('Equal', [scores, own], shape);
  const comesFirst = tape.node('And', [isEqual, tape.node('Less', [numbers, target], shape)], shape);
  const ahead = tape.node('Or', [tape.node('Greater', [scores, own], shape), comesFirst], shape);
  tape.output('rank', tape.node('Add', [sum(asFloat(ahead), [1]), tape.scalar(1)], ['n']));
  return tape.graph.toBytes();
}

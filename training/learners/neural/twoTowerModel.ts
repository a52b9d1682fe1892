import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { binary } from '../../onnx/autodiff/arithmetic.ts';
import { concatNode } from '../../onnx/autodiff/layout.ts';
import { sum } from '../../onnx/autodiff/reduction.ts';
import { l2Normalise } from '../../onnx/autodiff/softmax.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import { tower } from './dense.ts';
import { asFloat, embedItems, isItemNumber } from './itemInputs.ts';
import type { History } from './loop.ts';
import { prepare, type Standardiser } from './standardise.ts';
import { servedWeights, TRAINING_THREADS, type WeightOf } from './step.ts';
import type { StoredWeights } from './weights.ts';

export interface TwoTowerModel {
  readonly items: number;
  readonly width: number;
  readonly hiddenLayers: number;
  readonly historyMax: number;
  readonly queryStandard: Standardiser;
  readonly itemStandard: Standardiser;
  /** Row-major items x width. */
  readonly itemEmbeddings: Float32Array;
  /** Row-major, as they were given. */
  readonly itemFeatures: Float32Array;
  readonly weights: StoredWeights;
  readonly history: History;
}

export function queryTower(x: Value, hiddenLayers: number, weight: WeightOf): Value {
  return l2Normalise(tower('query', x, hiddenLayers, weight));
}

export function itemTower(x: Value, hiddenLayers: number, weight: WeightOf): Value {
  return l2Normalise(tower('item', x, hiddenLayers, weight));
}

/**
 * The query tower as ONNX: inputs `items` int64 [N, historyMax] (item numbers of the history; any number that is not an item's counts as none) and,
 * if the model has query features, `features` float [N, F] (NaN is missing); output `query` float [N, width], a unit vector.
 */
export function queryTowerToOnnx(model: TwoTowerModel, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const tape = new Tape('query_tower', { metadata });
  const numbers = tape.input('items', ['N', model.historyMax], { type: 'int64' });
  const isItem = isItemNumber(numbers, model.items);
  const rows = embedItems(numbers, isItem, model.itemEmbeddings, model.items);
  const count = binary('Max', sum(asFloat(isItem), [1], true), tape.scalar(1));
  const history = binary('Div', sum(rows, [1]), count);
  const input = withFeatures(history, model.queryStandard);
  tape.output('query', queryTower(input, model.hiddenLayers, servedWeights(tape, model.weights)));
  return tape.graph.toBytes();
}

/**
 * The item tower as ONNX: inputs `items` int64 [N] (-1 for an item that training did not know) and, if the model has item features, `features`
 * float [N, F]; output `vector` float [N, width], a unit vector. For items that come after the training: the others are in `itemVectors`.
 */
export function itemTowerToOnnx(model: TwoTowerModel, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const tape = new Tape('item_tower', { metadata });
  const numbers = tape.input('items', ['N'], { type: 'int64' });
  const rows = embedItems(numbers, isItemNumber(numbers, model.items), model.itemEmbeddings, model.items);
  const input = withFeatures(rows, model.itemStandard);
  tape.output('vector', itemTower(input, model.hiddenLayers, servedWeights(tape, model.weights)));
  return tape.graph.toBytes();
}

/** Items in one call of the item tower. */
const ITEMS_AT_ONCE = 4096;

/** Row-major items x width: what the index holds. Its inner product with `query` is the cosine that was trained. */
export async function twoTowerItemVectors(model: TwoTowerModel): Promise<Float32Array> {
  const session = await loadOnnx(itemTowerToOnnx(model), { intraOpThreads: TRAINING_THREADS });
  const { items, width, itemFeatures } = model;
  const f = model.itemStandard.mean.length;
  const out = new Float32Array(items * width);
  for (let from = 0; from < items; from += ITEMS_AT_ONCE) {
    const count = Math.min(ITEMS_AT_ONCE, items - from);
    const numbers = { data: BigInt64Array.from({ length: count }, (_, i) => BigInt(from + i)), dims: [count] };
    const features = { data: itemFeatures.subarray(from * f, (from + count) * f), dims: [count, f] };
    const { vector } = await session.run(f > 0 ? { items: numbers, features } : { items: numbers });
    out.set(vector!.data as Float32Array, from * width);
  }
  await session.release();
  return out;
}

function withFeatures(rows: Value, standardiser: Standardiser): Value {
  const f = standardiser.mean.length;
  return f === 0 ? rows : concatNode([rows, prepare(rows.tape.input('features', ['N', f]), standardiser)], 1);
}

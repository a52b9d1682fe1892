import { add, mul, scale } from '../../onnx/autodiff/arithmetic.ts';
import { concat } from '../../onnx/autodiff/layout.ts';
import { sampledSoftmax, weightedSum } from '../../onnx/autodiff/loss.ts';
import { gemm } from '../../onnx/autodiff/matrix.ts';
import { sum } from '../../onnx/autodiff/reduction.ts';
import type { Value } from '../../onnx/autodiff/tape.ts';
import { requireData, requireParam } from '../contract.ts';
import { type Random, seededRandom } from '../random.ts';
import { requireTable } from '../sparse.ts';
import { towerSpecs } from './dense.ts';
import { createEmbedding, type Embedding } from './embedding.ts';
import { fillDropout, type NeuralFitOptions, runEpochs, shuffle } from './loop.ts';
import { createOptimiser } from './optimiser.ts';
import { checkNeural, NEURAL_DEFAULTS, type NeuralParams, optimiserParams, positive, share, whole, width } from './params.ts';
import { fitStandardiser, preparedWidth, prepareRows, type Standardiser } from './standardise.ts';
import { compileStep, type StepInputs, type TrainingStep } from './step.ts';
import { itemTower, queryTower, type TwoTowerModel } from './twoTowerModel.ts';
import { createWeights, storeWeights, weightsKeeper } from './weights.ts';

/** Pairs of a query (who asked, in which situation, after which items) and the item that was chosen. */
export interface TwoTowerRows {
  /** Size of the catalogue: item numbers are below it. */
  readonly items: number;
  /** The item chosen in each pair. */
  readonly targets: Uint32Array;
  /** Items met before pair p, the oldest first: `history[historyPtr[p]..historyPtr[p + 1])`. */
  readonly historyPtr: Uint32Array;
  readonly history: Uint32Array;
  /** Row-major pairs x queryWidth, NaN for missing; the width may be 0. */
  readonly queryFeatures: Float32Array;
  readonly queryWidth: number;
  /** Row-major items x itemWidth, NaN for missing; the width may be 0. */
  readonly itemFeatures: Float32Array;
  readonly itemWidth: number;
}

export interface TwoTowerParams extends NeuralParams {
  /** Of the item embeddings and of both towers' vectors. */
  width: number;
  hidden: readonly number[];
  /** Items of a history that count: the last ones. */
  historyMax: number;
  /** Share of the items whose embedding a step hides, so that their features alone learn to place an item that nobody has met yet. */
  coldShare: number;
  /** A logit is this times the cosine of the two vectors. */
  logitScale: number;
}

export const TWO_TOWER_DEFAULTS: TwoTowerParams = {
  ...NEURAL_DEFAULTS,
  width: 64,
  hidden: [128],
  historyMax: 50,
  coldShare: 0.1,
  logitScale: 12,
  learningRate: 2e-3,
  batchSize: 512,
};

/** Beyond this the mean of a history hardly moves. */
const HISTORY_MAX = 1000;
/** Item numbers are compared as float32 in the training graph, which holds whole numbers exactly up to here. */
const ITEMS_MAX = 2 ** 24;
/** Places of a batch without a pair: never drawn (the logit is far below all) and equal to no item. */
const NO_ITEM = -1;
const NO_LOGIT = -1e9;

/**
 * Two-tower retrieval: a query tower over the history's mean embedding and the query's features, an item tower over the item's embedding and
 * features, both to unit vectors. Softmax over the items of the batch, with log q taken off since popular items are drawn more often (Yi et al.
 * 2019). Throws `training_data_insufficient` without a pair.
 */
export async function fitTwoTower(
  data: TwoTowerRows,
  given: Partial<TwoTowerParams>,
  options: NeuralFitOptions<TwoTowerRows>,
): Promise<TwoTowerModel> {
  const params = { ...TWO_TOWER_DEFAULTS, ...given };
  checkParams(params);
  checkRows(data);
  requireTable(data.items, params.width, 'items');
  if (options.validation) {
    checkRows(options.validation);
    const { items, queryWidth } = options.validation;
    requireParam(items === data.items && queryWidth === data.queryWidth, 'validation pairs must be of the same catalogue and features');
  }
  const random = seededRandom(options.seed);
  const pairs = data.targets.length;
  const queryStandard = fitStandardiser(data.queryFeatures, pairs, data.queryWidth);
  const itemStandard = fitStandardiser(data.itemFeatures, data.items, data.itemWidth);
  const [queryInputs, itemInputs] = [preparedWidth(queryStandard), preparedWidth(itemStandard)];
  const weights = createWeights(
    [
      ...towerSpecs('query', params.width + queryInputs, params.hidden, params.width),
      ...towerSpecs('item', params.width + itemInputs, params.hidden, params.width),
    ],
    random,
  );
  const deviation = 1 / Math.sqrt(params.width);
  const embedding = createEmbedding(data.items, params.width, random, (source) => deviation * source.normal());
  const sizes = { queryInputs, itemInputs };
  const { threads } = options;
  const training = await compileStep('two_tower', weights, (step) => twoTowerLoss(step, params, sizes), { threads });
  const checking = options.validation
    ? await compileStep('two_tower_loss', weights, (step) => twoTowerLoss(step, params, sizes), { threads, lossOnly: true })
    : undefined;
  try {
    const itemRows = await prepared(data.itemFeatures, data.items, itemStandard);
    const feeder = createFeeder(embedding, itemRows, logShares(data), params, random);
    const queryRows = await prepared(data.queryFeatures, pairs, queryStandard);
    const watched = options.validation;
    const watchedRows = watched && (await prepared(watched.queryFeatures, watched.targets.length, queryStandard));
    const steps = Math.ceil(pairs / params.batchSize);
    const optimiser = createOptimiser(weights, [embedding], optimiserParams(params, steps * params.epochs));
    const order = Int32Array.from({ length: pairs }, (_, i) => i);
    const validate = async (): Promise<number> => {
      const all = Int32Array.from(watched!.targets.keys());
      let loss = 0;
      for (let from = 0; from < all.length; from += params.batchSize) {
        const batch = all.subarray(from, from + params.batchSize);
        feeder.fill(checking!, watched!, watchedRows!, batch, false);
        loss += (await checking!.run()) * (batch.length / all.length);
      }
      return loss;
    };
    const history = await runEpochs(
      {
        ...weightsKeeper(weights.values, embedding.values),
        epochs: params.epochs,
        patience: params.patience,
        steps,
        startEpoch: () => shuffle(order, random),
        async train(at) {
          const batch = order.subarray(at * params.batchSize, (at + 1) * params.batchSize);
          feeder.fill(training, data, queryRows, batch, true);
          const loss = await training.run();
          feeder.collect(training, data, batch);
          optimiser.step();
          return loss;
        },
        ...(checking ? { validate } : {}),
      },
      options,
    );
    return {
      items: data.items,
      width: params.width,
      hiddenLayers: params.hidden.length,
      historyMax: params.historyMax,
      queryStandard,
      itemStandard,
      itemEmbeddings: embedding.values.slice(),
      itemFeatures: data.itemFeatures.slice(),
      weights: storeWeights(weights),
      history,
    };
  } finally {
    await training.release();
    await checking?.release();
  }
}

interface Sizes {
  readonly queryInputs: number;
  readonly itemInputs: number;
}

export function twoTowerLoss(step: StepInputs, params: TwoTowerParams, { queryInputs, itemInputs }: Sizes): Value {
  const { batchSize: n, width, logitScale } = params;
  const hiddenLayers = params.hidden.length;
  const beside = (rows: Value, name: string, inputs: number) => (inputs > 0 ? concat([rows, step.floats(name, [n, inputs])], 1) : rows);
  const embedded = mul(step.rows('items', [n, width]), step.floats('is_known', [n, 1]));
  const query = queryTower(beside(step.rows('histories', [n, width]), 'query_rows', queryInputs), hiddenLayers, step.weight);
  const item = itemTower(beside(embedded, 'item_rows', itemInputs), hiddenLayers, step.weight);
  const scaled = scale(query, logitScale);
  const positives = sum(mul(scaled, item), [-1], true);
  const logits = add(gemm(scaled, item, { transB: true }), step.floats('correction', [1, n]));
  const isHit = step.tape.node('Equal', [step.floats('own_items', [n, 1]), step.floats('other_items', [1, n])], [n, n]);
  return weightedSum(sampledSoftmax(positives, logits, isHit), step.floats('pair_weights', [n]));
}

/** Carries rows into a step and gradients back. The mean of a history is taken here: a row a pair goes in, not a row a history item. */
function createFeeder(embedding: Embedding, itemRows: Float32Array, logShare: Float64Array, params: TwoTowerParams, random: Random) {
  const { batchSize, width, historyMax } = params;
  const itemInputs = itemRows.length / embedding.rows;
  const targets = new Int32Array(batchSize);
  const historyItems = new Int32Array(historyMax);

  /** The last items of a pair's history into `historyItems`; returns how many. */
  function readHistory({ historyPtr, history }: TwoTowerRows, pair: number): number {
    const end = historyPtr[pair + 1]!;
    const count = Math.min(historyMax, end - historyPtr[pair]!);
    for (let i = 0; i < count; i++) historyItems[i] = history[end - count + i]!;
    return count;
  }

  return {
    fill({ floats }: TrainingStep, data: TwoTowerRows, queryRows: Float32Array, batch: Int32Array, learning: boolean): void {
      const queryInputs = queryRows.length / data.targets.length;
      const histories = floats['histories']!.fill(0, batch.length * width);
      const correction = floats['correction']!.fill(NO_LOGIT);
      floats['own_items']!.fill(NO_ITEM);
      // Others are drawn for a pair: all of the batch but itself.
      const logDraws = Math.log(Math.max(1, batch.length - 1));
      targets.fill(0);
      batch.forEach((pair, i) => {
        const target = data.targets[pair]!;
        targets[i] = target;
        floats['own_items']![i] = target;
        correction[i] = -(logDraws + logShare[target]!);
        const count = readHistory(data, pair);
        embedding.readMean(historyItems, 0, count, histories, i * width);
        if (queryInputs > 0) floats['query_rows']!.set(queryRows.subarray(pair * queryInputs, (pair + 1) * queryInputs), i * queryInputs);
        if (itemInputs > 0) floats['item_rows']!.set(itemRows.subarray(target * itemInputs, (target + 1) * itemInputs), i * itemInputs);
      });
      embedding.read(targets, batchSize, floats['items']!);
      floats['other_items']!.set(floats['own_items']!);
      floats['pair_weights']!.fill(1 / batch.length, 0, batch.length).fill(0, batch.length);
      const isKnown = floats['is_known']!.fill(1);
      if (learning && itemInputs > 0 && params.coldShare > 0) {
        fillDropout(isKnown, params.coldShare, random);
        // Hidden or as it is: a served embedding is not scaled either.
        for (let i = 0; i < batchSize; i++) if (isKnown[i]! > 0) isKnown[i] = 1;
      }
    },
    collect({ rowGradients }: TrainingStep, data: TwoTowerRows, batch: Int32Array): void {
      embedding.add(targets, batch.length, rowGradients['items']!);
      batch.forEach((pair, i) => {
        const count = readHistory(data, pair);
        embedding.addShares(historyItems, 0, count, rowGradients['histories']!, i * width);
      });
    },
  };
}

/** Features as the towers take them; none where there are none. */
function prepared(features: Float32Array, n: number, standardiser: Standardiser): Promise<Float32Array> {
  return standardiser.mean.length === 0 ? Promise.resolve(new Float32Array(0)) : prepareRows(features, n, standardiser);
}

/** log of each item's share of the pairs; an item that only validation has counts as met once. */
function logShares({ items, targets }: TwoTowerRows): Float64Array {
  const counts = new Float64Array(items);
  for (const target of targets) counts[target]!++;
  return counts.map((count) => Math.log(Math.max(1, count) / targets.length));
}

function checkParams(params: TwoTowerParams): void {
  checkNeural(params);
  width('width', params.width);
  params.hidden.forEach((units) => {
    width('hidden', units);
  });
  whole('historyMax', params.historyMax, 1, HISTORY_MAX);
  share('coldShare', params.coldShare);
  positive('logitScale', params.logitScale);
}

function checkRows({ items, targets, historyPtr, history, queryFeatures, queryWidth, itemFeatures, itemWidth }: TwoTowerRows): void {
  const pairs = targets.length;
  requireData(items >= 1, 'the catalogue is empty');
  requireData(items <= ITEMS_MAX, `${items} items are over the limit of ${ITEMS_MAX}`, 'training_data_too_large');
  requireData(pairs > 0, 'there is no pair');
  requireParam(queryFeatures.length === pairs * queryWidth, `queryFeatures must hold ${pairs} x ${queryWidth} values`);
  requireParam(itemFeatures.length === items * itemWidth, `itemFeatures must hold ${items} x ${itemWidth} values`);
  requireParam(
    historyPtr.length === pairs + 1 && historyPtr[0] === 0 && historyPtr[pairs] === history.length,
    'historyPtr must have an end for each pair',
  );
  for (const item of targets) requireData(item < items, `item ${item} is not below ${items}`);
  for (const item of history) requireData(item < items, `item ${item} is not below ${items}`);
}

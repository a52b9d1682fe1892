import { add, dropout, mul, scale } from '../../onnx/autodiff/arithmetic.ts';
import { reshape, slice } from '../../onnx/autodiff/layout.ts';
import { sampledSoftmax, weightedSum } from '../../onnx/autodiff/loss.ts';
import { gemm } from '../../onnx/autodiff/matrix.ts';
import { sum } from '../../onnx/autodiff/reduction.ts';
import { l2Normalise } from '../../onnx/autodiff/softmax.ts';
import type { Value } from '../../onnx/autodiff/tape.ts';
import { requireData, requireParam } from '../contract.ts';
import { type Random, seededRandom } from '../random.ts';
import { requireTable } from '../sparse.ts';
import { createEmbedding, type Embedding } from './embedding.ts';
import { ENCODERS, type EncoderParams } from './encoders.ts';
import { fillDropout, type History, type NeuralFitOptions, runEpochs } from './loop.ts';
import { createNegativeSampler, type NegativeSampler } from './negatives.ts';
import { type NextItemModel, queryOf } from './nextItemModel.ts';
import { rankingLoss } from './nextItemServing.ts';
import { createOptimiser } from './optimiser.ts';
import { checkNeural, NEURAL_DEFAULTS, type NeuralParams, optimiserParams, positive, share, whole, width } from './params.ts';
import { compileStep, type StepInputs, type TrainingStep } from './step.ts';
import { createWeights, denseSpecs, storeWeights, type WeightSpec, type Weights, weightsKeeper } from './weights.ts';
import { type BatchPlan, type Bucket, checkSequences, createBuckets, LENGTH_MAX, planEpoch, type SequenceRows } from './windows.ts';

/** `batchSize` counts targets, as every click but the first of a sequence is one. */
export interface NextItemParams extends NeuralParams, EncoderParams {
  /** Items drawn for each step, shared by its targets. */
  negatives: number;
  /** Negatives are drawn ~ count^power. */
  negativesPower: number;
  /** Share of an input's values that a step leaves out. */
  dropout: number;
  /** A logit is this times the cosine of state and item, plus the item's bias. */
  logitScale: number;
}

export const NEXT_ITEM_DEFAULTS: NextItemParams = {
  ...NEURAL_DEFAULTS,
  encoder: 'gru',
  width: 100,
  lengthMax: 20,
  blocks: 2,
  heads: 2,
  kernel: 3,
  negatives: 2048,
  negativesPower: 0.5,
  dropout: 0.2,
  logitScale: 12,
  learningRate: 2e-3,
  warmupShare: 0,
  clipNorm: 0,
  // On Diginetica's validation sessions 512 gave HR@20 + MRR@20 of 72.8 %, 1024 72.3 % in half the steps.
  batchSize: 512,
  epochs: 8,
};

/** A fit that goes on from a model instead of random weights. */
export interface NextItemStart {
  readonly model: NextItemModel;
  /** Number that the model gives each item; -1 where it does not know it: such an item begins at random. */
  readonly numbers: Int32Array;
}

/**
 * Predicts the next item of a sequence: GRU4Rec, LSTM, SASRec or a causal CNN over embeddings that inputs and outputs share, softmax over sampled
 * negatives. Items that no sequence has keep random vectors: leave them out of an index. Validation losses are -(HR@20 + MRR@20) over all prefixes. Throws `training_data_insufficient` without a sequence of two items.
 */
export async function fitNextItem(
  rows: SequenceRows,
  given: Partial<NextItemParams>,
  options: NeuralFitOptions<SequenceRows> & { readonly start?: NextItemStart },
): Promise<NextItemModel> {
  const params = { ...NEXT_ITEM_DEFAULTS, ...given };
  checkParams(params);
  checkSequences(rows, true);
  requireTable(rows.items, params.width, 'items');
  if (options.validation) {
    checkSequences(options.validation, false);
    requireParam(options.validation.items === rows.items, 'validation sequences must be of the same catalogue');
  }
  const buckets = createBuckets(rows, params.lengthMax, params.batchSize);
  requireData(buckets.length > 0, 'no sequence has two items');
  const random = seededRandom(options.seed);
  const weights = createWeights(specsOf(params), random);
  const deviation = 1 / Math.sqrt(params.width);
  const embedding = createEmbedding(rows.items, params.width, random, (source) => deviation * source.normal());
  const bias = createEmbedding(rows.items, 1, random, () => 0);
  if (options.start) takeOver(options.start, params, weights, embedding, bias);
  const sampler = createNegativeSampler(countItems(rows), params.negativesPower, params.negatives, random);
  const current = (history: History): NextItemModel => ({
    encoder: params.encoder,
    width: params.width,
    lengthMax: params.lengthMax,
    blocks: params.blocks,
    heads: params.heads,
    kernel: params.kernel,
    logitScale: params.logitScale,
    items: rows.items,
    itemEmbeddings: normalised(embedding),
    itemBias: bias.values.slice(),
    weights: storeWeights(weights),
    history,
  });

  const steps: TrainingStep[] = [];
  try {
    for (const bucket of buckets)
      steps.push(await compileStep('next_item', weights, (step) => nextItemLoss(step, bucket, params), { threads: options.threads }));
    const stepsAnEpoch = buckets.reduce((total, { from, n }) => total + Math.ceil(from.length / n), 0);
    const optimiser = createOptimiser(weights, [embedding, bias], optimiserParams(params, stepsAnEpoch * params.epochs));
    const feeder = createFeeder(rows, buckets, { embedding, bias, sampler, params, random });
    const { validation } = options;
    let plans: BatchPlan[] = [];
    const history = await runEpochs(
      {
        ...weightsKeeper(weights.values, embedding.values, bias.values),
        epochs: params.epochs,
        patience: params.patience,
        steps: stepsAnEpoch,
        startEpoch: () => {
          plans = planEpoch(buckets, random);
        },
        async train(at) {
          const plan = plans[at]!;
          const step = steps[plan.bucket]!;
          feeder.fill(step, plan);
          const loss = await step.run();
          feeder.collect(step, plan);
          optimiser.step();
          return loss;
        },
        ...(validation ? { validate: () => rankingLoss(current(NO_HISTORY), validation, options.threads) } : {}),
      },
      options,
    );
    return current(history);
  } finally {
    for (const step of steps) await step.release();
  }
}

const NO_HISTORY: History = { trainLosses: [], validationLosses: [], epochs: 0 };

/** Stored vectors have length 1, about that of random ones: the learning rate means the same to both. */
function takeOver({ model, numbers }: NextItemStart, params: NextItemParams, weights: Weights, embedding: Embedding, bias: Embedding): void {
  const same = model.encoder === params.encoder && model.width === params.width && model.blocks === params.blocks && model.heads === params.heads;
  requireParam(same && model.lengthMax === params.lengthMax && model.kernel === params.kernel, 'the model to go on from has another shape');
  requireParam(numbers.length === embedding.rows, 'the model to go on from needs a number for each item');
  for (const [name, { value }] of weights.byName) value.set(model.weights[name]!.value);
  numbers.forEach((number, item) => {
    if (number < 0) return;
    requireParam(number < model.items, `the model to go on from has no item ${number}`);
    embedding.values.set(model.itemEmbeddings.subarray(number * model.width, (number + 1) * model.width), item * model.width);
    bias.values[item] = model.itemBias[number]!;
  });
}

function specsOf(params: NextItemParams): WeightSpec[] {
  const own = denseSpecs('state', params.width, params.width);
  return [...ENCODERS[params.encoder].specs(params), ...own, ...denseSpecs('click', params.width, params.width).slice(0, 1)];
}

/**
 * Mean loss of a bucket's batch. All clicks of the windows come in once, time first: the first `steps` are inputs, the last `steps` targets.
 */
export function nextItemLoss(step: StepInputs, { steps, n }: Pick<Bucket, 'steps' | 'n'>, params: NextItemParams): Value {
  const { width, negatives, logitScale } = params;
  const targets = steps * n;
  const clicks = l2Normalise(step.rows('clicks', [steps + 1, n, width]));
  const clean = slice(clicks, 0, 0, steps);
  const inputs = params.dropout > 0 ? dropout(clean, step.floats('mask', [steps, n, width])) : clean;
  const states = ENCODERS[params.encoder].states(inputs, step.weight, params);
  const flat = (value: Value) => reshape(value, [targets, width]);
  const query = scale(queryOf(flat(states), flat(inputs), step.weight), logitScale);
  const wanted = flat(slice(clicks, 0, 1, steps + 1));
  const positives = add(sum(mul(query, wanted), [-1], true), step.rows('target_bias', [targets, 1]));
  const offsets = add(reshape(step.rows('negative_bias', [negatives, 1]), [1, negatives]), step.floats('negative_correction', [1, negatives]));
  const logits = gemm(query, l2Normalise(step.rows('negatives', [negatives, width])), { transB: true }, offsets);
  const [target, other] = [step.floats('target_items', [targets, 1]), step.floats('negative_items', [1, negatives])];
  const isHit = step.tape.node('Equal', [target, other], [targets, negatives]);
  return weightedSum(sampledSoftmax(positives, logits, isHit), step.floats('target_weights', [targets]));
}

interface Tables {
  readonly embedding: Embedding;
  readonly bias: Embedding;
  readonly sampler: NegativeSampler;
  readonly params: NextItemParams;
  readonly random: Random;
}

/** Carries rows of the tables into a step, and their gradients back. */
function createFeeder(rows: SequenceRows, buckets: readonly Bucket[], { embedding, bias, sampler, params, random }: Tables) {
  const clicksMax = Math.max(...buckets.map(({ steps, n }) => (steps + 1) * n));
  const clicks = new Int32Array(clicksMax);
  const negatives = new Int32Array(params.negatives);

  /** Item numbers of a batch, time first; places without a click hold item 0, whose weight is 0. */
  function place({ steps, n, from, lengths }: Bucket, windows: Int32Array, weights: Float32Array): void {
    clicks.fill(0, 0, (steps + 1) * n);
    let targets = 0;
    windows.forEach((window, row) => {
      for (let t = 0; t <= lengths[window]!; t++) clicks[t * n + row] = rows.clicks[from[window]! + t]!;
      targets += lengths[window]!;
    });
    weights.fill(0);
    windows.forEach((window, row) => {
      for (let t = 0; t < lengths[window]!; t++) weights[t * n + row] = 1 / targets;
    });
  }

  return {
    fill({ floats }: TrainingStep, { bucket, windows }: BatchPlan): void {
      const { steps, n } = buckets[bucket]!;
      const targets = steps * n;
      place(buckets[bucket]!, windows, floats['target_weights']!);
      sampler.draw(negatives);
      embedding.read(clicks, n + targets, floats['clicks']!);
      bias.read(clicks.subarray(n), targets, floats['target_bias']!);
      floats['target_items']!.set(clicks.subarray(n, n + targets));
      embedding.read(negatives, negatives.length, floats['negatives']!);
      bias.read(negatives, negatives.length, floats['negative_bias']!);
      const correction = floats['negative_correction']!;
      for (let i = 0; i < negatives.length; i++) correction[i] = -sampler.logExpected[negatives[i]!]!;
      floats['negative_items']!.set(negatives);
      if (params.dropout > 0) fillDropout(floats['mask']!, params.dropout, random);
    },
    collect({ rowGradients }: TrainingStep, { bucket }: BatchPlan): void {
      const { steps, n } = buckets[bucket]!;
      embedding.add(clicks, (steps + 1) * n, rowGradients['clicks']!);
      embedding.add(negatives, negatives.length, rowGradients['negatives']!);
      bias.add(clicks.subarray(n), steps * n, rowGradients['target_bias']!);
      bias.add(negatives, negatives.length, rowGradients['negative_bias']!);
    },
  };
}

function countItems({ items, clicks }: SequenceRows): Float64Array {
  const counts = new Float64Array(items);
  for (const item of clicks) counts[item]!++;
  return counts;
}

function normalised({ rows, width, values }: Embedding): Float32Array {
  const out = values.slice();
  for (let row = 0; row < rows; row++) {
    let squares = 1e-12;
    for (let i = row * width; i < (row + 1) * width; i++) squares += out[i]! * out[i]!;
    for (let i = row * width; i < (row + 1) * width; i++) out[i]! /= Math.sqrt(squares);
  }
  return out;
}

/** Draws more would not fit beside the logits of a batch: 512 targets x 16,384 negatives are 32 MB, held a few times. */
const NEGATIVES_MAX = 16_384;

function checkParams(params: NextItemParams): void {
  checkNeural(params);
  width('width', params.width);
  whole('lengthMax', params.lengthMax, 1, LENGTH_MAX);
  whole('blocks', params.blocks, 1, 16);
  whole('kernel', params.kernel, 1, LENGTH_MAX);
  whole('heads', params.heads, 1, params.width);
  requireParam(params.encoder !== 'sasrec' || params.width % params.heads === 0, `${params.heads} heads do not divide a width of ${params.width}`);
  whole('negatives', params.negatives, 1, NEGATIVES_MAX);
  requireParam(params.negativesPower >= 0 && params.negativesPower <= 1, `negativesPower must be 0 to 1, not ${params.negativesPower}`);
  share('dropout', params.dropout);
  positive('logitScale', params.logitScale);
}

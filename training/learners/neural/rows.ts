import { weightedSum } from '../../onnx/autodiff/loss.ts';
import type { Value } from '../../onnx/autodiff/tape.ts';
import type { Random } from '../random.ts';
import type { Embedding } from './embedding.ts';
import { fillDropout, type History, type NeuralFitOptions, runEpochs, shuffle } from './loop.ts';
import { createOptimiser } from './optimiser.ts';
import { type NeuralParams, optimiserParams } from './params.ts';
import { compileStep, type StepInputs, type TrainingStep } from './step.ts';
import { type Weights, weightsKeeper } from './weights.ts';

/** Rows that can be drawn into any batch, each by itself. */
export interface DrawnRows {
  readonly n: number;
  /** One a row, 0 or more; 1 when absent. */
  readonly weights?: Float32Array | undefined;
}

/** What tells one learner of rows from another; batches, weights, dropout, early stopping and the best epoch are the same for all. */
export interface RowLearner<Rows extends DrawnRows> {
  readonly name: string;
  readonly params: NeuralParams;
  /** Share of what each mask leaves out; 0: the step has no masks. */
  readonly dropout: number;
  /** Sizes of one row's masks, by the names of their feeds. */
  readonly masks: Readonly<Record<string, number>>;
  readonly weights: Weights;
  readonly embeddings: readonly Embedding[];
  /** Loss of each row of a batch [batchSize]; the masks are there while learning with dropout. */
  losses(step: StepInputs, masks: readonly Value[]): Value;
  /** Writes the rows of `batch` to the feeds, from the first place on; what is left behind them counts for nothing. */
  fill(step: TrainingStep, rows: Rows, batch: Int32Array): void;
  /** Takes the gradients of embeddings of the batch that was filled last. */
  readonly collect?: (step: TrainingStep, rows: Rows, batch: Int32Array) => void;
}

/** Trains the learner's weights and embeddings in place, on shuffled batches of `rows`; `watched` rows choose the epoch. */
export async function trainRows<Rows extends DrawnRows>(
  learner: RowLearner<Rows>,
  rows: Rows,
  watched: Rows | undefined,
  random: Random,
  options: Pick<NeuralFitOptions, 'progress' | 'signal' | 'threads'>,
): Promise<History> {
  const { name, params, weights, embeddings } = learner;
  const { batchSize } = params;
  const { threads } = options;
  const maskNames = learner.dropout > 0 ? Object.keys(learner.masks) : [];
  const build = (names: readonly string[]) => (step: StepInputs) => {
    const masks = names.map((mask) => step.floats(mask, [batchSize, learner.masks[mask]!]));
    return weightedSum(learner.losses(step, masks), step.floats('row_weights', [batchSize]));
  };
  const training = await compileStep(name, weights, build(maskNames), { threads });
  const checking = watched ? await compileStep(`${name}_loss`, weights, build([]), { threads, lossOnly: true }) : undefined;
  try {
    const steps = Math.ceil(rows.n / batchSize);
    const optimiser = createOptimiser(weights, embeddings, optimiserParams(params, steps * params.epochs));
    const order = inOrder(rows.n);
    return await runEpochs(
      {
        ...weightsKeeper(weights.values, ...embeddings.map(({ values }) => values)),
        epochs: params.epochs,
        patience: params.patience,
        steps,
        startEpoch: () => shuffle(order, random),
        async train(step) {
          const batch = order.subarray(step * batchSize, (step + 1) * batchSize);
          learner.fill(training, rows, batch);
          normalise(training.floats['row_weights']!, fillWeights(training, rows, batch), batch.length);
          for (const mask of maskNames) fillDropout(training.floats[mask]!, learner.dropout, random);
          const loss = await training.run();
          learner.collect?.(training, rows, batch);
          optimiser.step();
          return loss;
        },
        ...(checking && watched ? { validate: () => meanLoss(checking, learner, watched) } : {}),
      },
      options,
    );
  } finally {
    await training.release();
    await checking?.release();
  }
}

/** Weights of the rows of `batch`; places that are left get 0. Returns their sum. */
function fillWeights({ floats }: TrainingStep, { weights }: DrawnRows, batch: Int32Array): number {
  const rowWeights = floats['row_weights']!;
  let total = 0;
  for (let i = 0; i < batch.length; i++) {
    rowWeights[i] = weights ? weights[batch[i]!]! : 1;
    total += rowWeights[i]!;
  }
  rowWeights.fill(0, batch.length);
  return total;
}

/** A batch of nothing but weightless rows has no gradient, and must not have NaN. */
function normalise(rowWeights: Float32Array, total: number, count: number): void {
  if (total > 0) for (let i = 0; i < count; i++) rowWeights[i]! /= total;
}

async function meanLoss<Rows extends DrawnRows>(step: TrainingStep, learner: RowLearner<Rows>, rows: Rows): Promise<number> {
  const { batchSize } = learner.params;
  const all = inOrder(rows.n);
  let [sum, total] = [0, 0];
  for (let from = 0; from < rows.n; from += batchSize) {
    const batch = all.subarray(from, from + batchSize);
    learner.fill(step, rows, batch);
    total += fillWeights(step, rows, batch);
    sum += await step.run();
  }
  return sum / total;
}

function inOrder(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, row) => row);
}

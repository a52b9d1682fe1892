import { sigmoid } from '../../onnx/autodiff/activation.ts';
import { add, mul } from '../../onnx/autodiff/arithmetic.ts';
import { reshape } from '../../onnx/autodiff/layout.ts';
import { binaryCrossEntropy, softmaxCrossEntropy, squaredError } from '../../onnx/autodiff/loss.ts';
import { softmax } from '../../onnx/autodiff/softmax.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import { requireData, requireParam } from '../contract.ts';
import { type ClassWeights, rowWeights } from '../linear/classes.ts';
import { seededRandom } from '../random.ts';
import { tower, towerSpecs } from './dense.ts';
import type { History, NeuralFitOptions } from './loop.ts';
import { checkNeural, NEURAL_DEFAULTS, type NeuralParams, share, width } from './params.ts';
import { type RowLearner, trainRows } from './rows.ts';
import { fitStandardiser, prepare, preparedWidth, prepareRows, type Standardiser } from './standardise.ts';
import { type StepInputs, servedWeights, type TrainingStep } from './step.ts';
import { createWeights, type StoredWeights, storeWeights } from './weights.ts';

export interface MlpRows {
  /** Row-major n x f; NaN is missing. */
  readonly rows: Float32Array;
  readonly n: number;
  readonly f: number;
  /** binary: 0 or 1. regression: any finite. multiclass: class numbers from 0. */
  readonly labels: Float32Array;
  /** One a row, 0 or more. */
  readonly weights?: Float32Array;
}

export interface MlpParams extends NeuralParams {
  objective: 'binary' | 'regression' | 'multiclass';
  /** Units of the hidden layers. */
  hidden: readonly number[];
  /** Share of the hidden units that a step leaves out. */
  dropout: number;
  /** Of `binary` and `multiclass`: how much each class counts, beside the weights of the rows. */
  classWeights: ClassWeights;
}

export interface MlpModel {
  readonly objective: MlpParams['objective'];
  readonly featureCount: number;
  readonly hiddenLayers: number;
  /** Logits: 1, or the number of classes. */
  readonly outputs: number;
  readonly standardiser: Standardiser;
  /** regression: what an output of 0 and a step of 1 stand for. */
  readonly target: { readonly mean: number; readonly deviation: number };
  readonly weights: StoredWeights;
  readonly history: History;
}

export const MLP_DEFAULTS: MlpParams = { ...NEURAL_DEFAULTS, objective: 'binary', hidden: [128, 64], dropout: 0.1, classWeights: undefined };

const CLASSES_MAX = 10_000;

/**
 * Multi-layer perceptron: standardised features, ReLU layers, Adam. Throws `training_data_insufficient` for an empty table, bad labels or one class.
 */
export async function fitMlp(data: MlpRows, given: Partial<MlpParams>, options: NeuralFitOptions<MlpRows>): Promise<MlpModel> {
  const params = { ...MLP_DEFAULTS, ...given };
  const { objective, hidden, batchSize } = params;
  checkNeural(params);
  hidden.forEach((units) => {
    width('hidden', units);
  });
  share('dropout', params.dropout);
  checkRows(data, objective);
  requireClasses(data, objective);
  if (options.validation) checkRows(options.validation, objective, data.f);
  const random = seededRandom(options.seed);
  const standardiser = fitStandardiser(data.rows, data.n, data.f);
  const target = objective === 'regression' ? momentsOf(data) : { mean: 0, deviation: 1 };
  const outputs = objective === 'multiclass' ? 1 + data.labels.reduce((most, label) => Math.max(most, label), 0) : 1;
  requireData(
    !options.validation || objective !== 'multiclass' || options.validation.labels.every((label) => label < outputs),
    'validation has a class that training has not',
  );
  const inputs = preparedWidth(standardiser);
  const weights = createWeights(towerSpecs('layer', inputs, hidden, outputs), random);

  const learner: RowLearner<PreparedRows> = {
    name: 'mlp',
    params,
    dropout: params.dropout,
    masks: Object.fromEntries(hidden.map((units, layer) => [`mask${layer}`, units])),
    weights,
    embeddings: [],
    losses(step, masks) {
      const logits = tower('layer', step.floats('rows', [batchSize, inputs]), hidden.length, step.weight, masks);
      return lossOf(objective, logits, step, batchSize);
    },
    fill: (step, rows, batch) => fillBatch(step, rows, batch, target),
  };
  const prepared = async (rows: MlpRows): Promise<PreparedRows> => ({ ...rows, prepared: await prepareRows(rows.rows, rows.n, standardiser) });
  const history = await trainRows(
    learner,
    await prepared({ ...data, ...classWeighted(data, params, outputs) }),
    options.validation && (await prepared(options.validation)),
    random,
    options,
  );
  return {
    objective,
    featureCount: data.f,
    hiddenLayers: hidden.length,
    outputs,
    standardiser,
    target,
    weights: storeWeights(weights),
    history,
  };
}

/**
 * The model as ONNX: input `features` float [N, F], NaN for missing. Outputs, named as the tree models': `score` float [N, 1] (binary: the log-odds)
 * and for binary `probability` [N, 1]; multiclass: `score` [N, classes] and `probabilities` [N, classes].
 */
export function mlpToOnnx(model: MlpModel, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const { objective, target } = model;
  const tape = new Tape('mlp', { metadata });
  const features = tape.input('features', ['N', model.featureCount]);
  const logits = tower('layer', prepare(features, model.standardiser), model.hiddenLayers, servedWeights(tape, model.weights));
  if (objective === 'regression') tape.output('score', add(mul(logits, tape.scalar(target.deviation)), tape.scalar(target.mean)));
  else tape.output('score', logits);
  if (objective === 'binary') tape.output('probability', sigmoid(logits));
  if (objective === 'multiclass') tape.output('probabilities', softmax(logits));
  return tape.graph.toBytes();
}

function lossOf(objective: MlpParams['objective'], logits: Value, step: StepInputs, n: number): Value {
  if (objective === 'multiclass') return softmaxCrossEntropy(logits, step.indices('labels', [n]));
  const column = reshape(logits, [n]);
  const targets = step.floats('targets', [n]);
  return objective === 'binary' ? binaryCrossEntropy(column, targets) : squaredError(column, targets);
}

interface PreparedRows extends MlpRows {
  readonly prepared: Float32Array;
}

/** The weights that training really uses, where classes count unevenly; validation is measured with those of its rows alone. */
function classWeighted({ labels, weights }: MlpRows, { objective, classWeights }: MlpParams, outputs: number): Pick<MlpRows, 'weights'> {
  if (classWeights === undefined) return {};
  requireParam(objective !== 'regression', 'classWeights need classes, which a regression has not');
  return { weights: Float32Array.from(rowWeights(labels, Math.max(2, outputs), weights, classWeights)) };
}

function fillBatch({ floats, indices }: TrainingStep, data: PreparedRows, batch: Int32Array, target: MlpModel['target']): void {
  const inputs = data.prepared.length / data.n;
  const { rows, targets } = floats as { rows: Float32Array; targets?: Float32Array };
  const { labels } = indices;
  for (let i = 0; i < batch.length; i++) {
    const row = batch[i]!;
    rows.set(data.prepared.subarray(row * inputs, (row + 1) * inputs), i * inputs);
    if (targets) targets[i] = (data.labels[row]! - target.mean) / target.deviation;
    if (labels) labels[i] = BigInt(data.labels[row]!);
  }
}

function momentsOf({ labels, n }: MlpRows): MlpModel['target'] {
  let mean = 0;
  for (const label of labels) mean += label / n;
  let variance = 0;
  for (const label of labels) variance += (label - mean) ** 2 / n;
  return { mean, deviation: variance > 0 ? Math.sqrt(variance) : 1 };
}

function checkRows({ rows, n, f, labels, weights }: MlpRows, objective: MlpParams['objective'], featureCount = f): void {
  requireData(n > 0 && f > 0, 'the table has no rows or no features');
  requireParam(f === featureCount, `validation rows have ${f} features, training rows ${featureCount}`);
  requireParam(rows.length === n * f, `rows must hold ${n} x ${f} values, not ${rows.length}`);
  requireParam(labels.length === n && (weights === undefined || weights.length === n), `there must be ${n} labels and, if any, weights`);
  labels.forEach((label, row) => {
    requireData(Number.isFinite(label), `the label of row ${row} is ${label}`);
    if (objective === 'binary') requireData(label === 0 || label === 1, `the label of row ${row} is ${label}, not 0 or 1`);
    if (objective === 'multiclass') {
      requireData(Number.isInteger(label) && label >= 0 && label < CLASSES_MAX, `the class of row ${row} is ${label}, not 0 to ${CLASSES_MAX - 1}`);
    }
  });
  let total = 0;
  weights?.forEach((weight, row) => {
    requireData(weight >= 0 && weight < Infinity, `the weight of row ${row} is ${weight}`);
    total += weight;
  });
  requireData(!weights || total > 0, 'all weights are zero');
}

/** Of rows that are learned from: with one class there is nothing to tell apart. Validation rows may be of one class. */
function requireClasses({ labels }: MlpRows, objective: MlpParams['objective']): void {
  requireData(objective === 'regression' || labels.some((label) => label !== labels[0]), 'all labels are of one class');
}

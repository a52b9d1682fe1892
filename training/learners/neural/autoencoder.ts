import { dropout, scale } from '../../onnx/autodiff/arithmetic.ts';
import { reshape } from '../../onnx/autodiff/layout.ts';
import { squaredError } from '../../onnx/autodiff/loss.ts';
import { Tape, type Value } from '../../onnx/autodiff/tape.ts';
import { requireData, requireParam } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { tower, towerSpecs } from './dense.ts';
import type { History, NeuralFitOptions } from './loop.ts';
import { checkNeural, NEURAL_DEFAULTS, type NeuralParams, share, width } from './params.ts';
import { type RowLearner, trainRows } from './rows.ts';
import { fitStandardiser, prepare, preparedWidth, prepareRows, type Standardiser } from './standardise.ts';
import { servedWeights, type WeightOf } from './step.ts';
import { createWeights, type StoredWeights, storeWeights } from './weights.ts';

/** Rows without labels: what is usual is learned, so they should hold little of what is not. */
export interface AutoencoderRows {
  /** Row-major n x f; NaN is missing. */
  readonly rows: Float32Array;
  readonly n: number;
  readonly f: number;
}

export interface AutoencoderParams extends NeuralParams {
  /** Units of the layer before the code, and of the one after it. */
  hidden: number;
  /** Units that a row has to pass through; fewer than there are features, or nothing is learned. */
  code: number;
  /** Share of the inputs left out while learning, so that a feature is told from the others and not from itself. */
  dropout: number;
}

export interface AutoencoderModel {
  readonly featureCount: number;
  readonly standardiser: Standardiser;
  readonly weights: StoredWeights;
  readonly history: History;
}

export const AUTOENCODER_DEFAULTS: AutoencoderParams = { ...NEURAL_DEFAULTS, hidden: 32, code: 6, dropout: 0, epochs: 20 };

/**
 * Autoencoder for anomalies: squeezes a row through a few units and rebuilds it. What it was not trained on comes back wrong, and the error is the
 * score. Throws `training_data_insufficient` for an empty table or one in which nothing varies.
 */
export async function fitAutoencoder(
  data: AutoencoderRows,
  given: Partial<AutoencoderParams>,
  options: NeuralFitOptions<AutoencoderRows>,
): Promise<AutoencoderModel> {
  const params = { ...AUTOENCODER_DEFAULTS, ...given };
  const { batchSize } = params;
  checkNeural(params);
  width('hidden', params.hidden);
  width('code', params.code);
  share('dropout', params.dropout);
  checkRows(data, data.f);
  if (options.validation) checkRows(options.validation, data.f);
  const random = seededRandom(options.seed);
  const standardiser = fitStandardiser(data.rows, data.n, data.f);
  requireData(standardiser.withMissing.length > 0 || standardiser.inverseDeviation.some((x) => x > 0), 'no feature varies');
  const inputs = preparedWidth(standardiser);
  const { hidden, code } = params;
  const weights = createWeights([...towerSpecs('encode', inputs, [hidden], code), ...towerSpecs('decode', code, [hidden], inputs)], random);

  const learner: RowLearner<PreparedRows> = {
    name: 'autoencoder',
    params,
    dropout: params.dropout,
    masks: { mask: inputs },
    weights,
    embeddings: [],
    losses(step, [mask]) {
      const rows = step.floats('rows', [batchSize, inputs]);
      return scale(squaredError(rebuild(mask ? dropout(rows, mask) : rows, step.weight), rows), 1 / inputs);
    },
    fill({ floats }, { prepared }, batch) {
      batch.forEach((row, i) => {
        floats['rows']!.set(prepared.subarray(row * inputs, (row + 1) * inputs), i * inputs);
      });
    },
  };
  const prepared = async ({ rows, n }: AutoencoderRows): Promise<PreparedRows> => ({ n, prepared: await prepareRows(rows, n, standardiser) });
  const history = await trainRows(learner, await prepared(data), options.validation && (await prepared(options.validation)), random, options);
  return { featureCount: data.f, standardiser, weights: storeWeights(weights), history };
}

interface PreparedRows {
  readonly n: number;
  readonly prepared: Float32Array;
}

/**
 * The model as ONNX: input `features` float [N, F], NaN for missing; output `score` float [N, 1], the mean squared error of the rebuilt row in
 * standard deviations. The mean over the training rows is about twice the training loss; far above is unusual.
 */
export function autoencoderToOnnx(model: AutoencoderModel, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const tape = new Tape('autoencoder', { metadata });
  const rows = prepare(tape.input('features', ['N', model.featureCount]), model.standardiser);
  const rebuilt: Value = rebuild(rows, servedWeights(tape, model.weights));
  const errors = scale(squaredError(rebuilt, rows), 2 / preparedWidth(model.standardiser));
  tape.output('score', reshape(errors, ['N', 1]));
  return tape.graph.toBytes();
}

/** Through the code, which is linear so that its few units use both signs, and back. */
function rebuild(rows: Value, weight: WeightOf): Value {
  return tower('decode', tower('encode', rows, 1, weight), 1, weight);
}

function checkRows({ rows, n, f }: AutoencoderRows, featureCount: number): void {
  requireData(n > 0 && f > 0, 'the table has no rows or no features');
  requireParam(f === featureCount, `validation rows have ${f} features, training rows ${featureCount}`);
  requireParam(rows.length === n * f, `rows must hold ${n} x ${f} values, not ${rows.length}`);
}

import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { createTermSequencer, SEQUENCE_LENGTH_MAX, sequenceTensor, type TermSequences, VOCABULARY_MAX } from '../../../scoring/text/sequence.ts';
import type { Terms } from '../../../scoring/text/terms.ts';
import { softmaxCrossEntropy } from '../../onnx/autodiff/loss.ts';
import { requireData, requireParam } from '../contract.ts';
import { type ClassWeights, countClasses, rowWeights } from '../linear/classes.ts';
import { seededRandom } from '../random.ts';
import type { TextRows } from '../text/text.ts';
import { type CountedTexts, countTexts, VOCABULARY_DEFAULTS, type VocabularyParams } from '../text/vocabulary.ts';
import { createEmbedding, type Embedding } from './embedding.ts';
import type { NeuralFitOptions } from './loop.ts';
import { checkNeural, NEURAL_DEFAULTS, type NeuralParams, share, whole, width } from './params.ts';
import { type RowLearner, trainRows } from './rows.ts';
import { TRAINING_THREADS, type TrainingStep } from './step.ts';
import { encodedWidth, type TextEncoderModel, type TextNetwork, textEncoderToOnnx, textLogits, textSpecs } from './textEncoderModel.ts';
import { createWeights, storeWeights } from './weights.ts';

export interface TextEncoderParams extends NeuralParams, TextNetwork, Pick<VocabularyParams, 'ngrams' | 'minDf' | 'maxDf'> {
  /** Terms that have an embedding: those of the most texts. */
  termsMax: number;
  /** Terms of a text that count: its first ones. */
  lengthMax: number;
  /** Share of what stands for a text that a step leaves out. */
  dropout: number;
  classWeights: ClassWeights;
}

/** 200,000 terms of 32 values are a table of 26 MB. An ordinary review has about 60 words, and as many pairs. */
export const TEXT_ENCODER_DEFAULTS: TextEncoderParams = {
  ...NEURAL_DEFAULTS,
  encoder: 'bag',
  width: 32,
  kernels: [2, 3, 4],
  filters: 32,
  ngrams: 2,
  minDf: VOCABULARY_DEFAULTS.minDf,
  maxDf: VOCABULARY_DEFAULTS.maxDf,
  termsMax: 200_000,
  lengthMax: 256,
  dropout: 0.3,
  classWeights: undefined,
  learningRate: 2e-3,
  batchSize: 64,
};

/** Words that one convolution sees; none of the known text networks looks at more. */
const KERNEL_MAX = 16;

/**
 * A neural text classifier on the term ids of scoring/text/sequence.ts: a bag of embedded words and pairs, or convolutions over words. Throws
 * `training_data_insufficient` where no term is left, for one class, a class without rows, or bad labels and weights.
 */
export async function fitTextEncoder(
  data: TextRows,
  given: Partial<TextEncoderParams>,
  options: NeuralFitOptions<TextRows>,
): Promise<TextEncoderModel> {
  const params = { ...TEXT_ENCODER_DEFAULTS, ...given };
  checkParams(params);
  const classes = checkRows(data);
  if (options.validation) requireData(checkRows(options.validation) === classes, 'validation must have rows of the classes of training');
  const { lengthMax, batchSize } = params;
  const terms = chooseTerms(countTexts(data.texts, { ...VOCABULARY_DEFAULTS, ...params }), params.termsMax);
  const sequences: TermSequences = { lengthMax, terms };
  const random = seededRandom(options.seed);
  const { encoder, kernels, filters } = params;
  const network: TextNetwork = { encoder, width: params.width, kernels, filters };
  const weights = createWeights(textSpecs(network, classes), random);
  // fastText's range: small, so that a rare term says little before it has been learned.
  const embedding = createEmbedding(terms.terms.length, params.width, random, (source) => (2 * source.next() - 1) / params.width);
  const places = encoder === 'bag' ? [] : [lengthMax];
  const learner: RowLearner<SequencedRows> = {
    name: 'text_encoder',
    params,
    dropout: params.dropout,
    masks: { mask: encodedWidth(network) },
    weights,
    embeddings: [embedding],
    losses(step, [mask]) {
      const logits = textLogits(step.rows('texts', [batchSize, ...places, params.width]), network, step.weight, mask);
      return softmaxCrossEntropy(logits, step.indices('labels', [batchSize]));
    },
    ...(encoder === 'bag' ? bagFeeder(embedding) : placesFeeder(embedding, lengthMax)),
  };
  const read = (rows: TextRows): SequencedRows => sequenced(rows, sequences, rowWeights(rows.labels, classes, rows.weights, params.classWeights));
  const history = await trainRows(learner, read(data), options.validation && read(options.validation), random, options);
  return { sequences, network, classes, embeddings: embedding.values.slice(), weights: storeWeights(weights), history };
}

/** Texts of one call: a few megabytes of rows. */
const TEXTS_AT_ONCE = 256;

/** Probabilities, row-major texts x classes, by the very graph that is served. */
export async function predictTextEncoder(model: TextEncoderModel, texts: readonly string[]): Promise<Float32Array> {
  const { sequences, classes } = model;
  const idsOf = createTermSequencer(sequences);
  const session = await loadOnnx(textEncoderToOnnx(model), { intraOpThreads: TRAINING_THREADS });
  const out = new Float32Array(texts.length * classes);
  for (let from = 0; from < texts.length; from += TEXTS_AT_ONCE) {
    const some = texts.slice(from, from + TEXTS_AT_ONCE).map(idsOf);
    const { probabilities } = await session.run({ ids: sequenceTensor(some, sequences.lengthMax) });
    out.set(probabilities!.data as Float32Array, from * classes);
  }
  await session.release();
  return out;
}

/** Texts as ids, one after the other: text r has `ids[indptr[r]..indptr[r + 1])`. */
interface SequencedRows {
  readonly n: number;
  readonly indptr: Uint32Array;
  readonly ids: Int32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

function sequenced({ texts, labels }: TextRows, sequences: TermSequences, weights: Float64Array): SequencedRows {
  const parts = texts.map(createTermSequencer(sequences));
  const indptr = new Uint32Array(texts.length + 1);
  parts.forEach((part, row) => {
    indptr[row + 1] = indptr[row]! + part.length;
  });
  const ids = new Int32Array(indptr[texts.length]!);
  parts.forEach((part, row) => {
    ids.set(part, indptr[row]);
  });
  return { n: texts.length, indptr, ids, labels, weights: Float32Array.from(weights) };
}

type Feeder = Required<Pick<RowLearner<SequencedRows>, 'fill' | 'collect'>>;

/** The mean is taken outside the graph: a row a text goes in, not a row a term. */
function bagFeeder(embedding: Embedding): Feeder {
  const { width } = embedding;
  return {
    fill(step, rows, batch) {
      fillLabels(step, rows, batch);
      batch.forEach((row, i) => {
        const [from, to] = [rows.indptr[row]!, rows.indptr[row + 1]!];
        embedding.readMean(rows.ids, from, to - from, step.floats['texts']!, i * width);
      });
    },
    collect({ rowGradients }, { indptr, ids }, batch) {
      batch.forEach((row, i) => {
        embedding.addShares(ids, indptr[row]!, indptr[row + 1]! - indptr[row]!, rowGradients['texts']!, i * width);
      });
    },
  };
}

function placesFeeder(embedding: Embedding, lengthMax: number): Feeder {
  const { width } = embedding;
  return {
    fill(step, rows, batch) {
      fillLabels(step, rows, batch);
      const texts = step.floats['texts']!.fill(0);
      batch.forEach((row, i) => {
        const from = rows.indptr[row]!;
        for (let at = from; at < rows.indptr[row + 1]!; at++) embedding.readMean(rows.ids, at, 1, texts, (i * lengthMax + at - from) * width);
      });
    },
    collect({ rowGradients }, { indptr, ids }, batch) {
      batch.forEach((row, i) => {
        const from = indptr[row]!;
        for (let at = from; at < indptr[row + 1]!; at++) {
          embedding.addShares(ids, at, 1, rowGradients['texts']!, (i * lengthMax + at - from) * width);
        }
      });
    },
  };
}

function fillLabels({ indices }: TrainingStep, { labels }: SequencedRows, batch: Int32Array): void {
  batch.forEach((row, i) => {
    indices['labels']![i] = BigInt(labels[row]!);
  });
}

type Vocabulary = Extract<Terms, { kind: 'vocabulary' }>;

/** The terms of the most texts, in the order of the list; of equally frequent ones those that come first. */
function chooseTerms({ terms, documents }: CountedTexts, termsMax: number): Vocabulary {
  if (terms.kind !== 'vocabulary') throw new Error('the terms of a text encoder are a list');
  if (terms.terms.length <= termsMax) return terms;
  const kept = Uint32Array.from([...documents.keys()].sort((a, b) => documents[b]! - documents[a]! || a - b).slice(0, termsMax)).sort();
  return { ...terms, terms: [...kept].map((id) => terms.terms[id]!) };
}

function checkParams({ encoder, kernels, filters, ngrams, lengthMax, termsMax, ...params }: TextEncoderParams): void {
  checkNeural(params);
  width('width', params.width);
  width('filters', filters);
  share('dropout', params.dropout);
  whole('lengthMax', lengthMax, 1, SEQUENCE_LENGTH_MAX);
  whole('termsMax', termsMax, 1, VOCABULARY_MAX);
  if (encoder === 'bag') return;
  requireParam(ngrams === 1, 'convolutions read words in their order: ngrams must be 1');
  requireParam(kernels.length > 0 && new Set(kernels).size === kernels.length, 'kernels must be different widths');
  for (const kernel of kernels) whole('a kernel', kernel, 1, Math.min(KERNEL_MAX, lengthMax));
}

/** Returns the number of classes. */
function checkRows({ texts, labels, weights }: TextRows): number {
  requireData(texts.length > 0, 'there are no texts');
  requireParam(labels.length === texts.length, `there must be ${texts.length} labels, not ${labels.length}`);
  requireParam(weights === undefined || weights.length === texts.length, `there must be ${texts.length} weights, not ${weights?.length}`);
  weights?.forEach((weight, row) => {
    requireData(weight >= 0 && weight < Infinity, `the weight of text ${row} is ${weight}`);
  });
  return countClasses(labels).length;
}

import { createTermCounter, type Terms, termCount } from '../../../scoring/text/terms.ts';
import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { sparseDesign } from '../linear/design.ts';
import { fitLogisticWeights, LOGISTIC_SOLVER_DEFAULTS, type LogisticSolverParams, probabilities, probabilityGraph } from '../linear/logistic.ts';
import { calibratedProbabilities, calibrationGraph, fitSvmWeights, type MarginCalibration } from '../linear/svm.ts';
import { inverseFrequencies, tfidf, tfidfGraph } from './tfidf.ts';
import { countTexts, VOCABULARY_DEFAULTS, type VocabularyParams } from './vocabulary.ts';

export interface TextRows {
  readonly texts: readonly string[];
  /** Classes 0, 1, ... */
  readonly labels: Float32Array;
  /** One a text, 0 or more. */
  readonly weights?: Float32Array;
}

export interface TextParams extends VocabularyParams, LogisticSolverParams {
  /** `l1` is for `logistic` alone. */
  classifier: 'logistic' | 'svm';
}

/** Terms are many and rare, so their gradients are small; going on to 1e-5 took 122 steps for 75 on 18,174 reviews and moved macro-F1 by under 0.003. */
const TOLERANCE = 1e-4;

export const TEXT_DEFAULTS: TextParams = {
  ...VOCABULARY_DEFAULTS,
  ...LOGISTIC_SOLVER_DEFAULTS,
  classifier: 'logistic',
  l2: 0.3,
  tolerance: TOLERANCE,
};

export interface TextModel {
  /** What the gateway needs beside the ONNX file: scoring/text/terms.ts turns it into the model's inputs. */
  readonly terms: Terms;
  readonly classes: number;
  /** 1 for two classes, otherwise one a class. */
  readonly outputs: number;
  readonly idf: Float32Array;
  /** Row-major terms x outputs. */
  readonly coefficients: Float32Array;
  readonly intercepts: Float32Array;
  /** Of a support vector machine. */
  readonly calibration?: MarginCalibration;
}

/**
 * TF-IDF of words and pairs, then logistic regression or a linear support vector machine on the sparse rows. Throws `training_data_insufficient`
 * where no term is left, for one class, a class without rows, or bad labels and weights.
 */
export function fitText({ texts, labels, weights }: TextRows, given: Partial<TextParams>, options: FitOptions): TextModel {
  const params = { ...TEXT_DEFAULTS, ...given };
  requireData(texts.length > 0, 'there are no texts');
  requireParam(labels.length === texts.length, `there must be ${texts.length} labels, not ${labels.length}`);
  const { terms, counts, documents } = countTexts(texts, params);
  const idf = inverseFrequencies(texts.length, documents);
  // Buckets that no term fell into are left out of the search: its steps cost what its numbers are.
  const used = Uint32Array.from([...documents.keys()].filter((id) => documents[id]! > 0));
  const place = new Uint32Array(documents.length);
  used.forEach((id, at) => {
    place[id] = at;
  });
  const { indptr, indices, values } = tfidf(counts, idf);
  const design = sparseDesign({ indptr, indices: indices.map((id) => place[id]!), values }, used.length);
  const fitted =
    params.classifier === 'svm'
      ? fitSvmWeights(design, labels, weights, params, options)
      : { ...fitLogisticWeights(design, labels, weights, params, options), calibration: undefined };
  const { outputs, classes, calibration } = fitted;
  const coefficients = new Float32Array(documents.length * outputs);
  used.forEach((id, at) => {
    coefficients.set(fitted.weights.subarray(at * outputs, (at + 1) * outputs), id * outputs);
  });
  const intercepts = Float32Array.from(fitted.weights.subarray(used.length * outputs));
  return { terms, classes, outputs, idf, coefficients, intercepts, ...(calibration ? { calibration } : {}) };
}

/** Probabilities, row-major: of class 1 (one a text) for two classes, otherwise of each class. */
export function predictText(model: TextModel, texts: readonly string[]): Float32Array {
  const { outputs, intercepts, calibration } = model;
  const counter = createTermCounter(model.terms);
  const coefficients = Float64Array.from(model.coefficients);
  const scores = Float64Array.from({ length: texts.length * outputs }, (_, i) => intercepts[i % outputs]!);
  texts.forEach((text, row) => {
    const { ids, counts } = counter(text);
    const weights = tfidf({ indptr: Uint32Array.of(0, ids.length), indices: ids, values: counts }, model.idf);
    sparseDesign(weights, termCount(model.terms)).addProduct(coefficients, outputs, scores.subarray(row * outputs, (row + 1) * outputs));
  });
  return calibration ? calibratedProbabilities(scores, outputs, calibration) : probabilities(scores, outputs);
}

/** Inputs `ids` int64 and `counts` float [N, T] of `termTensors`; outputs `score` and `probability`, float [N, outputs]. */
export function textToOnnx(model: TextModel): Uint8Array {
  const graph = new GraphBuilder('text');
  tfidfGraph(graph, model.idf, model.coefficients, model.intercepts);
  if (model.calibration) calibrationGraph(graph, model.outputs, model.calibration);
  else probabilityGraph(graph, model.outputs);
  return graph.toBytes();
}

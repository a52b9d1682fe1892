import { fitSigmoid } from '../../evaluation/calibration.ts';
import { splitsOf, stratifiedFolds } from '../../evaluation/splits.ts';
import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { type ClassWeights, countClasses, rowWeights } from './classes.ts';
import type { Design } from './design.ts';
import { minimise } from './lbfgs.ts';
import { meanLoss, type ScoreLoss, sigmoid } from './logistic.ts';
import { designOf, type LinearModel, linearGraph, linearModel, margins } from './model.ts';
import type { PreprocessParams } from './preprocess.ts';
import { checkTable, checkWeights, type TableRows } from './table.ts';

export interface SvmSolverParams {
  /** l2 / 2 times the squared length of the coefficients, beside the sum of the squared hinge losses: 1 / C of LIBLINEAR. */
  l2: number;
  classWeights: ClassWeights;
  tolerance: number;
  iterationsMax: number;
}

export interface SvmParams extends SvmSolverParams, PreprocessParams {}

export const SVM_SOLVER_DEFAULTS: SvmSolverParams = { l2: 1, classWeights: undefined, tolerance: 1e-5, iterationsMax: 1000 };
export const SVM_DEFAULTS: SvmParams = { ...SVM_SOLVER_DEFAULTS, categorical: [], logarithmic: [] };

/** Probability of an output = sigmoid(a margin + b). */
export interface MarginCalibration {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

export interface SvmModel extends LinearModel {
  /** 2: one output, the margin of class 1. More: one output a class against the rest. */
  readonly classes: number;
  readonly calibration: MarginCalibration;
}

/** Margins for the calibration come from models that did not see the row: a model is too sure of its own rows. */
const CALIBRATION_FOLDS = 3;

/**
 * Linear support vector machine with squared hinge loss by L-BFGS; several classes one against the rest; probabilities by Platt's sigmoid on the
 * margins of three folds. The seed deals the folds. Throws `training_data_insufficient` as `fitLogistic` does, and for a class of under 3 rows.
 */
export function fitSvm(table: TableRows, given: Partial<SvmParams>, options: FitOptions): SvmModel {
  const params = { ...SVM_DEFAULTS, ...given };
  checkTable(table);
  const { preprocess, design } = designOf(table, params);
  const { weights, outputs, classes, calibration } = fitSvmWeights(design, table.labels, table.weights, params, options);
  return { ...linearModel(preprocess, outputs, weights), classes, calibration };
}

/** Probabilities, row-major: of class 1 (n values) for two classes, otherwise of each class (n x classes), which sum to 1. */
export function predictSvm(model: SvmModel, rows: Float32Array): Float32Array {
  return calibratedProbabilities(margins(model, rows), model.outputs, model.calibration);
}

/** Input `features` float [N, F] (NaN is missing); outputs `score` (margins) and `probability`, float [N, outputs]. */
export function svmToOnnx(model: SvmModel): Uint8Array {
  const graph = new GraphBuilder('svm');
  linearGraph(graph, model);
  calibrationGraph(graph, model.outputs, model.calibration);
  return graph.toBytes();
}

/** Adds output `probability` beside `score`, the margins. */
export function calibrationGraph(graph: GraphBuilder, outputs: number, { a, b }: MarginCalibration): void {
  const scaled = graph.node('Mul', ['score', graph.initializer('sigmoid_a', a, [outputs])]);
  const shifted = graph.node('Add', [scaled, graph.initializer('sigmoid_b', b, [outputs])]);
  if (outputs === 1) graph.node('Sigmoid', [shifted], {}, 'probability');
  else {
    const each = graph.node('Sigmoid', [shifted]);
    graph.node('Div', [each, graph.node('ReduceSum', [each, graph.ints(1)], { keepdims: { i: 1 } })], {}, 'probability');
  }
  graph.output('probability', 'float32', ['N', outputs]);
}

export function calibratedProbabilities(scores: Float64Array, outputs: number, { a, b }: MarginCalibration): Float32Array {
  const each = Float64Array.from(scores, (margin, i) => sigmoid(a[i % outputs]! * margin + b[i % outputs]!));
  for (let at = 0; outputs > 1 && at < each.length; at += outputs) {
    let sum = 0;
    for (let k = at; k < at + outputs; k++) sum += each[k]!;
    for (let k = at; k < at + outputs; k++) each[k]! /= sum;
  }
  return Float32Array.from(each);
}

/** Columns x outputs weights and then the intercepts, for any design matrix, with their calibration. Throws as `fitSvm` does. */
export function fitSvmWeights(
  design: Design,
  labels: Float32Array,
  ownWeights: Float32Array | undefined,
  given: Partial<SvmSolverParams>,
  options: FitOptions,
) {
  const params = { ...SVM_SOLVER_DEFAULTS, ...given };
  requireParam(Number.isFinite(params.l2) && params.l2 > 0, `l2 must be positive, not ${params.l2}`);
  requireParam(labels.length === design.rows, `there must be ${design.rows} labels, not ${labels.length}`);
  const counts = countClasses(labels);
  requireData(Math.min(...counts) >= CALIBRATION_FOLDS, `a class has fewer than ${CALIBRATION_FOLDS} rows`);
  checkWeights(ownWeights, design.rows);
  const classes = counts.length;
  const outputs = classes === 2 ? 1 : classes;
  const rows = rowWeights(labels, counts.length, ownWeights, params.classWeights);
  let stage = 0;
  const stages = CALIBRATION_FOLDS + 1;
  const solve = (part: Design, partLabels: Float32Array, partWeights: Float64Array) => {
    const total = partWeights.reduce((sum, weight) => sum + weight, 0);
    requireData(total > 0, 'all weights are zero');
    const start = new Float64Array(part.columns * outputs + outputs);
    const smooth = meanLoss(part, outputs, total, params.l2, hingeLoss(partLabels, partWeights, outputs));
    const found = minimise(smooth, start, { tolerance: params.tolerance, iterationsMax: params.iterationsMax });
    options.progress?.(++stage, stages, `loss ${found.value.toFixed(6)}`);
    return found.x;
  };
  const held = new Float64Array(design.rows * outputs);
  for (const { train, test } of splitsOf(stratifiedFolds(labels, CALIBRATION_FOLDS, options.seed), CALIBRATION_FOLDS)) {
    const weights = solve(
      design.take(train),
      Float32Array.from(train, (row) => labels[row]!),
      Float64Array.from(train, (row) => rows[row]!),
    );
    const scores = marginsOf(design.take(test), weights, outputs);
    for (let i = 0; i < test.length; i++) for (let k = 0; k < outputs; k++) held[test[i]! * outputs + k] = scores[i * outputs + k]!;
  }
  return { weights: solve(design, labels, rows), outputs, classes, calibration: calibrate(held, labels, outputs) };
}

function marginsOf(design: Design, weights: Float64Array, outputs: number): Float64Array {
  const scores = Float64Array.from({ length: design.rows * outputs }, (_, i) => weights[design.columns * outputs + (i % outputs)]!);
  design.addProduct(weights, outputs, scores);
  return scores;
}

function calibrate(scores: Float64Array, labels: Float32Array, outputs: number): MarginCalibration {
  const each = Array.from({ length: outputs }, (_, k) => {
    const own = outputs === 1 ? labels : labels.map((label) => (label === k ? 1 : 0));
    return fitSigmoid(
      Float64Array.from(labels, (_, row) => scores[row * outputs + k]!),
      own,
    );
  });
  return { a: Float32Array.from(each, ({ a }) => a), b: Float32Array.from(each, ({ b }) => b) };
}

/** max(0, 1 - margin towards the true side)^2 of every output. */
function hingeLoss(labels: Float32Array, weights: Float64Array, outputs: number): ScoreLoss {
  return (scores) => {
    let sum = 0;
    for (let row = 0, at = 0; row < weights.length; row++) {
      for (let k = 0; k < outputs; k++, at++) {
        const side = (outputs === 1 ? labels[row]! > 0 : labels[row] === k) ? 1 : -1;
        const gap = 1 - side * scores[at]!;
        if (gap > 0) sum += weights[row]! * gap * gap;
        scores[at] = gap > 0 ? -2 * weights[row]! * side * gap : 0;
      }
    }
    return sum;
  };
}

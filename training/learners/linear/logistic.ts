import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireParam } from '../contract.ts';
import { type ClassWeights, countClasses, rowWeights } from './classes.ts';
import type { Design } from './design.ts';
import { minimise } from './lbfgs.ts';
import { designOf, type LinearModel, linearGraph, linearModel, margins } from './model.ts';
import type { PreprocessParams } from './preprocess.ts';
import { checkTable, checkWeights, type TableRows } from './table.ts';

/** How the weights are found; shared with the learners of other matrices. */
export interface LogisticSolverParams {
  /** l2 / 2 times the squared length of the coefficients, beside the sum of the losses: 1 / C of scikit-learn and LIBLINEAR. */
  l2: number;
  /** Times the sum of the coefficients' absolute values: makes many of them exactly 0. */
  l1: number;
  classWeights: ClassWeights;
  /** Done when no coordinate of the mean loss's gradient is larger. */
  tolerance: number;
  iterationsMax: number;
}

export interface LogisticParams extends LogisticSolverParams, PreprocessParams {}

export const LOGISTIC_SOLVER_DEFAULTS: LogisticSolverParams = { l2: 1, l1: 0, classWeights: undefined, tolerance: 1e-5, iterationsMax: 1000 };
export const LOGISTIC_DEFAULTS: LogisticParams = { ...LOGISTIC_SOLVER_DEFAULTS, categorical: [], logarithmic: [] };

export interface LogisticModel extends LinearModel {
  /** 2: one output, the log-odds of class 1. More: one output a class (softmax). */
  readonly classes: number;
}

/**
 * Logistic regression, binary or multinomial, by L-BFGS; with `l1` by OWL-QN. The intercepts are not punished. Throws
 * `training_data_insufficient` for an empty table, one class, a class without rows, or bad labels and weights.
 */
export function fitLogistic(table: TableRows, given: Partial<LogisticParams>, options: FitOptions): LogisticModel {
  const params = { ...LOGISTIC_DEFAULTS, ...given };
  checkTable(table);
  const { preprocess, design } = designOf(table, params);
  const { weights, outputs, classes } = fitLogisticWeights(design, table.labels, table.weights, params, options);
  return { ...linearModel(preprocess, outputs, weights), classes };
}

/** Probabilities, row-major: of class 1 (n values) for two classes, otherwise of each class (n x classes). */
export function predictLogistic(model: LogisticModel, rows: Float32Array): Float32Array {
  return probabilities(margins(model, rows), model.outputs);
}

/** Input `features` float [N, F] (NaN is missing); outputs `score` (log-odds) and `probability`, float [N, outputs]. */
export function logisticToOnnx(model: LogisticModel): Uint8Array {
  const graph = new GraphBuilder('logistic');
  linearGraph(graph, model);
  probabilityGraph(graph, model.outputs);
  return graph.toBytes();
}

/** Adds output `probability` beside `score`. */
export function probabilityGraph(graph: GraphBuilder, outputs: number): void {
  if (outputs === 1) graph.node('Sigmoid', ['score'], {}, 'probability');
  else graph.node('Softmax', ['score'], { axis: { i: -1 } }, 'probability');
  graph.output('probability', 'float32', ['N', outputs]);
}

export function probabilities(scores: Float64Array, outputs: number): Float32Array {
  if (outputs === 1) return Float32Array.from(scores, sigmoid);
  const out = new Float64Array(scores);
  for (let at = 0; at < out.length; at += outputs) softmax(out, at, outputs);
  return Float32Array.from(out);
}

export function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

/** Columns x outputs weights and then the intercepts, for any design matrix. Throws as `fitLogistic` does. */
export function fitLogisticWeights(
  design: Design,
  labels: Float32Array,
  ownWeights: Float32Array | undefined,
  given: Partial<LogisticSolverParams>,
  options: Pick<FitOptions, 'progress'>,
) {
  const params = { ...LOGISTIC_SOLVER_DEFAULTS, ...given };
  checkSolver(params);
  requireParam(labels.length === design.rows, `there must be ${design.rows} labels, not ${labels.length}`);
  const counts = countClasses(labels);
  checkWeights(ownWeights, design.rows);
  const weights = rowWeights(labels, counts.length, ownWeights, params.classWeights);
  const classes = counts.length;
  const outputs = classes === 2 ? 1 : classes;
  let total = 0;
  for (const weight of weights) total += weight;
  const coefficients = design.columns * outputs;
  const smooth = meanLoss(design, outputs, total, params.l2, outputs === 1 ? binaryLoss(labels, weights) : softmaxLoss(labels, weights, outputs));
  const l1 = params.l1 > 0 ? new Float64Array(coefficients + outputs).fill(params.l1 / total, 0, coefficients) : undefined;
  const found = minimise(smooth, new Float64Array(coefficients + outputs), {
    tolerance: params.tolerance,
    iterationsMax: params.iterationsMax,
    ...(l1 ? { l1 } : {}),
    ...(options.progress ? { progress: options.progress } : {}),
  });
  return { weights: found.x, outputs, classes, found };
}

/** Sum of the losses at `scores` (row-major rows x outputs); overwrites each score with the loss's derivative. */
export type ScoreLoss = (scores: Float64Array) => number;

/** (sum of losses + l2 / 2 |coefficients|^2) / total as a function of coefficients and intercepts. */
export function meanLoss(design: Design, outputs: number, total: number, l2: number, loss: ScoreLoss) {
  const scores = new Float64Array(design.rows * outputs);
  const split = design.columns * outputs;
  return (x: Float64Array, gradient: Float64Array): number => {
    for (let i = 0; i < scores.length; i++) scores[i] = x[split + (i % outputs)]!;
    design.addProduct(x, outputs, scores);
    let value = loss(scores);
    gradient.fill(0);
    design.addTransposed(scores, outputs, gradient);
    for (let i = 0; i < scores.length; i++) gradient[split + (i % outputs)]! += scores[i]!;
    for (let i = 0; i < split; i++) {
      value += (l2 / 2) * x[i]! * x[i]!;
      gradient[i]! += l2 * x[i]!;
    }
    for (let i = 0; i < gradient.length; i++) gradient[i]! /= total;
    return value / total;
  };
}

function binaryLoss(labels: Float32Array, weights: Float64Array): ScoreLoss {
  return (scores) => {
    let sum = 0;
    for (let row = 0; row < scores.length; row++) {
      const z = scores[row]!;
      const towards = labels[row]! > 0 ? z : -z;
      // log(1 + e^-z) without overflow.
      sum += weights[row]! * (Math.max(0, -towards) + Math.log1p(Math.exp(-Math.abs(z))));
      scores[row] = weights[row]! * (sigmoid(z) - labels[row]!);
    }
    return sum;
  };
}

function softmaxLoss(labels: Float32Array, weights: Float64Array, classes: number): ScoreLoss {
  return (scores) => {
    let sum = 0;
    for (let row = 0, at = 0; row < weights.length; row++, at += classes) {
      const own = scores[at + labels[row]!]!;
      sum += weights[row]! * (softmax(scores, at, classes) - own);
      scores[at + labels[row]!]! -= 1;
      for (let k = at; k < at + classes; k++) scores[k]! *= weights[row]!;
    }
    return sum;
  };
}

/** Turns scores [at, at + classes) into probabilities; returns the logarithm of the sum of their exponentials. */
function softmax(scores: Float64Array, at: number, classes: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let k = at; k < at + classes; k++) most = Math.max(most, scores[k]!);
  let sum = 0;
  for (let k = at; k < at + classes; k++) {
    scores[k] = Math.exp(scores[k]! - most);
    sum += scores[k]!;
  }
  for (let k = at; k < at + classes; k++) scores[k]! /= sum;
  return most + Math.log(sum);
}

function checkSolver({ l2, l1, tolerance, iterationsMax }: LogisticSolverParams): void {
  requireParam(Number.isFinite(l2) && l2 >= 0, `l2 must be 0 or positive, not ${l2}`);
  requireParam(Number.isFinite(l1) && l1 >= 0, `l1 must be 0 or positive, not ${l1}`);
  requireParam(tolerance > 0, `tolerance must be positive, not ${tolerance}`);
  requireParam(Number.isInteger(iterationsMax) && iterationsMax >= 1, `iterationsMax must be 1 or more, not ${iterationsMax}`);
}

import { solveLower, solveLowerTransposed, tryCholesky } from '../../../scoring/cholesky.ts';
import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { type LinearModel, linearGraph, linearModel, margins } from './model.ts';
import { fitPreprocess, type PreprocessParams, transform, widthOf } from './preprocess.ts';
import { checkTable, type TableRows } from './table.ts';

export interface LinearRegressionParams extends PreprocessParams {
  /** Ridge: l2 / 2 times the squared length of the coefficients beside half the sum of squared errors (scikit-learn's alpha). */
  l2: number;
}

export const LINEAR_REGRESSION_DEFAULTS: LinearRegressionParams = { l2: 1, categorical: [], logarithmic: [] };

/** The matrix of the normal equations takes 134 MB at so many columns. */
const COLUMNS_MAX = 4096;

/**
 * Least squares with ridge on standardised columns, by the normal equations. The intercept is not punished. Throws
 * `training_data_insufficient` for an empty table, bad labels, or columns that depend on one another without ridge.
 */
export function fitLinearRegression(table: TableRows, given: Partial<LinearRegressionParams>, _options: FitOptions): LinearModel {
  const params = { ...LINEAR_REGRESSION_DEFAULTS, ...given };
  requireParam(Number.isFinite(params.l2) && params.l2 >= 0, `l2 must be 0 or positive, not ${params.l2}`);
  checkTable(table);
  const preprocess = fitPreprocess(table, params);
  const width = widthOf(preprocess);
  requireParam(width <= COLUMNS_MAX, `there may be ${COLUMNS_MAX} columns, not ${width}`);
  const { matrix, right, means, labelMean } = normalEquations(transform(preprocess, table.rows), width, table);
  for (let i = 0; i < width; i++) {
    // A constant column has a zero coefficient, with or without ridge.
    matrix[i * width + i]! += preprocess.inverseScale[i] === 0 ? 1 : params.l2;
  }
  requireData(tryCholesky(matrix, width, PIVOT_SHARE_MIN), 'some columns are sums of others: set l2 over 0');
  solveLower(matrix, right);
  solveLowerTransposed(matrix, right);
  let intercept = labelMean;
  for (let i = 0; i < width; i++) intercept -= right[i]! * means[i]!;
  return linearModel(preprocess, 1, Float64Array.of(...right, intercept));
}

/** Float32 values, as the served model answers. */
export function predictLinearRegression(model: LinearModel, rows: Float32Array): Float32Array {
  return Float32Array.from(margins(model, rows));
}

/** Input `features` float [N, F] (NaN is missing), output `score` float [N, 1]. */
export function linearRegressionToOnnx(model: LinearModel): Uint8Array {
  const graph = new GraphBuilder('linear_regression');
  linearGraph(graph, model);
  return graph.toBytes();
}

/** X' W X (lower triangle) and X' W y of centred columns and labels. */
function normalEquations(x: Float32Array, width: number, { n, labels, weights }: TableRows) {
  const means = new Float64Array(width);
  let [labelMean, total] = [0, 0];
  for (let row = 0; row < n; row++) {
    const weight = weights ? weights[row]! : 1;
    total += weight;
    labelMean += weight * labels[row]!;
    for (let i = 0; i < width; i++) means[i]! += weight * x[row * width + i]!;
  }
  labelMean /= total;
  for (let i = 0; i < width; i++) means[i]! /= total;
  const matrix = new Float64Array(width * width);
  const right = new Float64Array(width);
  const centred = new Float64Array(width);
  for (let row = 0; row < n; row++) {
    const weight = weights ? weights[row]! : 1;
    for (let i = 0; i < width; i++) centred[i] = x[row * width + i]! - means[i]!;
    for (let i = 0; i < width; i++) {
      const share = weight * centred[i]!;
      right[i]! += share * (labels[row]! - labelMean);
      for (let j = 0; j <= i; j++) matrix[i * width + j]! += share * centred[j]!;
    }
  }
  return { matrix, right, means, labelMean };
}

/** Columns that are sums of others leave about the rounding of float32 values, squared and summed in float64. */
const PIVOT_SHARE_MIN = 1e-10;

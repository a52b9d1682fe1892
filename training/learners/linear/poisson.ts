import { GraphBuilder } from '../../onnx/graph.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { minimise } from './lbfgs.ts';
import { meanLoss, type ScoreLoss } from './logistic.ts';
import { designOf, type LinearModel, linearGraph, linearModel, margins } from './model.ts';
import type { PreprocessParams } from './preprocess.ts';
import { checkTable, type TableRows } from './table.ts';

export interface PoissonParams extends PreprocessParams {
  /** l2 / 2 times the squared length of the coefficients, beside the sum of the losses (rows times scikit-learn's alpha). */
  l2: number;
  tolerance: number;
  iterationsMax: number;
}

export const POISSON_DEFAULTS: PoissonParams = { l2: 1, tolerance: 1e-6, iterationsMax: 1000, categorical: [], logarithmic: [] };

/**
 * Poisson regression: labels are counts, or counts per exposure with the exposures as weights; the logarithm of the mean is linear. Throws
 * `training_data_insufficient` for an empty table, negative labels, or nothing but zeros.
 */
export function fitPoisson(table: TableRows, given: Partial<PoissonParams>, options: FitOptions): LinearModel {
  const params = { ...POISSON_DEFAULTS, ...given };
  requireParam(Number.isFinite(params.l2) && params.l2 >= 0, `l2 must be 0 or positive, not ${params.l2}`);
  checkTable(table);
  const weights = table.weights ?? new Float32Array(table.n).fill(1);
  let [total, sum] = [0, 0];
  for (let row = 0; row < table.n; row++) {
    if (!(table.labels[row]! >= 0)) requireData(false, `the label of row ${row} is ${table.labels[row]}, not a count`);
    total += weights[row]!;
    sum += weights[row]! * table.labels[row]!;
  }
  requireData(sum > 0, 'all counts are zero');
  const { preprocess, design } = designOf(table, params);
  const start = new Float64Array(design.columns + 1);
  start[design.columns] = Math.log(sum / total);
  const { tolerance, iterationsMax } = params;
  const found = minimise(meanLoss(design, 1, total, params.l2, poissonLoss(table.labels, weights)), start, {
    // Relative to the mean count: the gradient is in its unit.
    tolerance: tolerance * (sum / total),
    iterationsMax,
    ...(options.progress ? { progress: options.progress } : {}),
  });
  return linearModel(preprocess, 1, found.x);
}

/** Mean counts, float32, as the served model answers. */
export function predictPoisson(model: LinearModel, rows: Float32Array): Float32Array {
  return Float32Array.from(margins(model, rows), Math.exp);
}

/** Input `features` float [N, F] (NaN is missing); outputs `score`, the logarithm of the mean, and `mean`, float [N, 1]. */
export function poissonToOnnx(model: LinearModel): Uint8Array {
  const graph = new GraphBuilder('poisson');
  linearGraph(graph, model);
  graph.node('Exp', ['score'], {}, 'mean');
  graph.output('mean', 'float32', ['N', 1]);
  return graph.toBytes();
}

function poissonLoss(labels: Float32Array, weights: Float32Array): ScoreLoss {
  return (scores) => {
    let sum = 0;
    for (let row = 0; row < scores.length; row++) {
      const mean = Math.exp(scores[row]!);
      sum += weights[row]! * (mean - labels[row]! * scores[row]!);
      scores[row] = weights[row]! * (mean - labels[row]!);
    }
    return sum;
  };
}

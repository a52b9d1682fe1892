import type { GraphBuilder } from '../../onnx/graph.ts';
import { denseDesign } from './design.ts';
import { fitPreprocess, type Preprocess, type PreprocessParams, preprocessGraph, transform, widthOf } from './preprocess.ts';
import type { TableRows } from './table.ts';

/** What all linear models are: a step from features to columns, and one weighted sum of these for each output. */
export interface LinearModel {
  readonly preprocess: Preprocess;
  readonly outputs: number;
  /** Row-major columns x outputs. */
  readonly coefficients: Float32Array;
  readonly intercepts: Float32Array;
}

/** Weighted sums of float32 rows, row-major n x outputs. */
export function margins({ preprocess, outputs, coefficients, intercepts }: LinearModel, rows: Float32Array): Float64Array {
  const width = widthOf(preprocess);
  const n = rows.length / preprocess.featureCount;
  const sums = Float64Array.from({ length: n * outputs }, (_, i) => intercepts[i % outputs]!);
  if (width > 0 && n > 0) denseDesign(transform(preprocess, rows), width).addProduct(Float64Array.from(coefficients), outputs, sums);
  return sums;
}

/** The rows of a table as a learner sees them, with the step that made them. */
export function designOf(table: TableRows, params: Partial<PreprocessParams>) {
  const preprocess = fitPreprocess(table, params);
  return { preprocess, design: denseDesign(transform(preprocess, table.rows), widthOf(preprocess)) };
}

/** Columns x outputs, then the intercepts: how the learners hold what they fit. */
export function linearModel(preprocess: Preprocess, outputs: number, weights: Float64Array): LinearModel {
  const split = widthOf(preprocess) * outputs;
  return { preprocess, outputs, coefficients: Float32Array.from(weights.subarray(0, split)), intercepts: Float32Array.from(weights.subarray(split)) };
}

/** Adds input `features` float [N, F] and output `score` float [N, outputs], the weighted sums. */
export function linearGraph(graph: GraphBuilder, { preprocess, outputs, coefficients, intercepts }: LinearModel): void {
  graph.input('features', 'float32', ['N', preprocess.featureCount]);
  const columns = preprocessGraph(graph, 'features', preprocess);
  const weights = graph.initializer('coefficients', coefficients, [coefficients.length / outputs, outputs]);
  const offsets = graph.initializer('intercepts', intercepts, [outputs]);
  graph.node('Gemm', [columns, weights, offsets], {}, 'score');
  graph.output('score', 'float32', ['N', outputs]);
}

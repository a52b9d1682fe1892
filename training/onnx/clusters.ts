import type { KMeansModel } from '../learners/cluster/kmeans.ts';
import type { Projection } from '../learners/decompose/pca.ts';
import { GraphBuilder } from './graph.ts';

/**
 * Nearest centre as ONNX: input `features` float [N, F], outputs `cluster` int64 [N] and `distance` float [N], Euclidean, to that centre.
 * Differences are squared and added as the trainer does it: the usual |x|^2 - 2xc + |c|^2 would lose float32's digits away from the origin.
 */
export function kmeansToOnnx({ centres, columns }: Pick<KMeansModel, 'centres' | 'columns'>): Uint8Array {
  const clusters = centres.length / columns;
  const graph = new GraphBuilder('kmeans');
  graph.input('features', 'float32', ['N', columns]);
  const rows = graph.node('Unsqueeze', ['features', graph.ints(1)]);
  const offset = graph.node('Sub', [rows, graph.initializer('centres', Float32Array.from(centres), [1, clusters, columns])]);
  const squares = graph.node('ReduceSum', [graph.node('Mul', [offset, offset]), graph.ints(2)], { keepdims: { i: 0 } });
  graph.node('ArgMin', [squares], { axis: { i: 1 }, keepdims: { i: 0 } }, 'cluster');
  graph.node('Sqrt', [graph.node('ReduceMin', [squares, graph.ints(1)], { keepdims: { i: 0 } })], {}, 'distance');
  graph.output('cluster', 'int64', ['N']);
  graph.output('distance', 'float32', ['N']);
  return graph.toBytes();
}

/** PCA or ICA as ONNX: input `features` float [N, F], output `components` float [N, K]. Centred first, in float64, as means may be large. */
export function projectionToOnnx({ mean, matrix, components, columns }: Projection): Uint8Array {
  const graph = new GraphBuilder('projection');
  graph.input('features', 'float32', ['N', columns]);
  const centred = graph.node('Sub', [
    graph.node('Cast', ['features'], { to: { i: 11 } }),
    graph.initializer('mean', Float64Array.from(mean), [columns]),
  ]);
  const product = graph.node('Gemm', [centred, graph.initializer('matrix', Float64Array.from(matrix), [components, columns])], { transB: { i: 1 } });
  graph.node('Cast', [product], { to: { i: 1 } }, 'components');
  graph.output('components', 'float32', ['N', components]);
  return graph.toBytes();
}

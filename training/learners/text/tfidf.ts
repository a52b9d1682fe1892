import type { GraphBuilder } from '../../onnx/graph.ts';
import type { SparseRows } from '../sparse.ts';

/** ln((1 + texts) / (1 + texts with the term)) + 1, float32: as if one more text held every term, so that none is infinitely rare. 0 for one that is not used. */
export function inverseFrequencies(texts: number, documents: Uint32Array): Float32Array {
  return Float32Array.from(documents, (count) => (count > 0 ? Math.log((1 + texts) / (1 + count)) + 1 : 0));
}

/** (1 + ln count) idf, each row scaled to length 1; a row without terms stays empty. */
export function tfidf({ indptr, indices, values }: SparseRows, idf: Float32Array): SparseRows {
  const weights = new Float32Array(values.length);
  for (let row = 0; row + 1 < indptr.length; row++) {
    let squares = 0;
    for (let at = indptr[row]!; at < indptr[row + 1]!; at++) {
      weights[at] = (1 + Math.log(values[at]!)) * idf[indices[at]!]!;
      squares += weights[at]! * weights[at]!;
    }
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let at = indptr[row]!; at < indptr[row + 1]!; at++) weights[at]! *= scale;
  }
  return { indptr, indices, values: weights };
}

/** Below this a row has no terms; the smallest length that a term gives is about 1. */
const LENGTH_MIN = 1e-6;

/**
 * The same as nodes, with the linear model behind it: inputs `ids` int64 [N, T] and `counts` float [N, T] (count 0: no term), output `score`
 * float [N, outputs]. Only the weights of the text's own terms are touched.
 */
export function tfidfGraph(graph: GraphBuilder, idf: Float32Array, coefficients: Float32Array, intercepts: Float32Array): void {
  const outputs = intercepts.length;
  graph.input('ids', 'int64', ['N', 'T']);
  graph.input('counts', 'float32', ['N', 'T']);
  const isPresent = graph.node('Cast', [graph.node('Greater', ['counts', graph.scalar(0)])], { to: { i: FLOAT } });
  const one = graph.scalar(1);
  const damped = graph.node('Add', [graph.node('Log', [graph.node('Max', ['counts', one])]), one]);
  const rarity = graph.node('Gather', [graph.initializer('idf', idf, [idf.length]), 'ids']);
  const weights = graph.node('Mul', [graph.node('Mul', [isPresent, damped]), rarity]);
  const squares = graph.node('ReduceSum', [graph.node('Mul', [weights, weights]), graph.ints(1)], { keepdims: { i: 1 } });
  const length = graph.node('Max', [graph.node('Sqrt', [squares]), graph.scalar(LENGTH_MIN)]);
  const rows = graph.node('Gather', [graph.initializer('coefficients', coefficients, [idf.length, outputs]), 'ids']);
  const sums = graph.node('MatMul', [graph.node('Unsqueeze', [weights, graph.ints(1)]), rows]);
  const scaled = graph.node('Div', [graph.node('Squeeze', [sums, graph.ints(1)]), length]);
  graph.node('Add', [scaled, graph.initializer('intercepts', intercepts, [outputs])], {}, 'score');
  graph.output('score', 'float32', ['N', outputs]);
}

/** TensorProto.DataType of float32. */
const FLOAT = 1;

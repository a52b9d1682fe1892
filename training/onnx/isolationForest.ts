import type { IsolationModel } from '../learners/anomaly/isolationForest.ts';
import { GraphBuilder, ML_DOMAIN } from './graph.ts';
import { attributesOf } from './treeEnsemble.ts';

/** Isolation forest as ONNX: input `features` float [N, F] (NaN is missing), output `score` float [N, 1], 2^-(sum of the leaves). */
export function isolationForestToOnnx({ featureCount, trees }: IsolationModel): Uint8Array {
  const graph = new GraphBuilder('isolation_forest');
  graph.input('features', 'float32', ['N', featureCount]);
  const depth = graph.node('TreeEnsembleRegressor', ['features'], attributesOf({ base: 0, trees }), undefined, ML_DOMAIN);
  graph.node('Pow', [graph.scalar(2), graph.node('Neg', [depth])], {}, 'score');
  graph.output('score', 'float32', ['N', 1]);
  return graph.toBytes();
}

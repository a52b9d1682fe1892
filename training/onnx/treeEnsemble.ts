import type { TreeEnsemble } from '../../contracts/trees.ts';
import { LEAF } from '../../contracts/trees.ts';
import { GraphBuilder, ML_DOMAIN } from './graph.ts';

/**
 * Boosted trees as ONNX: input `features` float [N, F] (NaN is missing), output `score` float [N, 1], the margin; for `binary`
 * also `probability` float [N, 1]. Thresholds, leaf values and base are float32 already, so the file holds them exactly.
 */
export function treeEnsembleToOnnx(ensemble: TreeEnsemble, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const graph = new GraphBuilder('trees', { metadata });
  graph.input('features', 'float32', ['N', ensemble.featureCount]);
  graph.node('TreeEnsembleRegressor', ['features'], attributesOf(ensemble), 'score', ML_DOMAIN);
  graph.output('score', 'float32', ['N', 1]);
  if (ensemble.objective === 'binary') {
    graph.node('Sigmoid', ['score'], {}, 'probability');
    graph.output('probability', 'float32', ['N', 1]);
  }
  return graph.toBytes();
}

function attributesOf(ensemble: TreeEnsemble) {
  const treeIds: number[] = [];
  const nodeIds: number[] = [];
  const featureIds: number[] = [];
  const modes: string[] = [];
  const values: number[] = [];
  const trueIds: number[] = [];
  const falseIds: number[] = [];
  const missingTracksTrue: number[] = [];
  const leafTrees: number[] = [];
  const leafNodes: number[] = [];
  const leafValues: number[] = [];
  // The operator wants at least one tree.
  const trees = ensemble.trees.length > 0 ? ensemble.trees : [EMPTY_TREE];
  trees.forEach((tree, treeId) => {
    tree.feature.forEach((feature, node) => {
      const leaf = feature === LEAF;
      treeIds.push(treeId);
      nodeIds.push(node);
      featureIds.push(leaf ? 0 : feature);
      modes.push(leaf ? 'LEAF' : 'BRANCH_LEQ');
      values.push(leaf ? 0 : tree.threshold[node]!);
      trueIds.push(tree.left[node]!);
      falseIds.push(tree.right[node]!);
      missingTracksTrue.push(tree.missingLeft[node]!);
      if (leaf) {
        leafTrees.push(treeId);
        leafNodes.push(node);
        leafValues.push(tree.value[node]!);
      }
    });
  });
  return {
    aggregate_function: { s: 'SUM' },
    base_values: { floats: [ensemble.base] },
    n_targets: { i: 1 },
    nodes_falsenodeids: { ints: falseIds },
    nodes_featureids: { ints: featureIds },
    nodes_missing_value_tracks_true: { ints: missingTracksTrue },
    nodes_modes: { strings: modes },
    nodes_nodeids: { ints: nodeIds },
    nodes_treeids: { ints: treeIds },
    nodes_truenodeids: { ints: trueIds },
    nodes_values: { floats: values },
    post_transform: { s: 'NONE' },
    target_ids: { ints: leafTrees.map(() => 0) },
    target_nodeids: { ints: leafNodes },
    target_treeids: { ints: leafTrees },
    target_weights: { floats: leafValues },
  };
}

const EMPTY_TREE = { feature: [LEAF], threshold: [0], left: [0], right: [0], missingLeft: [0], value: [0], cover: [1] };

import type { Tree, TreeEnsemble } from '../../contracts/trees.ts';
import { LEAF } from '../../contracts/trees.ts';
import { GraphBuilder, ML_DOMAIN } from './graph.ts';

/**
 * Trees as ONNX: input `features` float [N, F] (NaN is missing), output `score` float [N, 1], the margin; for `binary` and `probability`
 * also `probability` float [N, 1], for `poisson` also `mean`. Thresholds, leaf values and base are float32 already, so the file holds them exactly.
 */
export function treeEnsembleToOnnx(ensemble: TreeEnsemble, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const graph = new GraphBuilder('trees', { metadata });
  graph.input('features', 'float32', ['N', ensemble.featureCount]);
  graph.node('TreeEnsembleRegressor', ['features'], attributesOf(ensemble), 'score', ML_DOMAIN);
  graph.output('score', 'float32', ['N', 1]);
  if (ensemble.objective === 'binary') graph.node('Sigmoid', ['score'], {}, 'probability');
  if (ensemble.objective === 'probability') {
    // Rounding may leave a mean of ones a little above 1.
    graph.node('Clip', ['score', graph.scalar(0), graph.scalar(1)], {}, 'probability');
  }
  if (ensemble.objective === 'binary' || ensemble.objective === 'probability') graph.output('probability', 'float32', ['N', 1]);
  if (ensemble.objective === 'poisson') {
    graph.node('Exp', ['score'], {}, 'mean');
    graph.output('mean', 'float32', ['N', 1]);
  }
  return graph.toBytes();
}

/** Columns of the operator's nodes. */
function createNodes() {
  const columns = {
    treeIds: [] as number[],
    nodeIds: [] as number[],
    featureIds: [] as number[],
    modes: [] as string[],
    values: [] as number[],
    trueIds: [] as number[],
    falseIds: [] as number[],
    missingTracksTrue: [] as number[],
  };
  function add(tree: number, node: number, feature: number, mode: string, value: number, ifTrue: number, ifFalse: number, missing: number): void {
    columns.treeIds.push(tree);
    columns.nodeIds.push(node);
    columns.featureIds.push(feature);
    columns.modes.push(mode);
    columns.values.push(value);
    columns.trueIds.push(ifTrue);
    columns.falseIds.push(ifFalse);
    columns.missingTracksTrue.push(missing);
  }
  return { columns, add };
}

/** What TreeEnsembleRegressor wants to know: the sum of the trees' leaves and the base. */
export function attributesOf(ensemble: Pick<TreeEnsemble, 'base' | 'trees'>) {
  const { columns, add } = createNodes();
  const leafTrees: number[] = [];
  const leafNodes: number[] = [];
  const leafValues: number[] = [];
  // The operator wants at least one tree.
  const trees = ensemble.trees.length > 0 ? ensemble.trees : [EMPTY_TREE];
  trees.forEach((tree, treeId) => {
    let extra = tree.feature.length;
    tree.feature.forEach((feature, node) => {
      const members = tree.categories?.[node];
      if (feature === LEAF) {
        add(treeId, node, 0, 'LEAF', 0, 0, 0, 0);
        leafTrees.push(treeId);
        leafNodes.push(node);
        leafValues.push(tree.value[node]!);
      } else if (members) extra = addMembers(treeId, tree, node, members, extra, add);
      else add(treeId, node, feature, 'BRANCH_LEQ', tree.threshold[node]!, tree.left[node]!, tree.right[node]!, tree.missingLeft[node]!);
    });
  });
  return {
    aggregate_function: { s: 'SUM' },
    base_values: { floats: [ensemble.base] },
    n_targets: { i: 1 },
    nodes_falsenodeids: { ints: columns.falseIds },
    nodes_featureids: { ints: columns.featureIds },
    nodes_missing_value_tracks_true: { ints: columns.missingTracksTrue },
    nodes_modes: { strings: columns.modes },
    nodes_nodeids: { ints: columns.nodeIds },
    nodes_treeids: { ints: columns.treeIds },
    nodes_truenodeids: { ints: columns.trueIds },
    nodes_values: { floats: columns.values },
    post_transform: { s: 'NONE' },
    target_ids: { ints: leafTrees.map(() => 0) },
    target_nodeids: { ints: leafNodes },
    target_treeids: { ints: leafTrees },
    target_weights: { floats: leafValues },
  };
}

/**
 * A set of categories is a chain of equalities that all lead to the left child, which onnxruntime takes as LightGBM's own converter writes it:
 *
 *   x = a ? left : (x = b ? left : (x = c ? left : right))
 *
 * Every link sends a missing value to the left, or none does. Links after the first get numbers from `extra` on; answers the next free one.
 */
function addMembers(
  treeId: number,
  tree: Tree,
  node: number,
  members: readonly number[],
  extra: number,
  add: ReturnType<typeof createNodes>['add'],
): number {
  const [feature, left, right, missing] = [tree.feature[node]!, tree.left[node]!, tree.right[node]!, tree.missingLeft[node]!];
  // An empty set: only missing goes left. No category is negative.
  const chain = members.length > 0 ? members : [-1];
  let id = node;
  let free = extra;
  chain.forEach((category, i) => {
    const next = i + 1 < chain.length ? free++ : right;
    add(treeId, id, feature, 'BRANCH_EQ', category, left, next, missing);
    id = next;
  });
  return free;
}

const EMPTY_TREE: Tree = { feature: [LEAF], threshold: [0], left: [0], right: [0], missingLeft: [0], value: [0], cover: [1] };

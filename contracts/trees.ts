/**
 * Boosted decision trees as plain arrays: what the trainer fits, what the scorer explains, and what survives JSON.
 * Nodes of a tree are numbered from the root, 0; a child's number is always greater than its parent's, so a walk ends.
 *
 * A row goes left when `row[feature] <= threshold` (float32 on both sides), or, where the node has `categories`, when its value is one of them;
 * a missing value (NaN) goes left when `missingLeft` is 1. A category that training never saw is in no list: it goes right.
 */
export interface Tree {
  /** Feature tested by each node; -1 marks a leaf. */
  readonly feature: readonly number[];
  /** Float32 values; 0 at a leaf. Always finite, so that JSON keeps them. */
  readonly threshold: readonly number[];
  /** Child node; 0 at a leaf. */
  readonly left: readonly number[];
  readonly right: readonly number[];
  /** 1: missing values go left; 0: right. */
  readonly missingLeft: readonly number[];
  /** Leaf: what it adds to the margin, learning rate included, a float32 value. Inner node: 0. */
  readonly value: readonly number[];
  /** Set where a node tests a set of categories instead of a threshold: those that go left, ascending float32 values; null at other nodes. Absent: none does. */
  readonly categories?: readonly (readonly number[] | null)[];
  /** Sum of the training rows' weights that reached the node: the conditional expectations of TreeSHAP are built on it. */
  readonly cover: readonly number[];
}

/**
 * What the margin of an ensemble means: `binary` is a log-odds, `regression` and `quantile` the target itself, `poisson` the logarithm of its mean, `lambdarank` a score to sort by,
 * `probability` the probability itself (a forest: the mean of its trees, whose leaves are divided by their number).
 */
export type TreeObjective = 'binary' | 'regression' | 'quantile' | 'poisson' | 'lambdarank' | 'probability';

export interface TreeEnsemble {
  readonly objective: TreeObjective;
  readonly featureCount: number;
  /** Added to the sum of the trees: the margin before the first tree. A float32 value. */
  readonly base: number;
  readonly trees: readonly Tree[];
}

export const LEAF = -1;

/** The child that a row with the value `x` of the tested feature goes to. */
export function childOf(tree: Tree, node: number, x: number): number {
  const members = tree.categories?.[node];
  const toLeft = Number.isNaN(x) ? tree.missingLeft[node] === 1 : members ? members.includes(x) : x <= tree.threshold[node]!;
  return toLeft ? tree.left[node]! : tree.right[node]!;
}

/**
 * Boosted decision trees as plain arrays: what the trainer fits, what the scorer explains, and what survives JSON.
 * Nodes of a tree are numbered from the root, 0; a child's number is always greater than its parent's, so a walk ends.
 *
 * A row goes left when `row[feature] <= threshold` (float32 on both sides); a missing value (NaN) goes left when `missingLeft` is 1.
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
  /** Sum of the training rows' weights that reached the node: the conditional expectations of TreeSHAP are built on it. */
  readonly cover: readonly number[];
}

/** What the margin of an ensemble means: `binary` is a log-odds, `regression` the target itself, `lambdarank` a score to sort by. */
export type TreeObjective = 'binary' | 'regression' | 'lambdarank';

export interface TreeEnsemble {
  readonly objective: TreeObjective;
  readonly featureCount: number;
  /** Added to the sum of the trees: the margin before the first tree. A float32 value. */
  readonly base: number;
  readonly trees: readonly Tree[];
}

export const LEAF = -1;

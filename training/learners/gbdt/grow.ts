import type { Tree } from '../../../contracts/trees.ts';
import { LEAF } from '../../../contracts/trees.ts';
import type { BinnedTable } from './bins.ts';
import { FLOAT32_MAX, MISSING_BIN } from './bins.ts';
import type { Histogram } from './histogram.ts';
import { createHistogram, fillHistogram, subtractHistogram } from './histogram.ts';
import type { GbdtParams } from './params.ts';
import type { Split } from './split.ts';
import { bestSplit } from './split.ts';

/** A leaf while the tree grows: the rows `start..start+count` of the grower's permutation. */
interface OpenLeaf {
  readonly node: number;
  readonly start: number;
  readonly count: number;
  readonly depth: number;
  readonly gradient: number;
  readonly hessian: number;
  readonly cover: number;
  histogram: Histogram | undefined;
  split: Split | undefined;
}

interface GrowingTree {
  feature: number[];
  bin: number[];
  threshold: number[];
  left: number[];
  right: number[];
  missingLeft: number[];
  value: number[];
  cover: number[];
}

/** A grown tree; `bin` says which bins go left at each node, for rows that are already binned. */
export interface GrownTree extends Tree {
  readonly bin: readonly number[];
}

export interface Gradients {
  readonly gradient: Float64Array;
  readonly hessian: Float64Array;
}

/** Grows trees over one binned table, reusing its buffers. */
export interface Grower {
  /**
   * Grows a tree on the rows `rows[0..inBag)` (reordered in place) and adds each leaf's value to `scores` of its rows.
   * `gainByFeature` collects the gains. Leaf values are float32, so that the ONNX file holds exactly what was trained.
   */
  grow(rows: Uint32Array, inBag: number, features: Int32Array, by: Gradients, scores: Float64Array, gainByFeature: Float64Array): GrownTree;
}

/** Leaf-wise growth (Shi 2007, as in LightGBM): always split the leaf with the largest gain. `weights` only make the cover. */
export function createGrower(table: BinnedTable, params: GbdtParams, weights: Float32Array | undefined): Grower {
  const orderedG = new Float64Array(table.n);
  const orderedH = new Float64Array(table.n);
  const spare = new Uint32Array(table.n);
  const goesLeft = new Uint8Array(MISSING_BIN + 1);
  // Histograms are large: they are handed from tree to tree.
  const pool: Histogram[] = [];

  function grow(rows: Uint32Array, inBag: number, features: Int32Array, by: Gradients, scores: Float64Array, gainByFeature: Float64Array): GrownTree {
    const tree: GrowingTree = { feature: [], bin: [], threshold: [], left: [], right: [], missingLeft: [], value: [], cover: [] };
    const root = openLeaf(tree, rows, 0, inBag, 0, by, weights);
    fillAndSearch(root, rows, features, by);
    const leaves: OpenLeaf[] = [root];
    while (leaves.length < params.numLeaves) {
      const chosen = leafToSplit(leaves);
      if (chosen < 0) break;
      const parent = leaves[chosen]!;
      const split = parent.split!;
      const leftCount = partition(rows, parent, split);
      if (leftCount === 0 || leftCount === parent.count) {
        // The histogram promised rows on both sides, by rounding alone.
        parent.split = undefined;
        continue;
      }
      gainByFeature[split.feature]! += split.gain;
      const left = openLeaf(tree, rows, parent.start, leftCount, parent.depth + 1, by, weights);
      const right = openLeaf(tree, rows, parent.start + leftCount, parent.count - leftCount, parent.depth + 1, by, weights);
      closeNode(tree, parent.node, split, left.node, right.node);
      leaves[chosen] = left;
      leaves.push(right);
      searchChildren(parent, left, right, rows, features, by, leaves.length < params.numLeaves);
    }
    for (const leaf of leaves) {
      const denominator = leaf.hessian + params.lambdaL2;
      // Rows of weight zero only: nothing was learned there.
      const value = denominator > 0 ? Math.fround((-leaf.gradient / denominator) * params.learningRate) : 0;
      tree.value[leaf.node] = value;
      for (let i = leaf.start; i < leaf.start + leaf.count; i++) scores[rows[i]!]! += value;
      if (leaf.histogram) pool.push(leaf.histogram);
    }
    return tree;
  }

  function mayGrow(leaf: OpenLeaf): boolean {
    return (params.maxDepth <= 0 || leaf.depth < params.maxDepth) && leaf.count >= 2 * params.minDataInLeaf && leaf.count >= 2;
  }

  function searchChildren(
    parent: OpenLeaf,
    left: OpenLeaf,
    right: OpenLeaf,
    rows: Uint32Array,
    features: Int32Array,
    by: Gradients,
    more: boolean,
  ): void {
    const [small, large] = left.count <= right.count ? [left, right] : [right, left];
    const parentHistogram = parent.histogram!;
    parent.histogram = undefined;
    if (!more || (!mayGrow(small) && !mayGrow(large))) {
      pool.push(parentHistogram);
      return;
    }
    fillAndSearch(small, rows, features, by);
    subtractHistogram(parentHistogram, small.histogram!, features);
    large.histogram = parentHistogram;
    search(large, features);
  }

  function fillAndSearch(leaf: OpenLeaf, rows: Uint32Array, features: Int32Array, by: Gradients): void {
    leaf.histogram = pool.pop() ?? createHistogram(table.f);
    for (let i = 0; i < leaf.count; i++) {
      const row = rows[leaf.start + i]!;
      orderedG[i] = by.gradient[row]!;
      orderedH[i] = by.hessian[row]!;
    }
    fillHistogram(leaf.histogram, table, features, rows, orderedG, orderedH, leaf.start, leaf.count);
    search(leaf, features);
  }

  function search(leaf: OpenLeaf, features: Int32Array): void {
    if (mayGrow(leaf)) leaf.split = bestSplit(leaf.histogram!, table, features, leaf, params);
  }

  /** Stable partition without a branch: every row is written to both sides, one of which keeps it. */
  function partition(rows: Uint32Array, leaf: OpenLeaf, split: Split): number {
    goesLeft.fill(1, 0, split.bin + 1);
    goesLeft.fill(0, split.bin + 1);
    goesLeft[MISSING_BIN] = split.missingLeft ? 1 : 0;
    const column = table.columns[split.feature]!;
    const end = leaf.start + leaf.count;
    let left = leaf.start;
    let right = 0;
    for (let i = leaf.start; i < end; i++) {
      const row = rows[i]!;
      const toLeft = goesLeft[column[row]!]!;
      rows[left] = row;
      spare[right] = row;
      left += toLeft;
      right += 1 - toLeft;
    }
    rows.set(spare.subarray(0, right), left);
    return left - leaf.start;
  }

  function closeNode(tree: GrowingTree, node: number, split: Split, left: number, right: number): void {
    const borders = table.borders[split.feature]!;
    tree.feature[node] = split.feature;
    tree.bin[node] = split.bin;
    tree.threshold[node] = split.bin < borders.length ? borders[split.bin]! : FLOAT32_MAX;
    tree.left[node] = left;
    tree.right[node] = right;
    tree.missingLeft[node] = split.missingLeft ? 1 : 0;
  }

  return { grow };
}

function openLeaf(
  tree: GrowingTree,
  rows: Uint32Array,
  start: number,
  count: number,
  depth: number,
  by: Gradients,
  weights: Float32Array | undefined,
): OpenLeaf {
  let gradient = 0;
  let hessian = 0;
  let cover = weights ? 0 : count;
  for (let i = start; i < start + count; i++) {
    const row = rows[i]!;
    gradient += by.gradient[row]!;
    hessian += by.hessian[row]!;
    if (weights) cover += weights[row]!;
  }
  const node = tree.feature.length;
  tree.feature.push(LEAF);
  tree.bin.push(0);
  tree.threshold.push(0);
  tree.left.push(0);
  tree.right.push(0);
  tree.missingLeft.push(0);
  tree.value.push(0);
  tree.cover.push(cover);
  return { node, start, count, depth, gradient, hessian, cover, histogram: undefined, split: undefined };
}

/** The leaf with the largest gain; the oldest of equals; -1 when no leaf can be split. */
function leafToSplit(leaves: readonly OpenLeaf[]): number {
  let chosen = -1;
  let gain = 0;
  for (let i = 0; i < leaves.length; i++) {
    const split = leaves[i]!.split;
    if (split && split.gain > gain) {
      gain = split.gain;
      chosen = i;
    }
  }
  return chosen;
}

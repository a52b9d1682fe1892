import type { Tree } from '../../../contracts/trees.ts';
import { type Random, sampleSorted } from '../random.ts';
import type { SharedMemory } from '../threads/arena.ts';
import type { BinnedTable } from './bins.ts';
import { createHistogramSlots } from './histograms.ts';
import { chunksOf } from './kernel.ts';
import { type Regions, SIDES_BYTES } from './layout.ts';
import type { LeafValue } from './objective.ts';
import type { GbdtParams } from './params.ts';
import { createLeafSearch, type LeafSums, type SearchedLeaf, type Split, type Units, writeSides } from './search.ts';
import type { Team } from './team.ts';
import { createTreeBuilder, type TreeResults } from './treeBuilder.ts';

/** A leaf while the tree grows: the rows `start..start+count` of the shared row list. */
export interface OpenLeaf extends LeafSums {
  readonly node: number;
  readonly start: number;
  readonly count: number;
  readonly depth: number;
  readonly low: number;
  readonly high: number;
  /** L2 regularisation of the value. */
  readonly l2: number;
  /** Number of its histogram, or -1. */
  histogram: number;
  split: Split | undefined;
}

export interface Importance {
  /** Sum of the gains of each feature's splits. */
  readonly gain: Float64Array;
  readonly splits: Float64Array;
}

/** Grows trees over one binned table, reusing its buffers. */
export interface Grower {
  /**
   * Grows a tree on the rows of the shared row list up to `inBag` (`all`: every row; the list need not be filled), by the shared gradient pairs, and
   * may add its values to the shared scores of all rows. Leaf values are float32, so that the ONNX file holds exactly what was trained.
   */
  grow(inBag: number, all: boolean, features: Int32Array, units: Units, random: Random, importance: Importance, leafValue?: LeafValue): Tree;
}

/** Steps of sorting one row into its side, in rows added to a histogram. */
const SPLIT_STEPS = 4;
const LEFT = 1;
const RIGHT = 2;

/** Leaf-wise growth (Shi 2007, as in LightGBM): always split the leaf with the largest gain. */
export function createGrower(table: BinnedTable, at: Regions, params: GbdtParams, shared: SharedMemory, team: Team, results: TreeResults): Grower {
  const { n } = table;
  const rows = shared.u32(at.rows, n);
  const counts = shared.u32(at.chunkCounts, chunksOf(n));
  const before = shared.u32(at.chunkBefore, chunksOf(n));
  const sums = shared.i64(at.chunkSums, 2 * chunksOf(n));
  const search = createLeafSearch(table, at, params, shared, team);
  const slots = createHistogramSlots(at.histogramCount);
  const sampled = params.featureFractionByNode < 1;

  function grow(
    inBag: number,
    all: boolean,
    features: Int32Array,
    units: Units,
    random: Random,
    importance: Importance,
    leafValue?: LeafValue,
  ): Tree {
    search.begin(units);
    slots.reset();
    const tree = createTreeBuilder(table, at, params, shared, team);
    const { gradient, hessian } = sumRoot(inBag, all);
    const whole = { low: -Infinity, high: Infinity, l2: params.lambdaL2, depth: 0, histogram: -1, split: undefined };
    const root: OpenLeaf = { node: tree.addLeaf(), start: 0, count: inBag, gradient, hessian, ...whole };
    const leaves = [root];
    if (mayGrow(root)) searchFew([root], leaves, features, random);
    while (leaves.length < params.numLeaves) {
      const chosen = leafToSplit(leaves);
      if (chosen < 0) break;
      const parent = leaves[chosen]!;
      const split = parent.split!;
      importance.gain[split.feature]! += split.gain;
      importance.splits[split.feature]! += 1;
      const last = leaves.length + 1 === params.numLeaves;
      const [left, right] = divide(parent, split, tree, units, last);
      leaves[chosen] = left;
      leaves.push(right);
      if (last) break;
      searchChildren(parent, left, right, leaves, features, random);
    }
    return tree.finish(leaves, rows, inBag, units, results, leafValue);
  }

  function sumRoot(inBag: number, all: boolean): LeafSums {
    const chunks = chunksOf(inBag);
    team.run('sumRoot', chunks, 3 * inBag, [at.rows, at.pairs, at.ordered, inBag, all ? 1 : 0, at.chunkSums]);
    let [gradient, hessian] = [0n, 0n];
    for (let chunk = 0; chunk < chunks; chunk++) {
      gradient += sums[2 * chunk]!;
      hessian += sums[2 * chunk + 1]!;
    }
    return { gradient, hessian };
  }

  function mayGrow(leaf: OpenLeaf): boolean {
    const deep = params.maxDepth > 0 && leaf.depth >= params.maxDepth;
    return !deep && leaf.count >= 2 * params.minDataInLeaf && leaf.count >= 2 && leaf.hessian > 0n;
  }

  /** Sorts the parent's rows into two leaves. */
  function divide(parent: OpenLeaf, split: Split, tree: ReturnType<typeof createTreeBuilder>, units: Units, last: boolean): [OpenLeaf, OpenLeaf] {
    const sides = at.sides + tree.splits() * SIDES_BYTES;
    writeSides(split, shared.u8(sides, SIDES_BYTES));
    const { start, count } = parent;
    const chunks = chunksOf(count);
    team.run('partition', chunks, SPLIT_STEPS * count, [at.rows, at.spare, at.table.bins, n, split.feature, sides, start, count, at.chunkCounts]);
    let leftCount = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      before[chunk] = leftCount;
      leftCount += counts[chunk]!;
    }
    if (leftCount === 0 || leftCount === count) throw new Error('a split left one side without rows');
    const both = sampled || parent.histogram < 0;
    const gather = last ? 0 : both ? LEFT | RIGHT : 2 * leftCount <= count ? LEFT : RIGHT;
    const places = [at.rows, at.spare, at.pairs, at.ordered, start, count, at.chunkCounts, at.chunkBefore, leftCount, gather];
    team.run('place', chunks, SPLIT_STEPS * count, places);
    return tree.split(parent, split, leftCount, units);
  }

  function searchChildren(parent: OpenLeaf, left: OpenLeaf, right: OpenLeaf, leaves: OpenLeaf[], features: Int32Array, random: Random): void {
    const [small, large] = 2 * left.count <= parent.count ? [left, right] : [right, left];
    const growing = [small, large].filter(mayGrow);
    const inherited = parent.histogram;
    parent.histogram = -1;
    if (growing.length === 0) slots.release(inherited);
    else if (sampled || inherited < 0) searchFew(growing, leaves, features, random);
    else {
      small.histogram = slots.take(leaves);
      large.histogram = inherited;
      const first = searched(small, features, undefined);
      const second = mayGrow(large) ? [searched(large, features, small.histogram)] : [];
      const found = search.run([first, ...second]);
      [small.split, large.split] = found;
      keepIfSplit([small, large]);
    }
  }

  /** Builds the leaves' own histograms, one or two. */
  function searchFew(few: OpenLeaf[], leaves: readonly OpenLeaf[], features: Int32Array, random: Random): void {
    const others = leaves.filter((leaf) => !few.includes(leaf));
    for (const leaf of few) leaf.histogram = slots.take(others);
    const ofNode = Math.max(1, Math.round(features.length * params.featureFractionByNode));
    let pending = few.map((leaf) => ({ leaf, untried: features }));
    while (pending.length > 0) {
      const draws = pending.map(({ untried }) => draw(untried, ofNode, random));
      const found = search.run(pending.map(({ leaf }, i) => searched(leaf, draws[i]!.drawn, undefined)));
      pending = pending.flatMap(({ leaf }, i) => {
        leaf.split = found[i];
        const { untried } = draws[i]!;
        return leaf.split || untried.length === 0 ? [] : [{ leaf, untried }];
      });
    }
    keepIfSplit(few);
  }

  /** What a node looks at, and what it may look at next when none of that splits it. */
  function draw(features: Int32Array, ofNode: number, random: Random): { drawn: Int32Array; untried: Int32Array } {
    if (!sampled) return { drawn: features, untried: new Int32Array(0) };
    const places = sampleSorted(random, features.length, ofNode);
    return { drawn: places.map((i) => features[i]!), untried: features.filter((_, i) => !places.includes(i)) };
  }

  function searched(leaf: OpenLeaf, features: Int32Array, minus: number | undefined): SearchedLeaf {
    const { start, count, gradient, hessian, low, high, histogram } = leaf;
    return { start, count, gradient, hessian, low, high, histogram, minus, features, searched: mayGrow(leaf) };
  }

  /** A histogram is kept for the children's subtraction alone. */
  function keepIfSplit(few: readonly OpenLeaf[]): void {
    for (const leaf of few) {
      if (leaf.split && !sampled) continue;
      slots.release(leaf.histogram);
      leaf.histogram = -1;
    }
  }

  return { grow };
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

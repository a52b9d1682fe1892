import { LEAF, type Tree } from '../../../contracts/trees.ts';
import type { SharedMemory } from '../threads/arena.ts';
import type { BinnedTable } from './bins.ts';
import { FLOAT32_MAX } from './borders.ts';
import type { OpenLeaf } from './grow.ts';
import { chunksOf } from './kernel.ts';
import { type Regions, SIDES_BYTES } from './layout.ts';
import type { LeafValue } from './objective.ts';
import type { GbdtParams } from './params.ts';
import { isMember, type LeafSums, type Split, type Units } from './search.ts';
import type { Team } from './team.ts';

/** Steps of walking a row down a tree, and of adding a value to a row's score. */
const WALK_STEPS = 20;
const ADD_STEPS = 3;

/** What a finished tree leaves behind, beside itself. */
export interface TreeResults {
  /** Weights by row: they make the cover. Undefined: all are 1. */
  readonly weights: Float32Array | undefined;
  /** Adds the tree's values to the shared scores. */
  readonly scored: boolean;
}

/** The arrays of a tree that is growing. */
export function createTreeBuilder(table: BinnedTable, at: Regions, params: GbdtParams, shared: SharedMemory, team: Team) {
  const feature: number[] = [];
  const threshold: number[] = [];
  const left: number[] = [];
  const right: number[] = [];
  const missingLeft: number[] = [];
  const value: number[] = [];
  const cover: number[] = [];
  const categories: (number[] | null)[] = [];
  /** Which 256 bytes of `sides` a node has. */
  const sides: number[] = [];
  let splits = 0;

  function addLeaf(): number {
    for (const column of [threshold, left, right, missingLeft, value, cover, sides]) column.push(0);
    categories.push(null);
    return feature.push(LEAF) - 1;
  }

  /** Turns the parent's leaf into a node with two leaves. The parent's `sides` are those of number `splits()`. */
  function split(parent: OpenLeaf, by: Split, leftCount: number, units: Units): [OpenLeaf, OpenLeaf] {
    const { node } = parent;
    const borders = table.borders[by.feature]!;
    feature[node] = by.feature;
    missingLeft[node] = by.missingLeft ? 1 : 0;
    if (by.members) categories[node] = Array.from(borders).filter((_, bin) => isMember(by.members!, bin));
    else threshold[node] = by.bin < borders.length ? borders[by.bin]! : FLOAT32_MAX;
    sides[node] = splits++;
    left[node] = addLeaf();
    right[node] = addLeaf();
    const l2 = params.lambdaL2 + (by.withCatL2 ? params.catL2 : 0);
    const rightSums = { gradient: parent.gradient - by.left.gradient, hessian: parent.hessian - by.left.hessian };
    const limits = childLimits(parent, by, rightSums, l2, units);
    const common = { depth: parent.depth + 1, l2, histogram: -1, split: undefined };
    return [
      { node: left[node]!, start: parent.start, count: leftCount, ...by.left, ...common, ...limits.left },
      { node: right[node]!, start: parent.start + leftCount, count: parent.count - leftCount, ...rightSums, ...common, ...limits.right },
    ];
  }

  /** The children of a monotone split stay on their sides of the middle between their values, and so does all that grows below them. */
  function childLimits(parent: OpenLeaf, by: Split, rightSums: LeafSums, l2: number, units: Units) {
    const { low, high } = parent;
    const sign = params.monotoneConstraints[by.feature] ?? 0;
    if (sign === 0) return { left: { low, high }, right: { low, high } };
    const middle = (output(by.left, l2, low, high, units) + output(rightSums, l2, low, high, units)) / 2;
    const [below, above] = [
      { low, high: middle },
      { low: middle, high },
    ];
    return sign > 0 ? { left: below, right: above } : { left: above, right: below };
  }

  function output(sums: LeafSums, l2: number, low: number, high: number, units: Units): number {
    const gradient = Number(sums.gradient) * units.gradient;
    const denominator = Number(sums.hessian) * units.hessian + l2;
    // Rows of weight zero only: nothing was learned there.
    if (denominator <= 0) return 0;
    const soft = Math.sign(gradient) * Math.max(0, Math.abs(gradient) - params.lambdaL1);
    return Math.min(high, Math.max(low, -soft / denominator));
  }

  /** Gives the leaves their values and counts the cover. */
  function finish(
    leaves: readonly OpenLeaf[],
    rows: Uint32Array,
    inBag: number,
    units: Units,
    { weights, scored }: TreeResults,
    leafValue?: LeafValue,
  ): Tree {
    leaves.forEach((leaf, i) => {
      const { start, count, low, high } = leaf;
      const step = leafValue
        ? Math.min(high, Math.max(low, leafValue(rows.subarray(start, start + count))))
        : output(leaf, leaf.l2, low, high, units);
      value[leaf.node] = Math.fround(step * params.learningRate);
      shared.u32(at.leafValues + 16 * i, 2).set([start, count]);
      shared.f64(at.leafValues + 16 * i + 8, 1)[0] = value[leaf.node]!;
      cover[leaf.node] = weights ? weightOf(leaf, rows, weights) : leaf.count;
    });
    for (let node = feature.length - 1; node >= 0; node--) {
      if (feature[node] !== LEAF) cover[node] = cover[left[node]!]! + cover[right[node]!]!;
    }
    if (scored) addToScores(leaves.length, inBag);
    const tree = { feature, threshold, left, right, missingLeft, value, cover };
    return categories.some((members) => members !== null) ? { ...tree, categories } : tree;
  }

  function addToScores(leafCount: number, inBag: number): void {
    team.run('addLeafValues', leafCount, ADD_STEPS * inBag, [at.rows, at.scores, at.leafValues]);
    if (inBag < table.n) addToOthers(inBag);
  }

  /** Rows that did not take part are walked down. */
  function addToOthers(inBag: number): void {
    const nodes = shared.i32(at.nodes, 4 * feature.length);
    feature.forEach((tested, node) => {
      nodes.set([tested, left[node]!, right[node]!, at.sides + sides[node]! * SIDES_BYTES], 4 * node);
    });
    shared.f64(at.nodeValues, value.length).set(value);
    const others = table.n - inBag;
    const args = [at.rows, at.scores, at.table.bins, table.n, inBag, others, at.nodes, at.nodeValues];
    team.run('addTreeValues', chunksOf(others), WALK_STEPS * others, args);
  }

  return { addLeaf, split, finish, splits: () => splits };
}

function weightOf(leaf: OpenLeaf, rows: Uint32Array, weights: Float32Array): number {
  let sum = 0;
  for (let i = leaf.start; i < leaf.start + leaf.count; i++) sum += weights[rows[i]!]!;
  return sum;
}

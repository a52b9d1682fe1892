import { readFileSync } from 'node:fs';
import { LEAF, type Tree } from '../../contracts/trees.ts';
import { builtFile } from '../built.ts';

/**
 * Memory of the kernel (treeshap-kernel/kernel.as), in this order, each part at a multiple of 16 bytes:
 *
 *   trees      an entry each: u32 nodes, points, address of records, address of factors
 *   row        f32 a feature
 *   out        f64 a feature
 *   scratch    follows (u8 a node), reach and sums (f64 a node and point) of the largest tree
 *   records    a node: u32 parent, above, feature, f32 threshold, u32 flags, number and address of categories, unused; f64 value, share
 *   factors    four rows of points a node
 *   categories f32, ascending
 *
 * Feature, threshold, categories and the side of missing values are those of the node's parent: what decides whether a row takes the edge to the node.
 */
const TREE_BYTES = 16;
const NODE_BYTES = 48;
const ALIGN_BYTES = 16;
const PAGE_BYTES = 65_536;

const IS_LEFT = 1;
const MISSING_LEFT = 2;
const IS_LEAF = 4;

/** A tree by its edges: node n stands for the edge that ends in it. Edges of one feature on one path count as one: the lowest. */
export interface PreparedTree {
  readonly tree: Tree;
  readonly parent: Int32Array;
  readonly isLeft: Uint8Array;
  /** The next edge up the path that tests the same feature, or 0. */
  readonly above: Int32Array;
  /** Share of the parent's cover that takes the edge. */
  readonly share: Float64Array;
  /** Points of the tree's quadrature: an even number. */
  readonly points: number;
  /** Four rows of points a node. */
  readonly factors: Float64Array;
}

/** Gauss-Legendre on 0..1. */
export interface Quadrature {
  readonly t: Float64Array;
  readonly weight: Float64Array;
}

interface Kernel {
  contributions(trees: number, count: number, row: number, follows: number, reach: number, sums: number, out: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** Writes the trees into a memory of their own; answers what walks them. Each answer belongs to the caller. */
export function loadWalks(trees: readonly PreparedTree[], featureCount: number): (row: Float32Array) => Float64Array {
  let bytes = 0;
  const reserve = (length: number): number => {
    const at = bytes;
    bytes += Math.ceil(length / ALIGN_BYTES) * ALIGN_BYTES;
    return at;
  };
  const most = (of: (tree: PreparedTree) => number): number => Math.max(1, ...trees.map(of));
  const treesAt = reserve(TREE_BYTES * trees.length);
  const rowAt = reserve(4 * featureCount);
  const outAt = reserve(8 * featureCount);
  const followsAt = reserve(most(({ parent }) => parent.length));
  const reachAt = reserve(8 * most(({ parent, points }) => parent.length * points));
  const sumsAt = reserve(8 * most(({ parent, points }) => parent.length * points));
  const places = trees.map(({ tree, factors }) => ({
    records: reserve(NODE_BYTES * tree.feature.length),
    factors: reserve(factors.byteLength),
    categories: tree.categories?.map((members) => (members === null ? 0 : reserve(4 * Math.max(1, members.length)))),
  }));
  const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const view = new DataView(memory.buffer);
  trees.forEach((prepared, i) => {
    const { records, factors, categories } = places[i]!;
    [prepared.parent.length, prepared.points, records, factors].forEach((value, word) => {
      view.setUint32(treesAt + TREE_BYTES * i + 4 * word, value, true);
    });
    writeRecords(view, records, prepared, categories);
    new Float64Array(memory.buffer, factors, prepared.factors.length).set(prepared.factors);
  });

  compiled ??= new WebAssembly.Module(readFileSync(builtFile(new URL('./treeshap-kernel.wasm', import.meta.url))));
  const { contributions } = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Kernel;
  const input = new Float32Array(memory.buffer, rowAt, featureCount);
  const out = new Float64Array(memory.buffer, outAt, featureCount);
  return (row) => {
    input.set(row);
    out.fill(0);
    contributions(treesAt, trees.length, rowAt, followsAt, reachAt, sumsAt, outAt);
    return out.slice();
  };
}

function writeRecords(view: DataView, at: number, prepared: PreparedTree, categoriesAt: readonly number[] | undefined): void {
  const { tree, parent, isLeft, above, share } = prepared;
  for (let node = 0; node < parent.length; node++) {
    const up = parent[node]!;
    const record = at + NODE_BYTES * node;
    const isLeaf = tree.feature[node] === LEAF;
    const members = tree.categories?.[up] ?? undefined;
    view.setUint32(record, up, true);
    view.setUint32(record + 4, above[node]!, true);
    view.setUint32(record + 8, Math.max(0, tree.feature[up]!), true);
    view.setFloat32(record + 12, tree.threshold[up]!, true);
    const flags = (isLeft[node] ? IS_LEFT : 0) | (tree.missingLeft[up] ? MISSING_LEFT : 0) | (isLeaf ? IS_LEAF : 0);
    view.setUint32(record + 16, flags, true);
    if (members && categoriesAt) {
      view.setUint32(record + 20, members.length, true);
      view.setUint32(record + 24, categoriesAt[up]!, true);
      members.forEach((member, i) => {
        view.setFloat32(categoriesAt[up]! + 4 * i, member, true);
      });
    }
    // Within the tree a product passes on as it is; a leaf's becomes its part of the margin.
    view.setFloat64(record + 32, isLeaf ? tree.value[node]! : 1, true);
    view.setFloat64(record + 40, share[node]!, true);
  }
}

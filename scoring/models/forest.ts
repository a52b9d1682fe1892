import { readFileSync } from 'node:fs';
import { LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { builtFile } from '../built.ts';

/**
 * Memory of the kernel (forest-kernel/kernel.as), in this order, each part at a multiple of 16 bytes:
 *
 *   features    an entry each that is tested: u32 its column, address and end of its thresholds, addresses of its planes (0: there is none)
 *   trees       an entry each: u32 address and number of inner nodes, address of leaves
 *   nodes       an inner node, children before parents: u32 address of the plane, u16 slots of the left and the right side, u32 its own
 *               slot, u8 place of its threshold
 *   leaves      f32
 *   thresholds  f32, ascending, of one feature
 *   slots       a register a leaf, its number in all bytes; a register an inner node
 *   reached     a register
 *   planes      a byte a row
 *   columns     f32, as they are handed in, and a register more, as registers are read whole
 *   out         f32 a row
 *
 * A plane is a feature as a byte: how many of the ensemble's thresholds on it are below the row's value, which is all that its trees can tell. In one of
 * a feature's planes a missing value goes left, in the other one right.
 */
const FEATURE_BYTES = 20;
const TREE_BYTES = 12;
const NODE_BYTES = 16;
const REGISTER_BYTES = 16;
const PAGE_BYTES = 65_536;
/** Floats of the last rows that fill no register. */
const PAD = 16;

/** Numbers of leaves are bytes. */
const LEAVES_MAX = 256;
/** Places are bytes, and the one above the last threshold is one more. */
const THRESHOLDS_MAX = 255;
/** Rows of one call of the kernel: the planes of a hundred features are as large as the first cache of a core. */
const BLOCK_ROWS = 256;
/** What turns a place into a signed byte in the same order. */
const SIGN = 0x80;

interface Kernel {
  margins(
    features: number,
    featureCount: number,
    trees: number,
    treeCount: number,
    base: number,
    columns: number,
    n: number,
    slots: number,
    reached: number,
    out: number,
  ): void;
}

/** The margins of `n` rows, whose feature f stands at f * n + row: float32 sums in the order of the trees. The answer is overwritten by the next call. */
export type Forest = (columns: Float32Array, n: number) => Float32Array;

let compiled: WebAssembly.Module | undefined;

/**
 * Evaluates trees for many rows at once: 16 rows a register, every node of a tree for all of them without a branch, which for a few hundred rows costs
 * less than to walk each row down. Undefined where the trees do not fit its bytes: they test categories, have over 256 leaves, or more than 255 thresholds
 * on a feature. The ensemble was checked before.
 */
export function createForest({ trees, base, featureCount }: TreeEnsemble): Forest | undefined {
  const thresholds = thresholdsOf(trees, featureCount);
  const fits = (tree: Tree): boolean => !tree.categories?.some((members) => members !== null) && leavesOf(tree).length <= LEAVES_MAX;
  if (!trees.every(fits) || thresholds.some(({ length }) => length > THRESHOLDS_MAX)) return undefined;

  let bytes = 0;
  const reserve = (length: number): number => {
    const at = bytes;
    bytes += Math.ceil(length / REGISTER_BYTES) * REGISTER_BYTES;
    return at;
  };
  const tested = thresholds.flatMap(({ length }, feature) => (length > 0 ? [feature] : []));
  const featuresAt = reserve(FEATURE_BYTES * tested.length);
  const treesAt = reserve(TREE_BYTES * trees.length);
  const places = trees.map((tree) => {
    const leaves = leavesOf(tree).length;
    return { nodes: reserve(NODE_BYTES * (tree.feature.length - leaves)), inner: tree.feature.length - leaves, leaves: reserve(4 * leaves) };
  });
  const thresholdsAt = thresholds.map(({ length }) => reserve(4 * length));
  const slotsAt = reserve(2 * LEAVES_MAX * REGISTER_BYTES);
  const reachedAt = reserve(REGISTER_BYTES);
  const planes = new Map([...planesOf(trees)].sort((a, b) => a - b).map((plane) => [plane, reserve(BLOCK_ROWS)]));
  const columnsAt = reserve(4 * (featureCount * BLOCK_ROWS + PAD));
  const outAt = reserve(4 * BLOCK_ROWS);
  const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const view = new DataView(memory.buffer);

  tested.forEach((feature, i) => {
    const values = thresholds[feature]!;
    const from = thresholdsAt[feature]!;
    new Float32Array(memory.buffer, from, values.length).set(values);
    const [left, right] = [planes.get(planeOf(feature, 1)) ?? 0, planes.get(planeOf(feature, 0)) ?? 0];
    writeWords(view, featuresAt + FEATURE_BYTES * i, [feature, from, from + 4 * values.length, left, right]);
  });
  const placeOf = thresholds.map((values) => new Map(Array.from(values, (value, place) => [value, place])));
  trees.forEach((tree, i) => {
    const { nodes, inner, leaves } = places[i]!;
    writeWords(view, treesAt + TREE_BYTES * i, [nodes, inner, leaves]);
    writeTree(view, tree, nodes, leaves, (node, feature) => ({
      plane: planes.get(planeOf(feature, tree.missingLeft[node]!))!,
      place: placeOf[feature]!.get(Math.fround(tree.threshold[node]!))!,
    }));
  });
  for (let leaf = 0; leaf < LEAVES_MAX; leaf++) new Uint8Array(memory.buffer, slotsAt + REGISTER_BYTES * leaf, REGISTER_BYTES).fill(leaf);

  compiled ??= new WebAssembly.Module(readFileSync(builtFile(new URL('./forest-kernel.wasm', import.meta.url))));
  const { margins } = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Kernel;
  const block = new Float32Array(memory.buffer, columnsAt, featureCount * BLOCK_ROWS);
  const blockOut = new Float32Array(memory.buffer, outAt, BLOCK_ROWS);
  let out = new Float32Array(BLOCK_ROWS);
  return (columns, n) => {
    if (out.length < n) out = new Float32Array(n);
    for (let from = 0; from < n; from += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, n - from);
      if (count === n) block.set(columns.subarray(0, n * featureCount));
      else for (let f = 0; f < featureCount; f++) block.set(columns.subarray(f * n + from, f * n + from + count), f * count);
      margins(featuresAt, tested.length, treesAt, trees.length, base, columnsAt, count, slotsAt, reachedAt, outAt);
      out.set(blockOut.subarray(0, count), from);
    }
    return out.subarray(0, n);
  };
}

/** Nodes that are leaves; the place in the list is the leaf's number. */
function leavesOf({ feature }: Tree): number[] {
  return feature.flatMap((tested, node) => (tested === LEAF ? [node] : []));
}

/** The plane of a feature in which missing values go left (1) or right (0). */
function planeOf(feature: number, missingLeft: number): number {
  return 2 * feature + missingLeft;
}

function planesOf(trees: readonly Tree[]): Set<number> {
  return new Set(
    trees.flatMap(({ feature, missingLeft }) => feature.flatMap((tested, node) => (tested === LEAF ? [] : [planeOf(tested, missingLeft[node]!)]))),
  );
}

/** Of each feature, ascending, each once. */
function thresholdsOf(trees: readonly Tree[], featureCount: number): Float32Array[] {
  const found = Array.from({ length: featureCount }, () => new Set<number>());
  for (const { feature, threshold } of trees) {
    // `+ 0` makes -0 and 0 one.
    for (const [node, tested] of feature.entries()) if (tested !== LEAF) found[tested]!.add(Math.fround(threshold[node]!) + 0);
  }
  return found.map((values) => Float32Array.from(values).sort());
}

/** Nodes of a tree are numbered from the root, so going back through them children come before parents. */
function writeTree(
  view: DataView,
  tree: Tree,
  nodesAt: number,
  leavesAt: number,
  of: (node: number, feature: number) => { readonly plane: number; readonly place: number },
): void {
  const slot = new Map(leavesOf(tree).map((node, leaf) => [node, leaf]));
  for (const [node, leaf] of slot) view.setFloat32(leavesAt + 4 * leaf, tree.value[node]!, true);
  let at = nodesAt;
  for (let node = tree.feature.length - 1; node >= 0; node--) {
    if (tree.feature[node] === LEAF) continue;
    const own = LEAVES_MAX + (at - nodesAt) / NODE_BYTES;
    slot.set(node, own);
    const { plane, place } = of(node, tree.feature[node]!);
    view.setUint32(at, plane, true);
    view.setUint16(at + 4, REGISTER_BYTES * slot.get(tree.left[node]!)!, true);
    view.setUint16(at + 6, REGISTER_BYTES * slot.get(tree.right[node]!)!, true);
    view.setUint32(at + 8, REGISTER_BYTES * own, true);
    view.setUint8(at + 12, place ^ SIGN);
    at += NODE_BYTES;
  }
}

function writeWords(view: DataView, at: number, words: readonly number[]): void {
  words.forEach((word, i) => {
    view.setUint32(at + 4 * i, word, true);
  });
}

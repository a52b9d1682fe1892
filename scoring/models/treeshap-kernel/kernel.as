// The two walks of TreeSHAP over prepared trees: AssemblyScript over plain addresses; it allocates nothing and holds no state. Layout and meaning are
// those of treeshap-layout.ts, which writes the memory; the mathematics is in treeshap.ts. Points are padded to an even number, two to a register.

/** Bytes of one tree's entry, of one node's record, and of one point. */
const TREE_BYTES: usize = 16;
const NODE_BYTES: usize = 48;
const POINT_BYTES: usize = 8;
const PAIR_BYTES: usize = 16;

const IS_LEFT: u32 = 1;
const MISSING_LEFT: u32 = 2;
const IS_LEAF: u32 = 4;

/** Whether `x` is among `count` ascending float32 values. */
function among(x: f32, values: usize, count: u32): bool {
  let low: u32 = 0;
  let high: u32 = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<f32>(values + 4 * middle) < x) low = middle + 1;
    else high = middle;
  }
  return low < count && load<f32>(values + 4 * low) == x;
}

/** Whether the row takes the edge to this node. A value that is missing is the only one that differs from itself. */
@inline
function takes(node: usize, row: usize): u32 {
  const flags = load<u32>(node, 16);
  const x = load<f32>(row + 4 * (load<u32>(node, 8) as usize));
  const categories = load<u32>(node, 24);
  let toLeft: u32;
  if (x != x) toLeft = (flags & MISSING_LEFT) >> 1;
  else if (categories != 0) toLeft = u32(among(x, categories, load<u32>(node, 20)));
  else toLeft = u32(x <= load<f32>(node, 12));
  return toLeft ^ (flags & IS_LEFT) ^ 1;
}

/** By hand: `memory.fill` is a call out of the kernel, which costs more than all else that is done to a node. */
@inline
function clear(from: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += PAIR_BYTES) v128.store(from + at, f64x2.splat(0));
}

/** Fills `follows` and, at the leaves, `sums`. */
function walkDown(nodes: u32, pointBytes: usize, records: usize, factors: usize, row: usize, follows: usize, reach: usize, sums: usize): void {
  for (let at: usize = 0; at < pointBytes; at += PAIR_BYTES) v128.store(reach + at, f64x2.splat(1));
  store<u8>(follows, 1);
  for (let n: u32 = 1; n < nodes; n++) {
    const node = records + NODE_BYTES * n;
    const followed: u32 = load<u8>(follows + load<u32>(node, 4));
    const here: u32 = followed ? takes(node, row) : 0;
    store<u8>(follows + n, here);
    const from = reach + pointBytes * load<u32>(node);
    const leaf = (load<u32>(node, 16) & IS_LEAF) != 0;
    const to = (leaf ? sums : reach) + pointBytes * n;
    // What the leaf adds to the margin, and 1 within the tree.
    const value = load<f64>(node, 32);
    if (followed) {
      const factor = factors + (4 * n + here) * pointBytes;
      const times = f64x2.splat(value);
      for (let at: usize = 0; at < pointBytes; at += PAIR_BYTES)
        v128.store(to + at, f64x2.mul(f64x2.mul(times, v128.load(from + at)), v128.load(factor + at)));
    } else {
      const times = f64x2.splat(value * load<f64>(node, 40));
      for (let at: usize = 0; at < pointBytes; at += PAIR_BYTES) v128.store(to + at, f64x2.mul(times, v128.load(from + at)));
    }
    if (!leaf) clear(sums + pointBytes * n, pointBytes);
  }
}

/** Sums the leaves under each edge and gives them to the edge's feature. */
function walkUp(nodes: u32, pointBytes: usize, records: usize, factors: usize, follows: usize, sums: usize, out: usize): void {
  for (let n = nodes - 1; n > 0; n--) {
    const node = records + NODE_BYTES * n;
    const from = sums + pointBytes * n;
    const to = sums + pointBytes * load<u32>(node);
    if (load<u8>(follows + load<u32>(node, 4)) == 0) {
      for (let at: usize = 0; at < pointBytes; at += PAIR_BYTES) v128.store(to + at, f64x2.add(v128.load(to + at), v128.load(from + at)));
      continue;
    }
    const factor = factors + (4 * n + 2 + load<u8>(follows + n)) * pointBytes;
    let given = f64x2.splat(0);
    for (let at: usize = 0; at < pointBytes; at += PAIR_BYTES) {
      const sum = v128.load(from + at);
      v128.store(to + at, f64x2.add(v128.load(to + at), sum));
      given = f64x2.add(given, f64x2.mul(sum, v128.load(factor + at)));
    }
    const contribution = out + POINT_BYTES * load<u32>(node, 8);
    store<f64>(contribution, load<f64>(contribution) + f64x2.extract_lane(given, 0) + f64x2.extract_lane(given, 1));
  }
}

/** Adds to `out`, float64 by feature, what each feature added to the margin of `row` (float32) in `count` trees. `follows`, `reach` and `sums` are scratch. */
export function contributions(trees: usize, count: u32, row: usize, follows: usize, reach: usize, sums: usize, out: usize): void {
  for (let tree = trees; tree < trees + TREE_BYTES * count; tree += TREE_BYTES) {
    const nodes = load<u32>(tree);
    const pointBytes = POINT_BYTES * load<u32>(tree, 4);
    const records: usize = load<u32>(tree, 8);
    const factors: usize = load<u32>(tree, 12);
    clear(sums, pointBytes);
    walkDown(nodes, pointBytes, records, factors, row, follows, reach, sums);
    walkUp(nodes, pointBytes, records, factors, follows, sums, out);
  }
}

// Margins of many rows at once: AssemblyScript over plain addresses; it allocates nothing and holds no state. Layout and meaning are those of
// forest.ts, which writes the memory. A register holds one byte of each of 16 rows.

/** Bytes of a feature's, a tree's and a node's entry. */
const FEATURE_BYTES: usize = 20;
const TREE_BYTES: usize = 12;
const NODE_BYTES: usize = 16;
const LANES: usize = 16;

/** What a plane says of a missing value: below every place, or above. */
const LOWEST: i32 = -128;
const HIGHEST: i8 = 127;

/** Whether all rows say the same, bit for bit. */
@inline
function isConstant(column: usize, n: u32): bool {
  const first = v128.load_splat<u32>(column);
  let differ = i32x4.splat(0);
  let row: usize = 0;
  for (; row + 4 <= n; row += 4) differ = v128.or(differ, v128.xor(v128.load(column + 4 * row), first));
  let rest: u32 = 0;
  for (; row < n; row++) rest |= load<u32>(column + 4 * row) ^ load<u32>(column);
  return rest == 0 && !v128.any_true(differ);
}

/** The places of 16 rows among thresholds, as signed bytes in their order: how many thresholds are below each. */
@inline
function placesOf(column: usize, values: usize, end: usize): v128 {
  const a = v128.load(column);
  const b = v128.load(column, 16);
  const c = v128.load(column, 32);
  const d = v128.load(column, 48);
  let ofA = i32x4.splat(LOWEST);
  let ofB = ofA;
  let ofC = ofA;
  let ofD = ofA;
  for (let value = values; value < end; value += 4) {
    const threshold = v128.load_splat<f32>(value);
    // A comparison that holds is -1.
    ofA = i32x4.sub(ofA, f32x4.lt(threshold, a));
    ofB = i32x4.sub(ofB, f32x4.lt(threshold, b));
    ofC = i32x4.sub(ofC, f32x4.lt(threshold, c));
    ofD = i32x4.sub(ofD, f32x4.lt(threshold, d));
  }
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(ofA, ofB), i16x8.narrow_i32x4_s(ofC, ofD));
}

/** Which of 16 rows have a missing value, the only one that differs from itself: bytes of ones. */
@inline
function missingIn(column: usize): v128 {
  const a = v128.load(column);
  const b = v128.load(column, 16);
  const c = v128.load(column, 32);
  const d = v128.load(column, 48);
  return i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(f32x4.ne(a, a), f32x4.ne(b, b)),
    i16x8.narrow_i32x4_s(f32x4.ne(c, c), f32x4.ne(d, d)),
  );
}

/** Fills the planes of `n` rows. */
function fillPlanes(features: usize, featureCount: u32, columns: usize, n: u32): void {
  for (let feature = features; feature < features + FEATURE_BYTES * featureCount; feature += FEATURE_BYTES) {
    const column = columns + 4 * n * load<u32>(feature);
    const values: usize = load<u32>(feature, 4);
    const end: usize = load<u32>(feature, 8);
    const left: usize = load<u32>(feature, 12);
    const right: usize = load<u32>(feature, 16);
    // Much of a request is the same for all of its rows.
    const constant = isConstant(column, n);
    let places = i8x16.splat(0);
    let missing = places;
    for (let row: usize = 0; row < n; row += LANES) {
      if (row == 0 || !constant) {
        places = placesOf(column + 4 * row, values, end);
        missing = missingIn(column + 4 * row);
        if (constant) {
          places = i8x16.splat(i8x16.extract_lane_s(places, 0));
          missing = i8x16.splat(i8x16.extract_lane_s(missing, 0));
        }
      }
      // A missing value is above no threshold: its place is the lowest already.
      if (left) v128.store(left + row, places);
      if (right) v128.store(right + row, v128.bitselect(i8x16.splat(HIGHEST), places, missing));
    }
  }
}

/**
 * Writes the margins of `n` rows, float32, to `out`; their features are columns side by side. `slots` begins with a register for each leaf that a tree may
 * have, all of whose bytes are its number; behind them stand those of the inner nodes: which leaf each row comes to from there. `reached` is scratch of
 * one register. Leaves are added up in the order of the trees.
 */
export function margins(
  features: usize,
  featureCount: u32,
  trees: usize,
  treeCount: u32,
  base: f32,
  columns: usize,
  n: u32,
  slots: usize,
  reached: usize,
  out: usize,
): void {
  fillPlanes(features, featureCount, columns, n);
  for (let row: usize = 0; row < n; row += 4) v128.store(out + 4 * row, f32x4.splat(0));
  for (let tree = trees; tree < trees + TREE_BYTES * treeCount; tree += TREE_BYTES) {
    const nodes: usize = load<u32>(tree);
    const end = nodes + NODE_BYTES * load<u32>(tree, 4);
    const leaves: usize = load<u32>(tree, 8);
    for (let group: usize = 0; group < n; group += LANES) {
      let leaf = v128.load(slots);
      for (let node = nodes; node < end; node += NODE_BYTES) {
        const right = i8x16.gt_s(v128.load(group + load<u32>(node)), v128.load_splat<u8>(node + 12));
        leaf = v128.bitselect(v128.load(slots + load<u16>(node, 6)), v128.load(slots + load<u16>(node, 4)), right);
        v128.store(slots + load<u32>(node, 8), leaf);
      }
      // The last node is the root; a tree without nodes has one leaf, the first.
      v128.store(reached, leaf);
      const to = out + 4 * group;
      for (let row: usize = 0; row < LANES; row++) {
        const at = to + 4 * row;
        store<f32>(at, load<f32>(at) + load<f32>(leaves + 4 * (load<u8>(reached + row) as usize)));
      }
    }
  }
  for (let row: usize = 0; row < n; row += 4) v128.store(out + 4 * row, f32x4.add(v128.load(out + 4 * row), f32x4.splat(base)));
}

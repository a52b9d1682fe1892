import { MISSING_BIN, OTHER_BIN, groupAt } from './common';

// Borders of a feature: 256 float32, padded with +Infinity.
const BORDER_BYTES: usize = 1024;

// Bins a block of rows: `block` holds `blockRows` rows of `f` float32, the first of which is row `firstRow` of the table. A task is a group of
// columns. `limits` has a word for each feature: the number of its borders, or for a categorical one the number of its categories, negated.
// `flags` collects for each feature: 1: a value is infinite, 2: not all rows have one bin.
export function binColumns(block: usize, blockRows: u32, f: u32, firstRow: u32, borders: usize, limits: usize, flags: usize, bins: usize, n: u32, task: u32): void {
  const group = groupAt(bins, n, task) + (<usize>firstRow << 3);
  const last = min<u32>(8, f - task * 8);
  for (let k: u32 = 0; k < last; k++) {
    const feature = task * 8 + k;
    const from = block + (<usize>feature << 2);
    const border = borders + <usize>feature * BORDER_BYTES;
    const limit = load<i32>(limits + (<usize>feature << 2));
    const first = groupAt(bins, n, task) + k;
    let flag = load<u8>(flags + feature);
    for (let i: u32 = 0; i < blockRows; i++) {
      const x = load<f32>(from + ((<usize>i * f) << 2));
      const at = binOf(border, x);
      let bin = at;
      // A category is met exactly or not at all.
      if (limit < 0) bin = at < <u32>-limit && load<f32>(border + (<usize>at << 2)) == x ? at : OTHER_BIN;
      if (x != x) bin = MISSING_BIN;
      store<u8>(group + (<usize>i << 3) + k, bin);
      flag |= <u8>(abs(x) == Infinity) | (<u8>(load<u8>(first) != <u8>bin) << 1);
    }
    store<u8>(flags + feature, flag);
  }
}

// How many of the 255 first borders are below x, by halving without a branch.
@inline
function binOf(border: usize, x: f32): u32 {
  let at: u32 = 0;
  for (let step: u32 = 128; step > 0; step >>= 1) {
    at += load<f32>(border + (<usize>(at + step - 1) << 2)) < x ? step : 0;
  }
  return at;
}

// A bin is one byte. Numeric features use 0..254 in ascending order, categorical ones 0..253 for a category each and 254 for all others.
export const MISSING_BIN: u32 = 255;
export const OTHER_BIN: u32 = 254;

// Rows of one task where rows are spread over tasks. The same on one thread and on many.
export const CHUNK_ROWS: u32 = 8192;

// Eight columns lie interleaved: the bins of a row for features 8g..8g+7 are one 64-bit word of group g.
//   group 0: | r0f0 r0f1 ... r0f7 | r1f0 ... |   group 1: | r0f8 ...
// One load serves eight histograms (32 KB, which the first cache holds), and a row that is far from the last one costs one cache line, not eight.
@inline
export function groupAt(bins: usize, n: u32, group: u32): usize {
  return bins + ((<usize>group * <usize>n) << 3);
}

@inline
export function columnAt(bins: usize, n: u32, feature: u32): usize {
  return groupAt(bins, n, feature >> 3) + (feature & 7);
}

@inline
export function chunkEnd(count: u32, task: u32): u32 {
  return min(count, (task + 1) * CHUNK_ROWS);
}

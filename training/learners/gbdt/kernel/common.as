// A bin is one byte. Numeric features use 0..254 in ascending order, categorical ones 0..253 for a category each and 254 for all others.
export const MISSING_BIN: u32 = 255;
export const OTHER_BIN: u32 = 254;

// Rows of one task where rows are spread over tasks. The same on one thread and on many.
export const CHUNK_ROWS: u32 = 8192;

// Four columns lie interleaved: the bins of a row for features 4q..4q+3 are one 32-bit word.
//   quad 0: | r0f0 r0f1 r0f2 r0f3 | r1f0 r1f1 ... |   quad 1: | r0f4 ...
// One load serves four histograms, and a row that is far from the last one costs one cache line instead of four.
@inline
export function quadAt(bins: usize, n: u32, quad: u32): usize {
  return bins + (<usize>quad * <usize>n << 2);
}

@inline
export function columnAt(bins: usize, n: u32, feature: u32): usize {
  return quadAt(bins, n, feature >> 2) + (feature & 3);
}

@inline
export function chunkEnd(count: u32, task: u32): u32 {
  return min(count, (task + 1) * CHUNK_ROWS);
}

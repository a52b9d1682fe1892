import { quadAt } from './common';
import { searchFeature } from './split';

// A histogram of a leaf: for each feature 256 bins of (i64 gradient, i64 hessian), a 128-bit lane pair each.
const BIN_SHIFT: usize = 4;
const FEATURE_BYTES: usize = 4096;

// A leaf of a job; memory.ts writes it. The histogram is built from rows where `siblingHistogram` is 0, else it is the parent's already and the
// sibling's is taken off. `features` has a byte for each feature: bit 0: build, bit 1: search too.
@unmanaged
class Leaf {
  start: u32;
  count: u32;
  histogram: usize;
  siblingHistogram: usize;
  features: usize;
  results: usize;
  reserved0: u32;
  reserved1: u32;
  gradient: i64;
  hessian: i64;
  // Limits of the output, where monotone constraints above it set some.
  outputMin: f64;
  outputMax: f64;
}

const LEAF_BYTES: usize = 64;
const RESULT_BYTES: usize = 64;

// Builds the histograms of one or two leaves for one quad of features, and searches them for each feature's best split. Two leaves are siblings: the
// second may be made from the first. Tasks are the quads of `quads`.
export function searchLeaves(
  leaves: usize,
  leafCount: u32,
  quads: usize,
  bins: usize,
  n: u32,
  rows: usize,
  ordered: usize,
  limits: usize,
  search: usize,
  scratch: usize,
  task: u32,
): void {
  const quad = load<u32>(quads + (<usize>task << 2));
  for (let which: u32 = 0; which < leafCount; which++) {
    const leaf = changetype<Leaf>(leaves + <usize>which * LEAF_BYTES);
    const wanted = load<u32>(leaf.features + (<usize>quad << 2));
    if (wanted == 0) continue;
    const histogram = leaf.histogram + <usize>(quad << 2) * FEATURE_BYTES;
    if (leaf.siblingHistogram != 0) subtract(histogram, leaf.siblingHistogram + <usize>(quad << 2) * FEATURE_BYTES, wanted);
    else build(histogram, quadAt(bins, n, quad), wanted, rows, ordered, leaf.start, leaf.start + leaf.count);
    for (let k: u32 = 0; k < 4; k++) {
      if ((wanted >> (8 * k) & 2) == 0) continue;
      const feature = quad * 4 + k;
      searchFeature(
        histogram + <usize>k * FEATURE_BYTES,
        feature,
        load<i32>(limits + (<usize>feature << 2)),
        leaf.count,
        leaf.gradient,
        leaf.hessian,
        leaf.outputMin,
        leaf.outputMax,
        search,
        leaf.results + <usize>feature * RESULT_BYTES,
        scratch + <usize>task * 4096,
      );
    }
  }
}

function subtract(histogram: usize, sibling: usize, wanted: u32): void {
  for (let k: u32 = 0; k < 4; k++) {
    if ((wanted >> (8 * k) & 255) == 0) continue;
    const from = <usize>k * FEATURE_BYTES;
    for (let at = from; at < from + FEATURE_BYTES; at += 32) {
      v128.store(histogram + at, i64x2.sub(v128.load(histogram + at), v128.load(sibling + at)));
      v128.store(histogram + at, i64x2.sub(v128.load(histogram + at, 16), v128.load(sibling + at, 16)), 16);
    }
  }
}

function build(histogram: usize, quad: usize, wanted: u32, rows: usize, ordered: usize, start: u32, end: u32): void {
  let features: u32 = 0;
  for (let k: u32 = 0; k < 4; k++) {
    if ((wanted >> (8 * k) & 255) == 0) continue;
    features += 1;
    memory.fill(histogram + <usize>k * FEATURE_BYTES, 0, FEATURE_BYTES);
  }
  // Four at once share the reads; the sums of a feature that is not wanted are never looked at.
  if (features > 2) addFour(histogram, quad, rows, ordered, start, end);
  else {
    for (let k: u32 = 0; k < 4; k++) {
      if ((wanted >> (8 * k) & 255) != 0) addOne(histogram + <usize>k * FEATURE_BYTES, quad + k, rows, ordered, start, end);
    }
  }
}

@inline
function add(at: usize, pair: v128, offset: usize): void {
  const to = at + offset;
  v128.store(to, i64x2.add(v128.load(to), pair));
}

@inline
function addRow(histogram: usize, bins: u32, pair: v128): void {
  add(histogram + ((<usize>bins & 255) << BIN_SHIFT), pair, 0);
  add(histogram + ((<usize>bins >> 8 & 255) << BIN_SHIFT), pair, FEATURE_BYTES);
  add(histogram + ((<usize>bins >> 16 & 255) << BIN_SHIFT), pair, 2 * FEATURE_BYTES);
  add(histogram + ((<usize>bins >> 24) << BIN_SHIFT), pair, 3 * FEATURE_BYTES);
}

function addFour(histogram: usize, quad: usize, rows: usize, ordered: usize, start: u32, end: u32): void {
  for (let i = start; i < end; i++) {
    const pair = i64x2.extend_low_i32x4_s(v128.load64_zero(ordered + (<usize>i << 3)));
    addRow(histogram, load<u32>(quad + (<usize>load<u32>(rows + (<usize>i << 2)) << 2)), pair);
  }
}

function addOne(histogram: usize, column: usize, rows: usize, ordered: usize, start: u32, end: u32): void {
  for (let i = start; i < end; i++) {
    const pair = i64x2.extend_low_i32x4_s(v128.load64_zero(ordered + (<usize>i << 3)));
    add(histogram + (<usize>load<u8>(column + (<usize>load<u32>(rows + (<usize>i << 2)) << 2)) << BIN_SHIFT), pair, 0);
  }
}

import { groupAt } from './common';
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
const SCRATCH_BYTES: usize = 4096;

// Builds the histograms of one or two leaves for one group of features, and searches them for each feature's best split. Two leaves are siblings: the
// second may be made from the first. Tasks are the groups of `groups`.
export function searchLeaves(
  leaves: usize,
  leafCount: u32,
  groups: usize,
  bins: usize,
  n: u32,
  rows: usize,
  ordered: usize,
  limits: usize,
  search: usize,
  scratch: usize,
  task: u32,
): void {
  const group = load<u32>(groups + (<usize>task << 2));
  const words = scratch + <usize>task * SCRATCH_BYTES;
  for (let which: u32 = 0; which < leafCount; which++) {
    const leaf = changetype<Leaf>(leaves + <usize>which * LEAF_BYTES);
    // A byte for each of the eight features.
    const wanted = load<u64>(leaf.features + (<usize>group << 3));
    if (wanted == 0) continue;
    const histogram = leaf.histogram + <usize>(group << 3) * FEATURE_BYTES;
    if (leaf.siblingHistogram != 0) subtract(histogram, leaf.siblingHistogram + <usize>(group << 3) * FEATURE_BYTES, wanted);
    else build(histogram, groupAt(bins, n, group), wanted, rows, ordered, leaf.start, leaf.start + leaf.count, words);
    for (let k: u32 = 0; k < 8; k++) {
      if ((byteOf(wanted, k) & 2) == 0) continue;
      const feature = group * 8 + k;
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
        words,
      );
    }
  }
}

@inline
function byteOf(word: u64, k: u32): u32 {
  return <u32>(word >> (8 * k)) & 255;
}

function subtract(histogram: usize, sibling: usize, wanted: u64): void {
  for (let k: u32 = 0; k < 8; k++) {
    if (byteOf(wanted, k) == 0) continue;
    const from = <usize>k * FEATURE_BYTES;
    for (let at = from; at < from + FEATURE_BYTES; at += 32) {
      v128.store(histogram + at, i64x2.sub(v128.load(histogram + at), v128.load(sibling + at)));
      v128.store(histogram + at, i64x2.sub(v128.load(histogram + at, 16), v128.load(sibling + at, 16)), 16);
    }
  }
}

// Rows whose bins are fetched before any is added: 1 KB of `words`. Where rows are far apart their bins come late, and with them the addresses that
// are written to; loads that overtook such writes and met the same bin would have to start again, which made sparse leaves five times slower.
const BLOCK_ROWS: u32 = 128;

// Eight or four at once share the reads; the sums of a feature that is not wanted are never looked at.
function build(histogram: usize, group: usize, wanted: u64, rows: usize, ordered: usize, start: u32, end: u32, words: usize): void {
  const low = clear(histogram, wanted, 0);
  const high = clear(histogram, wanted, 4);
  for (let from = start; from < end; from += BLOCK_ROWS) {
    const count = min(end - from, BLOCK_ROWS);
    const pairs = ordered + (<usize>from << 3);
    fetch(words, group, rows + (<usize>from << 2), count);
    if (low + high > 5) addEight(histogram, words, pairs, count);
    else {
      addHalf(histogram, words, pairs, count, wanted, 0, low);
      addHalf(histogram, words, pairs, count, wanted, 4, high);
    }
  }
}

@inline
function fetch(words: usize, group: usize, rows: usize, count: u32): void {
  for (let i: usize = 0; i < count; i++) store<u64>(words + (i << 3), load<u64>(group + (<usize>load<u32>(rows + (i << 2)) << 3)));
}

@inline
function addHalf(histogram: usize, words: usize, pairs: usize, count: u32, wanted: u64, first: u32, features: u32): void {
  if (features > 2) addFour(histogram + <usize>first * FEATURE_BYTES, words + first, pairs, count);
  else if (features > 0) {
    for (let k = first; k < first + 4; k++) {
      if (byteOf(wanted, k) != 0) addOne(histogram + <usize>k * FEATURE_BYTES, words + k, pairs, count);
    }
  }
}

// Empties the histograms that are wanted of four; answers how many they are.
function clear(histogram: usize, wanted: u64, first: u32): u32 {
  let features: u32 = 0;
  for (let k = first; k < first + 4; k++) {
    if (byteOf(wanted, k) == 0) continue;
    features += 1;
    memory.fill(histogram + <usize>k * FEATURE_BYTES, 0, FEATURE_BYTES);
  }
  return features;
}

@inline
function add(at: usize, pair: v128): void {
  v128.store(at, i64x2.add(v128.load(at), pair));
}

@inline
function addBins(histogram: usize, bins: u32, pair: v128): void {
  add(histogram + ((<usize>bins & 255) << BIN_SHIFT), pair);
  add(histogram + ((<usize>(bins >> 8) & 255) << BIN_SHIFT) + FEATURE_BYTES, pair);
  add(histogram + ((<usize>(bins >> 16) & 255) << BIN_SHIFT) + 2 * FEATURE_BYTES, pair);
  add(histogram + (<usize>(bins >> 24) << BIN_SHIFT) + 3 * FEATURE_BYTES, pair);
}

@inline
function pairAt(pairs: usize, i: usize): v128 {
  return i64x2.extend_low_i32x4_s(v128.load64_zero(pairs + (i << 3)));
}

function addEight(histogram: usize, words: usize, pairs: usize, count: u32): void {
  for (let i: usize = 0; i < count; i++) {
    const pair = pairAt(pairs, i);
    const bins = load<u64>(words + (i << 3));
    addBins(histogram, <u32>bins, pair);
    addBins(histogram + 4 * FEATURE_BYTES, <u32>(bins >> 32), pair);
  }
}

function addFour(histogram: usize, half: usize, pairs: usize, count: u32): void {
  for (let i: usize = 0; i < count; i++) addBins(histogram, load<u32>(half + (i << 3)), pairAt(pairs, i));
}

function addOne(histogram: usize, column: usize, pairs: usize, count: u32): void {
  for (let i: usize = 0; i < count; i++) add(histogram + (<usize>load<u8>(column + (i << 3)) << BIN_SHIFT), pairAt(pairs, i));
}

import { MISSING_BIN } from './common';

// What a search needs beside a leaf; memory.ts writes it. Names as in params.ts.
@unmanaged
export class Search {
  // One unit of the fixed-point sums.
  unitG: f64;
  unitH: f64;
  lambdaL1: f64;
  lambdaL2: f64;
  minSumHessian: f64;
  minData: f64;
  minGain: f64;
  catL2: f64;
  catSmooth: f64;
  minDataPerGroup: f64;
  maxCatThreshold: u32;
  maxCatToOnehot: u32;
  // A byte for each feature: -1, 0, 1.
  monotone: usize;
  // A byte for each feature, of bin.as: bit 0 where a value is infinite.
  flags: usize;
  // 1 where any feature has a monotone constraint: outputs then have limits.
  limited: u32;
  reserved: u32;
}

// The best split of one feature; gain 0: none.
@unmanaged
class Result {
  gain: f64;
  bin: u32;
  // 1: missing values go left. 2: categorical, `members` are the bins that go left. 4: catL2 counts for both sides.
  flags: u32;
  leftG: i64;
  leftH: i64;
  members0: u64;
  members1: u64;
  members2: u64;
  members3: u64;
}

export const MISSING_LEFT: u32 = 1;
export const CATEGORICAL: u32 = 2;
export const WITH_CAT_L2: u32 = 4;

@inline
function soft(g: f64, l1: f64): f64 {
  return copysign(max<f64>(abs(g) - l1, 0), g);
}

// What a leaf of these sums takes off the loss, times 2.
@inline
function gainOf(g: f64, h: f64, l1: f64, l2: f64): f64 {
  const s = soft(g, l1);
  return (s * s) / (h + l2);
}

@inline
function outputOf(g: f64, h: f64, l1: f64, l2: f64, low: f64, high: f64): f64 {
  return min(max(-soft(g, l1) / (h + l2), low), high);
}

@inline
function gainWithOutput(g: f64, h: f64, l1: f64, l2: f64, output: f64): f64 {
  return -(2 * soft(g, l1) * output + (h + l2) * output * output);
}

@inline
function binG(histogram: usize, bin: u32): i64 {
  return load<i64>(histogram + (<usize>bin << 4));
}

@inline
function binH(histogram: usize, bin: u32): i64 {
  return load<i64>(histogram + (<usize>bin << 4), 8);
}

export function searchFeature(
  histogram: usize,
  feature: u32,
  limit: i32,
  count: u32,
  gradient: i64,
  hessian: i64,
  low: f64,
  high: f64,
  searchAt: usize,
  resultAt: usize,
  scratch: usize,
): void {
  const search = changetype<Search>(searchAt);
  const result = changetype<Result>(resultAt);
  result.gain = 0;
  const G = <f64>gradient * search.unitG;
  const H = <f64>hessian * search.unitH;
  if (H <= 0) return;
  const rowsPerHessian = <f64>count / H;
  const parent = search.limited
    ? gainWithOutput(G, H, search.lambdaL1, search.lambdaL2, outputOf(G, H, search.lambdaL1, search.lambdaL2, low, high))
    : gainOf(G, H, search.lambdaL1, search.lambdaL2);
  // Half a row less, because the estimate is rounded.
  const hessianMin = max(search.minSumHessian, (max<f64>(1, search.minData) - 0.5) / rowsPerHessian);
  if (limit < 0) searchCategories(histogram, <u32>-limit, gradient, hessian, rowsPerHessian, hessianMin, parent, low, high, search, result, scratch);
  else searchThresholds(histogram, feature, <u32>limit, gradient, hessian, hessianMin, parent, low, high, search, result);
}

// A smaller part of the whole gain is rounding.
const GAIN_SHARE_MIN: f64 = 1e-12;

@inline
function over(both: f64, parent: f64): f64 {
  const gain = both - parent;
  return gain > GAIN_SHARE_MIN * both ? gain : 0;
}

// The gain of a split over that of the leaf; 0 where a side is too small or the constraint is broken.
@inline
function splitGain(
  leftG: i64,
  leftH: i64,
  gradient: i64,
  hessian: i64,
  hessianMin: f64,
  l2: f64,
  monotone: i32,
  parent: f64,
  low: f64,
  high: f64,
  search: Search,
): f64 {
  const lh = <f64>leftH * search.unitH;
  const rh = <f64>(hessian - leftH) * search.unitH;
  if (lh < hessianMin || rh < hessianMin) return 0;
  const lg = <f64>leftG * search.unitG;
  const rg = <f64>(gradient - leftG) * search.unitG;
  const l1 = search.lambdaL1;
  if (!search.limited) return over(gainOf(lg, lh, l1, l2) + gainOf(rg, rh, l1, l2), parent);
  const left = outputOf(lg, lh, l1, l2, low, high);
  const right = outputOf(rg, rh, l1, l2, low, high);
  if ((monotone > 0 && left > right) || (monotone < 0 && left < right)) return 0;
  return over(gainWithOutput(lg, lh, l1, l2, left) + gainWithOutput(rg, rh, l1, l2, right), parent);
}

// Thresholds from the lowest; missing rows are tried on both sides, and go with the larger side where the leaf has none. The first of equals wins.
function searchThresholds(
  histogram: usize,
  feature: u32,
  lastBin: u32,
  gradient: i64,
  hessian: i64,
  hessianMin: f64,
  parent: f64,
  low: f64,
  high: f64,
  search: Search,
  result: Result,
): void {
  const l2 = search.lambdaL2;
  const monotone = <i32>load<i8>(search.monotone + feature);
  const missingG = binG(histogram, MISSING_BIN);
  const missingH = binH(histogram, MISSING_BIN);
  const hasMissing = missingH != 0 || missingG != 0;
  let best = search.minGain;
  let bestBin: u32 = 0;
  let bestG: i64 = 0;
  let bestH: i64 = -1;
  let missingLeft = false;
  let leftG: i64 = 0;
  let leftH: i64 = 0;
  for (let bin: u32 = 0; bin < lastBin; bin++) {
    leftG += binG(histogram, bin);
    leftH += binH(histogram, bin);
    const gain = splitGain(leftG, leftH, gradient, hessian, hessianMin, l2, monotone, parent, low, high, search);
    if (gain > best) {
      best = gain;
      bestBin = bin;
      bestG = leftG;
      bestH = leftH;
      missingLeft = !hasMissing && leftH > hessian - leftH;
    }
    if (!hasMissing) continue;
    const withMissing = splitGain(leftG + missingG, leftH + missingH, gradient, hessian, hessianMin, l2, monotone, parent, low, high, search);
    if (withMissing > best) {
      best = withMissing;
      bestBin = bin;
      bestG = leftG + missingG;
      bestH = leftH + missingH;
      missingLeft = true;
    }
  }
  // Present against missing: the threshold is the largest float32, which infinity would pass.
  if (hasMissing && (load<u8>(search.flags + feature) & 1) == 0) {
    const gain = splitGain(gradient - missingG, hessian - missingH, gradient, hessian, hessianMin, l2, monotone, parent, low, high, search);
    if (gain > best) {
      best = gain;
      bestBin = lastBin;
      bestG = gradient - missingG;
      bestH = hessian - missingH;
      missingLeft = false;
    }
  }
  if (bestH < 0) return;
  result.gain = best;
  result.bin = bestBin;
  result.flags = missingLeft ? MISSING_LEFT : 0;
  result.leftG = bestG;
  result.leftH = bestH;
}

// Sets of categories (Fisher 1958, as in LightGBM): one against all others where they are few; else they are sorted by gradient over hessian, and
// the sets are the beginnings of that order, from both ends. Missing is a category like others; unknown and rare ones are in no set: they go right.
function searchCategories(
  histogram: usize,
  categories: u32,
  gradient: i64,
  hessian: i64,
  rowsPerHessian: f64,
  hessianMin: f64,
  parent: f64,
  low: f64,
  high: f64,
  search: Search,
  result: Result,
  scratch: usize,
): void {
  const order = scratch;
  const keys = scratch + 512;
  if (categories <= search.maxCatToOnehot) {
    let best = search.minGain;
    for (let i: u32 = 0; i <= categories; i++) {
      const bin = i < categories ? i : MISSING_BIN;
      const leftG = binG(histogram, bin);
      const leftH = binH(histogram, bin);
      const gain = splitGain(leftG, leftH, gradient, hessian, hessianMin, search.lambdaL2, 0, parent, low, high, search);
      if (gain <= best) continue;
      best = gain;
      store<u8>(order, bin);
      take(result, gain, leftG, leftH, order, 1, CATEGORICAL);
    }
    return;
  }
  const used = sortCategories(histogram, categories, rowsPerHessian, search, order, keys);
  const most = min(search.maxCatThreshold, (used + 1) / 2);
  const l2 = search.lambdaL2 + search.catL2;
  const groupMin = (max<f64>(1, search.minDataPerGroup) - 0.5) / rowsPerHessian;
  let best = search.minGain;
  for (let reversed: u32 = 0; reversed < 2; reversed++) {
    if (reversed) reverse(order, used);
    let leftG: i64 = 0;
    let leftH: i64 = 0;
    let groupH: i64 = 0;
    for (let i: u32 = 0; i < most && i + 1 < used; i++) {
      const bin = load<u8>(order + i);
      leftG += binG(histogram, bin);
      leftH += binH(histogram, bin);
      groupH += binH(histogram, bin);
      if (<f64>(hessian - leftH) * search.unitH < max(hessianMin, groupMin)) break;
      if (<f64>leftH * search.unitH < hessianMin || <f64>groupH * search.unitH < groupMin) continue;
      groupH = 0;
      const gain = splitGain(leftG, leftH, gradient, hessian, hessianMin, l2, 0, parent, low, high, search);
      if (gain <= best) continue;
      best = gain;
      take(result, gain, leftG, leftH, order, i + 1, CATEGORICAL | WITH_CAT_L2);
    }
  }
}

function take(result: Result, gain: f64, leftG: i64, leftH: i64, order: usize, count: u32, flags: u32): void {
  result.gain = gain;
  result.bin = 0;
  result.leftG = leftG;
  result.leftH = leftH;
  const members = changetype<usize>(result) + offsetof<Result>('members0');
  memory.fill(members, 0, 32);
  let missing: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const bin = <u32>load<u8>(order + i);
    if (bin == MISSING_BIN) missing = MISSING_LEFT;
    const at = members + (bin >> 3);
    store<u8>(at, <u32>load<u8>(at) | (<u32>1 << (bin & 7)));
  }
  result.flags = flags | missing;
}

// Fills `order` with the bins that have enough rows, by their smoothed mean gradient; equal ones by bin. Insertion: at most 255, often few.
function sortCategories(histogram: usize, categories: u32, rowsPerHessian: f64, search: Search, order: usize, keys: usize): u32 {
  let used: u32 = 0;
  for (let i: u32 = 0; i <= categories; i++) {
    const bin = i < categories ? i : MISSING_BIN;
    const h = <f64>binH(histogram, bin) * search.unitH;
    const rows = h * rowsPerHessian;
    if (rows < 0.5 || rows + 0.5 < search.catSmooth) continue;
    const key = (<f64>binG(histogram, bin) * search.unitG) / (h + search.catSmooth);
    let at = used;
    while (at > 0 && load<f64>(keys + (<usize>(at - 1) << 3)) > key) {
      store<f64>(keys + (<usize>at << 3), load<f64>(keys + (<usize>(at - 1) << 3)));
      store<u8>(order + at, load<u8>(order + at - 1));
      at--;
    }
    store<f64>(keys + (<usize>at << 3), key);
    store<u8>(order + at, bin);
    used++;
  }
  return used;
}

function reverse(order: usize, count: u32): void {
  for (let i: u32 = 0, j = count; i + 1 < j; i++) {
    j--;
    const low = load<u8>(order + i);
    store<u8>(order + i, load<u8>(order + j));
    store<u8>(order + j, low);
  }
}

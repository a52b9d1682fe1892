import { CHUNK_ROWS, chunkEnd } from './common';

// Gradients are fixed-point: a pair of i32 (gradient, hessian) a row, scaled by powers of two (`scales`: f64 for gradients, f64 for hessians) so
// that the largest has 30 bits. Sums of integers do not depend on their order: any split of the work gives the same model, and a histogram
// minus its child is exactly the sibling's.

const LOG2_E: f64 = 1.4426950408889634;
const LN2_HIGH: f64 = 6.93147180369123816490e-1;
const LN2_LOW: f64 = 1.90821492927058770002e-10;
// 1.5 x 2^52: adding it leaves the nearest whole number in the low bits.
const ROUNDER: f64 = 6755399441055744;
// exp(-40) is 4e-18: a probability beyond is 0 or 1 in a float64.
const MARGIN_MAX: f64 = 40;

// exp of both lanes for |x| <= 40: 2^k times a Taylor polynomial on |r| <= ln(2)/2; the error is below 1e-14.
@inline
function exp2Lanes(x: v128): v128 {
  const shifted = f64x2.add(f64x2.mul(x, f64x2.splat(LOG2_E)), f64x2.splat(ROUNDER));
  const k = f64x2.sub(shifted, f64x2.splat(ROUNDER));
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(k, f64x2.splat(LN2_HIGH))), f64x2.mul(k, f64x2.splat(LN2_LOW)));
  let sum = f64x2.splat(1.0 / 39916800.0);
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 3628800.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 362880.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 40320.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 5040.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 720.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 120.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 24.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1.0 / 6.0));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(0.5));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1));
  sum = f64x2.add(f64x2.mul(sum, r), f64x2.splat(1));
  return i64x2.add(sum, i64x2.shl(shifted, 52));
}

@inline
function storePairs(pairs: usize, row: u32, gradient: v128, hessian: v128): void {
  const g = i32x4.trunc_sat_f64x2_s_zero(f64x2.nearest(gradient));
  const h = i32x4.trunc_sat_f64x2_s_zero(f64x2.nearest(hessian));
  v128.store(pairs + (<usize>row << 3), v128.shuffle<i32>(g, h, 0, 4, 1, 5));
}

@inline
function floats2(address: usize, row: u32): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(address + (<usize>row << 2)));
}

// Log loss. `weights` may be 0: all are 1. Arrays have room for one row more, so that rows go two by two.
export function binaryGradients(scores: usize, labels: usize, weights: usize, pairs: usize, n: u32, scales: usize, task: u32): void {
  const one = f64x2.splat(1);
  const scaleG = f64x2.splat(load<f64>(scales));
  const scaleH = f64x2.splat(load<f64>(scales, 8));
  const end = chunkEnd(n, task);
  for (let row = task * CHUNK_ROWS; row < end; row += 2) {
    const score = f64x2.max(f64x2.min(v128.load(scores + (<usize>row << 3)), f64x2.splat(MARGIN_MAX)), f64x2.splat(-MARGIN_MAX));
    const p = f64x2.div(one, f64x2.add(one, exp2Lanes(f64x2.neg(score))));
    let g = f64x2.sub(p, floats2(labels, row));
    let h = f64x2.mul(p, f64x2.sub(one, p));
    if (weights != 0) {
      const weight = floats2(weights, row);
      g = f64x2.mul(g, weight);
      h = f64x2.mul(h, weight);
    }
    storePairs(pairs, row, f64x2.mul(g, scaleG), f64x2.mul(h, scaleH));
  }
}

// Squared loss: score - label, and 1.
export function squaredGradients(scores: usize, labels: usize, weights: usize, pairs: usize, n: u32, scales: usize, task: u32): void {
  const scaleG = f64x2.splat(load<f64>(scales));
  const scaleH = f64x2.splat(load<f64>(scales, 8));
  const end = chunkEnd(n, task);
  for (let row = task * CHUNK_ROWS; row < end; row += 2) {
    let g = f64x2.sub(v128.load(scores + (<usize>row << 3)), floats2(labels, row));
    let h = f64x2.splat(1);
    if (weights != 0) {
      h = floats2(weights, row);
      g = f64x2.mul(g, h);
    }
    storePairs(pairs, row, f64x2.mul(g, scaleG), f64x2.mul(h, scaleH));
  }
}

// The largest |score - label| x weight of a chunk, for the scale: out[task].
export function residualMax(scores: usize, labels: usize, weights: usize, n: u32, out: usize, task: u32): void {
  const end = chunkEnd(n, task);
  let most: f64 = 0;
  for (let row = task * CHUNK_ROWS; row < end; row++) {
    const weight: f64 = weights != 0 ? load<f32>(weights + (<usize>row << 2)) : 1;
    most = max(most, abs(load<f64>(scores + (<usize>row << 3)) - load<f32>(labels + (<usize>row << 2))) * weight);
  }
  store<f64>(out + (<usize>task << 3), most);
}

// Gradients that were computed elsewhere, as float64 arrays.
export function quantise(gradients: usize, hessians: usize, pairs: usize, n: u32, scales: usize, task: u32): void {
  const scaleG = f64x2.splat(load<f64>(scales));
  const scaleH = f64x2.splat(load<f64>(scales, 8));
  const end = chunkEnd(n, task);
  for (let row = task * CHUNK_ROWS; row < end; row += 2) {
    const g = v128.load(gradients + (<usize>row << 3));
    const h = v128.load(hessians + (<usize>row << 3));
    storePairs(pairs, row, f64x2.mul(g, scaleG), f64x2.mul(h, scaleH));
  }
}

// Sums of the root's pairs by chunk, out[task] = (i64, i64), and their copies in the order of `rows`. `all`: `rows` becomes 0, 1, 2, ... first.
export function sumRoot(rows: usize, pairs: usize, ordered: usize, count: u32, all: u32, out: usize, task: u32): void {
  const end = chunkEnd(count, task);
  let sum = i64x2.splat(0);
  for (let i = task * CHUNK_ROWS; i < end; i++) {
    if (all) store<u32>(rows + (<usize>i << 2), i);
    const pair = v128.load64_zero(pairs + (<usize>load<u32>(rows + (<usize>i << 2)) << 3));
    v128.store64_lane(ordered + (<usize>i << 3), pair, 0);
    sum = i64x2.add(sum, i64x2.extend_low_i32x4_s(pair));
  }
  v128.store(out + (<usize>task << 4), sum);
}

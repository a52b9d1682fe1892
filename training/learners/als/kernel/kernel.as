// Implicit ALS: the Gram matrix of all factors, and rows solved by conjugate gradient. AssemblyScript over plain addresses in a memory that all
// threads share; it allocates nothing and holds no state. Each export does one task of a job; tasks write to different places, so any thread may
// take any of them, and no sum depends on which. Factors are padded with zeros to `width`, a multiple of eight. Addresses come from layout.ts.

/** Rows whose products are summed in float32 before they join the float64 sums: rounding stays at a few units in the last place. */
const GRAM_BLOCK_ROWS: u32 = 256;
/** Four rows of the Gram matrix times eight columns are summed at once, in eight registers. */
const TILE_ROWS: u32 = 4;
const TILE_BYTES: usize = 32;

/** Four floats' worth of an address. */
const LANES_BYTES: usize = 16;

/** A squared residual that fell so far is below what float32 can tell from rounding. */
const RESIDUAL_SHARE: f32 = 1e-13;

@inline
function sumLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

@inline
function addWide(at: usize, sums: v128): void {
  v128.store(at, f64x2.add(v128.load(at), f64x2.promote_low_f32x4(sums)));
  v128.store(at, f64x2.add(v128.load(at, 16), f64x2.promote_low_f32x4(i8x16.shuffle(sums, sums, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15))), 16);
}

/**
 * Four rows (task) of Y'Y, in the columns from those rows on, of `rows` rows of factors: float64 sums in `wide` (width x width). `wide` must
 * hold zeros in these rows.
 */
export function gramRows(factors: usize, rows: u32, width: u32, wide: usize, task: u32): void {
  const rowBytes: usize = 4 * width;
  const first: usize = TILE_ROWS * task;
  for (let from: u32 = 0; from < rows; from += GRAM_BLOCK_ROWS) {
    const begin = factors + rowBytes * from;
    const end = factors + rowBytes * min(rows, from + GRAM_BLOCK_ROWS);
    // A tile starts at a multiple of eight columns, perhaps four before its rows: those values are below the diagonal and not read.
    for (let column: usize = (4 * first) & ~(TILE_BYTES - 1); column < rowBytes; column += TILE_BYTES) {
      gramTile(begin, end, rowBytes, 4 * first, column, wide + 2 * rowBytes * first + 2 * column);
    }
  }
}

function gramTile(begin: usize, end: usize, rowBytes: usize, first: usize, column: usize, out: usize): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d0 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  for (let row = begin; row < end; row += rowBytes) {
    const left = v128.load(row + column);
    const right = v128.load(row + column, 16);
    const a = v128.load32_splat(row + first);
    a0 = f32x4.add(a0, f32x4.mul(a, left));
    a1 = f32x4.add(a1, f32x4.mul(a, right));
    const b = v128.load32_splat(row + first, 4);
    b0 = f32x4.add(b0, f32x4.mul(b, left));
    b1 = f32x4.add(b1, f32x4.mul(b, right));
    const c = v128.load32_splat(row + first, 8);
    c0 = f32x4.add(c0, f32x4.mul(c, left));
    c1 = f32x4.add(c1, f32x4.mul(c, right));
    const d = v128.load32_splat(row + first, 12);
    d0 = f32x4.add(d0, f32x4.mul(d, left));
    d1 = f32x4.add(d1, f32x4.mul(d, right));
  }
  const outBytes: usize = 2 * rowBytes;
  addWide(out, a0);
  addWide(out + 32, a1);
  addWide(out + outBytes, b0);
  addWide(out + outBytes + 32, b1);
  addWide(out + 2 * outBytes, c0);
  addWide(out + 2 * outBytes + 32, c1);
  addWide(out + 3 * outBytes, d0);
  addWide(out + 3 * outBytes + 32, d1);
}

/** The dot product of two vectors of `bytes` bytes. */
function dot(a: usize, b: usize, bytes: usize): f32 {
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 2 * LANES_BYTES) {
    even = f32x4.add(even, f32x4.mul(v128.load(a + at), v128.load(b + at)));
    odd = f32x4.add(odd, f32x4.mul(v128.load(a + at, 16), v128.load(b + at, 16)));
  }
  return sumLanes(f32x4.add(even, odd));
}

/** out += s0 y0 + s1 y1 + s2 y2 + s3 y3 */
@inline
function addFour(out: usize, bytes: usize, y0: usize, y1: usize, y2: usize, y3: usize, s0: v128, s1: v128, s2: v128, s3: v128): void {
  for (let at: usize = 0; at < bytes; at += LANES_BYTES) {
    const left = f32x4.add(f32x4.mul(s0, v128.load(y0 + at)), f32x4.mul(s1, v128.load(y1 + at)));
    const right = f32x4.add(f32x4.mul(s2, v128.load(y2 + at)), f32x4.mul(s3, v128.load(y3 + at)));
    v128.store(out + at, f32x4.add(v128.load(out + at), f32x4.add(left, right)));
  }
}

/** out = gram p. The matrix is symmetric: its rows are added up, which needs no sum across lanes. */
function multiplyGram(gram: usize, p: usize, out: usize, bytes: usize): void {
  memory.fill(out, 0, bytes);
  for (let at: usize = 0; at < bytes; at += LANES_BYTES) {
    const row = gram + (at >> 2) * bytes;
    const values = v128.load(p + at);
    addFour(
      out,
      bytes,
      row,
      row + bytes,
      row + 2 * bytes,
      row + 3 * bytes,
      f32x4.splat(f32x4.extract_lane(values, 0)),
      f32x4.splat(f32x4.extract_lane(values, 1)),
      f32x4.splat(f32x4.extract_lane(values, 2)),
      f32x4.splat(f32x4.extract_lane(values, 3)),
    );
  }
}

/** The weight of an item whose product with `v` is `product`: in A v, or in b - A v. */
@inline
function weigh(extra: f32, product: f32, residual: bool): f32 {
  return residual ? 1 + extra - extra * product : extra * product;
}

/**
 * out += the sum over the row's items of extra (y.v) y, or with `residual` of (1 + extra - extra (y.v)) y, where extra = alpha value.
 * Four items at once: v is then loaded once for all four, and their sums do not wait for each other.
 */
function addItems(indices: usize, values: usize, count: u32, fixed: usize, v: usize, out: usize, bytes: usize, alpha: f32, residual: bool): void {
  let item: u32 = 0;
  for (; item + 4 <= count; item += 4) {
    const at: usize = 4 * item;
    const y0 = fixed + bytes * load<u32>(indices + at);
    const y1 = fixed + bytes * load<u32>(indices + at, 4);
    const y2 = fixed + bytes * load<u32>(indices + at, 8);
    const y3 = fixed + bytes * load<u32>(indices + at, 12);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    let d2 = f32x4.splat(0);
    let d3 = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += LANES_BYTES) {
      const x = v128.load(v + i);
      d0 = f32x4.add(d0, f32x4.mul(x, v128.load(y0 + i)));
      d1 = f32x4.add(d1, f32x4.mul(x, v128.load(y1 + i)));
      d2 = f32x4.add(d2, f32x4.mul(x, v128.load(y2 + i)));
      d3 = f32x4.add(d3, f32x4.mul(x, v128.load(y3 + i)));
    }
    const s0 = weigh(alpha * load<f32>(values + at), sumLanes(d0), residual);
    const s1 = weigh(alpha * load<f32>(values + at, 4), sumLanes(d1), residual);
    const s2 = weigh(alpha * load<f32>(values + at, 8), sumLanes(d2), residual);
    const s3 = weigh(alpha * load<f32>(values + at, 12), sumLanes(d3), residual);
    addFour(out, bytes, y0, y1, y2, y3, f32x4.splat(s0), f32x4.splat(s1), f32x4.splat(s2), f32x4.splat(s3));
  }
  for (; item < count; item++) {
    const y = fixed + bytes * load<u32>(indices + 4 * item);
    const scale = weigh(alpha * load<f32>(values + 4 * item), dot(y, v, bytes), residual);
    addScaled(out, y, scale, bytes);
  }
}

/** out += scale v */
function addScaled(out: usize, v: usize, scale: f32, bytes: usize): void {
  const all = f32x4.splat(scale);
  for (let at: usize = 0; at < bytes; at += LANES_BYTES) {
    v128.store(out + at, f32x4.add(v128.load(out + at), f32x4.mul(all, v128.load(v + at))));
  }
}

/** out = v + scale out */
function addTo(out: usize, v: usize, scale: f32, bytes: usize): void {
  const all = f32x4.splat(scale);
  for (let at: usize = 0; at < bytes; at += LANES_BYTES) {
    v128.store(out + at, f32x4.add(v128.load(v + at), f32x4.mul(all, v128.load(out + at))));
  }
}

function negate(out: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += LANES_BYTES) v128.store(out + at, f32x4.neg(v128.load(out + at)));
}

/**
 * Solves the rows of chunk `task`, from bounds[task] to bounds[task + 1]: (gram + the sum of alpha value y y') x = the sum of (1 + alpha value) y
 * over the row's items, where `gram` has the regularisation on its diagonal. `target` holds the start and receives the answer; a row without
 * items gets zeros. Each task has three vectors of its own at `scratch`. `settings` is one float, alpha.
 */
export function solveRows(
  indptr: usize,
  indices: usize,
  values: usize,
  bounds: usize,
  fixed: usize,
  target: usize,
  gram: usize,
  scratch: usize,
  settings: usize,
  width: u32,
  cgSteps: u32,
  task: u32,
): void {
  const bytes: usize = 4 * width;
  const residual = scratch + 3 * bytes * task;
  const direction = residual + bytes;
  const product = direction + bytes;
  const alpha = load<f32>(settings);
  const end = load<u32>(bounds + 4 * task, 4);
  for (let row = load<u32>(bounds + 4 * task); row < end; row++) {
    const from = load<u32>(indptr + 4 * row);
    const count = load<u32>(indptr + 4 * row, 4) - from;
    const x = target + bytes * row;
    if (count == 0) {
      memory.fill(x, 0, bytes);
      continue;
    }
    const items = indices + 4 * from;
    const strengths = values + 4 * from;
    multiplyGram(gram, x, residual, bytes);
    negate(residual, bytes);
    addItems(items, strengths, count, fixed, x, residual, bytes, alpha, true);
    memory.copy(direction, residual, bytes);
    let size = dot(residual, residual, bytes);
    const enough = size * RESIDUAL_SHARE;
    for (let step: u32 = 0; step < cgSteps && size > enough; step++) {
      multiplyGram(gram, direction, product, bytes);
      addItems(items, strengths, count, fixed, direction, product, bytes, alpha, false);
      const length = size / dot(direction, product, bytes);
      addScaled(x, direction, length, bytes);
      addScaled(residual, product, -length, bytes);
      const before = size;
      size = dot(residual, residual, bytes);
      addTo(direction, residual, size / before, bytes);
    }
  }
}

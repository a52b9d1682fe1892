// The inverse of a symmetric, positive definite matrix, by blocks of 64 rows: the sweep operator (Goodnight 1979). Of the matrix, row-major in
// float64, the lower triangle is used. Each export does one task, a block of rows, and writes to these rows alone, so any thread may take any task.
//
// Sweeping block k, with D = A_kk:   A_ij -= A_ik D^-1 A_kj   A_ik = A_ik D^-1   A_kk = -D^-1       (i, j other than k)
// When every block is swept, A is minus its inverse.

const BLOCK: u32 = 64;
/** Bytes of a row of a block. */
const BLOCK_BYTES: usize = 512;
const TILE: u32 = 4;
const TILE_BYTES: usize = 32;

/** tile of four rows and columns at `out` (rows `outBytes` apart) -= rows of `left` (64 wide) times columns of `right` (rows `rightBytes` apart). */
@inline
function subtractTile(out: usize, outBytes: usize, left: usize, right: usize, rightBytes: usize): void {
  let a0 = v128.load(out);
  let a1 = v128.load(out, 16);
  let b0 = v128.load(out + outBytes);
  let b1 = v128.load(out + outBytes, 16);
  let c0 = v128.load(out + 2 * outBytes);
  let c1 = v128.load(out + 2 * outBytes, 16);
  let d0 = v128.load(out + 3 * outBytes);
  let d1 = v128.load(out + 3 * outBytes, 16);
  for (let p: usize = 0; p < BLOCK_BYTES; p += 8) {
    const r0 = v128.load(right);
    const r1 = v128.load(right, 16);
    right += rightBytes;
    const a = v128.load64_splat(left + p);
    a0 = f64x2.sub(a0, f64x2.mul(a, r0));
    a1 = f64x2.sub(a1, f64x2.mul(a, r1));
    const b = v128.load64_splat(left + p, BLOCK_BYTES);
    b0 = f64x2.sub(b0, f64x2.mul(b, r0));
    b1 = f64x2.sub(b1, f64x2.mul(b, r1));
    const c = v128.load64_splat(left + p, 2 * BLOCK_BYTES);
    c0 = f64x2.sub(c0, f64x2.mul(c, r0));
    c1 = f64x2.sub(c1, f64x2.mul(c, r1));
    const d = v128.load64_splat(left + p, 3 * BLOCK_BYTES);
    d0 = f64x2.sub(d0, f64x2.mul(d, r0));
    d1 = f64x2.sub(d1, f64x2.mul(d, r1));
  }
  v128.store(out, a0);
  v128.store(out, a1, 16);
  v128.store(out + outBytes, b0);
  v128.store(out + outBytes, b1, 16);
  v128.store(out + 2 * outBytes, c0);
  v128.store(out + 2 * outBytes, c1, 16);
  v128.store(out + 3 * outBytes, d0);
  v128.store(out + 3 * outBytes, d1, 16);
}

/** The block at `out` -= the block `left` times the block at `right`. */
function subtractBlock(out: usize, outBytes: usize, left: usize, right: usize, rightBytes: usize): void {
  for (let row: u32 = 0; row < BLOCK; row += TILE) {
    for (let column: usize = 0; column < BLOCK_BYTES; column += TILE_BYTES) {
      subtractTile(out + outBytes * row + column, outBytes, left + BLOCK_BYTES * row, right + column, rightBytes);
    }
  }
}

/**
 * For block `task` of rows: A_ik into `across` (64 x n: transposed), and A_ik D^-1 into `down` (n x 64). `inverse` is D^-1. From the lower triangle,
 * so A_ik is read transposed where i < k.
 */
export function readPanel(matrix: usize, n: u32, k: u32, inverse: usize, across: usize, down: usize, task: u32): void {
  if (task == k) return;
  const rowBytes: usize = 8 * n;
  const first: u32 = BLOCK * task;
  const source = task > k ? matrix + rowBytes * first + BLOCK_BYTES * k : matrix + rowBytes * (BLOCK * k) + BLOCK_BYTES * task;
  const target = across + 8 * first;
  const own = down + BLOCK_BYTES * first;
  memory.fill(own, 0, BLOCK_BYTES * BLOCK);
  for (let row: u32 = 0; row < BLOCK; row++) {
    if (task < k) {
      memory.copy(target + rowBytes * row, source + rowBytes * row, BLOCK_BYTES);
      continue;
    }
    for (let column: u32 = 0; column < BLOCK; column++) {
      store<f64>(target + rowBytes * column + 8 * row, load<f64>(source + rowBytes * row + 8 * column));
    }
  }
  // Row by row: A_ik stands transposed, so its rows are columns of `target`.
  for (let row: u32 = 0; row < BLOCK; row++) {
    const out = own + BLOCK_BYTES * row;
    for (let p: u32 = 0; p < BLOCK; p++) {
      const scale = v128.load64_splat(target + rowBytes * p + 8 * row);
      const values = inverse + BLOCK_BYTES * p;
      for (let at: usize = 0; at < BLOCK_BYTES; at += 16) {
        v128.store(out + at, f64x2.add(v128.load(out + at), f64x2.mul(scale, v128.load(values + at))));
      }
    }
  }
}

/** Block `task` of rows, once `across` and `down` are whole. */
export function sweepRows(matrix: usize, n: u32, k: u32, inverse: usize, across: usize, down: usize, task: u32): void {
  const rowBytes: usize = 8 * n;
  const first: u32 = BLOCK * task;
  const row = matrix + rowBytes * first;
  if (task == k) {
    for (let i: u32 = 0; i < BLOCK; i++) {
      const out = row + rowBytes * i;
      // A_kj = (A_jk D^-1)'.
      for (let column: u32 = 0; column < first; column++) store<f64>(out + 8 * column, load<f64>(down + BLOCK_BYTES * column + 8 * i));
      for (let column: u32 = 0; column < BLOCK; column++) store<f64>(out + 8 * (first + column), -load<f64>(inverse + BLOCK_BYTES * i + 8 * column));
    }
    return;
  }
  const own = down + BLOCK_BYTES * first;
  for (let block: u32 = 0; block <= task; block++) {
    if (block == k) continue;
    subtractBlock(row + BLOCK_BYTES * block, rowBytes, own, across + BLOCK_BYTES * block, rowBytes);
  }
  if (task > k) for (let i: u32 = 0; i < BLOCK; i++) memory.copy(row + rowBytes * i + BLOCK_BYTES * k, own + BLOCK_BYTES * i, BLOCK_BYTES);
}

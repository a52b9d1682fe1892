import { requireParam } from '../contract.ts';

export interface Eigen {
  /** Descending. */
  readonly values: Float64Array;
  /** Row i is the unit vector of value i: row-major n x n. */
  readonly vectors: Float64Array;
}

/** Time grows with the cube: 256 takes a second, 512 a quarter of a minute. */
export const JACOBI_MAX = 512;
/** Convergence is quadratic, about ten sweeps; more only end what roundings keep from settling. */
const SWEEPS_MAX = 30;
/** Squares off the diagonal over all squares and the width. Smaller, and the roundings of wide matrices would never let it end. */
const OFF_DIAGONAL = 1e-29;

/** Eigenvalues and vectors of a symmetric n x n matrix (row-major) by cyclic Jacobi rotations: slow and exact to the last digits. */
export function symmetricEigen(matrix: Float64Array, n: number): Eigen {
  requireParam(n >= 1 && n <= JACOBI_MAX && matrix.length === n * n, `the matrix must be square, 1 to ${JACOBI_MAX} wide, not ${n}`);
  const a = matrix.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep++) {
    let [off, all] = [0, 0];
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) if (i !== j) off += a[i * n + j]! ** 2;
    for (let i = 0; i < n; i++) all += a[i * n + i]! ** 2;
    if (!(off > OFF_DIAGONAL * n * (all + off))) break;
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j]! - a[i * n + i]! || i - j);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    vectors.set(v.subarray(from * n, (from + 1) * n), to * n);
  });
  return { values: Float64Array.from(order, (i) => a[i * n + i]!), vectors };
}

/** Makes a[p, q] zero; rows of v turn along. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q]!;
  if (apq === 0) return;
  const ratio = (a[q * n + q]! - a[p * n + p]!) / (2 * apq);
  const t = Math.abs(ratio) > 1e150 ? 1 / (2 * ratio) : (ratio >= 0 ? 1 : -1) / (Math.abs(ratio) + Math.sqrt(ratio * ratio + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const [x, y] = [a[k * n + p]!, a[k * n + q]!];
    a[k * n + p] = c * x - s * y;
    a[k * n + q] = s * x + c * y;
  }
  for (let k = 0; k < n; k++) {
    const [x, y] = [a[p * n + k]!, a[q * n + k]!];
    a[p * n + k] = c * x - s * y;
    a[q * n + k] = s * x + c * y;
    const [f, g] = [v[p * n + k]!, v[q * n + k]!];
    v[p * n + k] = c * f - s * g;
    v[q * n + k] = s * f + c * g;
  }
}

/** Makes the rows of a row-major count x columns matrix orthonormal (Gram-Schmidt, twice for the digits); a row that depends on others is zero. */
export function orthonormalRows(matrix: Float64Array, columns: number): void {
  const count = matrix.length / columns;
  for (let i = 0; i < count; i++) {
    const row = matrix.subarray(i * columns, (i + 1) * columns);
    const size = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    for (let round = 0; round < 2; round++) {
      for (let j = 0; j < i; j++) {
        const other = matrix.subarray(j * columns, (j + 1) * columns);
        let dot = 0;
        for (let c = 0; c < columns; c++) dot += row[c]! * other[c]!;
        for (let c = 0; c < columns; c++) row[c]! -= dot * other[c]!;
      }
    }
    const left = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    for (let c = 0; c < columns; c++) row[c] = left > 1e-12 * size ? row[c]! / left : 0;
  }
}

/**
 * Overwrites the lower triangle of a symmetric, positive definite n x n matrix (row-major) with its Cholesky factor L, L L' = matrix.
 * The upper triangle is left as it was. Throws when the matrix is not positive definite.
 */
export function cholesky(matrix: Float64Array, n: number): void {
  if (!tryCholesky(matrix, n, 0)) throw new Error('the matrix is not positive definite');
}

/** The same; false where what is left of a diagonal is no more than `shareMin` of it: that column is, but for rounding, a sum of earlier ones. */
export function tryCholesky(matrix: Float64Array, n: number, shareMin: number): boolean {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i * n + k]! * matrix[j * n + k]!;
      if (i === j && !(sum > shareMin * Math.max(0, matrix[i * n + i]!))) return false;
      matrix[i * n + j] = i === j ? Math.sqrt(sum) : sum / matrix[j * n + j]!;
    }
  }
  return true;
}

/** Solves L x = right in place; L as `cholesky` leaves it. */
export function solveLower(lower: Float64Array, right: Float64Array): void {
  const n = right.length;
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) right[i]! -= lower[i * n + k]! * right[k]!;
    right[i]! /= lower[i * n + i]!;
  }
}

/** Solves L' x = right in place. */
export function solveLowerTransposed(lower: Float64Array, right: Float64Array): void {
  const n = right.length;
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) right[i]! -= lower[k * n + i]! * right[k]!;
    right[i]! /= lower[i * n + i]!;
  }
}

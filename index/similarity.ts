import type { Metric } from './contract.ts';

/** Inner product of `query` and the row of `rows` that starts at `offset`. Four accumulators, so that the additions overlap. */
export function dot(rows: Float32Array, offset: number, query: Float32Array): number {
  const length = query.length;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const at = offset + i;
    a += rows[at]! * query[i]!;
    b += rows[at + 1]! * query[i + 1]!;
    c += rows[at + 2]! * query[i + 2]!;
    d += rows[at + 3]! * query[i + 3]!;
  }
  for (; i < length; i++) a += rows[offset + i]! * query[i]!;
  return a + b + (c + d);
}

/** Squared Euclidean distance of `query` and the row of `rows` that starts at `offset`. */
export function squaredDistance(rows: Float32Array, offset: number, query: Float32Array): number {
  const length = query.length;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const at = offset + i;
    const p = rows[at]! - query[i]!;
    const q = rows[at + 1]! - query[i + 1]!;
    const r = rows[at + 2]! - query[i + 2]!;
    const s = rows[at + 3]! - query[i + 3]!;
    a += p * p;
    b += q * q;
    c += r * r;
    d += s * s;
  }
  for (; i < length; i++) {
    const p = rows[offset + i]! - query[i]!;
    a += p * p;
  }
  return a + b + (c + d);
}

/** Euclidean length. */
export function norm(vector: Float32Array): number {
  return Math.sqrt(dot(vector, 0, vector));
}

/** The contract's similarity of a stored row and a query, from both lengths (needed by cosine only). */
export function similarity(metric: Metric, rows: Float32Array, offset: number, rowNorm: number, query: Float32Array, queryNorm: number): number {
  if (metric === 'l2') return -squaredDistance(rows, offset, query);
  const product = dot(rows, offset, query);
  if (metric === 'ip') return product;
  return rowNorm === 0 || queryNorm === 0 ? 0 : product / (rowNorm * queryNorm);
}

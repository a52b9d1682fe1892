import type { SparseRows } from './sparse.ts';

/** How much a meeting of row and item counts before rows are compared: as given, or less for items that many rows hold. */
export type Weighting = 'cosine' | 'tfidf' | 'bm25';

/** Named as in `implicit`. */
export interface Bm25Params {
  /** How soon more of the same item stops counting. */
  k1: number;
  /** How much a row is held against its length: 0 not at all, 1 fully. */
  b: number;
}

/** The values that `implicit` uses. */
export const BM25_DEFAULTS: Bm25Params = { k1: 1.2, b: 0.75 };

/**
 * The rows with weighted values. `tfidf`: sqrt(value) x (1 + ln(rows / (1 + rows with the item))). `bm25`: value (k1 + 1) / (value + k1 x length) x that
 * logarithm, where length = 1 - b + b x (the row's sum / the mean sum). The logarithm counts as 0 where it is negative: an item in nearly all rows.
 */
export function weighRows(rows: number, items: number, matrix: SparseRows, weighting: Weighting, bm25: Bm25Params): SparseRows {
  if (weighting === 'cosine') return matrix;
  const { indptr, indices, values } = matrix;
  const idf = inverseFrequencies(rows, items, indices);
  const weighted = new Float32Array(values.length);
  const total = values.reduce((sum, value) => sum + value, 0);
  for (let row = 0; row < rows; row++) {
    const [from, to] = [indptr[row]!, indptr[row + 1]!];
    let sum = 0;
    for (let at = from; at < to; at++) sum += values[at]!;
    const length = 1 - bm25.b + (total > 0 ? (bm25.b * sum * rows) / total : 0);
    for (let at = from; at < to; at++) {
      const value = values[at]!;
      const saturated = weighting === 'tfidf' ? Math.sqrt(value) : value === 0 ? 0 : (value * (bm25.k1 + 1)) / (value + bm25.k1 * length);
      weighted[at] = saturated * idf[indices[at]!]!;
    }
  }
  return { indptr, indices, values: weighted };
}

function inverseFrequencies(rows: number, items: number, indices: Uint32Array): Float64Array {
  const held = new Float64Array(items);
  for (const item of indices) held[item]! += 1;
  return held.map((count) => Math.max(0, 1 + Math.log(rows / (1 + count))));
}

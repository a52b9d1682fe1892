import type { BinnedTable } from './bins.ts';
import { MISSING_BIN } from './bins.ts';

/**
 * A histogram of one leaf: for each feature, for each bin, the sums of gradients and hessians.
 *
 *   offsets[0]                    offsets[1]
 *   | g h | g h | ... | g h       | g h | ...
 *    bin 0 bin 1       missing     bin 0
 *
 * Each feature has room for 256 bins, so that a byte is an index without a bounds check or a translation.
 */
export type Histogram = Float64Array;

const STRIDE = 2 * (MISSING_BIN + 1);

export function createHistogram(features: number): Histogram {
  return new Float64Array(features * STRIDE);
}

export const featureOffset = (feature: number): number => feature * STRIDE;

/**
 * Adds up the leaf's rows. `gradients` and `hessians` are in the order of `rows`: gathered once, then read in sequence for
 * every feature. Four columns a pass share those reads, which is what the loop waits for.
 */
export function fillHistogram(
  histogram: Histogram,
  table: BinnedTable,
  features: Int32Array,
  rows: Uint32Array,
  gradients: Float64Array,
  hessians: Float64Array,
  start: number,
  count: number,
): void {
  for (const feature of features) histogram.fill(0, feature * STRIDE, (feature + 1) * STRIDE);
  const end = start + count;
  let at = 0;
  for (; at + 3 < features.length; at += 4) {
    const [a, b, c, d] = [features[at]!, features[at + 1]!, features[at + 2]!, features[at + 3]!];
    const { columns } = table;
    addFour(histogram, columns[a]!, columns[b]!, columns[c]!, columns[d]!, a, b, c, d, rows, gradients, hessians, start, end);
  }
  for (; at < features.length; at++) {
    const feature = features[at]!;
    addOne(histogram, table.columns[feature]!, feature, rows, gradients, hessians, start, end);
  }
}

function addFour(
  histogram: Histogram,
  columnA: Uint8Array,
  columnB: Uint8Array,
  columnC: Uint8Array,
  columnD: Uint8Array,
  featureA: number,
  featureB: number,
  featureC: number,
  featureD: number,
  rows: Uint32Array,
  gradients: Float64Array,
  hessians: Float64Array,
  start: number,
  end: number,
): void {
  const offsetA = featureA * STRIDE;
  const offsetB = featureB * STRIDE;
  const offsetC = featureC * STRIDE;
  const offsetD = featureD * STRIDE;
  for (let i = start; i < end; i++) {
    const row = rows[i]!;
    const g = gradients[i - start]!;
    const h = hessians[i - start]!;
    const a = offsetA + (columnA[row]! << 1);
    const b = offsetB + (columnB[row]! << 1);
    const c = offsetC + (columnC[row]! << 1);
    const d = offsetD + (columnD[row]! << 1);
    histogram[a]! += g;
    histogram[a + 1]! += h;
    histogram[b]! += g;
    histogram[b + 1]! += h;
    histogram[c]! += g;
    histogram[c + 1]! += h;
    histogram[d]! += g;
    histogram[d + 1]! += h;
  }
}

function addOne(
  histogram: Histogram,
  column: Uint8Array,
  feature: number,
  rows: Uint32Array,
  gradients: Float64Array,
  hessians: Float64Array,
  start: number,
  end: number,
): void {
  const offset = feature * STRIDE;
  for (let i = start; i < end; i++) {
    const at = offset + (column[rows[i]!]! << 1);
    histogram[at]! += gradients[i - start]!;
    histogram[at + 1]! += hessians[i - start]!;
  }
}

/** parent -= child: the sibling's histogram for a fraction of its cost. */
export function subtractHistogram(parent: Histogram, child: Histogram, features: Int32Array): void {
  for (const feature of features) {
    const end = (feature + 1) * STRIDE;
    for (let i = feature * STRIDE; i < end; i++) parent[i]! -= child[i]!;
  }
}

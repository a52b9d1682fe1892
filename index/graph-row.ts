import type { Metric } from './contract.ts';
import type { VectorSlab } from './slab.ts';

/** The sphere's radius is this quantile of the norms. Measured (5,000 x 32, k 100, ef 256): 0.9 keeps .91-.997, 0.75 .87-.94, 1 .67-.94. */
const RADIUS_QUANTILE = 0.9;
/** Norms looked at to choose the radius; enough for a 0.9 quantile within about one percent of rank. */
const NORM_SAMPLE = 2_048;
/** Widening the search past four times no longer pays; norms that spread so far want another index. */
const SPREAD_MAX = 4;

/** Components of a vector in the graph: one more for `ip`. */
export function graphDimensions(metric: Metric, dimensions: number): number {
  return metric === 'ip' ? dimensions + 1 : dimensions;
}

/**
 * The vector as the graph holds it, written to `out`.
 *
 * `l2`: as it is. `cosine`: scaled to length 1, so that the inner product is the cosine. `ip`: one component sqrt(radius^2 - norm^2)
 * more (Bachrach et al. 2014, "Speeding up the Xbox recommender system"), which puts all vectors on a sphere. A query's last component
 * is 0, so the order of inner products is unchanged, while neighbours among the stored vectors become real neighbours: on raw inner
 * products every vector links to the few longest ones, and recall was .74 to .88. Vectors longer than the radius get 0: still ranked
 * right, only off the sphere.
 */
export function graphRow(metric: Metric, row: Float32Array, rowNorm: number, radius: number, out: Float32Array): void {
  if (metric === 'cosine') {
    for (let i = 0; i < row.length; i++) out[i] = rowNorm === 0 ? 0 : row[i]! / rowNorm;
    return;
  }
  out.set(row);
  if (metric === 'ip') out[row.length] = Math.sqrt(Math.max(0, radius * radius - rowNorm * rowNorm));
}

/** The radius for `ip` from a sample of the stored norms, and by how much a search should widen for their spread. */
export function graphSphere(slab: VectorSlab): { radius: number; spread: number; slots: number } {
  const slots = slab.slotCount;
  const step = Math.max(1, Math.floor(slots / NORM_SAMPLE));
  const norms: number[] = [];
  for (let slot = 0; slot < slots; slot += step) norms.push(slab.normAt(slot));
  norms.sort((a, b) => a - b);
  const quantile = (q: number): number => norms[Math.min(norms.length - 1, Math.floor(q * norms.length))] ?? 0;
  const median = quantile(0.5);
  const spread = median === 0 ? SPREAD_MAX : quantile(0.95) / median;
  return { radius: quantile(RADIUS_QUANTILE), spread: Math.min(SPREAD_MAX, Math.max(1, spread)), slots };
}

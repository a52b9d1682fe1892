import type { Metric } from './contract.ts';
import type { VectorSlab } from './slab.ts';

/**
 * The sphere's radius is this quantile of the norms. Measured recall at k = 100, 20,000 x 32, norm spreads 0, 0.5 and 1:
 * quantile 0.8 .982 .949 .945, 0.9 .990 .997 .976, 0.95 .997 .998 .990, 0.98 .999 .995 .990. At 1 a single long vector sets the radius,
 * all others crowd at the pole and recall falls to .94 and .78; too low, and vectors lose their last incoming link.
 */
const RADIUS_QUANTILE = 0.97;
/** Norms looked at to choose the radius; enough to place the quantile within half a percent of rank. */
const NORM_SAMPLE = 2_048;
/** Widening the search past four times no longer pays: where norms spread so far, the longest vectors are gone through instead (index/longest.ts). */
export const SPREAD_MAX = 4;

/** Where `ip` vectors are lifted to, and by how much a search must widen because their norms differ. */
export interface Sphere {
  readonly radius: number;
  readonly spread: number;
}

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

/** Norms of some of the live vectors, ascending. */
export function sampleNorms(slab: VectorSlab): number[] {
  const step = Math.max(1, Math.floor(slab.slotCount / NORM_SAMPLE));
  const norms: number[] = [];
  for (let slot = 0; slot < slab.slotCount; slot += step) if (slab.idAt(slot) !== undefined) norms.push(slab.normAt(slot));
  return norms.sort((a, b) => a - b);
}

/** The sphere that suits the live vectors, from a sample of their norms; all others than `ip` need none. */
export function chooseSphere(slab: VectorSlab): Sphere {
  if (slab.metric !== 'ip') return { radius: 0, spread: 1 };
  const norms = sampleNorms(slab);
  const quantile = (q: number): number => norms[Math.min(norms.length - 1, Math.floor(q * norms.length))] ?? 0;
  const median = quantile(0.5);
  const spread = median === 0 ? SPREAD_MAX : quantile(0.95) / median;
  return { radius: quantile(RADIUS_QUANTILE), spread: Math.min(SPREAD_MAX, Math.max(1, spread)) };
}

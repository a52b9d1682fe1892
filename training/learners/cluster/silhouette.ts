import { requireData, requireParam } from '../contract.ts';
import { checkPoints, type PointRows, squaredDistance } from './points.ts';

/** Distances of all pairs: a sample of so many rows is exact to the third digit, and takes seconds. */
export const SILHOUETTE_ROWS_MAX = 50_000;

/**
 * Mean silhouette (Euclidean): (b - a) / max(a, b), where a is the mean distance to the other rows of the own cluster, b that to the nearest
 * other cluster; 0 for a row alone. Throws `training_data_insufficient` unless two clusters have rows.
 */
export function silhouette(points: PointRows, labels: Uint32Array): number {
  const n = checkPoints(points, 2);
  requireParam(labels.length === n, `there must be ${n} labels, not ${labels.length}`);
  requireParam(n <= SILHOUETTE_ROWS_MAX, `at most ${SILHOUETTE_ROWS_MAX} rows, not ${n}: take a sample`);
  const clusters = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const sizes = new Uint32Array(clusters);
  for (const label of labels) sizes[label]! += 1;
  requireData(sizes.filter((size) => size > 0).length >= 2, 'the silhouette needs two clusters with rows');
  // Row x cluster sums of distances; each pair is looked at once.
  const sums = new Float64Array(n * clusters);
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const distance = Math.sqrt(squaredDistance(points.values, i, points.values, j, points.columns));
      sums[i * clusters + labels[j]!]! += distance;
      sums[j * clusters + labels[i]!]! += distance;
    }
  }
  let total = 0;
  for (let i = 0; i < n; i++) {
    const own = labels[i]!;
    if (sizes[own] === 1) continue;
    const inside = sums[i * clusters + own]! / (sizes[own]! - 1);
    let outside = Infinity;
    for (let c = 0; c < clusters; c++) if (c !== own && sizes[c]! > 0) outside = Math.min(outside, sums[i * clusters + c]! / sizes[c]!);
    const larger = Math.max(inside, outside);
    total += larger > 0 ? (outside - inside) / larger : 0;
  }
  return total / n;
}

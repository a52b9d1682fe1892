import type { Random } from '../random.ts';
import { type PointRows, squaredDistance } from './points.ts';

/** Candidates drawn for each centre; the best is kept (greedy k-means++, as scikit-learn does). */
function trials(clusters: number): number {
  return 2 + Math.floor(Math.log(clusters));
}

/** Centres drawn from the rows, each with probability proportional to its squared distance from those before (Arthur, Vassilvitskii 2007). */
export function plusPlus({ values, columns }: PointRows, clusters: number, random: Random): Float64Array {
  const n = values.length / columns;
  const centres = new Float64Array(clusters * columns);
  const copy = (row: number, cluster: number) => centres.set(values.subarray(row * columns, (row + 1) * columns), cluster * columns);
  copy(random.int(n), 0);
  let distances = Float64Array.from({ length: n }, (_, row) => squaredDistance(values, row, centres, 0, columns));
  for (let cluster = 1; cluster < clusters; cluster++) {
    const total = distances.reduce((a, b) => a + b, 0);
    let best: { row: number; total: number; distances: Float64Array<ArrayBuffer> } | undefined;
    for (let trial = 0; trial < trials(clusters); trial++) {
      const row = draw(distances, total, random);
      const next = distances.map((distance, i) => Math.min(distance, squaredDistance(values, i, values, row, columns)));
      const sum = next.reduce((a, b) => a + b, 0);
      if (!best || sum < best.total) best = { row, total: sum, distances: next };
    }
    copy(best!.row, cluster);
    distances = best!.distances;
  }
  return centres;
}

/** A row with probability proportional to its weight; any row where all weights are zero (repeated points). */
function draw(weights: Float64Array, total: number, random: Random): number {
  if (!(total > 0)) return random.int(weights.length);
  let left = random.next() * total;
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]!;
    if (left < 0) return i;
  }
  return weights.length - 1;
}

import { type FitOptions, requireParam } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { assign, bySize, checkKMeansParams, KMEANS_DEFAULTS, type KMeansModel } from './kmeans.ts';
import { plusPlus } from './kmeansStart.ts';
import { checkPoints, type PointRows, squaredDistance } from './points.ts';

export interface MiniBatchParams {
  clusters: number;
  batch: number;
  /** Batches seen. */
  steps: number;
  /** Rows among which the first centres are chosen. */
  startRows: number;
  /** A centre with less than this share of the largest one's rows is put onto a row of the batch now and then. */
  reassignShare: number;
}

export const MINI_BATCH_DEFAULTS: MiniBatchParams = { clusters: 8, batch: 1024, steps: 200, startRows: 10_000, reassignShare: 0.01 };

const BATCH_MAX = 1_000_000;
/** Often enough that no centre stays lost, rarely enough that one has time to gather rows. */
const REASSIGN_STEPS = 20;

/**
 * k-means for many rows (Sculley 2010): each step moves the centres towards a random batch, by one over the rows each has seen. Inertia a
 * few percent above that of `fitKMeans`. Errors as there.
 */
export function fitMiniBatchKMeans(rows: PointRows, given: Partial<MiniBatchParams>, options: FitOptions): KMeansModel {
  const params = { ...MINI_BATCH_DEFAULTS, ...given };
  const { clusters, batch, steps, startRows, reassignShare } = params;
  checkKMeansParams({ ...KMEANS_DEFAULTS, clusters });
  requireParam(Number.isInteger(batch) && batch >= 1 && batch <= BATCH_MAX, `batch must be 1 to ${BATCH_MAX}, not ${batch}`);
  requireParam(Number.isInteger(steps) && steps >= 1, `steps must be 1 or more, not ${steps}`);
  requireParam(startRows >= clusters, `startRows must be ${clusters} or more, not ${startRows}`);
  requireParam(reassignShare >= 0 && reassignShare < 1, `reassignShare must lie in [0, 1), not ${reassignShare}`);
  const n = checkPoints(rows, clusters);
  const { values, columns } = rows;
  const random = seededRandom(options.seed);
  const centres = plusPlus(sample(rows, Math.min(n, startRows), n, random.int), clusters, random);
  const counts = new Float64Array(clusters);
  for (let step = 1; step <= steps; step++) {
    const chosen = sample(rows, batch, n, random.int).values;
    assign({ centres, columns }, chosen).forEach((cluster, i) => {
      counts[cluster]! += 1;
      for (let c = 0; c < columns; c++) {
        const at = cluster * columns + c;
        centres[at]! += (chosen[i * columns + c]! - centres[at]!) / counts[cluster]!;
      }
    });
    if (step % REASSIGN_STEPS === 0 && step < steps) {
      const most = counts.reduce((a, b) => Math.max(a, b), 0);
      for (let cluster = 0; cluster < clusters; cluster++) {
        if (counts[cluster]! >= reassignShare * most) continue;
        const row = random.int(n);
        centres.set(values.subarray(row * columns, (row + 1) * columns), cluster * columns);
        counts[cluster] = reassignShare * most;
      }
    }
    options.progress?.(step, steps);
  }
  const sizes = new Uint32Array(clusters);
  let inertia = 0;
  assign({ centres, columns }, values).forEach((cluster, row) => {
    sizes[cluster]! += 1;
    inertia += squaredDistance(values, row, centres, cluster, columns);
  });
  return { ...bySize(centres, sizes, columns), columns, inertia, iterations: steps };
}

/** `count` rows drawn with replacement; all of them where that is all there are. */
function sample({ values, columns }: PointRows, count: number, n: number, int: (bound: number) => number): PointRows {
  if (count === n) return { values, columns };
  const out = new Float64Array(count * columns);
  for (let i = 0; i < count; i++) {
    const row = int(n);
    out.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return { values: out, columns };
}

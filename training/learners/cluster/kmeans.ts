import { type FitOptions, requireParam } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { plusPlus } from './kmeansStart.ts';
import { checkPoints, type PointRows, squaredDistance } from './points.ts';

/** Named as in scikit-learn. */
export interface KMeansParams {
  clusters: number;
  /** Starts from different centres; the one with the least inertia wins. */
  starts: number;
  iterationsMax: number;
  /** Stops when the centres together moved less: the sum of squares over the mean variance of a column. */
  tolerance: number;
}

export interface KMeansModel {
  /** Row-major clusters x columns, the largest cluster first. */
  readonly centres: Float64Array;
  readonly columns: number;
  /** Rows nearest to each centre. */
  readonly sizes: Uint32Array;
  /** Sum of squared distances of the rows from their centres. */
  readonly inertia: number;
  readonly iterations: number;
}

export const KMEANS_DEFAULTS: KMeansParams = { clusters: 8, starts: 10, iterationsMax: 300, tolerance: 1e-4 };

/** Segments that people look at are a handful; codebooks reach this. */
export const CLUSTERS_MAX = 65_536;
export const STARTS_MAX = 1000;

/**
 * k-means: centres by k-means++, then Lloyd's iterations with Hamerly's bounds (2010), which skip the rows that cannot have changed sides:
 * exact, and some times faster. A cluster that loses all its rows takes the row farthest from its centre.
 * Throws `training_data_insufficient` with fewer rows than clusters, or for a bad value.
 */
export function fitKMeans(rows: PointRows, given: Partial<KMeansParams>, options: FitOptions): KMeansModel {
  const params = { ...KMEANS_DEFAULTS, ...given };
  checkKMeansParams(params);
  checkPoints(rows, params.clusters);
  const random = seededRandom(options.seed);
  const limit = params.tolerance * meanVariance(rows);
  let best: KMeansModel | undefined;
  for (let start = 0; start < params.starts; start++) {
    const model = new Lloyd(rows, plusPlus(rows, params.clusters, random)).run(params.iterationsMax, limit);
    if (!best || model.inertia < best.inertia) best = model;
    options.progress?.(start + 1, params.starts);
  }
  return best!;
}

export function checkKMeansParams({ clusters, starts, iterationsMax, tolerance }: KMeansParams): void {
  requireParam(Number.isInteger(clusters) && clusters >= 1 && clusters <= CLUSTERS_MAX, `clusters must be 1 to ${CLUSTERS_MAX}, not ${clusters}`);
  requireParam(Number.isInteger(starts) && starts >= 1 && starts <= STARTS_MAX, `starts must be 1 to ${STARTS_MAX}, not ${starts}`);
  requireParam(Number.isInteger(iterationsMax) && iterationsMax >= 1, `iterationsMax must be 1 or more, not ${iterationsMax}`);
  requireParam(tolerance >= 0 && tolerance < Infinity, `tolerance must be 0 or more, not ${tolerance}`);
}

/** The nearest centre of each row, the first where two are equally near. */
export function assign(model: Pick<KMeansModel, 'centres' | 'columns'>, values: ArrayLike<number>): Uint32Array {
  const { centres, columns } = model;
  const k = centres.length / columns;
  return Uint32Array.from({ length: values.length / columns }, (_, row) => {
    let best = 0;
    let least = Infinity;
    for (let c = 0; c < k; c++) {
      const distance = squaredDistance(values, row, centres, c, columns);
      if (distance < least) [best, least] = [c, distance];
    }
    return best;
  });
}

class Lloyd {
  readonly #values: ArrayLike<number>;
  readonly #columns: number;
  readonly #n: number;
  readonly #k: number;
  readonly #centres: Float64Array;
  readonly #sums: Float64Array;
  readonly #counts: Uint32Array;
  readonly #label: Uint32Array;
  /** Distance to the own centre is at most `upper`, to any other at least `lower`. */
  readonly #upper: Float64Array;
  readonly #lower: Float64Array;
  readonly #moved: Float64Array;
  readonly #half: Float64Array;

  constructor({ values, columns }: PointRows, centres: Float64Array) {
    this.#values = values;
    this.#columns = columns;
    this.#n = values.length / columns;
    this.#k = centres.length / columns;
    this.#centres = centres;
    this.#sums = new Float64Array(centres.length);
    this.#counts = new Uint32Array(this.#k);
    this.#label = new Uint32Array(this.#n);
    this.#upper = new Float64Array(this.#n).fill(Infinity);
    this.#lower = new Float64Array(this.#n);
    this.#moved = new Float64Array(this.#k);
    this.#half = new Float64Array(this.#k);
  }

  run(iterationsMax: number, limit: number): KMeansModel {
    for (let row = 0; row < this.#n; row++) {
      this.#nearest(row);
      this.#add(row, this.#label[row]!, 1);
    }
    let iterations = 0;
    while (iterations < iterationsMax) {
      iterations++;
      this.#fillEmpty();
      if (this.#moveCentres() <= limit) break;
      this.#reassign();
    }
    return this.#model(iterations);
  }

  #reassign(): void {
    const k = this.#k;
    this.#half.fill(Infinity);
    for (let a = 0; a < k; a++) {
      for (let b = 0; b < k; b++) {
        if (a !== b) this.#half[a] = Math.min(this.#half[a]!, Math.sqrt(squaredDistance(this.#centres, a, this.#centres, b, this.#columns)) / 2);
      }
    }
    let [farthest, farthestOther] = [0, 0];
    let mover = 0;
    for (let c = 0; c < k; c++) {
      const moved = this.#moved[c]!;
      if (moved > farthest) [farthest, farthestOther, mover] = [moved, farthest, c];
      else if (moved > farthestOther) farthestOther = moved;
    }
    for (let row = 0; row < this.#n; row++) {
      const own = this.#label[row]!;
      this.#upper[row]! += this.#moved[own]!;
      this.#lower[row]! -= own === mover ? farthestOther : farthest;
      const bound = Math.max(this.#half[own]!, this.#lower[row]!);
      if (this.#upper[row]! < bound) continue;
      this.#upper[row] = Math.sqrt(squaredDistance(this.#values, row, this.#centres, own, this.#columns));
      if (this.#upper[row]! < bound) continue;
      this.#nearest(row);
      const next = this.#label[row]!;
      if (next === own) continue;
      this.#add(row, own, -1);
      this.#add(row, next, 1);
    }
  }

  /** Sets label and bounds of a row from all centres. */
  #nearest(row: number): void {
    let [best, least, second] = [0, Infinity, Infinity];
    for (let c = 0; c < this.#k; c++) {
      const distance = squaredDistance(this.#values, row, this.#centres, c, this.#columns);
      if (distance < least) [best, second, least] = [c, least, distance];
      else if (distance < second) second = distance;
    }
    this.#label[row] = best;
    this.#upper[row] = Math.sqrt(least);
    this.#lower[row] = Math.sqrt(second);
  }

  #add(row: number, cluster: number, sign: 1 | -1): void {
    this.#counts[cluster]! += sign;
    for (let c = 0; c < this.#columns; c++) this.#sums[cluster * this.#columns + c]! += sign * this.#values[row * this.#columns + c]!;
  }

  #fillEmpty(): void {
    for (let cluster = 0; cluster < this.#k; cluster++) {
      if (this.#counts[cluster]! > 0) continue;
      let [far, most] = [-1, -1];
      for (let row = 0; row < this.#n; row++) {
        const own = this.#label[row]!;
        if (this.#counts[own]! < 2) continue;
        const distance = squaredDistance(this.#values, row, this.#centres, own, this.#columns);
        if (distance > most) [far, most] = [row, distance];
      }
      this.#add(far, this.#label[far]!, -1);
      this.#add(far, cluster, 1);
      this.#label[far] = cluster;
      this.#upper[far] = Infinity;
      this.#lower[far] = 0;
    }
  }

  /** Centres to the means of their rows; the sum of squared moves. */
  #moveCentres(): number {
    let total = 0;
    for (let cluster = 0; cluster < this.#k; cluster++) {
      let squares = 0;
      for (let c = 0; c < this.#columns; c++) {
        const at = cluster * this.#columns + c;
        const next = this.#sums[at]! / this.#counts[cluster]!;
        squares += (next - this.#centres[at]!) ** 2;
        this.#centres[at] = next;
      }
      this.#moved[cluster] = Math.sqrt(squares);
      total += squares;
    }
    return total;
  }

  #model(iterations: number): KMeansModel {
    const columns = this.#columns;
    const label = assign({ centres: this.#centres, columns }, this.#values);
    const counts = new Uint32Array(this.#k);
    let inertia = 0;
    label.forEach((cluster, row) => {
      counts[cluster]! += 1;
      inertia += squaredDistance(this.#values, row, this.#centres, cluster, columns);
    });
    return { ...bySize(this.#centres, counts, columns), columns, inertia, iterations };
  }
}

/** Centres in the order of their sizes, so that two fits of the same rows name their clusters alike. */
export function bySize(centres: Float64Array, sizes: Uint32Array, columns: number): { centres: Float64Array; sizes: Uint32Array } {
  const order = [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const sorted = new Float64Array(centres.length);
  order.forEach((from, to) => {
    sorted.set(centres.subarray(from * columns, (from + 1) * columns), to * columns);
  });
  return { centres: sorted, sizes: Uint32Array.from(order, (from) => sizes[from]!) };
}

function meanVariance({ values, columns }: PointRows): number {
  const n = values.length / columns;
  let total = 0;
  for (let c = 0; c < columns; c++) {
    let [sum, squares] = [0, 0];
    for (let i = c; i < values.length; i += columns) sum += values[i]!;
    for (let i = c; i < values.length; i += columns) squares += (values[i]! - sum / n) ** 2;
    total += squares / n;
  }
  return total / columns;
}

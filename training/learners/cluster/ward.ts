import { type FitOptions, requireParam } from '../contract.ts';
import { checkPoints, type PointRows } from './points.ts';

/**
 * The tree of merges, in the order of their heights, as SciPy's linkage: merge i joins clusters `left[i]` and `right[i]`; numbers under
 * rows are single rows, rows + j is what merge j made.
 */
export interface Dendrogram {
  readonly rows: number;
  readonly left: Uint32Array;
  readonly right: Uint32Array;
  /** sqrt(2 x what the merge adds to the sum of squares): the Euclidean distance where both are single rows. */
  readonly height: Float64Array;
  /** Rows in what each merge made. */
  readonly size: Uint32Array;
}

/** Time grows with the square: 20,000 rows of a few columns take seconds, ten times as many minutes. */
export const WARD_ROWS_MAX = 50_000;
/** Reports about once a percent. */
const PROGRESS_SHARE = 100;

/**
 * Agglomerative clustering by Ward's criterion with the nearest-neighbour chain: distances are computed from means and sizes when they are
 * needed, so memory is that of the rows and the answer, never rows x rows. No randomness: equal distances take the lower number.
 * Throws `training_data_insufficient` without two rows or with a bad value.
 */
export function fitWard(points: PointRows, _params: Readonly<Record<string, never>>, options: Pick<FitOptions, 'progress'>): Dendrogram {
  const n = checkPoints(points, 2);
  requireParam(n <= WARD_ROWS_MAX, `Ward takes at most ${WARD_ROWS_MAX} rows, not ${n}`);
  const { columns } = points;
  const means = Float64Array.from(points.values);
  const sizes = new Float64Array(n).fill(1);
  // Living clusters, packed: the scan for a nearest neighbour runs over them alone. A cluster lives on in the slot of one of its rows.
  const alive = Uint32Array.from({ length: n }, (_, i) => i);
  const place = alive.slice();
  let living = n;
  const chain = new Uint32Array(n);
  let depth = 0;
  const merges: { a: number; b: number; cost: number }[] = [];
  while (living > 1) {
    if (depth === 0) chain[depth++] = alive[0]!;
    const top = chain[depth - 1]!;
    const before = depth > 1 ? chain[depth - 2]! : -1;
    // The one before wins ties, or the chain could circle.
    let nearest = before;
    let least = before < 0 ? Infinity : mergeCost(means, sizes, top, before, columns);
    for (let i = 0; i < living; i++) {
      const other = alive[i]!;
      if (other === top) continue;
      const cost = mergeCost(means, sizes, top, other, columns);
      if (cost < least) [nearest, least] = [other, cost];
    }
    if (nearest !== before) {
      chain[depth++] = nearest;
      continue;
    }
    depth -= 2;
    const [a, b] = top < before ? [top, before] : [before, top];
    merges.push({ a, b, cost: least });
    join(means, sizes, a, b, columns);
    living--;
    const moved = alive[living]!;
    alive[place[b]!] = moved;
    place[moved] = place[b]!;
    if (merges.length % PROGRESS_SHARE === 0 || living === 1) options.progress?.(merges.length, n - 1);
  }
  return ordered(n, merges);
}

/** What joining two clusters adds to the sum of squared distances from the means. */
function mergeCost(means: Float64Array, sizes: Float64Array, a: number, b: number, columns: number): number {
  let sum = 0;
  for (let c = 0, i = a * columns, j = b * columns; c < columns; c++, i++, j++) {
    const d = means[i]! - means[j]!;
    sum += d * d;
  }
  return (sum * sizes[a]! * sizes[b]!) / (sizes[a]! + sizes[b]!);
}

function join(means: Float64Array, sizes: Float64Array, a: number, b: number, columns: number): void {
  const total = sizes[a]! + sizes[b]!;
  for (let c = 0; c < columns; c++) {
    const at = a * columns + c;
    means[at] = (sizes[a]! * means[at]! + sizes[b]! * means[b * columns + c]!) / total;
  }
  sizes[a] = total;
}

/** The chain finds merges out of order; sorted by cost they are those of the plain algorithm, as Ward's costs never fall. */
function ordered(n: number, merges: readonly { a: number; b: number; cost: number }[]): Dendrogram {
  const order = merges.map((_, i) => i).sort((i, j) => merges[i]!.cost - merges[j]!.cost || i - j);
  const parent = Uint32Array.from({ length: n }, (_, i) => i);
  const find = (row: number): number => {
    let at = row;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  };
  const name = Uint32Array.from({ length: n }, (_, i) => i);
  const count = new Uint32Array(n).fill(1);
  const tree = {
    rows: n,
    left: new Uint32Array(n - 1),
    right: new Uint32Array(n - 1),
    height: new Float64Array(n - 1),
    size: new Uint32Array(n - 1),
  };
  order.forEach((from, i) => {
    const { a, b, cost } = merges[from]!;
    const [x, y] = [find(a), find(b)];
    tree.left[i] = Math.min(name[x]!, name[y]!);
    tree.right[i] = Math.max(name[x]!, name[y]!);
    tree.height[i] = Math.sqrt(2 * cost);
    count[x]! += count[y]!;
    tree.size[i] = count[x]!;
    parent[y] = x;
    name[x] = n + i;
  });
  return tree;
}

/** The cluster of each row when the tree is cut into `clusters` of them, the largest first. */
export function cut({ rows, left, right }: Dendrogram, clusters: number): Uint32Array {
  requireParam(Number.isInteger(clusters) && clusters >= 1 && clusters <= rows, `clusters must be 1 to ${rows}, not ${clusters}`);
  const kept = rows - clusters;
  const root = new Int32Array(rows + kept).fill(-1);
  for (let merge = kept - 1; merge >= 0; merge--) {
    const own = root[rows + merge]! < 0 ? rows + merge : root[rows + merge]!;
    root[left[merge]!] = own;
    root[right[merge]!] = own;
  }
  const sizes = new Map<number, number>();
  const own = Int32Array.from({ length: rows }, (_, row) => (root[row]! < 0 ? row : root[row]!));
  for (const cluster of own) sizes.set(cluster, (sizes.get(cluster) ?? 0) + 1);
  const order = new Map([...sizes].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([cluster], i) => [cluster, i]));
  return Uint32Array.from(own, (cluster) => order.get(cluster)!);
}

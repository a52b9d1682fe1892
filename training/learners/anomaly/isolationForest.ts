import { LEAF, type Tree } from '../../../contracts/trees.ts';
import { checkPoints } from '../cluster/points.ts';
import { type FitOptions, requireParam } from '../contract.ts';
import { type Random, sampleSorted, seededRandom } from '../random.ts';

export interface IsolationRows {
  /** Row-major rows x columns; NaN is missing. Float32, as the served model compares. */
  readonly values: Float32Array;
  readonly columns: number;
}

export interface IsolationParams {
  trees: number;
  /** Rows drawn for each tree; 256 is the authors' choice, and more hides anomalies behind each other. */
  sampleRows: number;
}

/** The score of a row is 2^-(sum of the trees' leaves): near 1 for an anomaly, about 0.5 for the usual. */
export interface IsolationModel {
  readonly featureCount: number;
  /** Leaf values are float32: expected path length over (trees x the mean path length of the sample). */
  readonly trees: readonly Tree[];
}

export const ISOLATION_DEFAULTS: IsolationParams = { trees: 100, sampleRows: 256 };

export const TREES_MAX = 10_000;
const SAMPLE_MAX = 65_536;
const EULER = 0.5772156649015329;

/**
 * Isolation forest (Liu, Ting, Zhou 2008): random splits isolate the unusual sooner. A missing value goes where more of the others went, so that to be
 * missing is not strange in itself. Throws `training_data_insufficient` with fewer than two rows or with an infinite value.
 */
export function fitIsolationForest(rows: IsolationRows, given: Partial<IsolationParams>, options: FitOptions): IsolationModel {
  const { trees, sampleRows } = { ...ISOLATION_DEFAULTS, ...given };
  requireParam(Number.isInteger(trees) && trees >= 1 && trees <= TREES_MAX, `trees must be 1 to ${TREES_MAX}, not ${trees}`);
  requireParam(
    Number.isInteger(sampleRows) && sampleRows >= 2 && sampleRows <= SAMPLE_MAX,
    `sampleRows must be 2 to ${SAMPLE_MAX}, not ${sampleRows}`,
  );
  const n = checkPoints(rows, 2, true);
  const random = seededRandom(options.seed);
  const size = Math.min(n, sampleRows);
  const unit = 1 / (trees * meanPathLength(size));
  const grown: Tree[] = [];
  for (let i = 0; i < trees; i++) {
    grown.push(new Grower(rows, random, Math.ceil(Math.log2(size)), unit).grow(sampleSorted(random, n, size)));
    options.progress?.(i + 1, trees);
  }
  return { featureCount: rows.columns, trees: grown };
}

/** Scores of row-major float32 rows, in (0, 1). */
export function isolationScores({ featureCount, trees }: IsolationModel, values: Float32Array): Float32Array {
  requireParam(values.length % featureCount === 0, `values must hold a multiple of ${featureCount}, not ${values.length}`);
  return Float32Array.from({ length: values.length / featureCount }, (_, row) => {
    let depth = 0;
    for (const tree of trees) {
      let node = 0;
      while (tree.feature[node] !== LEAF) {
        const x = values[row * featureCount + tree.feature[node]!]!;
        const toLeft = Number.isNaN(x) ? tree.missingLeft[node] === 1 : x <= tree.threshold[node]!;
        node = toLeft ? tree.left[node]! : tree.right[node]!;
      }
      depth += tree.value[node]!;
    }
    return 2 ** -depth;
  });
}

/** Mean depth at which a search in a random binary tree of `rows` fails: what a leaf of so many rows would still take. */
export function meanPathLength(rows: number): number {
  if (rows < 2) return 0;
  if (rows === 2) return 1;
  return 2 * (Math.log(rows - 1) + EULER) - (2 * (rows - 1)) / rows;
}

class Grower {
  readonly #rows: IsolationRows;
  readonly #random: Random;
  readonly #depthMax: number;
  readonly #unit: number;
  readonly #tree = {
    feature: [] as number[],
    threshold: [] as number[],
    left: [] as number[],
    right: [] as number[],
    missingLeft: [] as number[],
    value: [] as number[],
    cover: [] as number[],
  };

  constructor(rows: IsolationRows, random: Random, depthMax: number, unit: number) {
    this.#rows = rows;
    this.#random = random;
    this.#depthMax = depthMax;
    this.#unit = unit;
  }

  grow(sample: Int32Array): Tree {
    this.#node(sample, 0);
    return this.#tree;
  }

  #node(sample: Int32Array, depth: number): number {
    const tree = this.#tree;
    const node = tree.feature.length;
    const split = depth < this.#depthMax && sample.length > 1 ? this.#split(sample) : undefined;
    tree.feature.push(split ? split.feature : LEAF);
    tree.threshold.push(split ? split.threshold : 0);
    tree.left.push(0);
    tree.right.push(0);
    tree.missingLeft.push(0);
    tree.value.push(split ? 0 : Math.fround(this.#unit * (depth + meanPathLength(sample.length))));
    tree.cover.push(sample.length);
    if (!split) return node;
    const { values, columns } = this.#rows;
    let [below, above] = [0, 0];
    for (const row of sample) {
      const x = values[row * columns + split.feature]!;
      if (x <= split.threshold) below++;
      else if (x > split.threshold) above++;
    }
    const missingLeft = below >= above;
    const isLeft = (row: number): boolean => {
      const x = values[row * columns + split.feature]!;
      return Number.isNaN(x) ? missingLeft : x <= split.threshold;
    };
    tree.missingLeft[node] = missingLeft ? 1 : 0;
    tree.left[node] = this.#node(sample.filter(isLeft), depth + 1);
    tree.right[node] = this.#node(
      sample.filter((row) => !isLeft(row)),
      depth + 1,
    );
    return node;
  }

  /** A random column among those that vary, and a place between its ends; undefined when none varies. */
  #split(sample: Int32Array): { feature: number; threshold: number } | undefined {
    const { values, columns } = this.#rows;
    const left = Int32Array.from({ length: columns }, (_, c) => c);
    for (let count = columns; count > 0; count--) {
      const at = this.#random.int(count);
      const feature = left[at]!;
      left[at] = left[count - 1]!;
      let [low, high] = [Infinity, -Infinity];
      for (const row of sample) {
        const x = values[row * columns + feature]!;
        if (x < low) low = x;
        if (x > high) high = x;
      }
      // Constant, or missing everywhere.
      if (!(low < high)) continue;
      const threshold = Math.fround(low + this.#random.next() * (high - low));
      // Rounding may reach the upper end, where everything would go left.
      return { feature, threshold: threshold < high ? threshold : low };
    }
    return undefined;
  }
}

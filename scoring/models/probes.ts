import { GatehouseError } from '../../contracts/errors.ts';
import { LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { requireFinite } from './outputs.ts';

/** Rows of one model call. */
const BATCH_ROWS = 256;
/** What a live request can bring to a feature: nothing, shares, counts, amounts, seconds, nonsense. */
const VALUES = [0, 1, -1, 0.25, 3, 17, 250, 4e3, 1e6, -1e6, Number.NaN] as const;
/** Of rows that mix the values. A leaf of a model without its trees can hide from them; the pipelines check live answers too. */
const MIXED_ROWS = 501;
/** Rows x trees at most: about three seconds of the model. 100 trees of 63 leaves take a tenth of it; of a larger model every n-th row is tried. */
const VISITS_MAX = 20_000_000;
/** Each leaf is entered at the upper and at the lower end of what leads to it, and with missing values. */
const WAYS = ['upper', 'lower', 'missing'] as const;
type Way = (typeof WAYS)[number];
/** Runtimes approximate the exponential function. */
const PROBABILITY_TOLERANCE = 1e-5;
/** Float32 keeps 24 bits. */
const FLOAT32_EPSILON = 2 ** -23;

/** Runs rows of one value alone and rows that mix them. Throws `bundle_probe_failed` on a value that is not finite, or what `check` throws instead. */
export async function probeRows(
  file: string,
  width: number,
  run: (rows: Float32Array, n: number) => Promise<Float32Array>,
  check: (values: Float32Array) => void = (values) => requireFinite(file, values),
): Promise<void> {
  const rows = new Float32Array((VALUES.length + MIXED_ROWS) * width);
  VALUES.forEach((value, i) => {
    rows.fill(value, i * width, (i + 1) * width);
  });
  // A multiplicative generator (Park and Miller 1988): the same rows for every bundle.
  let state = 1;
  for (let at = VALUES.length * width; at < rows.length; at++) {
    state = (state * 48271) % 2147483647;
    rows[at] = VALUES[state % VALUES.length]!;
  }
  for (let at = 0; at < rows.length; at += BATCH_ROWS * width) {
    const batch = rows.slice(at, at + BATCH_ROWS * width);
    check(await run(batch, batch.length / width));
  }
}

/** The margins of row-major rows, and their probabilities where the model gives any. */
export type RunModel = (
  rows: Float32Array,
  n: number,
) => Promise<{
  readonly score: Float32Array;
  readonly probability?: Float32Array;
}>;

/**
 * Compares a model with the trees that explain it: reasons drawn from other trees than those that decided would be wrong, and nobody would see it.
 * A row is made for each leaf, at the very edge of its thresholds, so that one changed leaf, threshold or missing branch shows. The ensemble was
 * checked before. Throws `bundle_probe_failed`.
 */
export async function compareTrees(file: string, ensemble: TreeEnsemble, run: RunModel): Promise<void> {
  const { featureCount: width } = ensemble;
  const tolerance = marginTolerance(ensemble);
  let rows = new Float32Array(BATCH_ROWS * width);
  let n = 0;
  const check = async (): Promise<void> => {
    if (n === 0) return;
    const { score, probability } = await run(rows.slice(0, n * width), n);
    for (let i = 0; i < n; i++) {
      const margin = marginOf(ensemble, rows.subarray(i * width, (i + 1) * width));
      const fits =
        Math.abs(score[i]! - margin) <= tolerance &&
        (probability === undefined || Math.abs(probability[i]! - 1 / (1 + Math.exp(-margin))) <= PROBABILITY_TOLERANCE);
      if (!fits) {
        const said = `score ${score[i]}${probability === undefined ? '' : ` and probability ${probability[i]}`}`;
        throw new GatehouseError('bundle_probe_failed', `${file} disagrees with its model: ${said} where the trees have a margin of ${margin}`);
      }
    }
    rows = new Float32Array(rows.length);
    n = 0;
  };
  for (const row of edgeRows(ensemble)) {
    rows.set(row, n * width);
    if (++n === BATCH_ROWS) await check();
  }
  await check();
}

/** Base plus the leaf of each tree, in double precision. */
export function marginOf({ base, trees }: TreeEnsemble, row: Float32Array): number {
  let margin = base;
  for (const { feature, threshold, left, right, missingLeft, value } of trees) {
    let node = 0;
    for (let tested = feature[0]!; tested !== LEAF; tested = feature[node]!) {
      const x = row[tested]!;
      node = (Number.isNaN(x) ? missingLeft[node] === 1 : x <= Math.fround(threshold[node]!)) ? left[node]! : right[node]!;
    }
    margin += value[node]!;
  }
  return margin;
}

/** What summing in float32 may lose, in any order: each of the additions rounds a partial sum that is at most the sum of all sizes. */
function marginTolerance({ base, trees }: TreeEnsemble): number {
  let size = Math.abs(base);
  for (const { value } of trees) size += value.reduce((most, leaf) => Math.max(most, Math.abs(leaf)), 0);
  return (trees.length + 1) * FLOAT32_EPSILON * size + Number.EPSILON;
}

/** One row a leaf and way. The features that its path leaves open stand at thresholds of the ensemble, in turn. The row is reused. */
function* edgeRows(ensemble: TreeEnsemble): Generator<Float32Array> {
  const { featureCount, trees } = ensemble;
  const thresholds = Array.from({ length: featureCount }, (): number[] => [Number.NaN]);
  let leaves = 0;
  for (const { feature, threshold } of trees) {
    feature.forEach((tested, node) => {
      if (tested === LEAF) leaves++;
      else thresholds[tested]!.push(threshold[node]!);
    });
  }
  const every = Math.max(1, Math.ceil((leaves * WAYS.length * trees.length) / VISITS_MAX));
  const row = new Float32Array(featureCount);
  let count = 0;
  for (const tree of trees) {
    for (const path of pathsOf(tree)) {
      for (const way of WAYS) {
        if (count++ % every !== 0) continue;
        // A stride that is coprime to most lengths walks through all values.
        for (let i = 0; i < featureCount; i++) row[i] = thresholds[i]![(count * 7919 + i) % thresholds[i]!.length]!;
        for (const [tested, range] of path) row[tested] = enter(range, way);
        yield row;
      }
    }
  }
}

/** What leads to a leaf: lo < x <= hi, or a missing value. */
interface Range {
  lo: number;
  hi: number;
  missing: boolean;
}

function enter({ lo, hi, missing }: Range, way: Way): number {
  if (missing && (way === 'missing' || lo >= hi)) return Number.NaN;
  const atTop = way === 'lower' ? lo === Number.NEGATIVE_INFINITY : hi !== Number.POSITIVE_INFINITY;
  return atTop ? hi : nextFloat32(lo);
}

/** The ranges of each leaf that some row reaches, by feature. A range without numbers is one that only a missing value enters. */
function* pathsOf(tree: Tree): Generator<ReadonlyMap<number, Range>> {
  const { feature, left, right, threshold, missingLeft } = tree;
  const open: { readonly node: number; readonly path: ReadonlyMap<number, Range> }[] = [{ node: 0, path: new Map() }];
  for (let at = open.pop(); at; at = open.pop()) {
    const { node, path } = at;
    const tested = feature[node]!;
    if (tested === LEAF) {
      yield path;
      continue;
    }
    const { lo, hi, missing } = path.get(tested) ?? { lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY, missing: true };
    const edge = Math.fround(threshold[node]!);
    const below = { lo, hi: Math.min(hi, edge), missing: missing && missingLeft[node] === 1 };
    const above = { lo: Math.max(lo, edge), hi, missing: missing && missingLeft[node] !== 1 };
    if (above.lo < above.hi || above.missing) open.push({ node: right[node]!, path: new Map(path).set(tested, above) });
    if (below.lo < below.hi || below.missing) open.push({ node: left[node]!, path: new Map(path).set(tested, below) });
  }
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The smallest float32 above `x`. */
function nextFloat32(x: number): number {
  float[0] = x;
  if (x === 0) bits[0] = 1;
  else bits[0]! += x > 0 ? 1 : -1;
  return float[0]!;
}

import { GatehouseError } from '../../contracts/errors.ts';
import { LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { loadWalks, type PreparedTree, type Quadrature } from './treeshap-layout.ts';

/** Nodes of one tree at most: twice the leaves that the trainer may grow, with room. Bounds the scratch memory of a damaged file. */
const NODES_MAX = 1 << 14;
/** Distinct features on one path at most; each two need a point of the quadrature. */
const PATH_FEATURES_MAX = 512;

/**
 * Explains a margin exactly: answers, for a row, what each feature added to it, so that the contributions sum to the margin minus
 * `expectedValue`. These are path-dependent TreeSHAP values (Lundberg et al. 2020, Algorithm 2): a feature outside the coalition sends
 * a row down both branches in proportion to their cover.
 *
 * A leaf is reached with product of f_i = o_i t + z_i (1 - t) over the features i of its path, where o_i tells whether the row follows
 * the path, z_i is the share of the cover that does, and t is the chance that a feature is in the coalition. The Shapley weight
 * |S|! (d - |S| - 1)! / d! is the integral of t^|S| (1 - t)^(d - |S| - 1) over 0..1, so feature j gets the integral of
 * value (o_j - z_j) (product of f_i) / f_j: a polynomial, which Gauss-Legendre points integrate exactly. One walk down a tree makes the
 * products, one up sums them: time grows with leaves times depth, not times its square as in Algorithm 2, and no term cancels.
 *
 * Throws `bundle_corrupt` when the ensemble is not one. The answer belongs to the caller.
 */
export function createShap(ensemble: TreeEnsemble): (row: Float32Array) => Float64Array {
  checkEnsemble(ensemble);
  const { featureCount } = ensemble;
  const walk = loadWalks(ensemble.trees.map(prepare), featureCount);
  return (row) => {
    if (row.length !== featureCount) throw new RangeError(`a row has ${featureCount} features, not ${row.length}`);
    return walk(row);
  };
}

/** The margin of a row of which nothing is known: the mean over the training rows' weights. Throws `bundle_corrupt`. */
export function expectedValue(ensemble: TreeEnsemble): number {
  checkEnsemble(ensemble);
  let total = ensemble.base;
  for (const tree of ensemble.trees) {
    const mean = tree.value.slice();
    for (let node = mean.length - 1; node >= 0; node--) {
      if (tree.feature[node] === LEAF) continue;
      const share = leftShare(tree, node);
      mean[node] = share * mean[tree.left[node]!]! + (1 - share) * mean[tree.right[node]!]!;
    }
    total += mean[0]!;
  }
  return total;
}

function prepare(tree: Tree): PreparedTree {
  const nodes = tree.feature.length;
  const parent = new Int32Array(nodes);
  const isLeft = new Uint8Array(nodes);
  const above = new Int32Array(nodes);
  // Share of the parent's cover that takes the edge, and its product with the shares of the edges above of the same feature.
  const share = new Float64Array(nodes).fill(1);
  const merged = new Float64Array(nodes).fill(1);
  const distinct = new Int32Array(nodes);
  for (let node = 0; node < nodes; node++) {
    if (tree.feature[node] === LEAF) continue;
    const ofLeft = leftShare(tree, node);
    for (const child of [tree.left[node]!, tree.right[node]!]) {
      parent[child] = node;
      isLeft[child] = child === tree.left[node] ? 1 : 0;
      let edge = node;
      while (edge > 0 && tree.feature[parent[edge]!] !== tree.feature[node]) edge = parent[edge]!;
      above[child] = edge;
      share[child] = isLeft[child] ? ofLeft : 1 - ofLeft;
      merged[child] = share[child]! * merged[edge]!;
      distinct[child] = distinct[node]! + (edge === 0 ? 1 : 0);
    }
  }
  const features = distinct.reduce((most, count) => Math.max(most, count), 0);
  mustBe(features <= PATH_FEATURES_MAX, `a path tests ${features} features`);
  const rule = padded(gaussLegendre(Math.max(1, Math.ceil(features / 2))));
  return { tree, parent, isLeft, above, share, points: rule.t.length, factors: factorsOf(merged, above, rule) };
}

/** Share of the cover that goes left. Where no training row came, both sides are as likely. */
function leftShare(tree: Tree, node: number): number {
  const left = tree.cover[tree.left[node]!]!;
  const both = left + tree.cover[tree.right[node]!]!;
  return both > 0 ? left / both : 0.5;
}

/**
 * Four rows of points a node. What its edge multiplies the product of its path with: row 0 where the row of features leaves the path here, row 1 where it
 * follows. (Where it left at an edge above of the same feature, that is the edge's own share: (1 - t) z over (1 - t) zAbove.) What the sum of the leaves
 * under the edge counts for its feature: row 2 where the row of features leaves here, row 3 where it follows. The edge above is taken out again in all four.
 */
function factorsOf(merged: Float64Array, above: Int32Array, { t, weight }: Quadrature): Float64Array {
  const points = t.length;
  const factors = new Float64Array(4 * merged.length * points);
  for (let node = 1; node < merged.length; node++) {
    const z = merged[node]!;
    const zAbove = merged[above[node]!]!;
    for (let i = 0; i < points; i++) {
      const rest = 1 - t[i]!;
      const followed = t[i]! + rest * z;
      const before = above[node] === 0 ? 1 : t[i]! + rest * zAbove;
      const given = above[node] === 0 ? 0 : (weight[i]! * (1 - zAbove)) / before;
      const at = 4 * node * points + i;
      factors[at] = (rest * z) / before;
      factors[at + points] = followed / before;
      factors[at + 2 * points] = -weight[i]! / rest - given;
      factors[at + 3 * points] = (weight[i]! * (1 - z)) / followed - given;
    }
  }
  return factors;
}

/** `points` points integrate every polynomial of degree 2 points - 1 exactly. Newton's method on the Legendre polynomial. */
function gaussLegendre(points: number): Quadrature {
  const t = new Float64Array(points);
  const weight = new Float64Array(points);
  for (let i = 0; i < points; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (points + 0.5));
    let slope = 1;
    // Converges quadratically from this start; the last rounds only polish.
    for (let round = 0; round < 8; round++) {
      let [before, here] = [1, x];
      for (let k = 2; k <= points; k++) [before, here] = [here, ((2 * k - 1) * x * here - (k - 1) * before) / k];
      slope = (points * (x * here - before)) / (x * x - 1);
      x -= here / slope;
    }
    t[i] = (1 - x) / 2;
    weight[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { t, weight };
}

/** With an even number of points, which the kernel takes two at a time: the one that is added counts nothing. */
function padded({ t, weight }: Quadrature): Quadrature {
  return t.length % 2 === 0 ? { t, weight } : { t: Float64Array.of(...t, 0.5), weight: Float64Array.of(...weight, 0) };
}

function mustBe(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new GatehouseError('bundle_corrupt', `the trees are damaged: ${detail}`);
}

/** Everything that the walks rely on. The ensemble comes from a file, so its types are checked too. */
function checkEnsemble(ensemble: TreeEnsemble): void {
  const { featureCount, base, trees } = ensemble;
  mustBe(Number.isInteger(featureCount) && featureCount > 0, `featureCount is ${featureCount}`);
  mustBe(Number.isFinite(base), `base is ${base}`);
  mustBe(Array.isArray(trees), 'there is no list of trees');
  trees.forEach((tree, i) => {
    checkTree(tree, featureCount, i);
  });
}

const COLUMNS = ['feature', 'threshold', 'left', 'right', 'missingLeft', 'value', 'cover'] as const satisfies readonly (keyof Tree)[];

function checkTree(tree: Tree, featureCount: number, index: number): void {
  const at = `tree ${index}`;
  mustBe(tree !== null && typeof tree === 'object' && Array.isArray(tree.feature), `${at} is not a tree`);
  const nodes = tree.feature.length;
  mustBe(nodes > 0 && nodes <= NODES_MAX, `${at} has ${nodes} nodes`);
  for (const column of COLUMNS) {
    mustBe(Array.isArray(tree[column]) && tree[column].length === nodes, `${at}: ${column} has not ${nodes} values`);
    for (const value of tree[column]) mustBe(Number.isFinite(value), `${at}: ${column} holds ${value}`);
  }
  checkCategories(tree, at);
  const parents = new Uint8Array(nodes);
  for (let node = 0; node < nodes; node++) {
    mustBe(tree.cover[node]! >= 0, `${at}: the cover of node ${node} is negative`);
    const feature = tree.feature[node]!;
    if (feature === LEAF) continue;
    mustBe(Number.isInteger(feature) && feature >= 0 && feature < featureCount, `${at}: node ${node} tests feature ${feature}`);
    for (const child of [tree.left[node]!, tree.right[node]!]) {
      mustBe(Number.isInteger(child) && child > node && child < nodes, `${at}: node ${node} has child ${child}`);
      parents[child]! += 1;
      mustBe(parents[child] === 1, `${at}: node ${child} has two parents`);
    }
  }
  for (let node = 1; node < nodes; node++) mustBe(parents[node] === 1, `${at}: nothing leads to node ${node}`);
}

function checkCategories({ categories, feature }: Tree, at: string): void {
  if (categories === undefined) return;
  mustBe(Array.isArray(categories) && categories.length === feature.length, `${at}: categories has not ${feature.length} values`);
  categories.forEach((members, node) => {
    if (members === null) return;
    mustBe(feature[node] !== LEAF && Array.isArray(members), `${at}: the categories of node ${node} are no list, or it is a leaf`);
    members.forEach((member, i) => {
      mustBe(Number.isFinite(member) && (i === 0 || member > members[i - 1]!), `${at}: the categories of node ${node} hold ${member}`);
    });
  });
}

import { childOf, type Tree, type TreeEnsemble } from '../../../contracts/trees.ts';
import { requireParam } from '../contract.ts';

/** Margins of row-major float32 rows: base plus the trees' leaves. */
export function predictMargin(ensemble: TreeEnsemble, rows: Float32Array): Float64Array {
  const { featureCount } = ensemble;
  requireParam(rows.length % featureCount === 0, `rows must hold a multiple of ${featureCount} values, not ${rows.length}`);
  const margins = new Float64Array(rows.length / featureCount).fill(ensemble.base);
  for (const tree of ensemble.trees) addTree(tree, rows, featureCount, margins);
  return margins;
}

/** `binary` and `probability`: probabilities; `poisson`: means; otherwise the margins. Float32, as the served model answers. */
export function predict(ensemble: TreeEnsemble, rows: Float32Array): Float32Array {
  const margins = predictMargin(ensemble, rows);
  if (ensemble.objective === 'binary') return Float32Array.from(margins.map((z) => 1 / (1 + Math.exp(-z))));
  // Rounding may leave a mean of ones a little above 1.
  if (ensemble.objective === 'probability') return Float32Array.from(margins.map((p) => Math.min(1, Math.max(0, p))));
  if (ensemble.objective === 'poisson') return Float32Array.from(margins, Math.exp);
  return Float32Array.from(margins);
}

/** Adds each row's leaf value of one tree. */
export function addTree(tree: Tree, rows: Float32Array, featureCount: number, margins: Float64Array): void {
  if (tree.categories) addCategoricalTree(tree, rows, featureCount, margins);
  else addNumericTree(tree, rows, featureCount, margins);
}

function addNumericTree(tree: Tree, rows: Float32Array, featureCount: number, margins: Float64Array): void {
  const { feature, threshold, left, right, missingLeft, value } = tree;
  for (let row = 0; row < margins.length; row++) {
    const offset = row * featureCount;
    let node = 0;
    let tested = feature[0]!;
    while (tested >= 0) {
      const x = rows[offset + tested]!;
      const toLeft = Number.isNaN(x) ? missingLeft[node] === 1 : x <= threshold[node]!;
      node = toLeft ? left[node]! : right[node]!;
      tested = feature[node]!;
    }
    margins[row]! += value[node]!;
  }
}

function addCategoricalTree(tree: Tree, rows: Float32Array, featureCount: number, margins: Float64Array): void {
  for (let row = 0; row < margins.length; row++) {
    let node = 0;
    while (tree.feature[node]! >= 0) node = childOf(tree, node, rows[row * featureCount + tree.feature[node]!]!);
    margins[row]! += tree.value[node]!;
  }
}

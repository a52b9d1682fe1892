import { describe, expect, test } from 'vitest';
import { LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { treeEnsembleToOnnx } from '../../training/onnx/treeEnsemble.ts';
import { createForest } from './forest.ts';
import { loadOnnx } from './onnx.ts';
import { random, randomRow, randomTree } from './trees.testing.ts';

const SINGLE: Tree = { feature: [LEAF], threshold: [0], left: [0], right: [0], missingLeft: [0], value: [0.5], cover: [3] };
const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-45, -1e-45, 3e38];

function ensembleOf(trees: readonly Tree[], featureCount: number): TreeEnsemble {
  return { objective: 'lambdarank', featureCount, base: Math.fround(-0.3), trees };
}

/** Rows of random numbers, of thresholds themselves, and of what else a float32 may be; a third of the features are the same in all rows. */
function rowsFor({ featureCount, trees }: TreeEnsemble, n: number, next: () => number): Float32Array {
  const rows = new Float32Array(n * featureCount);
  const thresholds = trees.flatMap(({ threshold }) => threshold);
  for (let row = 0; row < n; row++) {
    rows.set(randomRow(next, featureCount), row * featureCount);
    for (let i = 0; i < featureCount; i++) {
      const draw = next();
      if (i % 3 === 2 && row > 0) rows[row * featureCount + i] = rows[i]!;
      else if (draw < 0.3) rows[row * featureCount + i] = thresholds[Math.floor(next() * thresholds.length)]!;
      else if (draw < 0.4) rows[row * featureCount + i] = SPECIAL[Math.floor(next() * SPECIAL.length)]!;
    }
  }
  return rows;
}

describe('createForest', () => {
  test('says bit for bit what onnxruntime says of the same trees', async () => {
    const next = random(1);
    for (let round = 0; round < 6; round++) {
      const featureCount = 1 + 14 * round;
      const trees = Array.from({ length: 1 + 18 * round }, (_, i) => randomTree(next, featureCount, 1 + ((i * 11) % 40), i % 5 === 0));
      const ensemble = ensembleOf(trees, featureCount);
      const forest = createForest(ensemble)!;
      const model = await loadOnnx(treeEnsembleToOnnx(ensemble));
      try {
        // Around the rows of a register and of a block.
        for (const n of [1, 15, 16, 17, 200, 257, 600]) {
          const rows = rowsFor(ensemble, n, next);
          const { score } = await model.run({ features: { data: rows, dims: [n, featureCount] } });
          const margins = Array.from(forest(columnsOf(rows, featureCount), n));
          // One row alone, onnxruntime adds up in another order.
          if (n === 1) expect(margins[0]).toBeCloseTo(score!.data[0] as number, 5);
          else expect(margins).toEqual(Array.from(score!.data as Float32Array));
        }
      } finally {
        await model.release();
      }
    }
  });

  test('takes the largest trees that its bytes can number', () => {
    const next = random(2);
    const chain = randomTree(next, 1, 256, true);
    const ensemble = ensembleOf([chain, SINGLE], 1);
    const rows = rowsFor(ensemble, 300, next);
    const expected = Array.from({ length: 300 }, (_, row) => walked(ensemble, rows.subarray(row, row + 1)));
    expect(Array.from(createForest(ensemble)!(rows, 300))).toEqual(expected);
  });

  test('is none where the trees do not fit its bytes', () => {
    const next = random(3);
    expect(createForest(ensembleOf([randomTree(next, 4, 257)], 4))).toBeUndefined();
    expect(
      createForest(
        ensembleOf(
          Array.from({ length: 10 }, () => randomTree(next, 1, 31)),
          1,
        ),
      ),
    ).toBeUndefined();
    const tree = randomTree(next, 2, 5);
    const categories = tree.feature.map((feature) => (feature === LEAF ? null : [1, 2]));
    expect(createForest(ensembleOf([{ ...tree, categories }], 2))).toBeUndefined();
    expect(createForest(ensembleOf([{ ...tree, categories: tree.feature.map(() => null) }], 2))).toBeDefined();
  });

  test('has nothing to say but the base where there are no trees, and nothing of no rows', () => {
    expect(Array.from(createForest(ensembleOf([], 2))!(new Float32Array(4), 2))).toEqual([Math.fround(-0.3), Math.fround(-0.3)]);
    expect(createForest(ensembleOf([SINGLE], 2))!(new Float32Array(0), 0)).toHaveLength(0);
  });
});

function columnsOf(rows: Float32Array, width: number): Float32Array {
  const n = rows.length / width;
  return Float32Array.from(rows, (_, i) => rows[(i % n) * width + Math.floor(i / n)]!);
}

/** Down each tree by hand, summed in float32. */
function walked({ base, trees }: TreeEnsemble, row: Float32Array): number {
  let sum = 0;
  for (const { feature, threshold, left, right, missingLeft, value } of trees) {
    let node = 0;
    while (feature[node] !== LEAF) {
      const x = row[feature[node]!]!;
      node = (Number.isNaN(x) ? missingLeft[node] === 1 : x <= threshold[node]!) ? left[node]! : right[node]!;
    }
    sum = Math.fround(sum + value[node]!);
  }
  return Math.fround(sum + base);
}

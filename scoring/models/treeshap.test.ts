import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { childOf, LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { random, randomRow, randomTree } from './trees.testing.ts';
import { createShap, expectedValue } from './treeshap.ts';

/** Makes the nodes that test an odd feature tests of categories 0..5; some sets are empty. */
function withCategories(tree: Tree, next: () => number): Tree {
  const categories = tree.feature.map((feature) => (feature % 2 === 1 ? [0, 1, 2, 3, 4, 5].filter(() => next() < 0.4) : null));
  return { ...tree, categories };
}

/** Categories in the odd columns; 7 is one that no node knows. */
function categoricalRow(next: () => number, features: number): Float32Array {
  return randomRow(next, features).map((x, feature) => (feature % 2 === 1 && !Number.isNaN(x) ? Math.floor(8 * next()) : x));
}

/** Value of a tree when only the features in `known` (bits) are: the others send the row both ways by cover. */
function marginOf(tree: Tree, row: Float32Array, known: number, node = 0): number {
  const feature = tree.feature[node]!;
  if (feature === LEAF) return tree.value[node]!;
  const [left, right] = [tree.left[node]!, tree.right[node]!];
  if (known & (1 << feature)) {
    return marginOf(tree, row, known, childOf(tree, node, row[feature]!));
  }
  const [ofLeft, ofRight] = [tree.cover[left]!, tree.cover[right]!];
  if (ofLeft + ofRight === 0) return (marginOf(tree, row, known, left) + marginOf(tree, row, known, right)) / 2;
  return (ofLeft * marginOf(tree, row, known, left) + ofRight * marginOf(tree, row, known, right)) / (ofLeft + ofRight);
}

/** Shapley's own sum over all coalitions. */
function bruteForce({ trees, featureCount }: TreeEnsemble, row: Float32Array): number[] {
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  const bits = (set: number): number => (set === 0 ? 0 : (set & 1) + bits(set >> 1));
  const value = Array.from({ length: 1 << featureCount }, (_, set) => trees.reduce((sum, tree) => sum + marginOf(tree, row, set), 0));
  return Array.from({ length: featureCount }, (_, feature) => {
    let sum = 0;
    for (let set = 0; set < value.length; set++) {
      if (set & (1 << feature)) continue;
      const weight = (factorial(bits(set)) * factorial(featureCount - bits(set) - 1)) / factorial(featureCount);
      sum += weight * (value[set | (1 << feature)]! - value[set]!);
    }
    return sum;
  });
}

function margin({ base, trees }: TreeEnsemble, row: Float32Array): number {
  return trees.reduce((sum, tree) => sum + marginOf(tree, row, -1), base);
}

describe('createShap', () => {
  test('equals the sum over all coalitions, with repeated features and missing values', () => {
    const next = random(1);
    for (let round = 0; round < 60; round++) {
      const featureCount = 1 + (round % 7);
      const trees = [randomTree(next, featureCount, 2 + (round % 14)), randomTree(next, featureCount, 9, true)];
      const ensemble: TreeEnsemble = { objective: 'regression', featureCount, base: 0.25, trees };
      const shap = createShap(ensemble);
      for (let i = 0; i < 5; i++) {
        const row = randomRow(next, featureCount);
        const expected = bruteForce(ensemble, row);
        shap(row).forEach((given, feature) => {
          expect(Math.abs(given - expected[feature]!)).toBeLessThan(1e-12);
        });
        expect(expectedValue(ensemble) + expected.reduce((a, b) => a + b, 0)).toBeCloseTo(margin(ensemble, row), 10);
      }
    }
  });

  test('equals the sum over all coalitions for sets of categories, with missing and unseen ones', () => {
    const next = random(6);
    for (let round = 0; round < 40; round++) {
      const featureCount = 2 + (round % 5);
      const trees = [randomTree(next, featureCount, 12), randomTree(next, featureCount, 8, true)].map((tree) => withCategories(tree, next));
      const ensemble: TreeEnsemble = { objective: 'regression', featureCount, base: 0.25, trees };
      const shap = createShap(ensemble);
      for (let i = 0; i < 5; i++) {
        const row = categoricalRow(next, featureCount);
        const expected = bruteForce(ensemble, row);
        shap(row).forEach((given, feature) => {
          expect(Math.abs(given - expected[feature]!)).toBeLessThan(1e-12);
        });
        expect(expectedValue(ensemble) + expected.reduce((a, b) => a + b, 0)).toBeCloseTo(margin(ensemble, row), 10);
      }
    }
  });

  test('a branch that no training row took has share zero', () => {
    const next = random(2);
    for (let round = 0; round < 20; round++) {
      const tree = randomTree(next, 3, 8);
      const cover = tree.cover.slice();
      // The whole subtree under the root's left child is empty.
      const empty = new Set([tree.left[0]!]);
      tree.feature.forEach((feature, node) => {
        if (empty.has(node)) cover[node] = 0;
        if (empty.has(node) && feature !== LEAF) for (const child of [tree.left[node]!, tree.right[node]!]) empty.add(child);
      });
      const ensemble: TreeEnsemble = { objective: 'binary', featureCount: 3, base: 0, trees: [{ ...tree, cover }] };
      const shap = createShap(ensemble);
      for (let i = 0; i < 5; i++) {
        const row = randomRow(next, 3);
        const expected = bruteForce(ensemble, row);
        shap(row).forEach((given, feature) => {
          expect(Math.abs(given - expected[feature]!)).toBeLessThan(1e-12);
        });
      }
    }
  });

  test('sums to the margin within 1e-9 for many and for very deep trees', () => {
    const next = random(3);
    const trees = Array.from({ length: 100 }, (_, i) => (i % 10 ? randomTree(next, 60, 31) : randomTree(next, 60, 61, true)));
    const ensemble: TreeEnsemble = { objective: 'binary', featureCount: 60, base: -1.5, trees };
    const shap = createShap(ensemble);
    const mean = expectedValue(ensemble);
    for (let i = 0; i < 20; i++) {
      const row = randomRow(next, 60);
      const sum = shap(row).reduce((a, b) => a + b, mean);
      expect(Math.abs(sum - margin(ensemble, row))).toBeLessThan(1e-9);
    }
  });

  test('an answer is not changed by the next one, and a tree of one leaf gives nothing', () => {
    const next = random(4);
    const single: Tree = { feature: [LEAF], threshold: [0], left: [0], right: [0], missingLeft: [0], value: [0.5], cover: [3] };
    const ensemble: TreeEnsemble = { objective: 'binary', featureCount: 2, base: 1, trees: [single, randomTree(next, 2, 6)] };
    const shap = createShap(ensemble);
    const [a, b] = [Float32Array.of(0.5, -0.5), Float32Array.of(-0.9, Number.NaN)];
    const first = shap(a);
    const copy = first.slice();
    shap(b);
    expect(first).toEqual(copy);
    expect(createShap({ ...ensemble, trees: [single] })(a)).toEqual(new Float64Array(2));
    expect(expectedValue({ ...ensemble, trees: [single] })).toBe(1.5);
    expect(() => shap(new Float32Array(3))).toThrow(RangeError);
  });
});

/** What `test/models/shapley.py` wrote: ensembles of other libraries and what Python's `shap` says of them. */
interface PythonCase {
  readonly name: string;
  readonly ensemble: TreeEnsemble;
  readonly rows: readonly (readonly (number | null)[])[];
  readonly contributions: readonly (readonly number[])[];
  readonly expected_value: number;
}

describe('beside the shap package', () => {
  const cases = JSON.parse(readFileSync(new URL('../../test/models/shapley.json', import.meta.url), 'utf8')) as PythonCase[];

  test.each(cases)('gives the same contributions: $name', ({ ensemble, rows, contributions, expected_value }) => {
    const shap = createShap(ensemble);
    expect(Math.abs(expectedValue(ensemble) - expected_value)).toBeLessThan(1e-6);
    rows.forEach((row, i) => {
      shap(Float32Array.from(row, (x) => x ?? Number.NaN)).forEach((given, feature) => {
        expect(Math.abs(given - contributions[i]![feature]!)).toBeLessThan(1e-6);
      });
    });
  });
});

describe('a damaged ensemble', () => {
  const good = randomTree(random(5), 3, 6);
  const whole: TreeEnsemble = { objective: 'binary', featureCount: 3, base: 0, trees: [good] };
  const changed = (column: Exclude<keyof Tree, 'categories'>, node: number, value: number): TreeEnsemble => ({
    ...whole,
    trees: [{ ...good, [column]: good[column].map((old, i) => (i === node ? value : old)) }],
  });
  const leaf = good.feature.indexOf(LEAF);
  const cases: [string, TreeEnsemble][] = [
    ['no features', { ...whole, featureCount: 0 }],
    ['a base that is not finite', { ...whole, base: Number.NaN }],
    ['no trees', JSON.parse('{"objective":"binary","featureCount":3,"base":0}') as TreeEnsemble],
    ['a tree that is null', JSON.parse('{"objective":"binary","featureCount":3,"base":0,"trees":[null]}') as TreeEnsemble],
    ['text for a number', JSON.parse(JSON.stringify(whole).replace('"cover":[1000', '"cover":["1000"')) as TreeEnsemble],
    ['a feature out of range', changed('feature', 0, 3)],
    ['a feature that is no whole number', changed('feature', 0, 0.5)],
    ['a child before its parent', changed('left', 0, 0)],
    ['a child beyond the end', changed('right', 0, good.feature.length)],
    ['a node with two parents', changed('right', 0, good.left[0]!)],
    ['a node that nothing leads to', changed('feature', 0, LEAF)],
    ['a value that is not finite', changed('value', leaf, Infinity)],
    ['a negative cover', changed('cover', leaf, -1)],
    ['categories for some nodes alone', { ...whole, trees: [{ ...good, categories: [[1]] }] }],
    ['categories out of order', { ...whole, trees: [{ ...good, categories: good.feature.map((feature) => (feature === LEAF ? null : [2, 1])) }] }],
    ['categories of a leaf', { ...whole, trees: [{ ...good, categories: good.feature.map(() => [1]) }] }],
    ['columns of different lengths', { ...whole, trees: [{ ...good, cover: good.cover.slice(1) }] }],
    ['a tree without nodes', { ...whole, trees: [{ feature: [], threshold: [], left: [], right: [], missingLeft: [], value: [], cover: [] }] }],
  ];

  test.each(cases)('is refused: %s', (_, ensemble) => {
    for (const use of [createShap, expectedValue]) expect(() => use(ensemble)).toThrow(expect.objectContaining({ code: 'bundle_corrupt' }));
  });
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { GraphBuilder } from '../../training/onnx/graph.ts';
import { isolationForestToOnnx } from '../../training/onnx/isolationForest.ts';
import { treeEnsembleToOnnx } from '../../training/onnx/treeEnsemble.ts';
import { loadBundle } from './bundle.ts';
import { Bundles, deps, engine, fate, parts } from './bundle-fate.suite.ts';
import { marginOf } from './probes.ts';
import type { Draft } from './tamper.testing.ts';

const bundles = new Bundles();
const width = engine.names('fraud').length;

/** The ensemble with one tree changed. */
function mutated(ensemble: TreeEnsemble, index: number, change: (tree: Draft<Tree>) => void): TreeEnsemble {
  const copy = structuredClone({ objective: ensemble.objective, featureCount: ensemble.featureCount, base: ensemble.base, trees: ensemble.trees });
  change(copy.trees[index] as Draft<Tree>);
  return copy;
}

function* nodesOf(ensemble: TreeEnsemble): Generator<{ readonly tree: number; readonly node: number; readonly isLeaf: boolean }> {
  for (const [tree, { feature }] of ensemble.trees.entries()) {
    for (const [node, tested] of feature.entries()) yield { tree, node, isLeaf: tested === LEAF };
  }
}

test('a sound bundle is taken', async () => {
  expect(await bundles.fateOf(async () => {})).toBe('taken');
});

describe('a drift reference', () => {
  const reference = parts.fraud.reference!;
  const column = { name: 'score', edges: [1, 2], shares: [0.5, 0.25, 0.25, 0] };

  test('goes with the model', async () => {
    const bundle = await loadBundle(bundles.good, deps);
    expect(bundle.fraud?.reference).toEqual(reference);
    await bundle.release();
  });

  test.each<[string, unknown]>([
    ['that is no JSON object', []],
    ['of other features', { ...reference, features: reference.features.slice(1) }],
    ['with edges out of order', { ...reference, score: { ...column, edges: [2, 1] } }],
    ['with a share too few', { ...reference, score: { ...column, shares: [0.5, 0.5, 0] } }],
    ['with a share that is none', { ...reference, score: { ...column, shares: [2, 0, 0, 0] } }],
  ])('%s is refused', async (_, wrong) => {
    expect(await bundles.withFile('fraud.reference.json', JSON.stringify(wrong), bundles.light)).toMatch(/^load: GatehouseError: bundle_corrupt/);
  });
});

test('a released bundle answers no more', async () => {
  const bundle = await loadBundle(bundles.good, deps);
  await bundle.release();
  await bundle.release();
  await expect(bundle.fraud!.predict(new Float32Array(width))).rejects.toThrow('released');
  await expect(bundle.recommend.ranker!.rank(new Float32Array(engine.names('rank').length), 1)).rejects.toThrow('released');
});

describe('a model over features', () => {
  test.each(['fraud', 'ranker'] as const)('%s: is of this gateway feature set', async (model) => {
    const edit = (change: object) => bundles.withManifest((manifest) => Object.assign(manifest.models[model]!, change));
    expect(await edit({ hash: 'f'.repeat(64) })).toContain('load: GatehouseError: bundle_incompatible');
    // Whoever changed the features reads what to do.
    expect(await edit({ hash: 'f'.repeat(64) })).toMatch(/GATEHOUSE_FEATURES_FILE, or train a bundle/);
    expect(await edit({ hash: engine.hash(model === 'fraud' ? 'rank' : 'fraud') })).toContain('bundle_incompatible');
    expect(await edit({ set: 'nothing' })).toContain('bundle_incompatible');
  });

  test.each(['fraud', 'ranker'] as const)('%s: has its width', async (model) => {
    const edit = (size: number) => bundles.withManifest((manifest) => Object.assign(manifest.models[model]!.inputs[0]!.shape, { 1: size }));
    expect(await edit(7)).toContain('load: GatehouseError: bundle_incompatible');
    // The file alone is of another width: the manifest still says the right one.
    const narrow: TreeEnsemble = { ...parts[model].model, featureCount: 3, trees: [] };
    expect(await bundles.withFile(model === 'fraud' ? 'fraud.onnx' : 'ranker.onnx', treeEnsembleToOnnx(narrow))).toContain('bundle_incompatible');
  });

  test('has the tensors that the manifest names, of the shape and type that it says', async () => {
    const rename = (list: 'inputs' | 'outputs') => bundles.withManifest((m) => Object.assign(m.models.ranker![list][0]!, { name: 'other' }));
    expect(await rename('inputs')).toContain('bundle_incompatible');
    expect(await rename('outputs')).toContain('bundle_incompatible');

    const ranks = engine.names('rank').length;
    const model = (output: (graph: GraphBuilder) => void): Uint8Array => {
      const graph = new GraphBuilder('wrong');
      graph.input('features', 'float32', ['N', ranks]);
      output(graph);
      return graph.toBytes();
    };
    const wide = model((graph) => {
      graph.node('Relu', ['features'], {}, 'score');
      graph.output('score', 'float32', ['N', ranks]);
    });
    expect(await bundles.withFile('ranker.onnx', wide)).toContain('load: GatehouseError: bundle_incompatible');
    // Drops missing values, so that no shape says how many scores come: only a run can tell.
    const silent = model((graph) => {
      const flat = graph.node('Reshape', ['features', graph.ints(-1)]);
      const present = graph.node('Not', [graph.node('IsNaN', [flat])]);
      graph.node('Unsqueeze', [graph.node('Compress', [flat, present]), graph.ints(1)], {}, 'score');
      graph.output('score', 'float32', ['M', 1]);
    });
    expect(await bundles.withFile('ranker.onnx', silent)).toContain('probe: GatehouseError: bundle_probe_failed: ranker.onnx: output score has');
    const double = model((graph) => {
      graph.node('Cast', ['features'], { to: { i: 11 } }, 'score');
      graph.output('score', 'float64', ['N', ranks]);
    });
    expect(await bundles.withFile('ranker.onnx', double)).toContain('bundle_incompatible');
  });

  test('is a model', async () => {
    for (const file of ['fraud.onnx', 'ranker.onnx', 'user_tower.onnx']) {
      const bytes = await readFile(join(bundles.good, file));
      for (const garbage of ['', 'not a model', bytes.subarray(0, bytes.length >> 1), bytes.map((byte, i) => byte ^ (i % 3 === 0 ? 0x5a : 0))]) {
        expect(await bundles.withFile(file, garbage), file).toMatch(/^load: GatehouseError: bundle_(corrupt|incompatible)/);
      }
    }
  });

  test('gives numbers, whatever leaf a row ends in', async () => {
    for (const [file, { model }] of [
      ['fraud.onnx', parts.fraud],
      ['ranker.onnx', parts.ranker],
    ] as const) {
      for (const { tree, node, isLeaf } of nodesOf(model)) {
        if (!isLeaf) continue;
        const bad = mutated(model, tree, ({ value }) => {
          value[node] = node % 2 === 0 ? Number.NaN : Number.POSITIVE_INFINITY;
        });
        expect(await bundles.withFile(file, treeEnsembleToOnnx(bad), bundles.light), `${file} ${tree} ${node}`).toContain(
          'probe: GatehouseError: bundle_probe_failed',
        );
      }
    }
  });
});

describe('the trees that explain a decision', () => {
  const trees = parts.fraud.model;
  const withTrees = (ensemble: unknown) => bundles.withFile('fraud.trees.json', JSON.stringify(ensemble), bundles.fraudAlone);

  test('are trees', async () => {
    for (const text of ['', '{', 'null', '[]', '{"featureCount":1}']) {
      expect(await bundles.withFile('fraud.trees.json', text)).toMatch(/^load: GatehouseError: bundle_(corrupt|incompatible)/);
    }
    expect(await withTrees({ ...trees, featureCount: width + 1 })).toContain('bundle_incompatible');
    const cycle = mutated(trees, 0, ({ left }) => {
      left[0] = 0;
    });
    expect(await withTrees(cycle)).toContain('load: GatehouseError: bundle_corrupt');
  });

  test('are those of the model: one changed leaf, threshold or missing branch is seen', async () => {
    const bundle = await loadBundle(bundles.good, deps);
    await bundle.release();
    const next = (x: number): number => {
      const float = Float32Array.of(x);
      new Int32Array(float.buffer)[0]! += x < 0 ? -1 : 1;
      return float[0]!;
    };
    let tried = 0;
    for (const { tree, node, isLeaf } of nodesOf(trees)) {
      const changes: ((tree: Draft<Tree>) => void)[] = isLeaf
        ? [({ value }) => (value[node] = value[node]! * 1.01 + 1e-4)]
        : [({ threshold }) => (threshold[node] = next(threshold[node]!))];
      // Below a test of the same feature a missing value may never come here, and the branch then makes no difference.
      if (!isLeaf && !isTestedAbove(trees.trees[tree]!, node)) changes.push(({ missingLeft }) => (missingLeft[node] = 1 - missingLeft[node]!));
      for (const change of changes) {
        tried++;
        expect(await withTrees(mutated(trees, tree, change)), `tree ${tree} node ${node}`).toContain('probe: GatehouseError: bundle_probe_failed');
      }
    }
    expect(tried).toBeGreaterThan(100);
    expect(await withTrees({ ...trees, base: trees.base + 1e-3 })).toContain('bundle_probe_failed');
    expect(await withTrees({ ...trees, trees: trees.trees.slice(1) })).toContain('bundle_probe_failed');
  });

  test('and those that explain a ranking are the ranker’s', async () => {
    const { model } = parts.ranker;
    const withRanker = (ensemble: unknown) => bundles.withFile('ranker.trees.json', JSON.stringify(ensemble), bundles.light);
    expect(await withRanker(model)).toBe('taken');
    expect(await withRanker({ ...model, base: model.base + 1e-3 })).toContain('probe: GatehouseError: bundle_probe_failed: ranker.trees.json');
    const moved = mutated(model, 1, ({ threshold }) => (threshold[0] = threshold[0]! + 0.5));
    expect(await withRanker(moved)).toContain('probe: GatehouseError: bundle_probe_failed: ranker.trees.json');
    expect(await withRanker({ ...model, featureCount: 3 })).toContain('load: GatehouseError: bundle_incompatible');
    for (const text of ['', '{', 'null']) expect(await bundles.withFile('ranker.trees.json', text)).toMatch(/^load: GatehouseError: bundle_/);
  });

  test('of a model that only differs by rounding are taken', async () => {
    const rounded = mutated(trees, 0, ({ value }) => {
      value.forEach((leaf, i) => {
        value[i] = leaf * (1 + 1e-8);
      });
    });
    expect(await withTrees(rounded)).toBe('taken');
  });

  test('have a margin by the same rule as the model: left at the threshold, missing where it says', () => {
    const stump: TreeEnsemble = {
      objective: 'binary',
      featureCount: 1,
      base: 0.5,
      trees: [
        {
          feature: [0, LEAF, LEAF],
          threshold: [2, 0, 0],
          left: [1, 0, 0],
          right: [2, 0, 0],
          missingLeft: [0, 0, 0],
          value: [0, 1, 10],
          cover: [2, 1, 1],
        },
      ],
    };
    expect([1, 2, 2.0000002, Number.NaN].map((x) => marginOf(stump, Float32Array.of(x)))).toEqual([1.5, 1.5, 10.5, 10.5]);
  });
});

function isTestedAbove({ feature, left, right }: Tree, node: number): boolean {
  for (let at = node; at > 0; ) {
    const parent = feature.findIndex((tested, i) => tested !== LEAF && (left[i] === at || right[i] === at));
    if (feature[parent] === feature[node]) return true;
    at = parent;
  }
  return false;
}

describe('a calibration', () => {
  test.each([
    { kind: 'platt', a: -1, b: 0 },
    { kind: 'isotonic', x: [0, 1], y: [0] },
    { kind: 'isotonic', x: [0, 0.5, 1], y: [0, 0.6, 0.5] },
    { kind: 'isotonic', x: [0.5, 0.1], y: [0.1, 0.2] },
    { kind: 'isotonic', x: [0, 1], y: [0, 7] },
  ])('that falls, or gives no probability, is refused: $kind $y', async (calibration) => {
    expect(await bundles.withManifest((manifest) => Object.assign(manifest.models.fraud!, { calibration }))).toContain(
      'load: GatehouseError: bundle_corrupt',
    );
  });
});

describe('an anomaly model', () => {
  test('is of this gateway’s feature set', async () => {
    expect(await bundles.withManifest((m) => Object.assign(m.models.anomaly!, { hash: 'a'.repeat(64) }))).toContain('bundle_incompatible');
    expect(await bundles.withManifest((m) => Object.assign(m.models.anomaly!.inputs[0]!.shape, { 1: 7 }))).toContain('bundle_incompatible');
    const narrow = isolationForestToOnnx({ featureCount: 3, trees: [] });
    expect(await bundles.withFile('anomaly.onnx', narrow)).toContain('load: GatehouseError: bundle_incompatible');
  });

  test('has a scale that ascends', async () => {
    for (const scale of [
      { scores: [0.5, 0.4], shares: [0, 1] },
      { scores: [0.4, 0.5], shares: [1, 0] },
      { scores: [0.4], shares: [0, 1] },
      { scores: [], shares: [] },
      { scores: [0.4], shares: [2] },
    ])
      expect(await bundles.withManifest((m) => Object.assign(m.models.anomaly!, { scale }))).toContain('load: GatehouseError: bundle_corrupt');
  });

  test('gives numbers', async () => {
    const { model } = parts.anomaly;
    const trees = model.trees.map((tree) => ({ ...tree, value: tree.value.map((leaf, node) => (tree.feature[node] === LEAF ? Number.NaN : leaf)) }));
    expect(await bundles.withFile('anomaly.onnx', isolationForestToOnnx({ ...model, trees }))).toContain(
      'probe: GatehouseError: bundle_probe_failed',
    );
  });

  test('is optional', async () => {
    const bundle = await loadBundle(bundles.light, deps);
    expect(bundle.anomaly).toBeUndefined();
    await bundle.release();
    const dropped = await bundles.withManifest((m) => Object.assign(m, { models: { ...m.models, anomaly: undefined } }));
    expect(dropped).toBe('taken');
  });
});

test('a user tower that is not finite is refused', async () => {
  const factors = parts.userTower.factors;
  const graph = new GraphBuilder('bad');
  graph.input('items', 'float32', ['n', factors]);
  graph.input('confidence', 'float32', ['n']);
  const sum = graph.node('ReduceSum', ['items', graph.ints(0)], { keepdims: { i: 1 } });
  const zero = graph.initializer('zero', new Float32Array(factors), [1, factors]);
  graph.node('Div', [sum, zero], {}, 'user');
  graph.output('user', 'float32', [1, factors]);
  expect(await bundles.withFile('user_tower.onnx', graph.toBytes())).toContain('probe: GatehouseError: bundle_probe_failed');
});

test('a model alone is enough', async () => {
  const { version, created_ms, trained, metrics, fraud, ranker } = parts;
  const outDir = join(bundles.root, 'alone');
  await writeBundle(outDir, { version, created_ms, trained, metrics, fraud });
  expect(await fate(join(outDir, version))).toBe('taken');
  await writeBundle(outDir, { version: 'v2', created_ms, trained, metrics, ranker });
  expect(await fate(join(outDir, 'v2'))).toBe('taken');
});

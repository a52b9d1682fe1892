import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BundleManifest } from '../../contracts/bundle.ts';
import { LEAF, type Tree, type TreeEnsemble } from '../../contracts/trees.ts';
import { createExactIndex } from '../../index/exact.ts';
import { indexReaders } from '../../index/readers.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { GraphBuilder } from '../../training/onnx/graph.ts';
import { isolationForestToOnnx } from '../../training/onnx/isolationForest.ts';
import { treeEnsembleToOnnx } from '../../training/onnx/treeEnsemble.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { loadBundle } from './bundle.ts';
import { marginOf } from './probes.ts';
import { type Draft, editManifest, replaceSealed, tampered } from './tamper.testing.ts';

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const deps = { engine, ...indexReaders };
const parts = await testParts(engine, 'v1');
const width = engine.names('fraud').length;

let root: string;
let good: string;
/** The models over features alone: as good for what is tried a hundred times. */
let light: string;
/** The fraud model by itself. */
let fraudAlone: string;
let copies = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gatehouse-bundle-'));
  await writeBundle(root, parts);
  good = join(root, 'v1');
  const { version, created_ms, trained, metrics, fraud, ranker } = parts;
  await writeBundle(join(root, 'light'), { version, created_ms, trained, metrics, fraud, ranker });
  light = join(root, 'light', version);
  await writeBundle(join(root, 'fraud'), { version, created_ms, trained, metrics, fraud });
  fraudAlone = join(root, 'fraud', version);
});
afterAll(() => rm(root, { recursive: true }));

/** Loads and probes a folder. What it was refused for, and by whom. */
async function fate(dir: string): Promise<string> {
  try {
    const bundle = await loadBundle(dir, deps);
    try {
      await bundle.probe();
      return 'taken';
    } catch (error) {
      return `probe: ${String(error)}`;
    } finally {
      await bundle.release();
    }
  } catch (error) {
    return `load: ${String(error)}`;
  }
}

async function fateOf(change: (dir: string) => Promise<void>, from = good): Promise<string> {
  return fate(await tampered(from, join(root, `copy${copies++}`, 'v1'), change));
}

const withFile = (name: string, bytes: Uint8Array | string, from = good) =>
  fateOf((dir) => replaceSealed(dir, name, typeof bytes === 'string' ? Buffer.from(bytes) : bytes), from);
const withManifest = (change: (manifest: Draft<BundleManifest>) => void) => fateOf((dir) => editManifest(dir, change));

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
  expect(await fateOf(async () => {})).toBe('taken');
});

describe('a drift reference', () => {
  const reference = parts.fraud.reference!;
  const column = { name: 'score', edges: [1, 2], shares: [0.5, 0.25, 0.25, 0] };

  test('goes with the model', async () => {
    const bundle = await loadBundle(good, deps);
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
    expect(await withFile('fraud.reference.json', JSON.stringify(wrong), light)).toMatch(/^load: GatehouseError: bundle_corrupt/);
  });
});

test('a released bundle answers no more', async () => {
  const bundle = await loadBundle(good, deps);
  await bundle.release();
  await bundle.release();
  await expect(bundle.fraud!.predict(new Float32Array(width))).rejects.toThrow('released');
  await expect(bundle.recommend.ranker!.rank(new Float32Array(engine.names('rank').length), 1)).rejects.toThrow('released');
});

describe('a model over features', () => {
  test.each(['fraud', 'ranker'] as const)('%s: is of this gateway feature set', async (model) => {
    const edit = (change: object) => withManifest((manifest) => Object.assign(manifest.models[model]!, change));
    expect(await edit({ hash: 'f'.repeat(64) })).toContain('load: GatehouseError: bundle_incompatible');
    // Whoever changed the features reads what to do.
    expect(await edit({ hash: 'f'.repeat(64) })).toMatch(/GATEHOUSE_FEATURES_FILE, or train a bundle/);
    expect(await edit({ hash: engine.hash(model === 'fraud' ? 'rank' : 'fraud') })).toContain('bundle_incompatible');
    expect(await edit({ set: 'nothing' })).toContain('bundle_incompatible');
  });

  test.each(['fraud', 'ranker'] as const)('%s: has its width', async (model) => {
    const edit = (size: number) => withManifest((manifest) => Object.assign(manifest.models[model]!.inputs[0]!.shape, { 1: size }));
    expect(await edit(7)).toContain('load: GatehouseError: bundle_incompatible');
    // The file alone is of another width: the manifest still says the right one.
    const narrow: TreeEnsemble = { ...parts[model].model, featureCount: 3, trees: [] };
    expect(await withFile(model === 'fraud' ? 'fraud.onnx' : 'ranker.onnx', treeEnsembleToOnnx(narrow))).toContain('bundle_incompatible');
  });

  test('has the tensors that the manifest names, of the shape and type that it says', async () => {
    const rename = (list: 'inputs' | 'outputs') => withManifest((m) => Object.assign(m.models.ranker![list][0]!, { name: 'other' }));
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
    expect(await withFile('ranker.onnx', wide)).toContain('load: GatehouseError: bundle_incompatible');
    // Drops missing values, so that no shape says how many scores come: only a run can tell.
    const silent = model((graph) => {
      const flat = graph.node('Reshape', ['features', graph.ints(-1)]);
      const present = graph.node('Not', [graph.node('IsNaN', [flat])]);
      graph.node('Unsqueeze', [graph.node('Compress', [flat, present]), graph.ints(1)], {}, 'score');
      graph.output('score', 'float32', ['M', 1]);
    });
    expect(await withFile('ranker.onnx', silent)).toContain('probe: GatehouseError: bundle_probe_failed: ranker.onnx: output score has');
    const double = model((graph) => {
      graph.node('Cast', ['features'], { to: { i: 11 } }, 'score');
      graph.output('score', 'float64', ['N', ranks]);
    });
    expect(await withFile('ranker.onnx', double)).toContain('bundle_incompatible');
  });

  test('is a model', async () => {
    for (const file of ['fraud.onnx', 'ranker.onnx', 'user_tower.onnx']) {
      const bytes = await readFile(join(good, file));
      for (const garbage of ['', 'not a model', bytes.subarray(0, bytes.length >> 1), bytes.map((byte, i) => byte ^ (i % 3 === 0 ? 0x5a : 0))]) {
        expect(await withFile(file, garbage), file).toMatch(/^load: GatehouseError: bundle_(corrupt|incompatible)/);
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
        expect(await withFile(file, treeEnsembleToOnnx(bad), light), `${file} ${tree} ${node}`).toContain(
          'probe: GatehouseError: bundle_probe_failed',
        );
      }
    }
  });
});

describe('the trees that explain a decision', () => {
  const trees = parts.fraud.model;
  const withTrees = (ensemble: unknown) => withFile('fraud.trees.json', JSON.stringify(ensemble), fraudAlone);

  test('are trees', async () => {
    for (const text of ['', '{', 'null', '[]', '{"featureCount":1}']) {
      expect(await withFile('fraud.trees.json', text)).toMatch(/^load: GatehouseError: bundle_(corrupt|incompatible)/);
    }
    expect(await withTrees({ ...trees, featureCount: width + 1 })).toContain('bundle_incompatible');
    const cycle = mutated(trees, 0, ({ left }) => {
      left[0] = 0;
    });
    expect(await withTrees(cycle)).toContain('load: GatehouseError: bundle_corrupt');
  });

  test('are those of the model: one changed leaf, threshold or missing branch is seen', async () => {
    const bundle = await loadBundle(good, deps);
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
    const withRanker = (ensemble: unknown) => withFile('ranker.trees.json', JSON.stringify(ensemble), light);
    expect(await withRanker(model)).toBe('taken');
    expect(await withRanker({ ...model, base: model.base + 1e-3 })).toContain('probe: GatehouseError: bundle_probe_failed: ranker.trees.json');
    const moved = mutated(model, 1, ({ threshold }) => (threshold[0] = threshold[0]! + 0.5));
    expect(await withRanker(moved)).toContain('probe: GatehouseError: bundle_probe_failed: ranker.trees.json');
    expect(await withRanker({ ...model, featureCount: 3 })).toContain('load: GatehouseError: bundle_incompatible');
    for (const text of ['', '{', 'null']) expect(await withFile('ranker.trees.json', text)).toMatch(/^load: GatehouseError: bundle_/);
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
    expect(await withManifest((manifest) => Object.assign(manifest.models.fraud!, { calibration }))).toContain(
      'load: GatehouseError: bundle_corrupt',
    );
  });
});

describe('an index', () => {
  test('is of the dimensions that the manifest says', async () => {
    expect(await withManifest((manifest) => Object.assign(manifest.indexes.items!, { dimensions: 4 }))).toContain(
      'load: GatehouseError: snapshot_corrupt',
    );
    expect(await withManifest((manifest) => Object.assign(manifest.indexes.users!, { dimensions: 4 }))).toContain(
      'load: GatehouseError: snapshot_corrupt',
    );
    expect(await withManifest((manifest) => Object.assign(manifest.indexes.users!, { count: 3 }))).toContain(
      'load: GatehouseError: snapshot_corrupt',
    );
  });

  test('of items has the dimensions of the user tower', async () => {
    const other = createExactIndex({ dimensions: 4, metric: 'ip' });
    other.upsert('i1', Float32Array.of(1, 2, 3, 4));
    const outDir = join(root, 'other-index');
    const { userTower: _, ...rest } = parts;
    await writeBundle(outDir, { ...rest, version: 'v1', itemIndex: other });
    expect(await fate(join(outDir, 'v1'))).toBe('taken');
    const dir = await tampered(good, join(root, 'mixed', 'v1'), (to) =>
      editManifest(to, (manifest) => {
        manifest.models.user_tower!.factors = 4;
      }),
    );
    expect(await fate(dir)).toContain('load: GatehouseError: bundle_incompatible');
    expect(await withManifest((manifest) => Object.assign(manifest.indexes, { items: undefined }))).toContain('bundle_incompatible');
  });

  test('whose files are garbage with a right hash is refused before native code reads them', async () => {
    for (const { name } of [...(await manifestOf()).indexes.items!.files]) {
      const bytes = await readFile(join(good, name));
      expect(
        await withFile(
          name,
          bytes.map((byte) => byte ^ 0xff),
        ),
        name,
      ).toContain('load: GatehouseError: snapshot_corrupt');
      expect(await withFile(name, bytes.subarray(0, bytes.length >> 1)), name).toContain('load: GatehouseError: snapshot_corrupt');
      expect(await withFile(name, ''), name).toContain('load: GatehouseError: snapshot_corrupt');
    }
  });

  async function manifestOf(): Promise<BundleManifest> {
    return JSON.parse(await readFile(join(good, 'manifest.json'), 'utf8')) as BundleManifest;
  }
});

describe('a table', () => {
  const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
  const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
  const sound = { ids: ['i1', 'i2'], indptr: words(0, 1, 1), neighbours: words(1), similarities: floats(0.5) };

  test('of neighbours stays within its bounds', async () => {
    expect(await withFile('neighbours.msgpack', encode(sound))).toBe('taken');
    const broken: object[] = [
      { neighbours: words(2) },
      { neighbours: words(0xffffffff) },
      { indptr: words(0, 2, 1) },
      { indptr: words(0, 1, 9) },
      { indptr: words(1, 1, 1) },
      { indptr: words(0, 1) },
      { similarities: floats(Number.NaN) },
      { similarities: floats() },
      { neighbours: words(1).subarray(1) },
      { neighbours: 'text' },
      { ids: 'i1' },
      { ids: [1, 2] },
      { indptr: undefined },
    ];
    for (const change of broken) {
      expect(await withFile('neighbours.msgpack', encode({ ...sound, ...change })), JSON.stringify(change)).toContain(
        'load: GatehouseError: bundle_corrupt',
      );
    }
  });

  test('of popularity has a finite score for each item', async () => {
    const file = (scores: Uint8Array, ids: unknown = ['i1']) => withFile('popularity.msgpack', encode({ ids, scores }));
    expect(await file(floats(1))).toBe('taken');
    for (const scores of [floats(), floats(1, 2), floats(Number.NaN), floats(Number.POSITIVE_INFINITY)])
      expect(await file(scores)).toContain('bundle_corrupt');
    expect(await file(floats(1), [7])).toContain('bundle_corrupt');
  });

  test('of content has weights that are numbers, of a power of two of buckets', async () => {
    const whole = { dimensions: 32, idf: floats(0, 1, 2, 3), idf_unseen: 3 };
    const file = (change: object) => withFile('content.msgpack', encode({ ...whole, ...change }));
    expect(await file({})).toBe('taken');
    const broken = [
      { dimensions: 0 },
      { dimensions: 1_025 },
      { dimensions: 2.5 },
      { dimensions: '8' },
      { idf: floats() },
      { idf: floats(1, 1, 1) },
      { idf: floats(1, 1, 1, Number.NaN) },
      { idf: floats(1, 1, 1, -1) },
      { idf: floats(1, 1, 1, 1e30) },
      { idf: floats(1, 1).subarray(1) },
      { idf: 'text' },
      { idf_unseen: Number.NaN },
      { idf_unseen: 0 },
      { idf_unseen: undefined },
    ];
    for (const change of broken) expect(await file(change), JSON.stringify(change)).toContain('load: GatehouseError: bundle_corrupt');
  });

  test('of the item fold-in has sums of squares, of the user tower’s factors, and a map of numbers from the content’s vectors', async () => {
    const doubles = (values: readonly number[]): Uint8Array => new Uint8Array(Float64Array.from(values).buffer);
    const unit: readonly number[] = Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0));
    const content = { dimensions: 32, weights: floats(...new Array<number>(8 * 33).fill(0.1)), r2: 0.1 };
    const whole = { factors: 8, regularization: 1, alpha: 1, acts: 10, user_gram: doubles(unit), content };
    const file = (change: object) => withFile('item_fold_in.msgpack', encode({ ...whole, ...change }));
    expect(await file({})).toBe('taken');
    const { content: _, ...withoutMap } = whole;
    expect(await withFile('item_fold_in.msgpack', encode(withoutMap))).toBe('taken');
    const broken = [
      { factors: 0 },
      { factors: 9 },
      { factors: '8' },
      { regularization: 0 },
      { alpha: Number.NaN },
      { acts: -1 },
      { user_gram: doubles(unit.slice(1)) },
      { user_gram: doubles(unit.with(0, -1)) },
      { user_gram: doubles(unit.with(1, 1)) },
      { user_gram: doubles(unit.with(0, Number.POSITIVE_INFINITY)) },
      { user_gram: 'text' },
      { content: { ...content, dimensions: 31 } },
      { content: { ...content, weights: floats(1) } },
      { content: { ...content, weights: content.weights.map(() => 0xff) } },
      { content: { ...content, r2: 'much' } },
    ];
    for (const change of broken) expect(await file(change), JSON.stringify(change)).toContain('load: GatehouseError: bundle_corrupt');
    const narrow = { ...withoutMap, factors: 2, user_gram: doubles([1, 0, 0, 1]) };
    expect(await withFile('item_fold_in.msgpack', encode(narrow))).toContain('load: GatehouseError: bundle_incompatible');
    const other = { ...content, dimensions: 2, weights: floats(...new Array<number>(8 * 3).fill(0.1)) };
    expect(await file({ content: other })).toContain('load: GatehouseError: bundle_incompatible');
  });

  test.each(['neighbours.msgpack', 'popularity.msgpack', 'content.msgpack', 'item_fold_in.msgpack'])('%s is a table', async (name) => {
    for (const bytes of [encode(null), encode([]), encode('x'), new Uint8Array(0), Uint8Array.of(0xc1), encode(sound).subarray(0, 9)]) {
      expect(await withFile(name, bytes)).toContain('load: GatehouseError: bundle_corrupt');
    }
  });
});

describe('an anomaly model', () => {
  test('is of this gateway’s feature set', async () => {
    expect(await withManifest((m) => Object.assign(m.models.anomaly!, { hash: 'a'.repeat(64) }))).toContain('bundle_incompatible');
    expect(await withManifest((m) => Object.assign(m.models.anomaly!.inputs[0]!.shape, { 1: 7 }))).toContain('bundle_incompatible');
    const narrow = isolationForestToOnnx({ featureCount: 3, trees: [] });
    expect(await withFile('anomaly.onnx', narrow)).toContain('load: GatehouseError: bundle_incompatible');
  });

  test('has a scale that ascends', async () => {
    for (const scale of [
      { scores: [0.5, 0.4], shares: [0, 1] },
      { scores: [0.4, 0.5], shares: [1, 0] },
      { scores: [0.4], shares: [0, 1] },
      { scores: [], shares: [] },
      { scores: [0.4], shares: [2] },
    ])
      expect(await withManifest((m) => Object.assign(m.models.anomaly!, { scale }))).toContain('load: GatehouseError: bundle_corrupt');
  });

  test('gives numbers', async () => {
    const { model } = parts.anomaly;
    const trees = model.trees.map((tree) => ({ ...tree, value: tree.value.map((leaf, node) => (tree.feature[node] === LEAF ? Number.NaN : leaf)) }));
    expect(await withFile('anomaly.onnx', isolationForestToOnnx({ ...model, trees }))).toContain('probe: GatehouseError: bundle_probe_failed');
  });

  test('is optional', async () => {
    const bundle = await loadBundle(light, deps);
    expect(bundle.anomaly).toBeUndefined();
    await bundle.release();
    const dropped = await withManifest((m) => Object.assign(m, { models: { ...m.models, anomaly: undefined } }));
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
  expect(await withFile('user_tower.onnx', graph.toBytes())).toContain('probe: GatehouseError: bundle_probe_failed');
});

test('a model alone is enough', async () => {
  const { version, created_ms, trained, metrics, fraud, ranker } = parts;
  const outDir = join(root, 'alone');
  await writeBundle(outDir, { version, created_ms, trained, metrics, fraud });
  expect(await fate(join(outDir, version))).toBe('taken');
  await writeBundle(outDir, { version: 'v2', created_ms, trained, metrics, ranker });
  expect(await fate(join(outDir, 'v2'))).toBe('taken');
});

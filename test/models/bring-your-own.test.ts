import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelManifest } from '../../contracts/model-manifest.ts';
import { probeInChild } from '../../gateway/probe.ts';
import { indexReaders } from '../../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { type LoadedBundle, loadBundle } from '../../scoring/models/bundle.ts';
import { judge } from '../../scoring/risk/pipeline.ts';
import { RuleBook } from '../../scoring/risk/rules.ts';
import { addModel } from '../../training/bundle/add.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { GraphBuilder } from '../../training/onnx/graph.ts';
import { KEYS, run, runOk, serve } from '../e2e/command-line.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PROBE = fileURLToPath(new URL('../../dist/gateway/probe-child.js', import.meta.url));
const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const fraudNames = engine.names('fraud');
const probe = (dir: string): Promise<void> => probeInChild(dir, { script: PROBE });

interface Expected {
  readonly rows: readonly (readonly (number | null)[])[];
  readonly answers: readonly number[];
}

let root: string;
let bundles: string;
/** A second for each bundle: a version is a time. */
let seconds = 0;

beforeAll(async () => {
  expect(existsSync(PROBE), `${PROBE} is missing: npm run build`).toBe(true);
  root = await mkdtemp(join(tmpdir(), 'gatehouse-own-model-'));
  bundles = join(root, 'bundles');
  await writeBundle(bundles, await testParts(engine, 'v1'));
});
afterAll(() => rm(root, { recursive: true }));

const json = async <T>(name: string): Promise<T> => JSON.parse(await readFile(join(HERE, name), 'utf8')) as T;
const manifestOf = (name: string) => json<ModelManifest>(`${name}.json`);

function add(manifest: string, base: string | undefined = 'v1', outDir = bundles) {
  return addModel({ outDir, base, manifest, engine, now: () => Date.UTC(2026, 0, 1) + 1000 * seconds++, probe });
}

/** Writes a manifest into a folder of its own and adds it. `file` is of this folder unless it is a path or bytes. */
async function addChanged(change: object, file?: string | Uint8Array): Promise<unknown> {
  const dir = await mkdtemp(join(root, 'model-'));
  let path = join(HERE, 'sklearn-fraud.onnx');
  if (typeof file === 'string') path = join(HERE, file);
  else if (file) {
    path = join(dir, 'own.onnx');
    await writeFile(path, file);
  }
  await writeFile(join(dir, 'model.json'), JSON.stringify({ ...(await manifestOf('sklearn-fraud')), file: path, ...change }));
  return add(join(dir, 'model.json'));
}

async function withBundle<T>(version: string, use: (bundle: LoadedBundle) => Promise<T>, outDir = bundles): Promise<T> {
  const bundle = await loadBundle(join(outDir, version), { engine, ...indexReaders });
  try {
    return await use(bundle);
  } finally {
    await bundle.release();
  }
}

/** A vector of the set with the model's values where they belong, and values in all other places that would show if they were read. */
function vectorOf(names: readonly string[], features: readonly string[], row: readonly (number | null)[]): Float32Array {
  const vector = new Float32Array(names.length).fill(-77);
  features.forEach((name, i) => {
    vector[names.indexOf(name)] = row[i] ?? Number.NaN;
  });
  return vector;
}

const logOdds = (p: number): number => Math.log(p / (1 - p));

describe('a model that was exported', () => {
  test.each(['lightgbm-fraud', 'sklearn-fraud', 'torch-fraud'])('%s: is served with the probabilities that its library gives', async (name) => {
    const { features, meaning } = await manifestOf(name);
    const { rows, answers } = await json<Expected>(`${name}.expected.json`);
    const { version } = await add(join(HERE, `${name}.json`));
    const got = await withBundle(version, ({ fraud }) => Promise.all(rows.map((row) => fraud!.predict(vectorOf(fraudNames, features, row)))));
    expect(rows.flat().some((value) => value === null)).toBe(true);
    answers.forEach((answer, i) => {
      const probability = meaning === 'log_odds' ? 1 / (1 + Math.exp(-answer)) : answer;
      expect(Math.abs(got[i]! - probability), `row ${i}`).toBeLessThan(1e-5);
    });
    expect(new Set(got).size).toBeGreaterThan(5);
  });

  test('lightgbm-ranker: sorts as its library does', async () => {
    const { features } = await manifestOf('lightgbm-ranker');
    const { rows, answers } = await json<Expected>('lightgbm-ranker.expected.json');
    const names = engine.names('rank');
    const { version } = await add(join(HERE, 'lightgbm-ranker.json'));
    const batch = new Float32Array(rows.length * names.length);
    rows.forEach((row, i) => {
      vectorOf(names, features, row).forEach((value, f) => {
        batch[f * rows.length + i] = value;
      });
    });
    const got = await withBundle(version, ({ recommend }) => recommend.ranker!.rank(batch, rows.length));
    answers.forEach((answer, i) => {
      expect(Math.abs(got[i]! - answer), `row ${i}`).toBeLessThan(1e-5);
    });
  });

  test('leaves the rest of the bundle as it was', async () => {
    const { version } = await add(join(HERE, 'sklearn-fraud.json'));
    const { manifest, ranked, index } = await withBundle(version, async (bundle) => ({
      manifest: bundle.manifest,
      ranked: await bundle.recommend.ranker!.rank(new Float32Array(engine.names('rank').length).fill(1), 1),
      index: bundle.recommend.itemIndex!.size,
    }));
    const before = await withBundle('v1', async (bundle) => ({
      manifest: bundle.manifest,
      ranked: await bundle.recommend.ranker!.rank(new Float32Array(engine.names('rank').length).fill(1), 1),
    }));
    expect(index).toBe(60);
    expect(ranked).toEqual(before.ranked);
    expect(manifest.models.ranker).toEqual(before.manifest.models.ranker);
    expect(manifest.models.fraud).toMatchObject({
      hash: engine.hash('fraud'),
      thresholds: before.manifest.models.fraud!.thresholds,
      calibration: { kind: 'isotonic', x: [], y: [] },
    });
    const files = await readdir(join(bundles, version));
    expect(files).not.toContain('fraud.trees.json');
    expect(files).not.toContain('report.html');
    expect(files).toContain('items.hnsw');
    expect(manifest.trained).toEqual(before.manifest.trained);
    expect(manifest.session_search).toBe(before.manifest.session_search);
  });

  test('makes a bundle of its own where there is none, with its calibration, thresholds, metrics and origin', async () => {
    const outDir = join(root, 'empty');
    const given = {
      calibration: { kind: 'platt', a: 2, b: -1 },
      thresholds: { review: 0.3, challenge: 0.6, decline: 0.9 },
      metrics: { auc: 0.9 },
      origin: 'a notebook',
      hash: engine.hash('fraud'),
      set: 'fraud',
    };
    const path = join(root, 'empty.json');
    await writeFile(path, JSON.stringify({ ...(await manifestOf('sklearn-fraud')), ...given, file: join(HERE, 'sklearn-fraud.onnx') }));
    const { version } = await addModel({ outDir, base: undefined, manifest: path, engine, now: () => Date.UTC(2026, 0, 1), probe });
    expect(version).toBe('20260101T000000-000-fraud');
    await withBundle(
      version,
      async ({ manifest, fraud, recommend }) => {
        expect(manifest.metrics).toEqual({ fraud_auc: 0.9 });
        expect(manifest.models.fraud!.adapter!.origin).toBe('a notebook');
        expect(fraud!.thresholds).toEqual(given.thresholds);
        expect(fraud!.calibrate(0.5)).toBeCloseTo(1 / (1 + Math.E), 6);
        expect(recommend.ranker).toBeUndefined();
      },
      outDir,
    );
  });
});

describe('the reasons of a decision', () => {
  const rules = new RuleBook([], fraudNames);
  const request = { transaction_id: 't', user_id: 'u', amount: 900, timestamp_ms: 0 };

  test('are occlusions against the reference, and say so', async () => {
    const { features, reference } = await manifestOf('torch-fraud');
    const { version } = await add(join(HERE, 'torch-fraud.json'));
    const usual = features.map((name) => reference![name]!);
    const row = usual.map((value, i) => (features[i] === 'amount' ? 900 : value));
    const vector = vectorOf(fraudNames, features, row);
    await withBundle(version, async ({ fraud }) => {
      const { response } = await judge(engine, {
        request,
        vector,
        model: { ...fraud!, thresholds: { review: 0, challenge: 1, decline: 1 } },
        rules,
        nowMs: 0,
      });
      const without = await fraud!.predict(vectorOf(fraudNames, features, usual));
      const risen = logOdds(response.score!) - logOdds(without);
      expect(risen).toBeGreaterThan(0.5);
      // One feature alone differs from the reference, so it is the whole of the reasons.
      expect(response.reasons).toEqual([{ code: 'amount', text: 'amount 900', contribution: expect.closeTo(risen, 4), method: 'occlusion' }]);
      expect(response.degraded).toBe(false);
    });
  });

  test('are none without a reference, and the answer is whole', async () => {
    const { version } = await add(join(HERE, 'sklearn-fraud.json'));
    await withBundle(version, async ({ fraud }) => {
      const model = { ...fraud!, thresholds: { review: 0, challenge: 1, decline: 1 } };
      const { response } = await judge(engine, { request, vector: new Float32Array(fraudNames.length), model, rules, nowMs: 0 });
      expect(response).toMatchObject({ decision: 'review', reasons: [], degraded: false });
    });
  });
});

describe('refused with one sentence, and nothing is left behind:', () => {
  /** A model of the fraud features of the manifest, whose output is what `make` says. */
  const own = (make: (graph: GraphBuilder) => void): Uint8Array => {
    const graph = new GraphBuilder('own');
    graph.input('rows', 'float32', ['N', 6]);
    make(graph);
    return graph.toBytes();
  };
  const firstColumn = (graph: GraphBuilder): string => graph.node('Gather', ['rows', graph.ints(0)], { axis: { i: 1 } });
  const present = (graph: GraphBuilder): string => graph.node('Where', [graph.node('IsNaN', ['rows']), graph.scalar(0), 'rows'], {}, 'filled');
  const unbounded = own((graph) => {
    present(graph);
    graph.node('ReduceSum', ['filled', graph.ints(1)], { keepdims: { i: 1 } }, 'y');
    graph.output('y', 'float32', ['N', 1]);
  });
  const cast = (to: number, type: 'float64' | 'int64'): Uint8Array =>
    own((graph) => {
      graph.node('Cast', [firstColumn(graph)], { to: { i: to } }, 'y');
      graph.output('y', type, ['N', 1]);
    });
  const silent = own((graph) => {
    const flat = graph.node('Reshape', ['rows', graph.ints(-1)]);
    const some = graph.node('Compress', [flat, graph.node('Not', [graph.node('IsNaN', [flat])])]);
    graph.node('Unsqueeze', [graph.node('Sigmoid', [some]), graph.ints(1)], {}, 'y');
    graph.output('y', 'float32', ['M', 1]);
  });

  test.each<[what: string, change: object, file: string | Uint8Array | undefined, code: string, sentence: string | RegExp]>([
    ['no ONNX', {}, 'export.py', 'model_invalid', 'export.py is no ONNX model'],
    ['an empty file', {}, new Uint8Array(0), 'model_invalid', 'own.onnx is no ONNX model'],
    ['a file that is not there', { file: 'nothing.onnx' }, undefined, 'input_unreadable', 'nothing.onnx cannot be read'],
    ['no such input', { input: 'x' }, undefined, 'model_invalid', 'sklearn-fraud.onnx has no input x; it has rows (float32 [,6])'],
    [
      'no such output',
      { output: 'proba' },
      undefined,
      'model_invalid',
      /has no output proba; it has label \(int64 \[\]\), probabilities \(float32 \[,2\]\)/,
    ],
    ['the label', { output: 'label', column: 0 }, undefined, 'model_invalid', 'output label is int64: export with a float32 output'],
    ['no such column', { column: 2 }, undefined, 'model_invalid', 'there is no column 2'],
    ['doubles', {}, 'refused-double.onnx', 'model_invalid', 'input rows is float64: export with a float32 input'],
    ['a double output', { output: 'y', column: 0 }, cast(11, 'float64'), 'model_invalid', 'output y is float64'],
    ['an int64 output', { output: 'y', column: 0 }, cast(7, 'int64'), 'model_invalid', 'output y is int64'],
    ['fewer features', { features: ['amount', 'hour'] }, undefined, 'model_invalid', 'input rows takes 6 features, the manifest names 2'],
    [
      'one input a column',
      { input: undefined },
      'refused-columns.onnx',
      'model_invalid',
      /takes 6 inputs .* export it with one float32 input \[rows, 6\]/,
    ],
    ['one row at a time', { output: 'logit', column: 0, meaning: 'log_odds' }, 'refused-fixed-rows.onnx', 'model_invalid', 'takes exactly 1 rows'],
    ['maps', { output: 'output_probability' }, 'refused-zipmap.onnx', 'model_invalid', 'is a sequence of map: export with zipmap=False'],
    [
      'weights elsewhere',
      { output: 'logit', column: 0, meaning: 'log_odds' },
      'refused-external.onnx',
      'model_invalid',
      'keeps its weights in weights.bin',
    ],
    ['a later opset', {}, 'refused-opset.onnx', 'model_invalid', /fraud\.onnx is written for opset 99 of ai\.onnx, this gateway runs up to \d+/],
    ['an unknown feature', { features: ['amount', 'user_attempt_24h'] }, undefined, 'model_invalid', 'the nearest is user_attempts_24h'],
    ['a feature named twice', { features: ['amount', 'amount'] }, undefined, 'model_invalid', 'the feature amount is named twice'],
    [
      'a feature set of another day',
      { hash: 'f'.repeat(64) },
      undefined,
      'model_invalid',
      'was trained on feature set fraud ffffffffffff, this gateway computes',
    ],
    ['another set', { set: 'rank' }, undefined, 'model_invalid', 'vectors of the feature set fraud, not rank'],
    [
      'missing values that come through',
      {},
      'refused-no-imputer.onnx',
      'bundle_probe_failed',
      'gave NaN: any feature may be missing (NaN), so put an imputer',
    ],
    ['what is no probability', { output: 'y', column: 0 }, unbounded, 'bundle_probe_failed', /which is no probability: is it a log-odds\?/],
    ['other rows than it was given', { output: 'y', column: 0 }, silent, 'bundle_probe_failed', /output y has \d+ values for 256 rows/],
    ['a fraud score', { meaning: 'score' }, undefined, 'model_invalid', 'has to give a probability or log_odds'],
    [
      'a ranker with thresholds',
      { model: 'ranker', features: ['item_price'], thresholds: { review: 0, challenge: 0, decline: 0 } },
      undefined,
      'model_invalid',
      'a ranker has no thresholds',
    ],
    ['a falling calibration', { calibration: { kind: 'platt', a: -1, b: 0 } }, undefined, 'model_invalid', 'its slope is -1'],
    ['half a reference', { reference: { amount: 1 } }, undefined, 'model_invalid', 'the reference has no value for merchant_fraud_rate_7d'],
    ['a field that no manifest has', { outputs: 'y' }, undefined, 'model_invalid', 'does not match its schema'],
    ['another format', { format: 'mlflow' }, undefined, 'model_invalid', 'does not match its schema at /format'],
  ])('%s', async (_, change, file, code, sentence) => {
    const before = (await readdir(bundles)).sort();
    await expect(addChanged(change, file)).rejects.toMatchObject({
      code,
      detail: typeof sentence === 'string' ? expect.stringContaining(sentence) : expect.stringMatching(sentence),
    });
    expect((await readdir(bundles)).sort()).toEqual(before);
  });

  test('a manifest that is the model, and one that is not there', async () => {
    await expect(add(join(HERE, 'sklearn-fraud.onnx'))).rejects.toMatchObject({
      code: 'model_invalid',
      detail: expect.stringContaining('is not JSON'),
    });
    await expect(add(join(HERE, 'none.json'))).rejects.toMatchObject({ code: 'input_unreadable' });
  });

  test('a bundle to start from that is damaged, or not there', async () => {
    await expect(add(join(HERE, 'sklearn-fraud.json'), 'v0')).rejects.toMatchObject({ code: 'bundle_not_found' });
    const outDir = join(root, 'damaged');
    await mkdir(outDir);
    await writeBundle(outDir, await testParts(engine, 'v1'));
    await writeFile(join(outDir, 'v1', 'items.hnsw'), 'x');
    await expect(add(join(HERE, 'sklearn-fraud.json'), 'v1', outDir)).rejects.toMatchObject({ code: 'bundle_corrupt' });
    expect(await readdir(outDir)).toEqual(['v1']);
  });
});

describe('the command line', () => {
  test('tells the features with their hash', async () => {
    const { stdout } = await runOk(['bundle', 'features', 'fraud', '--json']);
    const printed = JSON.parse(stdout) as { hash: string; features: { name: string; text: string }[] };
    expect(printed.hash).toBe(engine.hash('fraud'));
    expect(printed.features.map(({ name }) => name)).toEqual(fraudNames);
    expect((await runOk(['bundle', 'features', 'rank'])).stdout).toContain(`hash ${engine.hash('rank')}`);
    expect(await run(['bundle', 'features', 'none'])).toMatchObject({ status: 1, stderr: expect.stringContaining('declared are fraud, rank') });
  });

  test('adds a model, activates it, and a running gateway serves it', async () => {
    const dataDir = join(root, 'data');
    const first = await runOk(['bundle', 'add', join(HERE, 'sklearn-fraud.json'), '--activate', '--data-dir', dataDir]);
    expect(first.stdout).toMatch(/(\S+-fraud) was added; its models: fraud\n\1 is active/);
    const refused = await run(['bundle', 'add', join(HERE, 'export.py'), '--data-dir', dataDir]);
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^gatehouse: export\.py is not JSON.*\(model_invalid\).*bring-your-own-model\.md/),
    });

    const gateway = await serve(dataDir);
    try {
      const score = (id: string) => gateway.post<{ bundle: string; score: number }>('/v1/score', { transaction_id: id, user_id: 'u', amount: 50 });
      const before = await score('t1');
      const add = ['bundle', 'add', join(HERE, 'lightgbm-fraud.json'), '--activate', '--data-dir', dataDir];
      const { stdout } = await runOk([...add, '--url', gateway.controlUrl, '--token', KEYS.admin]);
      const after = await score('t2');
      expect(stdout).toContain(`${after.bundle} is active`);
      expect(after.bundle).not.toBe(before.bundle);
      expect(after.score).toBeGreaterThan(0);
      expect(after.score).not.toBe(before.score);
    } finally {
      expect(await gateway.stop()).toBe(0);
    }
  }, 60_000);
});

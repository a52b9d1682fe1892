import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { indexReaders } from '../index/readers.ts';
import { DEFAULT_DECLARATIONS } from '../scoring/features/defaults.ts';
import { createFeatureEngine } from '../scoring/features/engine.ts';
import { loadBundle } from '../scoring/models/bundle.ts';
import { BundleManager } from '../scoring/models/manager.ts';
import { editManifest, replaceSealed, tampered } from '../scoring/models/tamper.testing.ts';
import { testParts } from '../training/bundle/parts.testing.ts';
import { writeBundle } from '../training/bundle/write.ts';
import { treeEnsembleToOnnx } from '../training/onnx/treeEnsemble.ts';
import { probeInChild } from './probe.ts';

// The child runs compiled code: `npm run build` makes it, and `npm test` builds first.
const COMPILED = fileURLToPath(new URL('../dist/gateway/probe-child.js', import.meta.url));

const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
const parts = await testParts(engine, 'v1');
let root: string;
let good: string;
beforeAll(async () => {
  expect(existsSync(COMPILED), `${COMPILED} is missing: npm run build`).toBe(true);
  root = await mkdtemp(join(tmpdir(), 'gatehouse-probe-'));
  await writeBundle(root, parts);
  good = join(root, 'v1');
});
afterAll(() => rm(root, { recursive: true }));

const probe = (dir: string): Promise<void> => probeInChild(dir, { script: COMPILED });

/** Runs a child that does what `source` says instead. */
async function child(source: string, timeoutMs?: number): Promise<void> {
  const script = join(root, 'child.mjs');
  await writeFile(script, source);
  return probeInChild(good, { script, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

describe('the probe process', () => {
  test('passes a sound bundle', async () => {
    await expect(probe(good)).resolves.toBeUndefined();
  });

  test('reports a refusal with its own code', async () => {
    const bad = (name: string, change: (dir: string) => Promise<void>) => tampered(good, join(root, name, 'v1'), change);
    const cut = await bad('cut', async (dir) => writeFile(join(dir, 'fraud.onnx'), (await readFile(join(dir, 'fraud.onnx'))).subarray(1)));
    await expect(probe(cut)).rejects.toMatchObject({ code: 'bundle_corrupt', detail: expect.stringContaining('fraud.onnx') });
    const foreign = await bad('foreign', (dir) => editManifest(dir, (manifest) => Object.assign(manifest.models.ranker!, { hash: '0' })));
    await expect(probe(foreign)).rejects.toMatchObject({ code: 'bundle_incompatible' });
    const empty: typeof parts.fraud.model = { ...parts.fraud.model, base: Number.NaN };
    const nan = await bad('nan', (dir) => replaceSealed(dir, 'fraud.onnx', treeEnsembleToOnnx(empty)));
    await expect(probe(nan)).rejects.toMatchObject({ code: 'bundle_probe_failed', detail: expect.stringContaining('NaN') });
    const garbage = await bad('graph', (dir) => replaceSealed(dir, 'items.hnsw', Buffer.alloc(5000, 0x41)));
    await expect(probe(garbage)).rejects.toMatchObject({ code: 'snapshot_corrupt' });
    await expect(probe(join(root, 'nothing'))).rejects.toMatchObject({ code: 'bundle_not_found' });
  });

  test.each([
    ['aborts', "process.stderr.write('assertion failed\\n', () => process.abort());", /SIGABRT: assertion failed|exit code 134/],
    ['is killed, as when memory runs out', "process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);", 'ended with SIGKILL'],
    ['throws', "throw new Error('no such module');", 'ended with exit code 1'],
    ['ends without a word', '', 'ended with exit code 0'],
    ['says something that is no report', "process.send({ ok: 'perhaps', code: 'constructor' }, () => process.exit(0));", 'the probe failed'],
    ['reports an unknown code', "process.send({ ok: false, code: 'toString', detail: 'odd' }, () => process.exit(0));", 'odd'],
    ['is not there', undefined, 'ended with exit code 1'],
  ])('refuses the bundle when it %s', async (_, source, message) => {
    const outcome = source === undefined ? probeInChild(good, { script: join(root, 'absent.mjs') }) : child(source);
    await expect(outcome).rejects.toMatchObject({ code: 'bundle_probe_failed', detail: expect.stringMatching(message) });
  });

  test('is stopped when it takes too long', async () => {
    await expect(child('setInterval(() => {}, 1000);', 300)).rejects.toMatchObject({
      code: 'bundle_probe_failed',
      detail: expect.stringContaining('took longer than 300 ms'),
    });
  });
});

test('while a bundle crashes its probe, the old one serves', async () => {
  await writeBundle(root, { ...parts, version: 'v2' });
  const script = join(root, 'crash.mjs');
  await writeFile(script, 'process.abort();');
  const manager = new BundleManager({
    dir: root,
    load: (dir) => loadBundle(dir, { engine, ...indexReaders }),
    probe: (dir) => (dir.endsWith('v2') ? probeInChild(dir, { script }) : probe(dir)),
  });
  await manager.start();
  await manager.activate('v1');
  const vector = new Float32Array(engine.names('fraud').length).fill(1);
  const predict = () => manager.lease(async (bundle) => [bundle!.manifest.version, await bundle!.fraud!.predict(vector)]);
  const before = await predict();
  const activation = manager.activate('v2');
  let settled = false;
  const refused = expect(activation).rejects.toMatchObject({ code: 'bundle_probe_failed' });
  const done = refused.finally(() => {
    settled = true;
  });
  let answers = 0;
  while (!settled) {
    expect(await predict()).toEqual(before);
    answers++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  expect(answers).toBeGreaterThan(0);
  expect(await predict()).toEqual(before);
  manager.close();
});

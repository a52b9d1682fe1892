import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BundleManifest } from '../../contracts/bundle.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { type Draft, editManifest, tampered } from './tamper.testing.ts';
import { readManifest, verifyBundle } from './verify.ts';

let root: string;
let good: string;
let manifest: BundleManifest;
let copies = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gatehouse-verify-'));
  manifest = await writeBundle(root, await testParts(createFeatureEngine(DEFAULT_DECLARATIONS), 'v1'));
  good = join(root, 'v1');
});
afterAll(() => rm(root, { recursive: true }));

/** What a changed copy is refused for: the code and the detail. */
async function refusal(change: (dir: string) => Promise<void>): Promise<string> {
  const dir = await tampered(good, join(root, `copy${copies++}`, 'v1'), change);
  const outcome = await verifyBundle(dir).then(
    () => 'taken',
    (error: Error) => `${error.name} ${error.message}`,
  );
  await rm(dir, { recursive: true });
  return outcome;
}

const edited = (change: (manifest: Draft<BundleManifest>) => void) => refusal((dir) => editManifest(dir, change));

async function flipBit(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at]! ^= 1 << (at % 8);
  await writeFile(path, bytes);
}

test('a bundle as it was written is taken', async () => {
  expect(await verifyBundle(good)).toEqual(manifest);
  expect(await readManifest(good)).toEqual(manifest);
  expect(await refusal(async () => {})).toBe('taken');
});

describe('the manifest', () => {
  const path = (dir: string): string => join(dir, 'manifest.json');

  test('is there, and is a file', async () => {
    expect(await refusal((dir) => rm(path(dir)))).toContain('bundle_not_found');
    const folder = async (dir: string): Promise<void> => {
      await rm(path(dir));
      await mkdir(path(dir));
    };
    expect(await refusal(folder)).toContain('bundle_not_found');
    await expect(verifyBundle(join(root, 'nothing'))).rejects.toMatchObject({ code: 'bundle_not_found' });
  });

  test('is JSON, of a size that a manifest has', async () => {
    expect(await refusal((dir) => truncate(path(dir), 100))).toContain('bundle_corrupt: v1: the manifest is not JSON');
    expect(await refusal((dir) => appendFile(path(dir), '}'))).toContain('the manifest is not JSON');
    expect(await refusal((dir) => appendFile(path(dir), ' '.repeat(4 * 1024 * 1024)))).toContain('bundle_corrupt: v1: the manifest has 4');
    for (const text of ['null', '[]', '"v1"', '']) expect(await refusal((dir) => writeFile(path(dir), text))).toContain('bundle_corrupt');
  });

  test.each<[string, (manifest: Draft<BundleManifest>) => void]>([
    ['another format', (m) => Object.assign(m, { format: 'gatehouse-bundle-2' })],
    ['a property that nobody knows', (m) => Object.assign(m, { script: 'run.sh' })],
    ['no files', (m) => Object.assign(m, { files: undefined })],
    ['a size below zero', (m) => Object.assign(m.files[0]!, { bytes: -1 })],
    ['a hash that is none', (m) => Object.assign(m.files[0]!, { sha256: 'f'.repeat(63) })],
    ['a metric that is no number', (m) => Object.assign(m.metrics, { 'fraud.ap': null })],
    ['an index of another kind', (m) => Object.assign(m.indexes.items!, { kind: 'flat' })],
    ['more files than a bundle has', (m) => m.files.push(...Array.from({ length: 64 }, (_, i) => ({ ...m.files[0]!, name: `f${i}` })))],
  ])('is refused with %s', async (_, change) => {
    expect(await edited(change)).toContain('bundle_corrupt: v1: the manifest does not match its schema');
  });

  test('is that of its folder', async () => {
    expect(await edited((m) => Object.assign(m, { version: 'v2' }))).toContain('bundle_corrupt: the folder v1 holds the bundle v2');
    const dir = await tampered(good, join(root, 'renamed', 'v1'), async () => {});
    await rename(dir, join(root, 'renamed', 'v2'));
    await expect(verifyBundle(join(root, 'renamed', 'v2'))).rejects.toMatchObject({ code: 'bundle_corrupt' });
  });

  test.each(['../v1', '..', '.', '/etc/passwd', 'a/b', 'a\\b', '.hidden', 'UPPER', '', 'a\u0000b', `a${'b'.repeat(64)}`])(
    'names no file %j',
    async (name) => {
      const schema = 'does not match its schema';
      expect(await edited((m) => Object.assign(m.files[0]!, { name }))).toContain(schema);
      expect(await edited((m) => Object.assign(m.models.fraud!, { file: name }))).toContain(schema);
      expect(await edited((m) => Object.assign(m.models.fraud!, { trees: name }))).toContain(schema);
      expect(await edited((m) => Object.assign(m.models.anomaly!, { file: name }))).toContain(schema);
      expect(await edited((m) => Object.assign(m.tables, { neighbours: name }))).toContain(schema);
      expect(await edited((m) => Object.assign(m.indexes.items!.files[0]!, { name }))).toContain(schema);
      expect(await edited((m) => Object.assign(m, { report: name }))).toContain(schema);
    },
  );

  test('lists each file that it names, once and in one way', async () => {
    const drop = (name: string) => (m: Draft<BundleManifest>) => {
      m.files = m.files.filter((file) => file.name !== name);
    };
    for (const { name } of manifest.files) expect(await edited(drop(name))).toContain(`${name} is named but not listed`);
    expect(await edited((m) => m.files.push(m.files[0]!))).toContain('listed twice');
    expect(await edited((m) => Object.assign(m.indexes.items!.files[0]!, { bytes: 1 }))).toContain('described in two ways');
    expect(await edited((m) => Object.assign(m.indexes.users!.files[1]!, { sha256: 'a'.repeat(64) }))).toContain('described in two ways');
  });
});

/** Every file of a bundle is copied and read some dozen times. */
const SWEEP_TIMEOUT_MS = 120_000;

describe('each file', () => {
  test('of every kind is listed', () => {
    const names = manifest.files.map((file) => file.name);
    expect(names).toEqual([
      'fraud.onnx',
      'fraud.trees.json',
      'fraud.reference.json',
      'anomaly.onnx',
      'ranker.onnx',
      'ranker.trees.json',
      'user_tower.onnx',
      'next_item.onnx',
      'next_item.ids.msgpack',
      'items.ids',
      'items.f32',
      'items.hnsw',
      'users.ids',
      'users.f32',
      'users.hnsw',
      'next_items.ids',
      'next_items.f32',
      'next_items.hnsw',
      'neighbours.msgpack',
      'popularity.msgpack',
      'linear.msgpack',
      'profiles.msgpack',
      'sessions.bin',
      'content.msgpack',
      'item_fold_in.msgpack',
      'report.html',
    ]);
  });

  test(
    'is there, neither cut nor grown, and is a file',
    async () => {
      for (const { name, bytes } of manifest.files) {
        expect(await refusal((dir) => rm(join(dir, name)))).toContain(`bundle_corrupt: v1: ${name} is missing`);
        expect(await refusal((dir) => truncate(join(dir, name), bytes - 1))).toContain(`${name} has ${bytes - 1} bytes instead of ${bytes}`);
        expect(await refusal((dir) => truncate(join(dir, name), 0))).toContain('has 0 bytes');
        expect(await refusal((dir) => appendFile(join(dir, name), '\0'))).toContain(`${name} has ${bytes + 1} bytes`);
      }
      const { name } = manifest.files[0]!;
      const folder = async (dir: string): Promise<void> => {
        await rm(join(dir, name));
        await mkdir(join(dir, name));
      };
      expect(await refusal(folder)).toContain('bundle_corrupt');
    },
    SWEEP_TIMEOUT_MS,
  );

  // A reader of a named pipe without a writer waits for ever, and with it every activation behind it.
  test('is no pipe', async () => {
    const pipe = async (dir: string): Promise<void> => {
      await rm(join(dir, 'report.html'));
      await promisify(execFile)('mkfifo', [join(dir, 'report.html')]);
      await editManifest(dir, (m) => Object.assign(m.files.find((file) => file.name === 'report.html')!, { bytes: 0 }));
    };
    expect(await refusal(pipe)).toContain('bundle_corrupt');
  });

  test(
    'has every bit that it was written with',
    async () => {
      for (const { name, bytes } of manifest.files) {
        for (const at of [0, bytes >> 1, bytes - 1]) {
          expect(await refusal((dir) => flipBit(join(dir, name), at))).toContain(`bundle_corrupt: v1: ${name} does not match its hash`);
        }
      }
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...manifest.files), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), async (file, share) => {
          expect(await refusal((dir) => flipBit(join(dir, file.name), Math.floor(share * file.bytes)))).toContain('does not match its hash');
        }),
        { seed: 11, numRuns: 40 },
      );
    },
    SWEEP_TIMEOUT_MS,
  );

  test('that is not listed is of no account', async () => {
    expect(await refusal((dir) => writeFile(join(dir, 'notes.txt'), 'hello'))).toBe('taken');
  });
});

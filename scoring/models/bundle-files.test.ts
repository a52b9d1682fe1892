import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import { createExactIndex } from '../../index/exact.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { Bundles, fate, parts } from './bundle-fate.suite.ts';
import { editManifest, readManifestDraft, tampered } from './tamper.testing.ts';

const bundles = new Bundles();

describe('an index', () => {
  test('is of the dimensions that the manifest says', async () => {
    expect(await bundles.withManifest((manifest) => Object.assign(manifest.indexes.items!, { dimensions: 4 }))).toContain(
      'load: GatehouseError: snapshot_corrupt',
    );
    expect(await bundles.withManifest((manifest) => Object.assign(manifest.indexes.users!, { dimensions: 4 }))).toContain(
      'load: GatehouseError: snapshot_corrupt',
    );
    expect(await bundles.withManifest((manifest) => Object.assign(manifest.indexes.users!, { count: 3 }))).toContain(
      'load: GatehouseError: snapshot_corrupt',
    );
  });

  test('of items has the dimensions of the user tower', async () => {
    const other = createExactIndex({ dimensions: 4, metric: 'ip' });
    other.upsert('i1', Float32Array.of(1, 2, 3, 4));
    const outDir = join(bundles.root, 'other-index');
    const { userTower: _, ...rest } = parts;
    await writeBundle(outDir, { ...rest, version: 'v1', itemIndex: other });
    expect(await fate(join(outDir, 'v1'))).toBe('taken');
    const dir = await tampered(bundles.good, join(bundles.root, 'mixed', 'v1'), (to) =>
      editManifest(to, (manifest) => {
        manifest.models.user_tower!.factors = 4;
      }),
    );
    expect(await fate(dir)).toContain('load: GatehouseError: bundle_incompatible');
    expect(await bundles.withManifest((manifest) => Object.assign(manifest.indexes, { items: undefined }))).toContain('bundle_incompatible');
  });

  test('whose files are garbage with a right hash is refused before native code reads them', async () => {
    for (const { name } of [...(await readManifestDraft(bundles.good)).indexes.items!.files]) {
      const bytes = await readFile(join(bundles.good, name));
      expect(
        await bundles.withFile(
          name,
          bytes.map((byte) => byte ^ 0xff),
        ),
        name,
      ).toContain('load: GatehouseError: snapshot_corrupt');
      expect(await bundles.withFile(name, bytes.subarray(0, bytes.length >> 1)), name).toContain('load: GatehouseError: snapshot_corrupt');
      expect(await bundles.withFile(name, ''), name).toContain('load: GatehouseError: snapshot_corrupt');
    }
  });
});

describe('a table', () => {
  const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
  const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
  const sound = { ids: ['i1', 'i2'], indptr: words(0, 1, 1), neighbours: words(1), similarities: floats(0.5) };

  test('of neighbours stays within its bounds', async () => {
    expect(await bundles.withFile('neighbours.msgpack', encode(sound))).toBe('taken');
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
      expect(await bundles.withFile('neighbours.msgpack', encode({ ...sound, ...change })), JSON.stringify(change)).toContain(
        'load: GatehouseError: bundle_corrupt',
      );
    }
  });

  test('of popularity has a finite score for each item', async () => {
    const file = (scores: Uint8Array, ids: unknown = ['i1']) => bundles.withFile('popularity.msgpack', encode({ ids, scores }));
    expect(await file(floats(1))).toBe('taken');
    for (const scores of [floats(), floats(1, 2), floats(Number.NaN), floats(Number.POSITIVE_INFINITY)])
      expect(await file(scores)).toContain('bundle_corrupt');
    expect(await file(floats(1), [7])).toContain('bundle_corrupt');
  });

  test('of content has weights that are numbers, of a power of two of buckets', async () => {
    const whole = { dimensions: 32, idf: floats(0, 1, 2, 3), idf_unseen: 3 };
    const file = (change: object) => bundles.withFile('content.msgpack', encode({ ...whole, ...change }));
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
    const file = (change: object) => bundles.withFile('item_fold_in.msgpack', encode({ ...whole, ...change }));
    expect(await file({})).toBe('taken');
    const { content: _, ...withoutMap } = whole;
    expect(await bundles.withFile('item_fold_in.msgpack', encode(withoutMap))).toBe('taken');
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
    expect(await bundles.withFile('item_fold_in.msgpack', encode(narrow))).toContain('load: GatehouseError: bundle_incompatible');
    const other = { ...content, dimensions: 2, weights: floats(...new Array<number>(8 * 3).fill(0.1)) };
    expect(await file({ content: other })).toContain('load: GatehouseError: bundle_incompatible');
  });

  test.each(['neighbours.msgpack', 'popularity.msgpack', 'content.msgpack', 'item_fold_in.msgpack'])('%s is a table', async (name) => {
    for (const bytes of [encode(null), encode([]), encode('x'), new Uint8Array(0), Uint8Array.of(0xc1), encode(sound).subarray(0, 9)]) {
      expect(await bundles.withFile(name, bytes)).toContain('load: GatehouseError: bundle_corrupt');
    }
  });
});

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GatehouseError } from '../contracts/errors.ts';
import { clusteredVectors, seededRandom } from './clustered.ts';
import type { Metric, SnapshotManifest, VectorIndex } from './contract.ts';
import { createExactIndex } from './exact.ts';
import { createHnswIndex } from './hnsw.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';

const DIMENSIONS = 8;
const HEADER_BYTES = 96;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-snapshot-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

function fill<T extends VectorIndex>(index: T, count: number): T {
  const next = clusteredVectors({ dimensions: index.dimensions, clusters: 10, seed: 4 });
  for (let i = 0; i < count; i++) index.upsert(`i${i}`, next());
  return index;
}

function hnsw(count: number, metric: Metric = 'ip') {
  return fill(createHnswIndex({ dimensions: DIMENSIONS, metric, m: 8, graphFromSlots: 1 }), count);
}

function ending(manifest: SnapshotManifest, end: string): string {
  return manifest.files.find((file) => file.name.endsWith(end))!.name;
}

/** Replace a file's bytes and make the manifest agree, as an attacker with both would. */
async function forge(manifest: SnapshotManifest, name: string, bytes: Uint8Array): Promise<SnapshotManifest> {
  await writeFile(join(folder, name), bytes);
  const entry = { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  return { ...manifest, files: manifest.files.map((file) => (file.name === name ? entry : file)) };
}

async function expectCorrupt(manifest: SnapshotManifest, detail: string | RegExp = ''): Promise<void> {
  const failure = await readSnapshot(folder, manifest).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(GatehouseError);
  expect((failure as GatehouseError).code).toBe('snapshot_corrupt');
  expect((failure as GatehouseError).detail).toMatch(detail);
}

describe('round trips', () => {
  test.each([8_192, 9_000, 16_384])('%i vectors, which fill chunks, and go on living as their own', async (count) => {
    const index = fill(createExactIndex({ dimensions: 2, metric: 'l2' }), count);
    const manifest = await writeSnapshot(index, folder);
    const copy = await readSnapshot(folder, manifest);
    for (const [i, x] of [0, 8_191, 8_192, count - 1, count, count + 300].entries()) {
      const vector = Float32Array.of(i, 100 + x);
      for (const one of [index, copy]) one.upsert(`i${x}`, vector);
    }
    const query = Float32Array.of(1, 101);
    expect(copy.search(query, 50)).toEqual(index.search(query, 50));
    expect(copy.get(`i${count - 2}`)).toEqual(index.get(`i${count - 2}`));
    // The files are still those of the snapshot.
    expect((await readSnapshot(folder, manifest)).size).toBe(count);
  });

  test.each([0, 1, 2, 300])('%i vectors of an exact index', async (count) => {
    const index = fill(createExactIndex({ dimensions: DIMENSIONS, metric: 'cosine' }), count);
    const copy = await readSnapshot(folder, await writeSnapshot(index, folder, { name: 'items' }));
    expect(copy.kind).toBe('exact');
    expect(copy.search(new Float32Array(DIMENSIONS).fill(1), 10)).toEqual(index.search(new Float32Array(DIMENSIONS).fill(1), 10));
    expect((await readdir(folder)).sort()).toEqual(['items.f32', 'items.ids']);
  });

  test.each([0, 1, 2, 300])('%i vectors of an HNSW index, with holes', async (count) => {
    const index = hnsw(count);
    if (count > 1) index.remove('i0');
    const manifest = await writeSnapshot(index, folder);
    expect(manifest.files.map((file) => file.name)).toEqual(['index.ids', 'index.f32', ...(count > 0 ? ['index.hnsw'] : [])]);
    const copy = await readSnapshot(folder, JSON.parse(JSON.stringify(manifest)) as SnapshotManifest, { metric: 'ip', dimensions: DIMENSIONS });
    expect(copy.size).toBe(Math.max(0, count === 1 ? 1 : count - 1));
    expect(copy.has('i0')).toBe(count === 1);
    copy.upsert('new', new Float32Array(DIMENSIONS).fill(2));
    expect(copy.get('new')).toEqual(new Float32Array(DIMENSIONS).fill(2));
  });

  test('a second snapshot replaces the first; a bad name is refused', async () => {
    await writeSnapshot(hnsw(50), folder);
    const manifest = await writeSnapshot(hnsw(20), folder);
    expect((await readSnapshot(folder, manifest)).size).toBe(20);
    for (const name of ['', '../x', 'a/b', '.a']) await expect(writeSnapshot(hnsw(1), folder, { name })).rejects.toThrow(RangeError);
  });
});

describe('damage is refused', () => {
  test.each(['.ids', '.f32', '.hnsw'])('a truncated, longer, flipped or missing %s file', async (end) => {
    const manifest = await writeSnapshot(hnsw(100), folder);
    const path = join(folder, ending(manifest, end));
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    await expectCorrupt(manifest, 'bytes, the manifest says');
    await writeFile(path, Buffer.concat([bytes, Buffer.alloc(1)]));
    await expectCorrupt(manifest, 'bytes, the manifest says');
    const flipped = Buffer.from(bytes);
    flipped[bytes.length >> 1]! ^= 1;
    await writeFile(path, flipped);
    await expectCorrupt(manifest, 'does not match its hash');
    await rm(path);
    await expectCorrupt(manifest, 'cannot be read');
  });

  test('ids that are no list, twice the same, not strings, too few, or not MessagePack', async () => {
    const manifest = await writeSnapshot(hnsw(3), folder);
    const name = ending(manifest, '.ids');
    const cases: [Uint8Array, string][] = [
      [encode({ a: 1 }), 'not a list'],
      [encode(['i0', 'i1', 'i1']), 'occurs twice'],
      [encode(['i0', 'i1', 7]), 'not a string'],
      [encode(['i0', 'i1']), '2 ids, the manifest says 3'],
      [encode(['i0', 'i1', 'i2', null]), 'not as many as the ids'],
      [Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff), 'there are 0 ids'],
      [Uint8Array.of(0xc1), 'not a list'],
    ];
    for (const [bytes, detail] of cases) await expectCorrupt(await forge(manifest, name, bytes), detail);
  });

  test('vectors that are not finite, or not those of the graph', async () => {
    const manifest = await writeSnapshot(hnsw(20), folder);
    const name = ending(manifest, '.f32');
    const bytes = await readFile(join(folder, name));
    const nan = Buffer.from(bytes);
    nan.writeFloatLE(Number.NaN, 8);
    await expectCorrupt(await forge(manifest, name, nan), 'finite');
    const other = Buffer.from(bytes);
    other.writeFloatLE(other.readFloatLE(8) + 1, 8);
    await expectCorrupt(await forge(manifest, name, other), 'rows are not the vectors');
  });

  test('a manifest that does not fit', async () => {
    const manifest = await writeSnapshot(hnsw(20), folder);
    const wrong: [Partial<Record<keyof SnapshotManifest, unknown>>, string][] = [
      [{ format: 'other' }, 'format'],
      [{ kind: 'tree' }, 'kind'],
      [{ kind: 'exact' }, 'no graph'],
      [{ metric: 'manhattan' }, 'metric'],
      [{ metric: 'l2' }, 'layout does not follow from the dimensions'],
      [{ dimensions: 2 ** 40 }, 'dimensions'],
      [{ dimensions: 4 }, 'not as many as the ids'],
      [{ count: 2 ** 40 }, 'count'],
      [{ count: 19 }, '20 ids, the manifest says 19'],
      [{ m: 1e6 }, 'm or efConstruction'],
      [{ m: 9 }, 'not the M of the manifest'],
      [{ efConstruction: 'x' }, 'm or efConstruction'],
      [{ sphere: undefined }, 'sphere'],
      [{ sphere: { radius: Number.NaN, spread: 1 } }, 'sphere'],
      [{ files: {} }, 'not a list'],
      [{ files: [] }, 'one of each kind'],
      [{ files: [...manifest.files, manifest.files[0]] }, 'one of each kind'],
      [{ files: manifest.files.map((file) => ({ ...file, name: `../${file.name}` })) }, 'malformed'],
      [{ files: manifest.files.map((file) => ({ ...file, bytes: 2 ** 31 })) }, 'malformed'],
      [{ files: [null] }, 'malformed'],
    ];
    for (const [change, detail] of wrong) await expectCorrupt({ ...manifest, ...change } as SnapshotManifest, detail);
    await expect(readSnapshot(folder, manifest, { metric: 'cosine' })).rejects.toThrow('expected cosine');
    await expect(readSnapshot(folder, manifest, { dimensions: 16 })).rejects.toThrow('expected 16');
    await expect(readSnapshot(folder, manifest, { capacityMax: 10 })).rejects.toThrow('capacity of 10');
  });
});

describe('a crafted graph with a valid hash is refused before native code sees it', () => {
  const u64 = (offset: number, value: bigint) => (file: Buffer) => void file.writeBigUInt64LE(value, offset);
  const elementBytes = 4 + 2 * 8 * 4 + (DIMENSIONS + 1) * 4 + 8;
  const cases: [string, (file: Buffer) => void, string][] = [
    ['offset of layer 0', u64(0, 8n), 'layout'],
    ['huge capacity', u64(8, 1n << 60n), 'capacity'],
    ['capacity below the count', u64(8, 1n), 'capacity'],
    ['huge count', u64(16, 1n << 62n), 'count'],
    ['count of another snapshot', u64(16, 299n), 'count'],
    ['element size', u64(24, 1n), 'layout'],
    ['label offset', u64(32, 1n << 40n), 'layout'],
    ['data offset', u64(40, 0n), 'layout'],
    ['negative layers', (file) => void file.writeInt32LE(-1, 48), 'layers'],
    ['many layers', (file) => void file.writeInt32LE(2 ** 30, 48), 'layers'],
    ['one layer too many', (file) => void file.writeInt32LE(file.readInt32LE(48) + 1, 48), 'top layer'],
    ['entry point out of range', (file) => void file.writeUInt32LE(300, 52), 'entry point is no element'],
    ['maxM', u64(56, 1000n), 'M of the manifest'],
    ['maxM0', u64(64, 1000n), 'M of the manifest'],
    ['M', u64(72, 0n), 'M of the manifest'],
    ['multiplier', (file) => void file.writeDoubleLE(1e9, 80), 'multiplier'],
    ['NaN multiplier', (file) => void file.writeDoubleLE(Number.NaN, 80), 'multiplier'],
    ['efConstruction', u64(88, 1n << 50n), 'efConstruction'],
    ['too many links', (file) => void file.writeUInt32LE(17, HEADER_BYTES), 'too long or marked'],
    ['a deletion mark', (file) => void file.writeUInt8(1, HEADER_BYTES + 2), 'too long or marked'],
    ['a link out of range', (file) => void file.writeUInt32LE(300, HEADER_BYTES + 4), 'leads to no element'],
    ['a label twice', (file) => void file.writeUInt32LE(1, HEADER_BYTES + elementBytes - 8), 'labels'],
    ['an infinite lifted component', (file) => void file.writeFloatLE(Number.POSITIVE_INFINITY, HEADER_BYTES + elementBytes - 12), 'rows'],
    ['upper layers past the end', (file) => void file.writeUInt32LE(36, file.length - 4), 'length'],
    ['upper layers of half a list', (file) => void file.writeUInt32LE(35, file.length - 4), 'impossible length'],
    [
      'an upper link to an element below its layer',
      (file) => {
        const start = HEADER_BYTES + 300 * elementBytes;
        const levels: number[] = [];
        const lists: number[] = [];
        for (let at = start; at < file.length; at += 4 + file.readUInt32LE(at)) {
          levels.push(file.readUInt32LE(at) / 36);
          lists.push(at + 4);
        }
        const upper = levels.findIndex((level, i) => level > 0 && file.readUInt32LE(lists[i]!) > 0);
        file.writeUInt32LE(levels.indexOf(0), lists[upper]! + 4);
      },
      'below its layer',
    ],
  ];

  test.each(cases)('%s', async (_, damage, detail) => {
    const manifest = await writeSnapshot(hnsw(300), folder);
    const name = ending(manifest, '.hnsw');
    const file = await readFile(join(folder, name));
    damage(file);
    await expectCorrupt(await forge(manifest, name, file), detail);
  });

  test.each([0, 1, 95, 96, 97])('only %i bytes', async (bytes) => {
    const manifest = await writeSnapshot(hnsw(300), folder);
    const name = ending(manifest, '.hnsw');
    const file = await readFile(join(folder, name));
    await expectCorrupt(await forge(manifest, name, file.subarray(0, bytes)), 'graph file');
  });
});

/** One random change: a flipped bit, a wild 32-bit number, a cut, or a block copied elsewhere. */
function mutate(bytes: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * (random() < 0.5 ? Math.min(HEADER_BYTES, bytes.length) : bytes.length));
  const out = Buffer.from(bytes);
  const kind = Math.floor(random() * 4);
  if (kind === 0) out[at]! ^= 1 << Math.floor(random() * 8);
  else if (kind === 1 && at + 4 <= out.length) out.writeUInt32LE([0, 1, 0x7fffffff, 0xffffffff, 65_536, 301][Math.floor(random() * 6)]!, at);
  else if (kind === 2) return out.subarray(0, at);
  else out.copyWithin(Math.floor(random() * out.length), at, at + 64);
  return out;
}

test.each<Metric>(['ip', 'cosine', 'l2'])(
  'seeded mutations with the hash recomputed are refused, or load and answer: %s',
  { timeout: 60_000 },
  async (metric) => {
    const original = await writeSnapshot(hnsw(120, metric), folder);
    const intact = new Map<string, Buffer>();
    for (const { name } of original.files) intact.set(name, await readFile(join(folder, name)));
    const random = seededRandom(metric.length + 100);
    const query = new Float32Array(DIMENSIONS).fill(0.5);
    let refused = 0;
    for (let run = 0; run < 200; run++) {
      const { name } = original.files[random() < 0.8 ? 2 : Math.floor(random() * 2)]!;
      const manifest = await forge(original, name, mutate(intact.get(name)!, random));
      try {
        const index = await readSnapshot(folder, manifest);
        expect(index.search(query, 5)).toHaveLength(5);
        for (let i = 0; i < 5; i++) index.upsert(`new${i}`, query);
        expect(index.search(query, 5)[0]!.similarity).toBeGreaterThan(Number.NEGATIVE_INFINITY);
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.code !== 'snapshot_corrupt') throw error;
        refused++;
      }
      await writeFile(join(folder, name), intact.get(name)!);
    }
    expect(refused).toBeGreaterThan(100);
    expect((await readSnapshot(folder, original)).size).toBe(120);
  },
);

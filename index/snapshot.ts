import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeArrayStream, encode } from '@msgpack/msgpack';
import { GatehouseError } from '../contracts/errors.ts';
import type { Handles } from '../contracts/handles.ts';
import type { Metric, SnapshotManifest, VectorIndex } from './contract.ts';
import { ExactIndex } from './exact.ts';
import { Graph } from './graph.ts';
import { SPREAD_MAX, type Sphere } from './graph-row.ts';
import { EF_CONSTRUCTION_MAX, GRAPH_FROM_SLOTS_MAX, HnswIndex, hnswIndexOf, M_MAX, M_MIN } from './hnsw.ts';
import { checkHnswFile, floatsOf } from './hnsw-file.ts';
import { CAPACITY_MAX_DEFAULT, COMPONENT_ABS_MAX, DIMENSIONS_MAX, VectorSlab } from './slab.ts';
import { BYTES_PER_TURN, nextTurn, ROWS_PER_TURN } from './turns.ts';

/** Node reads at most 2 GiB into one buffer: about 4.8 million vectors of 64 dimensions with their graph. */
export const SNAPSHOT_FILE_BYTES_MAX = 2 ** 31 - 1;
/** No stored vector is longer. */
const RADIUS_MAX = COMPONENT_ABS_MAX * Math.sqrt(DIMENSIONS_MAX);
/** A file name of our own making: no path, nothing hidden. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(ids|f32|hnsw)$/;
/** Numbers that are converted between two turns of the event loop: under a millisecond. */
const FLOATS_PER_TURN = 2 ** 16;
/** Bytes of ids that are decoded between two turns. */
const ID_BYTES_PER_TURN = 2 ** 14;
/** MessagePack's array with a length of 32 bits. */
const ARRAY32 = 0xdd;
const SHA256 = /^[0-9a-f]{64}$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export interface ReadSnapshotOptions {
  /** Refuse a snapshot of another metric. */
  readonly metric?: Metric;
  /** Refuse a snapshot of another width. */
  readonly dimensions?: number;
  /** Vectors that the loaded index may grow to. */
  readonly capacityMax?: number;
  /** Where the ids have their handles from; the index's own where absent. */
  readonly handles?: Handles | undefined;
}

export type SnapshotFile = SnapshotManifest['files'][number];

function corrupt(detail: string, cause?: unknown): GatehouseError {
  return new GatehouseError('snapshot_corrupt', detail, cause === undefined ? {} : { cause });
}

/**
 * Write an index into a folder: `<name>.ids` (MessagePack array; null for a hole), `<name>.f32` (rows, little-endian) and, once an HNSW
 * index has a graph, `<name>.hnsw`. Each file is written beside, fsynced and renamed; the manifest that is returned binds them together,
 * so store it last. The index must not change meanwhile. Throws RangeError on a bad name and what the disk says.
 */
export async function writeSnapshot(index: VectorIndex, dir: string, options: { readonly name?: string } = {}): Promise<SnapshotManifest> {
  const name = options.name ?? 'index';
  if (!NAME.test(name)) throw new RangeError('a snapshot name is 1 to 64 letters, digits, _ and -');
  if (!(index instanceof HnswIndex || index instanceof ExactIndex)) throw new Error('only exact and HNSW indexes have snapshots');
  const { slab } = index;
  const { files } = await writeSlab(slab, slab.slotCount, dir, name);
  const common = { format: 'gatehouse-index-1', metric: slab.metric, dimensions: slab.dimensions, count: slab.size } as const;
  if (index instanceof ExactIndex) {
    await syncFolder(dir);
    return { ...common, kind: 'exact', files };
  }
  const { m, efConstruction, sphere } = index;
  if (sphere) files.push(await writeGraph(dir, `${name}.hnsw`, slab, index, (path) => index.saveGraph(path)));
  await syncFolder(dir);
  return { ...common, kind: 'hnsw', m, efConstruction, ...(sphere ? { sphere } : {}), files };
}

/**
 * Writes the ids and rows of the first `slots` slots, as `writeSnapshot` does, in steps that let the event loop turn; `count` is how many of them hold a
 * vector. Slots may become holes meanwhile, and new ones come; no row may change.
 */
export async function writeSlab(slab: VectorSlab, slots: number, dir: string, name: string): Promise<{ files: SnapshotFile[]; count: number }> {
  let count = 0;
  const idAt = (slot: number): string | null => {
    const id = slab.idAt(slot);
    if (id !== undefined) count++;
    return id ?? null;
  };
  const files = [await writeParts(dir, `${name}.ids`, idParts(idAt, slots)), await writeParts(dir, `${name}.f32`, rowParts(slab, slots))];
  return { files, count };
}

/** What a snapshot holds, before it is an index. */
export interface SnapshotParts {
  readonly kind: SnapshotManifest['kind'];
  readonly slab: VectorSlab;
  /** Of HNSW. */
  readonly shape?: { readonly m: number; readonly efConstruction: number };
  readonly graph?: Graph;
}

/**
 * Read a snapshot into a new index. Sizes and hashes are compared with the manifest, then every number that native code would follow is
 * checked, so a crafted snapshot is refused too: GatehouseError `snapshot_corrupt`. The folder must not be writable by others: hnswlib
 * opens the graph file by its name after it was checked. All of it in steps that let the event loop turn.
 */
export async function readSnapshot(dir: string, manifest: SnapshotManifest, options: ReadSnapshotOptions = {}): Promise<VectorIndex> {
  const { slab, shape, graph } = await readParts(dir, manifest, options);
  return shape === undefined ? new ExactIndex(slab) : hnswIndexOf(slab, shape, graph);
}

/** As `readSnapshot`, short of making an index of it. */
export async function readParts(dir: string, manifest: SnapshotManifest, options: ReadSnapshotOptions = {}): Promise<SnapshotParts> {
  checkManifest(manifest, options);
  const files = new Map(manifest.files.map((file) => [file.name.slice(file.name.lastIndexOf('.') + 1), file]));
  const ids = await readIds(await readBytes(dir, files.get('ids')), manifest.count);
  const rowBytes = await readBytes(dir, files.get('f32'));
  if (rowBytes.length !== ids.length * manifest.dimensions * Float32Array.BYTES_PER_ELEMENT) throw corrupt('the vectors are not as many as the ids');
  const slab = await buildSlab(ids, floatsOf(rowBytes), manifest, options);
  if (manifest.kind === 'exact') return { kind: 'exact', slab };
  const shape = graphShape(manifest);
  const file = files.get('hnsw');
  if (file === undefined) {
    if (slab.slotCount > GRAPH_FROM_SLOTS_MAX) throw corrupt('an index of this size needs a graph');
    return { kind: 'hnsw', slab, shape };
  }
  const sphere = graphSphere(manifest);
  await checkHnswFile(await readBytes(dir, file), slab, shape);
  try {
    return { kind: 'hnsw', slab, shape, graph: await Graph.read(slab, sphere, join(dir, file.name)) };
  } catch (cause) {
    throw corrupt('hnswlib cannot load the graph file', cause);
  }
}

function checkManifest(manifest: SnapshotManifest, options: ReadSnapshotOptions): void {
  const { format, kind, metric, dimensions, count, files } = manifest;
  if (format !== 'gatehouse-index-1') throw corrupt('the format is not gatehouse-index-1');
  if (kind !== 'exact' && kind !== 'hnsw') throw corrupt('the kind is neither exact nor hnsw');
  if (metric !== 'ip' && metric !== 'cosine' && metric !== 'l2') throw corrupt('the metric is not ip, cosine or l2');
  if (!within(dimensions, 1, DIMENSIONS_MAX)) throw corrupt('the dimensions are out of range');
  if (!within(count, 0, CAPACITY_MAX_DEFAULT)) throw corrupt('the count is out of range');
  if (options.metric !== undefined && metric !== options.metric) throw corrupt(`the metric is ${metric}, expected ${options.metric}`);
  if (options.dimensions !== undefined && dimensions !== options.dimensions) {
    throw corrupt(`the vectors have ${dimensions} dimensions, expected ${options.dimensions}`);
  }
  if (!Array.isArray(files)) throw corrupt('the files are not a list');
  const kinds = new Set<string>();
  for (const file of files) {
    const match = FILE_NAME.exec(String(file?.name));
    if (!match || !within(file.bytes, 0, SNAPSHOT_FILE_BYTES_MAX) || !SHA256.test(String(file.sha256))) throw corrupt('a file entry is malformed');
    kinds.add(match[1]!);
  }
  if (kinds.size !== files.length || !kinds.has('ids') || !kinds.has('f32')) throw corrupt('the files are not one of each kind');
  if (kind === 'exact' && kinds.has('hnsw')) throw corrupt('an exact index has no graph');
}

function graphShape({ m, efConstruction }: SnapshotManifest): { m: number; efConstruction: number } {
  if (!within(m, M_MIN, M_MAX) || !within(efConstruction, 1, EF_CONSTRUCTION_MAX)) throw corrupt('m or efConstruction is out of range');
  return { m, efConstruction };
}

function graphSphere({ sphere }: SnapshotManifest): Sphere {
  if (typeof sphere !== 'object' || sphere === null) throw corrupt('a graph needs its sphere');
  const { radius, spread } = sphere;
  if (!(radius >= 0 && radius <= RADIUS_MAX && spread >= 1 && spread <= SPREAD_MAX)) throw corrupt('the sphere is out of range');
  return { radius, spread };
}

function within(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

async function readIds(bytes: Buffer, count: number): Promise<(string | null)[]> {
  const ids: (string | null)[] = [];
  let live = 0;
  if (!isArrayHead(bytes[0])) throw corrupt('the ids are not a list');
  try {
    for await (const id of decodeArrayStream(pieces(bytes))) {
      if (id !== null && typeof id !== 'string') throw corrupt('an id is not a string');
      if (id !== null) live++;
      ids.push(id);
    }
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw corrupt('the ids are not MessagePack', cause);
  }
  if (live !== count) throw corrupt(`there are ${live} ids, the manifest says ${count}`);
  return ids;
}

/** Whether the byte begins an array of MessagePack. */
function isArrayHead(byte: number | undefined): boolean {
  return byte !== undefined && ((byte & 0xf0) === 0x90 || byte === 0xdc || byte === ARRAY32);
}

/** The bytes piece by piece, a turn of the event loop for each: about a millisecond's worth of ids. */
async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += ID_BYTES_PER_TURN) {
    await nextTurn();
    yield bytes.subarray(at, at + ID_BYTES_PER_TURN);
  }
}

async function buildSlab(ids: (string | null)[], rows: Float32Array, manifest: SnapshotManifest, options: ReadSnapshotOptions): Promise<VectorSlab> {
  const { dimensions, metric } = manifest;
  try {
    return await VectorSlab.from(ids, rows, {
      dimensions,
      metric,
      ...(options.capacityMax === undefined ? {} : { capacityMax: options.capacityMax }),
      ...(options.handles === undefined ? {} : { handles: options.handles }),
    });
  } catch (cause) {
    if (cause instanceof RangeError) throw corrupt(cause.message, cause);
    throw cause;
  }
}

function littleEndian(rows: Float32Array): Buffer {
  const bytes = Buffer.allocUnsafe(rows.length * Float32Array.BYTES_PER_ELEMENT);
  for (let i = 0; i < rows.length; i++) bytes.writeFloatLE(rows[i]!, i * Float32Array.BYTES_PER_ELEMENT);
  return bytes;
}

/** Rows in pieces that are quickly converted. */
function* rowParts(slab: VectorSlab, slots: number): IterableIterator<Uint8Array> {
  for (const rows of slab.rows(slots)) {
    for (let at = 0; at < rows.length; at += FLOATS_PER_TURN) yield littleEndian(rows.subarray(at, at + FLOATS_PER_TURN));
  }
}

/** The MessagePack array of ids: its header, then some ids at a time. */
function* idParts(idAt: (slot: number) => string | null, slots: number): IterableIterator<Uint8Array> {
  const header = Buffer.alloc(5);
  header[0] = ARRAY32;
  header.writeUInt32BE(slots, 1);
  yield header;
  for (let from = 0; from < slots; from += ROWS_PER_TURN) {
    const count = Math.min(ROWS_PER_TURN, slots - from);
    yield Buffer.concat(Array.from({ length: count }, (_, i) => encode(idAt(from + i))));
  }
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += BYTES_PER_TURN) {
    hash.update(bytes.subarray(at, at + BYTES_PER_TURN));
    await nextTurn();
  }
  return hash.digest('hex');
}

/** Throws `snapshot_corrupt` unless the file is the one that the manifest means; reads it piece by piece. */
export async function verifyFile(dir: string, file: SnapshotFile): Promise<void> {
  const handle = await open(join(dir, file.name), 'r');
  try {
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafe(BYTES_PER_TURN);
    let bytes = 0;
    for (let got = await handle.read(piece); got.bytesRead > 0; got = await handle.read(piece)) {
      hash.update(piece.subarray(0, got.bytesRead));
      bytes += got.bytesRead;
    }
    if (bytes !== file.bytes || hash.digest('hex') !== file.sha256) throw corrupt(`${file.name} does not match its hash`);
  } finally {
    await handle.close();
  }
}

async function readBytes(dir: string, file: SnapshotFile | undefined): Promise<Buffer> {
  if (file === undefined) throw new Error('checkManifest let a missing file pass');
  let bytes: Buffer;
  try {
    // Size first: a file that grew must not be read into memory to find that out.
    const { size } = await stat(join(dir, file.name));
    if (size !== file.bytes) throw corrupt(`${file.name} has ${size} bytes, the manifest says ${file.bytes}`);
    bytes = await readFile(join(dir, file.name));
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw corrupt(`${file.name} cannot be read`, cause);
  }
  if (bytes.length !== file.bytes || (await sha256(bytes)) !== file.sha256) throw corrupt(`${file.name} does not match its hash`);
  return bytes;
}

async function writeParts(dir: string, name: string, parts: Iterable<Uint8Array>): Promise<SnapshotFile> {
  const beside = join(dir, `.${name}.tmp`);
  const handle = await open(beside, 'w');
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for (const part of parts) {
      bytes += part.length;
      requireFileSize(name, bytes);
      hash.update(part);
      await handle.writeFile(part);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(beside, join(dir, name));
  return { name, bytes, sha256: hash.digest('hex') };
}

/** Has a graph file written by `save`, checks it against the slab and gives it its name. */
export async function writeGraph(
  dir: string,
  name: string,
  slab: VectorSlab,
  shape: { readonly m: number; readonly efConstruction: number },
  save: (path: string) => void,
): Promise<SnapshotFile> {
  const beside = join(dir, `.${name}.tmp`);
  await rm(beside, { force: true });
  save(beside);
  const handle = await open(beside, 'r+');
  let bytes: Buffer;
  try {
    await handle.sync();
    requireFileSize(name, (await handle.stat()).size);
    bytes = await handle.readFile();
  } finally {
    await handle.close();
  }
  // hnswlib does not report a full disk; the same check that guards loading does.
  await checkHnswFile(bytes, slab, shape);
  await rename(beside, join(dir, name));
  return { name, bytes: bytes.length, sha256: await sha256(bytes) };
}

function requireFileSize(name: string, bytes: number): void {
  if (bytes > SNAPSHOT_FILE_BYTES_MAX) throw new RangeError(`${name} would have ${bytes} bytes, the limit is ${SNAPSHOT_FILE_BYTES_MAX}`);
}

/** A rename is durable once its folder is. */
export async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

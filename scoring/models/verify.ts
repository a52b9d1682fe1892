import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Compile } from 'typebox/compile';
import { type BundleFile, BundleManifest } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';

/** A manifest is a few kilobytes; a larger one is not ours. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Each chunk waits for a turn of a busy event loop, so they are large; hashing one takes about a millisecond. */
const CHUNK_BYTES = 1024 * 1024;
const Manifest = Compile(BundleManifest);

/** The sha256 of a file, in hexadecimal, read in chunks. */
export async function sha256File(path: string): Promise<string> {
  const hasher = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), hasher);
  return hasher.digest('hex');
}

/** Bytes of a plain file. Rejects for anything else: a named pipe, for one, would keep its reader waiting for ever. */
async function sizeOf(path: string): Promise<number> {
  const entry = await stat(path);
  if (!entry.isFile()) throw new Error(`${basename(path)} is no file`);
  return entry.size;
}

/** Reads and checks `manifest.json` alone. Throws `bundle_not_found` or `bundle_corrupt`. */
export async function readManifest(dir: string): Promise<BundleManifest> {
  const path = join(dir, 'manifest.json');
  let text: string;
  try {
    const size = await sizeOf(path);
    if (size > MANIFEST_BYTES_MAX) throw new GatehouseError('bundle_corrupt', `${basename(dir)}: the manifest has ${size} bytes`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw new GatehouseError('bundle_not_found', `${basename(dir)}: no readable manifest.json`, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GatehouseError('bundle_corrupt', `${basename(dir)}: the manifest is not JSON`, { cause });
  }
  if (!Manifest.Check(value)) {
    const [first] = Manifest.Errors(value);
    throw new GatehouseError(
      'bundle_corrupt',
      `${basename(dir)}: the manifest does not match its schema at ${first?.instancePath ?? '/'}: ${first?.message ?? ''}`,
    );
  }
  return value;
}

/**
 * Checks a bundle before anything is loaded from it: the manifest's schema, that every file a model, index or table names is listed, and each listed
 * file's size and hash. Throws `bundle_not_found` or `bundle_corrupt`.
 */
export async function verifyBundle(dir: string): Promise<BundleManifest> {
  const manifest = await readManifest(dir);
  const name = basename(dir);
  if (manifest.version !== name) throw new GatehouseError('bundle_corrupt', `the folder ${name} holds the bundle ${manifest.version}`);
  const listed = new Map(manifest.files.map((file) => [file.name, file]));
  if (listed.size !== manifest.files.length) throw new GatehouseError('bundle_corrupt', `${name}: a file is listed twice`);
  for (const file of namedFiles(manifest)) {
    if (!listed.has(file)) throw new GatehouseError('bundle_corrupt', `${name}: ${file} is named but not listed`);
  }
  for (const snapshot of Object.values(manifest.indexes)) {
    for (const file of snapshot?.files ?? []) {
      const entry = listed.get(file.name);
      if (entry?.sha256 !== file.sha256 || entry.bytes !== file.bytes)
        throw new GatehouseError('bundle_corrupt', `${name}: ${file.name} is described in two ways`);
    }
  }
  // Side by side, as under load each step of each file waits for its turn. A manifest lists at most 64 files.
  await Promise.all(manifest.files.map((file) => verifyFile(dir, file)));
  return manifest;
}

async function verifyFile(dir: string, { name, bytes, sha256 }: BundleFile): Promise<void> {
  const bundle = basename(dir);
  const path = join(dir, name);
  const size = await sizeOf(path).catch((cause: unknown) => {
    throw new GatehouseError('bundle_corrupt', `${bundle}: ${name} is missing`, { cause });
  });
  if (size !== bytes) throw new GatehouseError('bundle_corrupt', `${bundle}: ${name} has ${size} bytes instead of ${bytes}`);
  const found = await sha256File(path).catch((cause: unknown) => {
    throw new GatehouseError('bundle_corrupt', `${bundle}: ${name} cannot be read`, { cause });
  });
  if (found !== sha256) throw new GatehouseError('bundle_corrupt', `${bundle}: ${name} does not match its hash`);
}

function namedFiles(manifest: BundleManifest): string[] {
  const { models, indexes, tables, report } = manifest;
  const { fraud, anomaly, ranker, user_tower, next_item } = models;
  const ofModels = [
    fraud?.file,
    fraud?.trees,
    fraud?.reference,
    anomaly?.file,
    ranker?.file,
    ranker?.trees,
    user_tower?.file,
    next_item?.file,
    next_item?.ids,
  ];
  const names = [...ofModels, ...Object.values(tables), report];
  for (const snapshot of Object.values(indexes)) names.push(...(snapshot?.files ?? []).map((file) => file.name));
  return names.filter((name) => name !== undefined);
}

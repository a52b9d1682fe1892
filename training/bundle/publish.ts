import { createHash } from 'node:crypto';
import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BundleFile, type BundleManifest, VERSION_PATTERN } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import { readManifest } from '../../scoring/models/verify.ts';
import { lockFolder } from '../../store/lock.ts';
import { requireParam } from '../learners/contract.ts';

/** Folders of bundles that are being written start so; the gateway lists none that starts with a dot. */
const TEMPORARY = '.tmp-';
/** As in the manifest's schema. Checked first, because the version becomes a path. */
const VERSION = new RegExp(VERSION_PATTERN);

/**
 * Publishes what `write` puts into a folder as the bundle `outDir/<version>`, whole or not at all: the folder is hidden until one rename. It bears the
 * version as its name already, so `write` may verify and probe it at the end. What a killed writer left behind is removed first; `outDir` is locked
 * meanwhile, so that this never hits a live one.
 *
 * Throws `bundle_exists`, `store_locked` when another process writes here, RangeError on a wrong version, the signal's reason, and what `write`
 * and the disk say.
 */
export async function publishBundle(
  outDir: string,
  version: string,
  write: (dir: string) => Promise<BundleManifest>,
  signal?: AbortSignal,
): Promise<BundleManifest> {
  requireParam(VERSION.test(version), 'a version is 1 to 64 letters, digits, dots, _ and -, and starts with a letter or digit');
  signal?.throwIfAborted();
  await mkdir(outDir, { recursive: true });
  const lock = await lockFolder(outDir);
  try {
    await removeLeftovers(outDir);
    const target = join(outDir, version);
    if (await exists(target)) throw new GatehouseError('bundle_exists', `${version} exists already`);
    const temporary = join(outDir, `${TEMPORARY}${version}`);
    const hidden = join(temporary, version);
    await mkdir(hidden, { recursive: true });
    let published = false;
    try {
      const manifest = await write(hidden);
      signal?.throwIfAborted();
      await rename(hidden, target);
      published = true;
      await syncFolder(outDir);
      return manifest;
    } catch (cause) {
      if (published) await rm(target, { recursive: true, force: true });
      throw cause;
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } finally {
    lock.release();
  }
}

/** Writes a file and makes it durable. Size and hash are those of the bytes that were written. */
export async function writeSynced(dir: string, name: string, content: Uint8Array | string): Promise<BundleFile> {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  const handle = await open(join(dir, name), 'wx');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Writes the manifest, after all files. What is on disk counts: a metric of NaN has become null, and the gateway would refuse it. */
export async function writeManifest(dir: string, manifest: BundleManifest): Promise<BundleManifest> {
  await writeSynced(dir, 'manifest.json', `${JSON.stringify(manifest, null, 2)}\n`);
  await syncFolder(dir);
  return readManifest(dir);
}

async function removeLeftovers(outDir: string): Promise<void> {
  for (const name of await readdir(outDir)) if (name.startsWith(TEMPORARY)) await rm(join(outDir, name), { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw cause;
  }
}

/** A rename is durable once its folder is. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

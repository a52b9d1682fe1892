import { createHash } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleManifest } from '../../contracts/bundle.ts';

/** A manifest in which everything may be changed. */
export type Draft<T> = { -readonly [K in keyof T]: Draft<T[K]> };

/** Copies the bundle `from` into the folder `to` under the same version, changes it there, and returns its folder. */
export async function tampered(from: string, to: string, change: (dir: string) => Promise<void>): Promise<string> {
  await cp(from, to, { recursive: true });
  await change(to);
  return to;
}

export async function readManifestDraft(dir: string): Promise<Draft<BundleManifest>> {
  return JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8')) as Draft<BundleManifest>;
}

export async function editManifest(dir: string, change: (manifest: Draft<BundleManifest>) => void): Promise<void> {
  const manifest = await readManifestDraft(dir);
  change(manifest);
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
}

/** Replaces a file and writes its new size and hash into the manifest: what somebody does who makes a bad bundle on purpose, or by a buggy tool. */
export async function replaceSealed(dir: string, name: string, bytes: Uint8Array): Promise<void> {
  await writeFile(join(dir, name), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await editManifest(dir, (manifest) => {
    const entries = [manifest.files, manifest.indexes.items?.files ?? [], manifest.indexes.users?.files ?? []].flat();
    for (const entry of entries) if (entry.name === name) Object.assign(entry, { bytes: bytes.length, sha256 });
  });
}

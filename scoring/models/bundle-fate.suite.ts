import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { BundleManifest } from '../../contracts/bundle.ts';
import { indexReaders } from '../../index/readers.ts';
import { testParts } from '../../training/bundle/parts.testing.ts';
import { writeBundle } from '../../training/bundle/write.ts';
import { DEFAULT_DECLARATIONS } from '../features/defaults.ts';
import { createFeatureEngine } from '../features/engine.ts';
import { loadBundle } from './bundle.ts';
import { type Draft, editManifest, replaceSealed, tampered } from './tamper.testing.ts';

export const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
export const deps = { engine, ...indexReaders };
/** Of the bundle `good`. */
export const parts = await testParts(engine, 'v1');

/** Loads and probes a folder. What it was refused for, and by whom. */
export async function fate(dir: string): Promise<string> {
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

/** Bundles in a folder of the suite that makes this, and what becomes of changed copies of them; usable within tests. */
export class Bundles {
  #root = '';
  #copies = 0;

  constructor() {
    beforeAll(async () => {
      this.#root = await mkdtemp(join(tmpdir(), 'gatehouse-bundle-'));
      await writeBundle(this.#root, parts);
      const { version, created_ms, trained, metrics, fraud, ranker } = parts;
      await writeBundle(join(this.#root, 'light'), { version, created_ms, trained, metrics, fraud, ranker });
      await writeBundle(join(this.#root, 'fraud'), { version, created_ms, trained, metrics, fraud });
    });
    afterAll(() => rm(this.#root, { recursive: true }));
  }

  get root(): string {
    return this.#root;
  }

  /** With every part. */
  get good(): string {
    return join(this.#root, 'v1');
  }

  /** The models over features alone: as good for what is tried a hundred times. */
  get light(): string {
    return join(this.#root, 'light', 'v1');
  }

  /** The fraud model by itself. */
  get fraudAlone(): string {
    return join(this.#root, 'fraud', 'v1');
  }

  async fateOf(change: (dir: string) => Promise<void>, from = this.good): Promise<string> {
    return fate(await tampered(from, join(this.#root, `copy${this.#copies++}`, 'v1'), change));
  }

  withFile(name: string, bytes: Uint8Array | string, from = this.good): Promise<string> {
    return this.fateOf((dir) => replaceSealed(dir, name, typeof bytes === 'string' ? Buffer.from(bytes) : bytes), from);
  }

  withManifest(change: (manifest: Draft<BundleManifest>) => void): Promise<string> {
    return this.fateOf((dir) => editManifest(dir, change));
  }
}

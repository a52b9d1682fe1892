import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BundleManifest } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { LoadedBundle } from './bundle.ts';
import { readManifest } from './verify.ts';

/** `active.json` in the bundles folder: which bundle serves, and which one a rollback goes back to. */
interface Pointer {
  readonly active: string | null;
  readonly previous: string | null;
}

export interface BundleManagerDeps {
  readonly dir: string;
  /** Loads in this process. */
  readonly load: (dir: string) => Promise<LoadedBundle>;
  /** Loads and runs in another process first: a file that crashes native code must not take the gateway with it. Rejects with a GatehouseError. */
  readonly probe: (dir: string) => Promise<void>;
  /** Called after each swap, with undefined never: a gateway that has a bundle keeps one. */
  readonly onSwap?: (manifest: BundleManifest) => void;
}

export interface BundleEntry {
  readonly version: string;
  readonly active: boolean;
  readonly previous: boolean;
  /** Absent where the manifest cannot be read; `problem` then says why. */
  readonly manifest?: BundleManifest;
  readonly problem?: string;
}

interface Held {
  readonly bundle: LoadedBundle;
  leases: number;
  retired: boolean;
}

/**
 * Which bundle serves. A request leases the current one and keeps it to its end, so a swap never mixes two; the old one is released when its last
 * lease ends. Swaps run one at a time.
 */
export class BundleManager {
  readonly #deps: BundleManagerDeps;
  #held: Held | undefined;
  #pointer: Pointer = { active: null, previous: null };
  #queue: Promise<unknown> = Promise.resolve();

  constructor(deps: BundleManagerDeps) {
    this.#deps = deps;
  }

  /** Loads the bundle that was active last. Returns the error when it can't be loaded: the gateway then serves without one, degraded. */
  async start(): Promise<GatehouseError | undefined> {
    await mkdir(this.#deps.dir, { recursive: true });
    this.#pointer = await this.#readPointer();
    const { active } = this.#pointer;
    if (active === null) return undefined;
    try {
      this.#swap(await this.#deps.load(join(this.#deps.dir, active)));
      return undefined;
    } catch (cause) {
      return cause instanceof GatehouseError ? cause : new GatehouseError('bundle_corrupt', `${active} cannot be loaded`, { cause });
    }
  }

  get current(): BundleManifest | undefined {
    return this.#held?.bundle.manifest;
  }

  /** Runs `use` with the current bundle, which stays loaded until it ends. */
  async lease<T>(use: (bundle: LoadedBundle | undefined) => Promise<T>): Promise<T> {
    const held = this.#held;
    if (!held) return use(undefined);
    held.leases++;
    try {
      return await use(held.bundle);
    } finally {
      held.leases--;
      if (held.retired && held.leases === 0) await held.bundle.release();
    }
  }

  /** The newest first. */
  async list(): Promise<BundleEntry[]> {
    const names = (await readdir(this.#deps.dir, { withFileTypes: true })).filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
    const entries: BundleEntry[] = [];
    for (const { name } of names.sort((a, b) => (a.name < b.name ? 1 : -1))) {
      const base = { version: name, active: name === this.#pointer.active, previous: name === this.#pointer.previous };
      try {
        entries.push({ ...base, manifest: await readManifest(join(this.#deps.dir, name)) });
      } catch (cause) {
        entries.push({ ...base, problem: cause instanceof Error ? cause.message : String(cause) });
      }
    }
    return entries;
  }

  /** Verifies, probes and loads the bundle, then swaps to it at once. On any failure the current one goes on serving. */
  activate(version: string): Promise<BundleManifest> {
    return this.#exclusive(async () => {
      if (version.startsWith('.') || version.includes('/') || version.includes('\\'))
        throw new GatehouseError('bundle_not_found', `${version} is no bundle`);
      const dir = join(this.#deps.dir, version);
      await readManifest(dir);
      await this.#deps.probe(dir);
      const bundle = await this.#deps.load(dir);
      const previous = this.#pointer.active === version ? this.#pointer.previous : this.#pointer.active;
      try {
        await this.#writePointer({ active: version, previous });
      } catch (cause) {
        await bundle.release();
        throw new GatehouseError('store_unavailable', 'the active bundle cannot be recorded', { cause });
      }
      this.#swap(bundle);
      return bundle.manifest;
    });
  }

  /** Activates the bundle that served before. */
  async rollback(): Promise<BundleManifest> {
    const { previous } = this.#pointer;
    if (previous === null) throw new GatehouseError('bundle_not_found', 'there is no previous bundle to go back to');
    return this.activate(previous);
  }

  async close(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (!held) return;
    held.retired = true;
    if (held.leases === 0) await held.bundle.release();
  }

  #swap(bundle: LoadedBundle): void {
    const old = this.#held;
    this.#held = { bundle, leases: 0, retired: false };
    this.#deps.onSwap?.(bundle.manifest);
    if (!old) return;
    old.retired = true;
    if (old.leases === 0) void old.bundle.release();
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    // The queue goes on after a failure; the caller of this one gets it.
    this.#queue = next.catch(() => undefined);
    return next;
  }

  get #pointerPath(): string {
    return join(this.#deps.dir, 'active.json');
  }

  async #readPointer(): Promise<Pointer> {
    let text: string;
    try {
      text = await readFile(this.#pointerPath, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { active: null, previous: null };
      throw cause;
    }
    try {
      const { active, previous } = JSON.parse(text) as Partial<Pointer>;
      return { active: active ?? null, previous: previous ?? null };
    } catch (cause) {
      throw new GatehouseError('bundle_corrupt', 'active.json in the bundles folder is not JSON: delete it or write {"active": "<version>"}', {
        cause,
      });
    }
  }

  async #writePointer(pointer: Pointer): Promise<void> {
    const temporary = `${this.#pointerPath}.tmp`;
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(`${JSON.stringify(pointer)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#pointerPath);
    const folder = await open(dirname(temporary), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    this.#pointer = pointer;
  }
}

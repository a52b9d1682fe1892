import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BundleManifest, VERSION_PATTERN } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { LoadedBundle } from './bundle.ts';
import { readManifest } from './verify.ts';

const VERSION = new RegExp(VERSION_PATTERN);

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
  /** Called when a bundle that nobody uses any more cannot be released: its memory is lost, the requests are not. */
  readonly onReleaseError?: (cause: unknown) => void;
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
  #closed = false;

  constructor(deps: BundleManagerDeps) {
    this.#deps = deps;
  }

  /**
   * Loads the bundle that was active last. Returns the error when it, or the note of which one it was, can't be read: the gateway then serves
   * without one, degraded, until one is activated. Rejects with `data_dir_unwritable` when there can be no bundles folder at all.
   */
  async start(): Promise<GatehouseError | undefined> {
    try {
      await mkdir(this.#deps.dir);
    } catch (cause) {
      // There already; a file in its place is told when the note of the active bundle is read.
      if (errno(cause) !== 'EEXIST') throw new GatehouseError('data_dir_unwritable', `cannot make the folder ${this.#deps.dir}`, { cause });
    }
    try {
      this.#pointer = await this.#readPointer();
      const { active } = this.#pointer;
      if (active !== null) this.#swap(await this.#deps.load(join(this.#deps.dir, active)));
      return undefined;
    } catch (cause) {
      return cause instanceof GatehouseError ? cause : new GatehouseError('bundle_corrupt', 'the active bundle cannot be loaded', { cause });
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
      if (held.retired && held.leases === 0) this.#release(held.bundle);
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
    return this.#exclusive(() => this.#activate(version));
  }

  /** Activates the bundle that served before the one that serves when its turn comes. */
  rollback(): Promise<BundleManifest> {
    return this.#exclusive(async () => {
      const { previous } = this.#pointer;
      if (previous === null) throw new GatehouseError('bundle_not_found', 'there is no previous bundle to go back to');
      return this.#activate(previous);
    });
  }

  /** Retires the current bundle; leases that are held end as they would. A swap in work is not waited for, as a probe may take long: it is refused. */
  close(): void {
    this.#closed = true;
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#retire(held);
  }

  async #activate(version: string): Promise<BundleManifest> {
    this.#requireOpen();
    if (!VERSION.test(version)) throw new GatehouseError('bundle_not_found', `${version} is no bundle`);
    const dir = join(this.#deps.dir, version);
    await readManifest(dir);
    await this.#deps.probe(dir);
    this.#requireOpen();
    const bundle = await this.#deps.load(dir);
    try {
      this.#requireOpen();
      await this.#record({ active: version, previous: this.#previousOf(version) });
    } catch (cause) {
      this.#release(bundle);
      throw cause;
    }
    if (this.#closed) this.#release(bundle);
    else this.#swap(bundle);
    return bundle.manifest;
  }

  #requireOpen(): void {
    if (this.#closed) throw new GatehouseError('draining', 'the gateway is shutting down');
  }

  /** What a rollback from `version` goes back to: what serves now. A bundle that could not be loaded at start serves nobody and is passed over. */
  #previousOf(version: string): string | null {
    const serving = this.#held?.bundle.manifest.version;
    if (serving !== undefined && serving !== version) return serving;
    return this.#pointer.previous === version ? null : this.#pointer.previous;
  }

  #swap(bundle: LoadedBundle): void {
    const old = this.#held;
    this.#held = { bundle, leases: 0, retired: false };
    if (old) this.#retire(old);
    this.#deps.onSwap?.(bundle.manifest);
  }

  #retire(held: Held): void {
    held.retired = true;
    if (held.leases === 0) this.#release(held.bundle);
  }

  /** Nobody waits for it: a request has its answer already, and a swap has happened. */
  #release(bundle: LoadedBundle): void {
    bundle.release().catch((cause: unknown) => this.#deps.onReleaseError?.(cause));
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
      if (errno(cause) === 'ENOENT') return { active: null, previous: null };
      throw new GatehouseError('bundle_corrupt', 'active.json in the bundles folder cannot be read', { cause });
    }
    try {
      const { active = null, previous = null } = JSON.parse(text) as Partial<Pointer>;
      for (const version of [active, previous])
        if (version !== null && !VERSION.test(version)) throw new Error(`${JSON.stringify(version)} is no version`);
      return { active, previous };
    } catch (cause) {
      throw new GatehouseError(
        'bundle_corrupt',
        'active.json in the bundles folder cannot be understood: activate a bundle, or write {"active": "<version>"}',
        {
          cause,
        },
      );
    }
  }

  async #record(pointer: Pointer): Promise<void> {
    try {
      await this.#writePointer(pointer);
    } catch (cause) {
      throw new GatehouseError('store_unavailable', 'the active bundle cannot be recorded', { cause });
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

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

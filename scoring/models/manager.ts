import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BundleManifest, VERSION_PATTERN } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { LoadedBundle } from './bundle.ts';
import { readManifest } from './verify.ts';

const VERSION = new RegExp(VERSION_PATTERN);

/** A bundle whose fraud model is tried beside the one that serves. */
export interface Challenge {
  readonly version: string;
  /** Share of the users whose payments it decides, from 0 (it decides none: a shadow) to 1. */
  readonly share: number;
}

/** `active.json` in the bundles folder: which bundle serves, which one a rollback goes back to, and which one challenges it. */
interface Pointer {
  readonly active: string | null;
  readonly previous: string | null;
  readonly challenger: Challenge | null;
}

/** The challenger as requests see it. */
export interface Challenger extends Challenge {
  readonly bundle: LoadedBundle;
}

export type BundleRole = 'serving' | 'challenger';

export interface BundleManagerDeps {
  readonly dir: string;
  /** Loads in this process. Of a challenger only the fraud model is asked. */
  readonly load: (dir: string, role: BundleRole) => Promise<LoadedBundle>;
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
  #challenging: Held | undefined;
  #pointer: Pointer = { active: null, previous: null, challenger: null };
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
      const { active, challenger } = this.#pointer;
      if (active !== null) this.#swap(await this.#deps.load(join(this.#deps.dir, active), 'serving'));
      if (challenger !== null) this.#challenging = held(await this.#deps.load(join(this.#deps.dir, challenger.version), 'challenger'));
      return undefined;
    } catch (cause) {
      return cause instanceof GatehouseError ? cause : new GatehouseError('bundle_corrupt', 'the active bundle cannot be loaded', { cause });
    }
  }

  get current(): BundleManifest | undefined {
    return this.#held?.bundle.manifest;
  }

  get challenge(): Challenge | undefined {
    return (this.#challenging && this.#pointer.challenger) ?? undefined;
  }

  /** Runs `use` with the current bundle and its challenger, which stay loaded until it ends. */
  async lease<T>(use: (bundle: LoadedBundle | undefined, challenger: Challenger | undefined) => Promise<T>): Promise<T> {
    const [current, challenging, challenge] = [this.#held, this.#challenging, this.#pointer.challenger];
    if (current) current.leases++;
    if (challenging) challenging.leases++;
    try {
      return await use(current?.bundle, challenging && challenge ? { ...challenge, bundle: challenging.bundle } : undefined);
    } finally {
      for (const leased of [current, challenging]) {
        if (leased === undefined) continue;
        leased.leases--;
        if (leased.retired && leased.leases === 0) this.#release(leased.bundle);
      }
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

  /**
   * Tries the fraud model of a bundle beside the one that serves: verified, probed and loaded like one that is activated. Replaces a challenger that is
   * there. Rejects with what `activate` does, and with `bundle_incompatible` for a bundle that has no fraud model or serves already.
   */
  challengeBy(challenge: Challenge): Promise<Challenge> {
    return this.#exclusive(async () => {
      const { version } = challenge;
      if (version === this.#held?.bundle.manifest.version) throw new GatehouseError('bundle_incompatible', `${version} serves already`);
      const bundle = await this.#loadProbed(version, 'challenger');
      try {
        if (bundle.manifest.models.fraud === undefined) throw new GatehouseError('bundle_incompatible', `${version} has no fraud model to try`);
        this.#requireOpen();
        await this.#record({ ...this.#pointer, challenger: challenge });
      } catch (cause) {
        this.#release(bundle);
        throw cause;
      }
      if (this.#closed) this.#release(bundle);
      else this.#setChallenger(bundle);
      return challenge;
    });
  }

  /** Ends the trial. Rejects with `bundle_not_found` where there is none. */
  endChallenge(): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#pointer.challenger === null) throw new GatehouseError('bundle_not_found', 'no bundle is being tried');
      await this.#record({ ...this.#pointer, challenger: null });
      this.#setChallenger(undefined);
    });
  }

  /** Retires the current bundle; leases that are held end as they would. A swap in work is not waited for, as a probe may take long: it is refused. */
  close(): void {
    this.#closed = true;
    const current = this.#held;
    this.#held = undefined;
    if (current) this.#retire(current);
    this.#setChallenger(undefined);
  }

  async #activate(version: string): Promise<BundleManifest> {
    const bundle = await this.#loadProbed(version, 'serving');
    // A challenger that wins has nothing left to challenge.
    const { challenger } = this.#pointer;
    const stays = challenger?.version !== version;
    try {
      this.#requireOpen();
      await this.#record({ active: version, previous: this.#previousOf(version), challenger: stays ? challenger : null });
    } catch (cause) {
      this.#release(bundle);
      throw cause;
    }
    if (!stays) this.#setChallenger(undefined);
    if (this.#closed) this.#release(bundle);
    else this.#swap(bundle);
    return bundle.manifest;
  }

  async #loadProbed(version: string, role: BundleRole): Promise<LoadedBundle> {
    this.#requireOpen();
    if (!VERSION.test(version)) throw new GatehouseError('bundle_not_found', `${version} is no bundle`);
    const dir = join(this.#deps.dir, version);
    await readManifest(dir);
    await this.#deps.probe(dir);
    this.#requireOpen();
    return this.#deps.load(dir, role);
  }

  #setChallenger(bundle: LoadedBundle | undefined): void {
    const old = this.#challenging;
    this.#challenging = bundle && held(bundle);
    if (old) this.#retire(old);
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
    this.#held = held(bundle);
    if (old) this.#retire(old);
    this.#deps.onSwap?.(bundle.manifest);
  }

  #retire(old: Held): void {
    old.retired = true;
    if (old.leases === 0) this.#release(old.bundle);
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
      if (errno(cause) === 'ENOENT') return { active: null, previous: null, challenger: null };
      throw new GatehouseError('bundle_corrupt', 'active.json in the bundles folder cannot be read', { cause });
    }
    try {
      const { active = null, previous = null, challenger = null } = JSON.parse(text) as Partial<Pointer>;
      for (const version of [active, previous, challenger?.version ?? null])
        if (version !== null && !VERSION.test(version)) throw new Error(`${JSON.stringify(version)} is no version`);
      if (challenger !== null && !(challenger.share >= 0 && challenger.share <= 1)) throw new Error(`${challenger.share} is no share`);
      return { active, previous, challenger };
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
      const { active, previous, challenger } = pointer;
      await file.writeFile(`${JSON.stringify({ active, previous, ...(challenger && { challenger }) })}\n`);
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

function held(bundle: LoadedBundle): Held {
  return { bundle, leases: 0, retired: false };
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

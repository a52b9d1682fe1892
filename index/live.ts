import { mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { GatehouseError } from '../contracts/errors.ts';
import type { Handles } from '../contracts/handles.ts';
import { buildInChild, type CompactionProcess } from './compaction.ts';
import type { HandleSearchOptions, Metric, Neighbour, SearchOptions, SnapshotManifest, VectorIndex } from './contract.ts';
import { Graph, type GraphShape } from './graph.ts';
import { chooseSphere } from './graph-row.ts';
import { GRAPH_FROM_SLOTS, type HnswOptions, RADIUS_DRIFT_MAX, settingsOf } from './hnsw.ts';
import { Segments } from './segments.ts';
import { searchById, VectorSlab } from './slab.ts';
import { readParts, type SnapshotParts, syncFolder, verifyFile, writeSlab } from './snapshot.ts';
import { nextTurn, ROWS_PER_TURN } from './turns.ts';

/** Slots of the delta that start a compaction: searching as many costs about as much as the base, and a million rows are written for them. */
export const COMPACT_SLOTS = 20_000;
/**
 * Slots that the delta may hold, what is being compacted included: 100,000 x 64 take about 65 MB, and are what arrives at some 500 updates a second
 * while a million vectors are built anew. One more update is refused.
 */
export const DELTA_SLOTS_MAX = 100_000;
/** Tombstones, as a share of the vectors, past which all is built anew without them: searches fetch that much more. */
export const TOMBSTONES_SHARE_MAX = 0.3;
/** Not worth it for fewer. */
const TOMBSTONES_MIN = 1_000;
/** After a compaction that failed: a full disk does not get better by asking at each write. */
const RETRY_MS = 30_000;
/** Slots that are put into a graph between two turns while an index is opened: about a millisecond. */
const INSERTS_PER_TURN = 16;
/** Vectors that are taken between two turns while an index is opened: making one takes its owner some 3 us. */
const VECTORS_PER_TURN = 256;
/** Node waits 100 ms more before each: 5 s in all, far longer than a child goes on by itself. */
export const REMOVE_RETRIES = 9;
const NAME = 'index';
const CURRENT = 'current.json';
const FOLDER = 'compacted-';

export interface LiveIndexOptions extends Pick<HnswOptions, 'dimensions' | 'metric' | 'm' | 'efConstruction' | 'seed' | 'capacityMax' | 'handles'> {
  /** Its own folder, for what it compacts; made where it is not there. */
  readonly dir: string;
  /** What the index begins with, as long as `dir` has nothing newer that grew from it. */
  readonly base?: { readonly dir: string; readonly manifest: SnapshotManifest };
  /**
   * What it begins with where there is neither, read in steps. Of many, a compaction that begins at once builds the graph: until it ends searches find
   * what was put since.
   */
  readonly vectors?: Iterable<readonly [id: string, vector: Float32Array]>;
  readonly compactSlots?: number;
  readonly deltaSlotsMax?: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onCompacted?: (report: CompactionReport) => void;
  /** A compaction failed, or what an earlier one left cannot be read: the index goes on with what it has. */
  readonly onError: (error: unknown) => void;
}

export interface CompactionReport {
  /** `rebuild` leaves tombstones behind; `append` adds the delta to the graph there is. */
  readonly kind: 'append' | 'rebuild';
  readonly slots: number;
  readonly durationMs: number;
}

export interface LiveIndexStats {
  readonly vectors: number;
  readonly delta: number;
  readonly tombstones: number;
  readonly isCompacting: boolean;
}

/** `current.json`: the newest snapshot, and the base that it grew from. */
interface Current {
  readonly of: string;
  readonly folder: string;
  readonly manifest: SnapshotManifest;
}

/** Takes the writes that come while a slab is being copied. */
interface Mirror {
  upsert(id: string, vector: Float32Array): void;
  remove(id: string): void;
}

/**
 * A vector index that takes updates while it serves: what was acknowledged is found by the next search. Updates go to a delta beside the base, holes
 * are tombstones (index/segments.ts); when either is over its limit a compaction builds a new base:
 *
 *   1. seal the delta; updates go to the next one        3. check the file against its hash, load it on a thread
 *   2. write the rows; a child process builds the graph  4. note it as the current one, swap, free the old one
 *
 * Nothing of it holds the event loop for long. Files are derived data: whoever owns the vectors keeps them elsewhere, and after a crash upserts them
 * again over the newest snapshot, where those that are already there change nothing.
 */
export class LiveIndex implements VectorIndex {
  readonly kind = 'hnsw';
  readonly #options: LiveIndexOptions;
  readonly #shape: GraphShape;
  readonly #of: string;
  #segments: Segments;
  /** The file of the base's graph. */
  #basePath: string | undefined;
  #mirror: Mirror | undefined;
  #compacting: Promise<void> | undefined;
  #child: CompactionProcess | undefined;
  #retryAtMs = 0;
  #closed = false;
  #version = 0;

  constructor(options: LiveIndexOptions, of: string, segments: Segments, shape: GraphShape, basePath: string | undefined) {
    this.#options = options;
    this.#of = of;
    this.#segments = segments;
    this.#shape = shape;
    this.#basePath = basePath;
    if (segments.lacksBase) this.#compactWhereDue();
  }

  get dimensions(): number {
    return this.#slab.dimensions;
  }

  get metric(): Metric {
    return this.#slab.metric;
  }

  get size(): number {
    return this.#slab.size;
  }

  get version(): number {
    return this.#version;
  }

  get handles(): Handles {
    return this.#slab.handles;
  }

  has(id: string): boolean {
    return this.#slab.slotOf(id) !== undefined;
  }

  /** As the contract's; throws `index_busy` too, where updates came faster than they could be compacted. */
  upsert(id: string, vector: Float32Array): void {
    this.#requireOpen();
    this.#compactWhereDue();
    const { deltaSlotsMax = DELTA_SLOTS_MAX } = this.#options;
    if (this.#segments.deltaSlots >= deltaSlotsMax) throw new GatehouseError('index_busy', `${deltaSlotsMax} updates wait to be compacted`);
    if (this.#segments.upsert(id, vector)) this.#version++;
    this.#mirror?.upsert(id, vector);
  }

  remove(id: string): boolean {
    if (!this.#segments.remove(id)) return false;
    this.#version++;
    this.#mirror?.remove(id);
    this.#compactWhereDue();
    return true;
  }

  get(id: string): Float32Array | undefined {
    return this.#slab.get(id);
  }

  similarities(query: Float32Array, ids: readonly string[]): Float64Array {
    return this.#slab.similarities(query, ids);
  }

  ids(): IterableIterator<string> {
    return this.#slab.ids();
  }

  search(query: Float32Array, k: number, options: SearchOptions = {}): Neighbour[] {
    return searchById(this, query, k, options);
  }

  nearest(query: Float32Array, k: number, options: HandleSearchOptions, handles: Int32Array, similarities?: Float64Array): number {
    // A graph that was freed would take the process with it.
    this.#requireOpen();
    // After a first compaction that failed, vectors that nobody changes would wait for their graph for ever.
    if (this.#segments.lacksBase) this.#compactWhereDue();
    return this.#segments.nearest(query, k, options, handles, similarities);
  }

  similaritiesTo(query: Float32Array, handles: Int32Array, count: number, out: Float64Array): void {
    this.#slab.similaritiesTo(query, handles, count, out);
  }

  copyTo(handle: number, out: Float32Array, offset: number): boolean {
    return this.#slab.copyTo(handle, out, offset);
  }

  stats(): LiveIndexStats {
    const { deltaSlots, tombstones } = this.#segments;
    return { vectors: this.size, delta: deltaSlots, tombstones, isCompacting: this.#compacting !== undefined };
  }

  /** Compacts now, or waits for the compaction that runs. Rejects with what went wrong; the index is then as it was. */
  compact(): Promise<void> {
    if (this.#closed) return Promise.reject(new GatehouseError('draining', 'the index is closed'));
    this.#compacting ??= this.#compact()
      .catch((error: unknown) => {
        this.#retryAtMs = this.#options.now() + RETRY_MS;
        throw error;
      })
      .finally(() => {
        this.#compacting = undefined;
        this.#child = undefined;
      });
    return this.#compacting;
  }

  /** Ends a compaction that runs, and frees the graphs: nobody may search any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#child?.cancel();
    // Whoever asked for the compaction hears what became of it.
    await this.#compacting?.catch(() => undefined);
    for (const graph of this.#segments.graphs) await this.#free(graph);
  }

  get #slab(): VectorSlab {
    return this.#segments.slab;
  }

  #compactWhereDue(): void {
    if (this.#compacting || this.#closed || this.#options.now() < this.#retryAtMs) return;
    const { compactSlots = COMPACT_SLOTS, deltaSlotsMax = DELTA_SLOTS_MAX } = this.#options;
    const { activeSlots, deltaSlots } = this.#segments;
    if (activeSlots < compactSlots && deltaSlots < deltaSlotsMax && !this.#segments.lacksBase && !this.#hasManyTombstones()) return;
    this.compact().catch((error: unknown) => {
      if (!this.#closed) this.#options.onError(error);
    });
  }

  #hasManyTombstones(): boolean {
    return this.#segments.tombstones > TOMBSTONES_MIN + TOMBSTONES_SHARE_MAX * this.size;
  }

  /** Whether the vectors' norms are no longer those that the base's graph was made for. */
  #hasDrifted(): boolean {
    const { sphere } = this.#segments;
    return sphere !== undefined && Math.abs(chooseSphere(this.#slab).radius - sphere.radius) > RADIUS_DRIFT_MAX * sphere.radius;
  }

  async #compact(): Promise<void> {
    const { dir, now } = this.#options;
    const startedMs = now();
    const kind = this.#hasManyTombstones() || this.#hasDrifted() ? 'rebuild' : 'append';
    const folder = await mkdtemp(join(dir, FOLDER));
    try {
      const target = kind === 'rebuild' ? await this.#copyLive() : this.#segments;
      const slots = target.seal();
      const { files, count } = await writeSlab(target.slab, slots, folder, NAME);
      const graph = slots === 0 ? undefined : await this.#build(target, slots, folder, kind === 'append' ? this.#basePath : undefined);
      const { metric, dimensions } = target.slab;
      const manifest: SnapshotManifest = { format: 'gatehouse-index-1', kind: 'hnsw', metric, dimensions, count, ...shapeOf(this.#shape), files };
      const whole = graph === undefined ? manifest : { ...manifest, sphere: graph.loaded.sphere, files: [...files, graph.file] };
      await writeCurrent(dir, { of: this.#of, folder: basename(folder), manifest: whole });
      const old = this.#swap(target, slots, graph?.loaded);
      this.#basePath = graph && join(folder, graph.file.name);
      await this.#tidy(old, basename(folder), { kind, slots, durationMs: now() - startedMs });
    } catch (error) {
      this.#mirror = undefined;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The new base serves already: what can't be freed or removed is told, and costs room until the next start. */
  async #tidy(old: readonly Graph[], folder: string, report: CompactionReport): Promise<void> {
    try {
      this.#options.onCompacted?.(report);
      for (const graph of old) await this.#free(graph);
      await removeOthers(this.#options.dir, folder);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** The live vectors alone, in a slab of their own, in steps. Writes go to both from the first step on. */
  async #copyLive(): Promise<Segments> {
    const from = this.#slab;
    const { dimensions, metric, capacityMax, handles, slotCount: end } = from;
    const slab = new VectorSlab({ dimensions, metric, capacityMax, capacityInitial: from.size, handles });
    this.#mirror = { upsert: (id, vector) => slab.putFresh(id, vector), remove: (id) => slab.remove(id) };
    for (let slot = 0; slot < end; slot++) {
      if (slot % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
      const id = from.idAt(slot);
      // What was written meanwhile is there already.
      if (id !== undefined && slab.slotOf(id) === undefined) slab.putFresh(id, from.rowAt(slot));
    }
    const copy = new Segments(slab, this.#shape, undefined, slab.slotCount);
    this.#mirror = copy;
    return copy;
  }

  async #build({ slab, sphere }: Segments, slots: number, folder: string, basePath: string | undefined) {
    this.#requireOpen();
    const { metric, dimensions } = slab;
    const suited = (basePath === undefined ? undefined : sphere) ?? chooseSphere(slab);
    const order = { dir: folder, name: NAME, metric, dimensions, slots, shape: this.#shape, sphere: suited };
    this.#child = buildInChild(basePath === undefined ? order : { ...order, basePath });
    const file = await this.#child.done;
    await verifyFile(folder, file);
    const loaded = await Graph.read(slab, suited, join(folder, file.name));
    this.#requireOpen();
    return { file, loaded };
  }

  /** In one step, so that a search sees either side whole. Returns the graphs that are left over. */
  #swap(target: Segments, slots: number, graph: Graph | undefined): Graph[] {
    const before = this.#segments;
    const old = graph === undefined ? [] : target.rebase(graph, slots);
    this.#segments = target;
    // Searches find what waited for the base's graph.
    this.#version++;
    this.#mirror = undefined;
    return target === before ? old : [...old, ...before.graphs];
  }

  #free(graph: Graph): Promise<void> {
    return graph.releaseAside(join(this.#options.dir, `${NAME}.empty`));
  }

  #requireOpen(): void {
    if (this.#closed) throw new GatehouseError('draining', 'the index was closed');
  }
}

/**
 * Opens the index with the newest snapshot of its folder that grew from the base, else with the base, else empty. Rejects as `readSnapshot` does where
 * the base cannot be read, and with RangeError on options out of range.
 */
export async function openLiveIndex(options: LiveIndexOptions): Promise<LiveIndex> {
  const { dir, base, dimensions, metric, capacityMax, handles } = options;
  await mkdir(dir, { recursive: true });
  const of = base?.manifest.files.map(({ sha256 }) => sha256).join() ?? '';
  const current = await readCurrent(dir, of, options.onError);
  await removeOthers(dir, current?.folder);
  const read = (from: string, manifest: SnapshotManifest): Promise<SnapshotParts> =>
    readParts(from, manifest, { dimensions, metric, handles, ...(capacityMax === undefined ? {} : { capacityMax }) });
  let from = current && { dir: join(dir, current.folder), manifest: current.manifest };
  let parts: SnapshotParts | undefined;
  try {
    parts = from && (await read(from.dir, from.manifest));
  } catch (error) {
    options.onError(error);
  }
  if (parts === undefined && base) {
    from = base;
    parts = await read(base.dir, base.manifest);
  }
  const slab = parts?.slab ?? (await slabOf(options));
  const shape = settingsOf({ ...options, ...parts?.shape });
  const segments =
    parts || slab.slotCount < GRAPH_FROM_SLOTS ? new Segments(slab, shape, parts?.graph) : new Segments(slab, shape, undefined, slab.slotCount);
  while (segments.catchUp(INSERTS_PER_TURN)) await nextTurn();
  const file = parts?.graph && from?.manifest.files.find(({ name }) => name.endsWith('.hnsw'));
  return new LiveIndex(options, of, segments, shape, from && file && join(from.dir, file.name));
}

async function slabOf(options: LiveIndexOptions): Promise<VectorSlab> {
  const slab = new VectorSlab(options);
  let rows = 0;
  for (const [id, vector] of options.vectors ?? []) {
    slab.putFresh(id, vector);
    if (++rows % VECTORS_PER_TURN === 0) await nextTurn();
  }
  return slab;
}

function shapeOf({ m, efConstruction }: GraphShape): Pick<GraphShape, 'm' | 'efConstruction'> {
  return { m, efConstruction };
}

/** Undefined where there is none, or it grew from another base. */
async function readCurrent(dir: string, of: string, onError: (error: unknown) => void): Promise<Current | undefined> {
  try {
    const current = JSON.parse(await readFile(join(dir, CURRENT), 'utf8')) as Current;
    return current.of === of && typeof current.folder === 'string' && current.folder.startsWith(FOLDER) ? current : undefined;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) onError(error);
    return undefined;
  }
}

async function writeCurrent(dir: string, current: Current): Promise<void> {
  const beside = join(dir, `.${CURRENT}.tmp`);
  const handle = await open(beside, 'w');
  try {
    await handle.writeFile(`${JSON.stringify(current)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(beside, join(dir, CURRENT));
  await syncFolder(dir);
}

/**
 * Removes every compacted folder but one: what a crash left behind, and what a newer one replaced. The child of a process that was killed may still be
 * writing there, for the moment until it sees that nobody listens.
 */
async function removeOthers(dir: string, kept: string | undefined): Promise<void> {
  for (const name of await readdir(dir)) {
    if (name.startsWith(FOLDER) && name !== kept) await rm(join(dir, name), { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
  }
}

import type { Handles } from '../contracts/handles.ts';
import type { HandleSearchOptions, Metric, Neighbour, SearchOptions, VectorIndex } from './contract.ts';
import { Graph, type GraphShape } from './graph.ts';
import { chooseSphere, SPREAD_MAX, type Sphere } from './graph-row.ts';
import { norm } from './similarity.ts';
import { requireK, requireWhole, searchById, VectorSlab } from './slab.ts';

/** Links per element and layer; twice as many on layer 0. Outside of this hnswlib's graph is useless or its level multiplier infinite. */
export const M_MIN = 2;
export const M_MAX = 128;
/** A longer candidate list than this costs more than it finds. */
export const EF_CONSTRUCTION_MAX = 4096;
/** Below this many slots a scan is about as fast as a graph, and exact, so no graph is built. */
export const GRAPH_FROM_SLOTS = 1_000;
/** The most that `graphFromSlots` may be: past it a snapshot without a graph is refused, as building it would stall the loader. */
export const GRAPH_FROM_SLOTS_MAX = 20_000;
/** Where a search must fetch more than this share of all slots, a scan costs less: 0.5 us a fetched slot against 0.05 us a scanned one. */
export const SCAN_SHARE = 0.08;
/**
 * The candidate list where the caller names none: at least `least`, and `perK` for each fetched slot. Measured at 100,000 x 64: `cosine`
 * and `l2` pass recall 0.99 at 128 already; inner products of vectors whose norms differ need 500 (0.967 at 256, 0.994 at 512).
 */
const EF_SEARCH = { ip: { least: 300, perK: 2 }, cosine: { least: 128, perK: 1.5 }, l2: { least: 128, perK: 1.5 } } as const;
/**
 * Fetch this much more than the share of matching slots suggests, so that the estimate seldom falls short. Behind a filter the first fetch has it too:
 * a slot more costs 0.5 us, a second search for the few that a shop's filter refuses costs as much as the first.
 */
export const FETCH_MARGIN = 1.3;
/** Renew the graph once holes pass this share of the live vectors: searches must fetch that much more, and memory grows by as much. */
const HOLES_SHARE_MAX = 0.5;
/** Not worth renewing for fewer holes. */
const HOLES_MIN = 256;
/** Vectors carried over to the new graph at each write: keeps a write under a millisecond, and ends before holes pass another quarter. */
const MOVES_PER_WRITE = 4;
/** Renew an `ip` graph when its sphere is off by more than this; the radius of a lower quantile cost up to .05 of recall. */
export const RADIUS_DRIFT_MAX = 0.1;

export interface HnswOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly m?: number;
  readonly efConstruction?: number;
  /** Of hnswlib's level generator: same seed and same order of calls, same graph. */
  readonly seed?: number;
  readonly capacityInitial?: number;
  /** Vectors that may be stored at once; one more is a RangeError. */
  readonly capacityMax?: number;
  /** Slots from which a graph is built; below, searches scan. */
  readonly graphFromSlots?: number;
  /** See `SlabOptions`. */
  readonly handles?: Handles;
}

export interface GraphSettings extends GraphShape {
  readonly graphFromSlots: number;
}

/** The next slab and graph, filled a few vectors at each write, and how far into the old slab that has come. */
interface Renewal {
  readonly slab: VectorSlab;
  readonly graph: Graph;
  cursor: number;
}

/**
 * Approximate search by a navigable small world graph (Malkov and Yashunin 2016), hnswlib's implementation.
 *
 * Three of hnswlib's functions stay unused:
 * - its filter callback: an exception can't cross the native code, and a call costs more than fetching another candidate;
 * - its deletion marks: inserting where every neighbour found is marked reads past an empty list;
 * - its update in place: 2,000 updates of 5,000 vectors took recall of inner products to .96 where fresh slots kept .98, at three
 *   times the cost.
 * So a removed or replaced vector stays in the graph as a waypoint (a hole), searches fetch more than k and drop holes and what the
 * filter refuses, and once holes are half as many as vectors the graph is renewed beside the old one, a few vectors at each write.
 * A search that still comes up short scans the slab, so k matches are found whenever k exist.
 */
export class HnswIndex implements VectorIndex {
  readonly kind = 'hnsw';
  readonly #settings: GraphSettings;
  #slab: VectorSlab;
  #graph: Graph | undefined;
  #renewal: Renewal | undefined;
  #released = false;
  #version = 0;
  /** Slots at which the sphere is next compared with the norms. */
  #sphereCheckSlots: number;

  constructor(slab: VectorSlab, settings: GraphSettings, graph?: Graph) {
    this.#slab = slab;
    this.#settings = settings;
    this.#sphereCheckSlots = 2 * slab.slotCount;
    if (graph !== undefined) this.#graph = graph;
    else if (slab.slotCount >= settings.graphFromSlots) this.#build();
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

  get m(): number {
    return this.#settings.m;
  }

  get efConstruction(): number {
    return this.#settings.efConstruction;
  }

  /** The stored vectors, for snapshots; another object after the graph was renewed. */
  get slab(): VectorSlab {
    return this.#slab;
  }

  /** The graph's sphere; undefined while there is no graph. */
  get sphere(): Sphere | undefined {
    return this.#graph?.sphere;
  }

  has(id: string): boolean {
    return this.#slab.slotOf(id) !== undefined;
  }

  upsert(id: string, vector: Float32Array): void {
    if (this.#graph === undefined) {
      this.#slab.put(id, vector);
      this.#version++;
      if (!this.#released && this.#slab.slotCount >= this.#settings.graphFromSlots) this.#build();
      return;
    }
    const slot = this.#slab.putFresh(id, vector);
    if (slot === undefined) return;
    this.#version++;
    this.#graph.insert(this.#slab, slot);
    if (this.#renewal) putInto(this.#renewal, id, vector);
    this.#renewWhereDue();
  }

  remove(id: string): boolean {
    if (!this.#slab.remove(id)) return false;
    this.#version++;
    this.#renewal?.slab.remove(id);
    if (this.#graph) this.#renewWhereDue();
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

  similaritiesTo(query: Float32Array, handles: Int32Array, count: number, out: Float64Array): void {
    this.#slab.similaritiesTo(query, handles, count, out);
  }

  copyTo(handle: number, out: Float32Array, offset: number): boolean {
    return this.#slab.copyTo(handle, out, offset);
  }

  nearest(query: Float32Array, k: number, options: HandleSearchOptions, handles: Int32Array, similarities?: Float64Array): number {
    const slab = this.#slab;
    slab.requireVector(query);
    requireK(k);
    if (options.ef !== undefined) requireWhole('ef', options.ef, 1, Number.MAX_SAFE_INTEGER);
    const wanted = Math.min(k, slab.size);
    if (wanted === 0) return 0;
    const { filter } = options;
    const queryNorm = norm(query);
    const fetchMax = Math.floor(slab.slotCount * SCAN_SHARE);
    let fetch = Math.ceil(((filter ? FETCH_MARGIN : 1) * wanted * slab.slotCount) / slab.size);
    while (this.#graph !== undefined && fetch <= fetchMax) {
      const ef = Math.max(fetch, options.ef ?? efFor(slab.metric, fetch, this.#graph.sphere));
      const slots = this.#graph.nearest(query, queryNorm, fetch, Math.min(ef, slab.slotCount));
      const found = slab.best(slots, query, wanted, filter, handles, similarities);
      if (found === wanted) return found;
      const share = Math.max(found, 0.5) / fetch;
      fetch = Math.max(Math.ceil(FETCH_MARGIN * fetch), Math.ceil((FETCH_MARGIN * wanted) / share));
    }
    return slab.scan(query, wanted, filter, handles, similarities);
  }

  /** Write hnswlib's own file. The caller checks it: hnswlib reports no write error. */
  saveGraph(path: string): void {
    if (this.#graph === undefined) throw new Error('there is no graph to save');
    this.#graph.save(path);
  }

  /** Free the graph's memory after a swap. Searches still answer afterwards, by scanning; no graph is built again. */
  release(): void {
    this.#released = true;
    this.#renewal?.graph.release();
    this.#renewal = undefined;
    this.#graph?.release();
    this.#graph = undefined;
  }

  #build(): void {
    const graph = Graph.create(this.#slab, chooseSphere(this.#slab), this.#settings, this.#slab.capacity);
    for (let slot = 0; slot < this.#slab.slotCount; slot++) graph.insert(this.#slab, slot);
    this.#graph = graph;
    this.#sphereCheckSlots = 2 * this.#slab.slotCount;
  }

  #renewWhereDue(): void {
    if (this.#renewal === undefined && this.#isRenewalDue()) {
      const { dimensions, metric, capacityMax, size, handles } = this.#slab;
      const slab = new VectorSlab({ dimensions, metric, capacityMax, capacityInitial: size, handles });
      this.#renewal = { slab, graph: Graph.create(slab, chooseSphere(this.#slab), this.#settings, slab.capacity), cursor: 0 };
    }
    const renewal = this.#renewal;
    if (renewal === undefined) return;
    for (let moved = 0; moved < MOVES_PER_WRITE && renewal.cursor < this.#slab.slotCount; renewal.cursor++) {
      const id = this.#slab.idAt(renewal.cursor);
      if (id === undefined || renewal.slab.slotOf(id) !== undefined) continue;
      putInto(renewal, id, this.#slab.rowAt(renewal.cursor));
      moved++;
    }
    if (renewal.cursor < this.#slab.slotCount) return;
    this.#graph?.release();
    this.#graph = renewal.graph;
    this.#slab = renewal.slab;
    this.#renewal = undefined;
  }

  #isRenewalDue(): boolean {
    const { slotCount, size } = this.#slab;
    if (slotCount - size > HOLES_MIN + HOLES_SHARE_MAX * size) return true;
    if (slotCount < this.#sphereCheckSlots) return false;
    this.#sphereCheckSlots = 2 * slotCount;
    const { radius } = this.#graph!.sphere;
    return Math.abs(chooseSphere(this.#slab).radius - radius) > RADIUS_DRIFT_MAX * radius;
  }
}

function putInto({ slab, graph }: Renewal, id: string, vector: Float32Array): void {
  const slot = slab.putFresh(id, vector);
  if (slot !== undefined) graph.insert(slab, slot);
}

/** The candidate list of a search that asks for `fetch` slots. */
export function efFor(metric: Metric, fetch: number, { spread }: Sphere): number {
  const { least, perK } = EF_SEARCH[metric];
  // A search that goes through the longest vectors besides has no need to be wider.
  return Math.ceil(Math.max(least, perK * fetch) * (spread < SPREAD_MAX ? spread : 1));
}

/** The settings with what is missing filled in. Throws RangeError on one out of range. */
export function settingsOf(options: Partial<GraphSettings>): GraphSettings {
  const { m = 16, efConstruction = 100, seed = 100, graphFromSlots = GRAPH_FROM_SLOTS } = options;
  requireWhole('m', m, M_MIN, M_MAX);
  requireWhole('efConstruction', efConstruction, 1, EF_CONSTRUCTION_MAX);
  requireWhole('seed', seed, 0, 0xffff_ffff);
  requireWhole('graphFromSlots', graphFromSlots, 1, GRAPH_FROM_SLOTS_MAX);
  return { m, efConstruction, seed, graphFromSlots };
}

/** An empty HNSW index. Throws RangeError on options out of range. */
export function createHnswIndex(options: HnswOptions): HnswIndex {
  return new HnswIndex(new VectorSlab(options), settingsOf(options));
}

/** A new index over a slab and, where there is one, its graph. */
export function hnswIndexOf(slab: VectorSlab, options: Partial<GraphSettings>, graph?: Graph): HnswIndex {
  return new HnswIndex(slab, settingsOf(options), graph);
}

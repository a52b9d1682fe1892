import hnswlib from 'hnswlib-node';
import type { Metric, Neighbour, SearchOptions, VectorIndex } from './contract.ts';
import { graphDimensions, graphRow, graphSphere } from './graph-row.ts';
import { norm } from './similarity.ts';
import { requireK, requireWhole, VectorSlab } from './slab.ts';
import { TopK } from './topk.ts';

/** Links per element and layer; twice as many on layer 0. Outside of this hnswlib's graph is useless or its mult overflows. */
export const M_MIN = 2;
export const M_MAX = 128;
/** A longer candidate list than this costs more than it finds. */
export const EF_CONSTRUCTION_MAX = 4096;
/** Below this many slots a scan is as fast as a graph (about 40 us for 1,000 x 64) and exact, so no graph is built. */
export const GRAPH_FROM_SLOTS = 1_000;
/** The most that `graphFromSlots` may be: past it a snapshot without a graph is refused, as building it would stall the loader. */
export const GRAPH_FROM_SLOTS_MAX = 20_000;
/** Where a search must fetch more than this share of all slots, a scan costs less: 0.5 us a fetched slot against 0.05 us a scanned one. */
const SCAN_SHARE = 0.08;
/** A candidate list shorter than this loses recall even for small k. */
const EF_SEARCH_MIN = 128;
/** Candidates per wanted neighbour; measured recall at k = 100 is over 0.99 from here. */
const EF_PER_K = 2;
/** Fetch this much more than the share of matching slots suggests, so that the estimate seldom falls short. */
const FETCH_MARGIN = 1.3;

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
}

interface GraphSettings {
  readonly m: number;
  readonly efConstruction: number;
  readonly seed: number;
  readonly graphFromSlots: number;
}

/**
 * Approximate search by a navigable small world graph (Malkov and Yashunin 2016), hnswlib's implementation.
 *
 * Slots of the slab are labels of the graph, in the same order. hnswlib's deletion marks and its filter callback stay unused:
 * - inserting while every neighbour found is marked deleted reads past the end of an empty list in hnswlib 0.8;
 * - an exception in a filter callback can't cross the native code, and each call costs more than fetching another candidate.
 * A removed vector stays in the graph as a waypoint until a new id takes its slot; searches fetch more than k and drop what is
 * removed or filtered out. A search that still comes up short scans the slab, so k matches are found whenever k exist.
 */
export class HnswIndex implements VectorIndex {
  readonly kind = 'hnsw';
  /** The stored vectors, for snapshots. */
  readonly slab: VectorSlab;
  readonly m: number;
  readonly efConstruction: number;
  readonly #settings: GraphSettings;
  readonly #spaceName: 'ip' | 'l2';
  #graph: hnswlib.HierarchicalNSW | undefined;
  #graphCapacity = 0;
  /** Radius of the sphere that `ip` vectors are lifted to; see graph-row.ts. */
  #sphere = { radius: 0, spread: 1, slots: 0 };
  /** hnswlib takes plain arrays: one each, refilled, instead of one a call. */
  readonly #row: number[];
  readonly #lifted: Float32Array;
  #ef = -1;
  #released = false;

  constructor(slab: VectorSlab, settings: GraphSettings, graphFile?: string) {
    this.slab = slab;
    this.m = settings.m;
    this.efConstruction = settings.efConstruction;
    this.#settings = settings;
    this.#spaceName = slab.metric === 'l2' ? 'l2' : 'ip';
    this.#row = new Array<number>(graphDimensions(slab.metric, slab.dimensions)).fill(0);
    this.#lifted = new Float32Array(this.#row.length);
    if (graphFile !== undefined) {
      const graph = new hnswlib.HierarchicalNSW(this.#spaceName, this.#row.length);
      graph.readIndexSync(graphFile, false);
      this.#adopt(graph, graph.getMaxElements());
      this.#sphere = graphSphere(slab);
    } else if (slab.slotCount >= settings.graphFromSlots) this.#build();
  }

  get dimensions(): number {
    return this.slab.dimensions;
  }

  get metric(): Metric {
    return this.slab.metric;
  }

  get size(): number {
    return this.slab.size;
  }

  /** Whether there is a graph to save yet; below `graphFromSlots` there is none. */
  get hasGraph(): boolean {
    return this.#graph !== undefined;
  }

  has(id: string): boolean {
    return this.slab.slotOf(id) !== undefined;
  }

  upsert(id: string, vector: Float32Array): void {
    const slot = this.slab.put(id, vector);
    if (slot === undefined) return;
    if (this.#graph !== undefined) this.#insert(slot);
    else if (!this.#released && this.slab.slotCount >= this.#settings.graphFromSlots) this.#build();
  }

  remove(id: string): boolean {
    return this.slab.remove(id);
  }

  get(id: string): Float32Array | undefined {
    return this.slab.get(id);
  }

  ids(): IterableIterator<string> {
    return this.slab.ids();
  }

  search(query: Float32Array, k: number, options: SearchOptions = {}): Neighbour[] {
    this.slab.requireVector(query);
    requireK(k);
    if (options.ef !== undefined) requireWhole('ef', options.ef, 1, Number.MAX_SAFE_INTEGER);
    const { slab } = this;
    const wanted = Math.min(k, slab.size);
    if (wanted === 0) return [];
    const fetchMax = Math.floor(slab.slotCount * SCAN_SHARE);
    let fetch = Math.ceil((wanted * slab.slotCount) / slab.size);
    while (this.#graph !== undefined && fetch <= fetchMax) {
      const slots = this.#nearestSlots(this.#graph, query, fetch, options.ef);
      const found = this.#keep(slots, query, wanted, options.filter);
      if (found.length === wanted) return found;
      const share = Math.max(found.length, 0.5) / fetch;
      fetch = Math.max(2 * fetch, Math.ceil((FETCH_MARGIN * wanted) / share));
    }
    return slab.scan(query, wanted, options.filter);
  }

  /** Write hnswlib's own file. The caller checks it: hnswlib reports no write error. */
  saveGraph(path: string): void {
    if (this.#graph === undefined) throw new Error('there is no graph to save');
    this.#graph.writeIndexSync(path);
  }

  /**
   * Free the graph's memory now. V8 does not see native memory, so a swapped-out index could wait minutes for the collector while
   * holding hundreds of megabytes. Searches in flight still answer afterwards, by scanning; no graph is built again.
   */
  release(): void {
    this.#graph?.initIndex(1);
    this.#graph = undefined;
    this.#graphCapacity = 0;
    this.#released = true;
  }

  #adopt(graph: hnswlib.HierarchicalNSW, capacity: number): void {
    this.#graph = graph;
    this.#graphCapacity = capacity;
    this.#ef = -1;
  }

  #build(): void {
    const { m, efConstruction, seed } = this.#settings;
    const graph = new hnswlib.HierarchicalNSW(this.#spaceName, this.#row.length);
    graph.initIndex(this.slab.capacity, m, efConstruction, seed, false);
    this.#adopt(graph, this.slab.capacity);
    for (let slot = 0; slot < this.slab.slotCount; slot++) this.#insert(slot);
  }

  #insert(slot: number): void {
    const graph = this.#graph!;
    if (slot >= this.#graphCapacity) {
      this.#graphCapacity = Math.max(this.slab.capacity, slot + 1);
      graph.resizeIndex(this.#graphCapacity);
    }
    // Norms change as vectors arrive: look again each time that the index has doubled.
    if (this.slab.metric === 'ip' && this.slab.slotCount >= 2 * this.#sphere.slots) this.#sphere = graphSphere(this.slab);
    graphRow(this.slab.metric, this.slab.rowAt(slot), this.slab.normAt(slot), this.#sphere.radius, this.#lifted);
    this.#fillRow(this.#lifted);
    graph.addPoint(this.#row, slot);
  }

  #fillRow(vector: Float32Array): void {
    for (let i = 0; i < vector.length; i++) this.#row[i] = vector[i]!;
  }

  #nearestSlots(graph: hnswlib.HierarchicalNSW, query: Float32Array, fetch: number, efAsked: number | undefined): number[] {
    // A radius of 0 gives `ip` queries a last component of 0: the lifted dimension must not count.
    graphRow(this.slab.metric, query, norm(query), 0, this.#lifted);
    this.#fillRow(this.#lifted);
    const spread = this.slab.metric === 'ip' ? this.#sphere.spread : 1;
    const efChosen = efAsked ?? Math.ceil(Math.max(EF_SEARCH_MIN, EF_PER_K * fetch) * spread);
    const ef = Math.min(Math.max(fetch, efChosen), this.slab.slotCount);
    if (ef !== this.#ef) {
      graph.setEf(ef);
      this.#ef = ef;
    }
    return graph.searchKnn(this.#row, fetch).neighbors;
  }

  #keep(slots: readonly number[], query: Float32Array, wanted: number, filter: SearchOptions['filter']): Neighbour[] {
    const top = new TopK(wanted);
    const queryNorm = norm(query);
    for (const slot of slots) {
      const id = this.slab.idAt(slot);
      if (id === undefined || (filter !== undefined && !filter(id))) continue;
      top.offer(this.slab.similarityAt(slot, query, queryNorm), id);
    }
    return top.sorted();
  }
}

function settingsOf(options: Partial<GraphSettings>): GraphSettings {
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

/**
 * A new index over a slab and, where there is one, a graph file that was checked (index/hnsw-file.ts): hnswlib itself trusts it.
 * Throws what hnswlib says where it can't read the file.
 */
export function loadHnswIndex(slab: VectorSlab, options: Partial<GraphSettings>, graphFile?: string): HnswIndex {
  return new HnswIndex(slab, settingsOf(options), graphFile);
}

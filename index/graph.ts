import hnswlib from 'hnswlib-node';
import type { Metric } from './contract.ts';
import { graphDimensions, graphRow, type Sphere } from './graph-row.ts';
import { Longest } from './longest.ts';
import type { VectorSlab } from './slab.ts';

/** Parameters of hnswlib, by its names. */
export interface GraphShape {
  readonly m: number;
  readonly efConstruction: number;
  readonly seed: number;
}

/** hnswlib's graph over slots of a slab from `first` on, in the same order. Knows nothing of removals. */
export class Graph {
  readonly sphere: Sphere;
  readonly first: number;
  readonly #metric: Metric;
  readonly #native: hnswlib.HierarchicalNSW;
  readonly #longest: Longest | undefined;
  #capacity = 0;
  /** hnswlib takes plain arrays: one, refilled, instead of one a call. */
  readonly #plain: number[];
  readonly #row: Float32Array;
  #ef = -1;

  private constructor(slab: VectorSlab, sphere: Sphere, first: number) {
    const dimensions = graphDimensions(slab.metric, slab.dimensions);
    this.sphere = sphere;
    this.first = first;
    this.#metric = slab.metric;
    this.#longest = slab.metric === 'ip' ? Longest.of(sphere) : undefined;
    this.#plain = new Array<number>(dimensions).fill(0);
    this.#row = new Float32Array(dimensions);
    this.#native = new hnswlib.HierarchicalNSW(slab.metric === 'l2' ? 'l2' : 'ip', dimensions);
  }

  /** An empty graph with room for `capacity` slots; it grows by doubling, which copies it. */
  static create(slab: VectorSlab, sphere: Sphere, { m, efConstruction, seed }: GraphShape, capacity: number, first = 0): Graph {
    const graph = new Graph(slab, sphere, first);
    graph.#capacity = Math.max(1, capacity);
    graph.#native.initIndex(graph.#capacity, m, efConstruction, seed, false);
    return graph;
  }

  /**
   * Reads a file that was checked (index/hnsw-file.ts): hnswlib itself trusts it. On a thread of its own, as a million vectors take most of a second.
   * Rejects with what hnswlib says where it can't read the file.
   */
  static async read(slab: VectorSlab, sphere: Sphere, path: string): Promise<Graph> {
    const graph = new Graph(slab, sphere, 0);
    await graph.#native.readIndex(path, false);
    graph.#capacity = graph.#native.getMaxElements();
    graph.#longest?.renew(slab, graph.size, 0);
    return graph;
  }

  /** Points in the graph. */
  get size(): number {
    return this.#native.getCurrentCount();
  }

  /** Makes room for so many slots at once. */
  reserve(capacity: number): void {
    if (capacity <= this.#capacity) return;
    this.#capacity = capacity;
    this.#native.resizeIndex(capacity);
  }

  /** Add a slot of the slab; slots must come in order. */
  insert(slab: VectorSlab, slot: number): void {
    const label = slot - this.first;
    if (label >= this.#capacity) this.reserve(Math.max(2 * this.#capacity, label + 1));
    this.#fill(slab.rowAt(slot), slab.normAt(slot), this.sphere.radius);
    this.#native.addPoint(this.#plain, label);
    this.#longest?.add(slab, slot, this.first);
  }

  /** Labels, that is slots less `first`, of the nearest, at most `fetch`, and of the longest where these are gone through; in no order to rely on. */
  nearest(query: Float32Array, queryNorm: number, fetch: number, ef: number): number[] {
    // A radius of 0 gives `ip` queries a last component of 0: the lifted dimension must not count.
    this.#fill(query, queryNorm, 0);
    if (ef !== this.#ef) {
      this.#native.setEf(ef);
      this.#ef = ef;
    }
    const found = this.#native.searchKnn(this.#plain, fetch).neighbors;
    return this.#longest?.with(found) ?? found;
  }

  save(path: string): void {
    this.#native.writeIndexSync(path);
  }

  /** Free the native memory now: V8 does not see it, so the collector could leave hundreds of megabytes for minutes. */
  release(): void {
    this.#native.initIndex(1);
  }

  /**
   * Frees the native memory on another thread, where unmapping a million vectors holds nobody up: hnswlib drops what it had when it reads a file.
   * `emptyPath` is written for that. Nobody may search the graph any more.
   */
  async releaseAside(emptyPath: string): Promise<void> {
    const empty = new hnswlib.HierarchicalNSW('l2', 1);
    empty.initIndex(1);
    empty.writeIndexSync(emptyPath);
    await this.#native.readIndex(emptyPath, false);
  }

  #fill(vector: Float32Array, vectorNorm: number, radius: number): void {
    graphRow(this.#metric, vector, vectorNorm, radius, this.#row);
    for (let i = 0; i < this.#row.length; i++) this.#plain[i] = this.#row[i]!;
  }
}

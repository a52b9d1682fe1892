import type { Handles } from '../contracts/handles.ts';
import type { HandleSearchOptions, Metric, Neighbour, SearchOptions, VectorIndex } from './contract.ts';
import { requireK, searchById, VectorSlab } from './slab.ts';

export interface ExactOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  /** Vectors that may be stored at once; one more is a RangeError. */
  readonly capacityMax?: number;
  /** See `SlabOptions`. */
  readonly handles?: Handles;
}

/**
 * Brute force over one Float32Array: the oracle that other indexes are measured against, and the right choice for a few thousand
 * vectors and for scans behind a narrow filter.
 */
export class ExactIndex implements VectorIndex {
  readonly kind = 'exact';
  /** The stored vectors, for snapshots. */
  readonly slab: VectorSlab;
  #version = 0;

  constructor(slab: VectorSlab) {
    this.slab = slab;
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

  get version(): number {
    return this.#version;
  }

  get handles(): Handles {
    return this.slab.handles;
  }

  has(id: string): boolean {
    return this.slab.slotOf(id) !== undefined;
  }

  upsert(id: string, vector: Float32Array): void {
    this.slab.put(id, vector);
    this.#version++;
  }

  remove(id: string): boolean {
    if (!this.slab.remove(id)) return false;
    this.#version++;
    return true;
  }

  get(id: string): Float32Array | undefined {
    return this.slab.get(id);
  }

  similarities(query: Float32Array, ids: readonly string[]): Float64Array {
    return this.slab.similarities(query, ids);
  }

  ids(): IterableIterator<string> {
    return this.slab.ids();
  }

  search(query: Float32Array, k: number, options: SearchOptions = {}): Neighbour[] {
    return searchById(this, query, k, options);
  }

  nearest(query: Float32Array, k: number, { filter }: HandleSearchOptions, handles: Int32Array, similarities?: Float64Array): number {
    this.slab.requireVector(query);
    requireK(k);
    return this.slab.scan(query, k, filter, handles, similarities);
  }

  similaritiesTo(query: Float32Array, handles: Int32Array, count: number, out: Float64Array): void {
    this.slab.similaritiesTo(query, handles, count, out);
  }

  copyTo(handle: number, out: Float32Array, offset: number): boolean {
    return this.slab.copyTo(handle, out, offset);
  }
}

/** An empty exact index. Throws RangeError on options out of range. */
export function createExactIndex(options: ExactOptions): ExactIndex {
  return new ExactIndex(new VectorSlab(options));
}

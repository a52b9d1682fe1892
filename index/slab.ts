import type { Metric, Neighbour } from './contract.ts';
import { norm, similarity } from './similarity.ts';
import { TopK } from './topk.ts';

/** Squares of larger components could overflow float32 inside native code: 4096 x (1e15)^2 = 4e33 is well below 3.4e38. */
export const COMPONENT_ABS_MAX = 1e15;
/** Wider embeddings than any in use; bounds what a crafted snapshot can ask for. */
export const DIMENSIONS_MAX = 4096;
/** hnswlib counts elements in 32 bits, and 50 million vectors are far past one gateway's memory anyway. */
export const CAPACITY_MAX_DEFAULT = 50_000_000;
/** The smallest slab: growing by doubling from here costs nothing. */
const CAPACITY_FIRST = 16;
/** Answers of a filter after which a scan decides whether to ask it before or after the sums. */
const FILTER_SAMPLE = 64;

export interface SlabOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly capacityInitial?: number;
  readonly capacityMax?: number;
}

/**
 * The stored vectors of an index: one Float32Array of rows (slots), the ids, and the exact search over them.
 *
 *   slot     0        1        2        3
 *   ids    'shoe'   hole     'hat'    'sock'     slots never move, so a graph can name vectors by slot;
 *   rows   [....]   [old]    [....]   [....]     a removed id leaves a hole, which `put` fills before it takes a new slot
 *
 * `putFresh` never writes a slot twice: a graph that links to a slot needs its row to stay as it was.
 */
export class VectorSlab {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly capacityMax: number;
  #rows: Float32Array;
  #norms: Float64Array;
  readonly #ids: (string | undefined)[] = [];
  readonly #slots = new Map<string, number>();
  readonly #holes: number[] = [];

  constructor(options: SlabOptions) {
    const { dimensions, metric, capacityInitial = CAPACITY_FIRST, capacityMax = CAPACITY_MAX_DEFAULT } = options;
    requireWhole('dimensions', dimensions, 1, DIMENSIONS_MAX);
    requireWhole('capacityMax', capacityMax, 1, CAPACITY_MAX_DEFAULT);
    requireWhole('capacityInitial', capacityInitial, 0, CAPACITY_MAX_DEFAULT);
    this.dimensions = dimensions;
    this.metric = metric;
    this.capacityMax = capacityMax;
    const capacity = Math.max(capacityInitial, CAPACITY_FIRST);
    this.#rows = new Float32Array(capacity * dimensions);
    this.#norms = new Float64Array(capacity);
  }

  /**
   * A slab from a snapshot's parts; `null` ids are holes. Throws RangeError on duplicate ids, a wrong row count or a bad component:
   * the caller says what that means for its file.
   */
  static from(ids: readonly (string | null)[], rows: Float32Array, options: SlabOptions): VectorSlab {
    const slab = new VectorSlab({ ...options, capacityInitial: ids.length });
    if (rows.length !== ids.length * slab.dimensions) throw new RangeError(`${rows.length} components for ${ids.length} rows`);
    for (let slot = 0; slot < ids.length; slot++) {
      const row = rows.subarray(slot * slab.dimensions, (slot + 1) * slab.dimensions);
      slab.requireVector(row);
      slab.#rows.set(row, slot * slab.dimensions);
      slab.#norms[slot] = norm(row);
      const id = ids[slot] ?? undefined;
      slab.#ids.push(id);
      if (id === undefined) slab.#holes.push(slot);
      else if (slab.#slots.has(id)) throw new RangeError('an id occurs twice');
      else slab.#slots.set(id, slot);
    }
    if (slab.size > slab.capacityMax) throw new RangeError(`${slab.size} vectors are over the capacity of ${slab.capacityMax}`);
    return slab;
  }

  /** Live vectors. */
  get size(): number {
    return this.#slots.size;
  }

  /** Slots in use, holes included. */
  get slotCount(): number {
    return this.#ids.length;
  }

  /** Slots the arrays have room for. */
  get capacity(): number {
    return this.#norms.length;
  }

  /** The rows of all slots in use; a view, valid until the next `put`. */
  get rows(): Float32Array {
    return this.#rows.subarray(0, this.#ids.length * this.dimensions);
  }

  ids(): IterableIterator<string> {
    return this.#slots.keys();
  }

  /** The id in a slot; undefined for a hole. */
  idAt(slot: number): string | undefined {
    return this.#ids[slot];
  }

  slotOf(id: string): number | undefined {
    return this.#slots.get(id);
  }

  normAt(slot: number): number {
    return this.#norms[slot]!;
  }

  /** A view of a slot's row, valid until the next `put`. */
  rowAt(slot: number): Float32Array {
    return this.#rows.subarray(slot * this.dimensions, (slot + 1) * this.dimensions);
  }

  get(id: string): Float32Array | undefined {
    const slot = this.#slots.get(id);
    return slot === undefined ? undefined : this.rowAt(slot).slice();
  }

  /** Store a vector, in the id's own slot or a hole where there is one. */
  put(id: string, vector: Float32Array): void {
    this.requireVector(vector);
    const known = this.#slots.get(id);
    if (known === undefined) this.#requireRoom();
    this.#store(known ?? this.#holes.pop() ?? this.#newSlot(), id, vector);
  }

  /** Store a vector in a slot never used before; returns it, or undefined where exactly this vector was already there. */
  putFresh(id: string, vector: Float32Array): number | undefined {
    this.requireVector(vector);
    const known = this.#slots.get(id);
    if (known === undefined) this.#requireRoom();
    else if (sameVector(this.rowAt(known), vector)) return undefined;
    else this.remove(id);
    const slot = this.#newSlot();
    this.#store(slot, id, vector);
    return slot;
  }

  remove(id: string): boolean {
    const slot = this.#slots.get(id);
    if (slot === undefined) return false;
    this.#slots.delete(id);
    this.#ids[slot] = undefined;
    this.#holes.push(slot);
    return true;
  }

  similarityAt(slot: number, query: Float32Array, queryNorm: number): number {
    return similarity(this.metric, this.#rows, slot * this.dimensions, this.#norms[slot]!, query, queryNorm);
  }

  similarities(query: Float32Array, ids: readonly string[]): Float64Array {
    this.requireVector(query);
    const queryNorm = norm(query);
    const out = new Float64Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      const slot = this.#slots.get(ids[i]!);
      out[i] = slot === undefined ? Number.NaN : this.similarityAt(slot, query, queryNorm);
    }
    return out;
  }

  /**
   * Exact search over every live vector. The filter is asked only about vectors that are similar enough to be kept, so one that lets
   * much through is called a few hundred times, not once a row; one that turns out to refuse most is asked first, and saves the sums.
   */
  scan(query: Float32Array, k: number, filter?: (id: string) => boolean): Neighbour[] {
    const top = new TopK(Math.min(k, this.size));
    const queryNorm = norm(query);
    let asked = 0;
    let passed = 0;
    const passes = (id: string): boolean => {
      if (filter === undefined) return true;
      asked++;
      if (!filter(id)) return false;
      passed++;
      return true;
    };
    for (let slot = 0; slot < this.#ids.length; slot++) {
      const id = this.#ids[slot];
      if (id === undefined) continue;
      const filterFirst = asked >= FILTER_SAMPLE && 2 * passed < asked;
      if (filterFirst && !passes(id)) continue;
      const value = this.similarityAt(slot, query, queryNorm);
      if (value < top.floor || !top.wants(value, id)) continue;
      if (filterFirst || passes(id)) top.offer(value, id);
    }
    return top.sorted();
  }

  /** Throws RangeError unless the vector has the right length and only finite, not absurdly large components. */
  requireVector(vector: Float32Array): void {
    if (vector.length !== this.dimensions) throw new RangeError(`a vector of ${vector.length} components, expected ${this.dimensions}`);
    for (let i = 0; i < vector.length; i++) {
      if (!(Math.abs(vector[i]!) <= COMPONENT_ABS_MAX)) {
        throw new RangeError(`component ${i} is ${vector[i]}, expected a finite number within ${COMPONENT_ABS_MAX}`);
      }
    }
  }

  #requireRoom(): void {
    if (this.size >= this.capacityMax) throw new RangeError(`the index is full: ${this.capacityMax} vectors`);
  }

  #newSlot(): number {
    const slot = this.#ids.length;
    if (slot >= this.capacity) this.#grow();
    this.#ids.push(undefined);
    return slot;
  }

  #store(slot: number, id: string, vector: Float32Array): void {
    this.#rows.set(vector, slot * this.dimensions);
    this.#norms[slot] = norm(vector);
    this.#ids[slot] = id;
    this.#slots.set(id, slot);
  }

  #grow(): void {
    const capacity = this.capacity * 2;
    const rows = new Float32Array(capacity * this.dimensions);
    rows.set(this.#rows);
    this.#rows = rows;
    const norms = new Float64Array(capacity);
    norms.set(this.#norms);
    this.#norms = norms;
  }
}

/** Throws RangeError unless `k` can be asked for. */
export function requireK(k: number): void {
  requireWhole('k', k, 0, Number.MAX_SAFE_INTEGER);
}

export function requireWhole(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} is ${value}, expected a whole number from ${min} to ${max}`);
}

function sameVector(a: Float32Array, b: Float32Array): boolean {
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

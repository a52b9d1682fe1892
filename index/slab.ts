import { Handles, NO_HANDLE, withPlace } from '../contracts/handles.ts';
import { TopK } from '../contracts/topk.ts';
import type { Metric, Neighbour, SearchOptions, VectorIndex } from './contract.ts';
import { norm, similarity } from './similarity.ts';
import { nextTurn, ROWS_PER_TURN } from './turns.ts';

/** Squares of larger components could overflow float32 inside native code: 4096 x (1e15)^2 = 4e33 is well below 3.4e38. */
export const COMPONENT_ABS_MAX = 1e15;
/** Wider embeddings than any in use; bounds what a crafted snapshot can ask for. */
export const DIMENSIONS_MAX = 4096;
/** hnswlib counts elements in 32 bits, and 50 million vectors are far past one gateway's memory anyway. */
export const CAPACITY_MAX_DEFAULT = 50_000_000;
/** The smallest slab: growing by doubling from here costs nothing. */
const CAPACITY_FIRST = 16;
/** Slots of a full chunk: copying a smaller one to double it stays under a millisecond, and a larger slab grows by chunks, which copies nothing. */
const CHUNK_BITS = 13;
const CHUNK_SLOTS = 2 ** CHUNK_BITS;
const CHUNK_MASK = CHUNK_SLOTS - 1;
/** Answers of a filter after which a scan decides whether to ask it before or after the sums. */
const FILTER_SAMPLE = 64;

export interface SlabOptions {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly capacityInitial?: number;
  readonly capacityMax?: number;
  /** Where ids have their handles from: shared with everything else that speaks of the same things. Its own where absent. */
  readonly handles?: Handles;
}

/** Some slots, side by side. */
interface Chunk {
  readonly rows: Float32Array;
  readonly norms: Float64Array;
  /** By slot; NO_HANDLE for a hole. */
  readonly handleAt: Int32Array;
}

/**
 * The stored vectors of an index: rows (slots) in chunks, whose they are, and the exact search over them.
 *
 *   slot      0        1        2        3
 *   handle   17      hole       4       91       slots never move, so a graph can name vectors by slot;
 *   rows   [....]   [old]    [....]   [....]     a removed vector leaves a hole, which `put` fills before it takes a new slot
 *
 * `putFresh` never writes a slot twice: a graph that links to a slot needs its row to stay as it was.
 */
export class VectorSlab {
  readonly dimensions: number;
  readonly metric: Metric;
  readonly capacityMax: number;
  readonly handles: Handles;
  /** Slot s is in chunk s / CHUNK_SLOTS. All are full size, but for an only one. */
  readonly #chunks: Chunk[] = [];
  /** By handle; -1 where there is no vector. */
  #slotOf = new Int32Array(0);
  #slotCount = 0;
  #size = 0;
  readonly #holes: number[] = [];
  readonly #top = new TopK();

  constructor(options: SlabOptions) {
    const { dimensions, metric, capacityInitial = CAPACITY_FIRST, capacityMax = CAPACITY_MAX_DEFAULT } = options;
    requireWhole('dimensions', dimensions, 1, DIMENSIONS_MAX);
    requireWhole('capacityMax', capacityMax, 1, CAPACITY_MAX_DEFAULT);
    requireWhole('capacityInitial', capacityInitial, 0, CAPACITY_MAX_DEFAULT);
    this.dimensions = dimensions;
    this.metric = metric;
    this.capacityMax = capacityMax;
    const capacity = Math.max(capacityInitial, CAPACITY_FIRST);
    for (let from = 0; from < capacity; from += CHUNK_SLOTS) {
      this.#chunks.push(newChunk(Math.min(capacity, CHUNK_SLOTS), dimensions));
    }
    this.handles = options.handles ?? new Handles();
  }

  /**
   * A slab from a snapshot's parts, made in steps that let the event loop turn; `null` ids are holes. `rows` become the slab's own: of a million vectors
   * there is no second copy. Rejects with RangeError on duplicate ids, a wrong row count or a bad component: the caller says what that means for its file.
   */
  static async from(ids: readonly (string | null)[], rows: Float32Array, options: SlabOptions): Promise<VectorSlab> {
    const slab = new VectorSlab({ ...options, capacityInitial: 0 });
    if (rows.length !== ids.length * slab.dimensions) throw new RangeError(`${rows.length} components for ${ids.length} rows`);
    slab.#takeOver(rows, ids.length);
    for (let slot = 0; slot < ids.length; slot++) {
      if (slot % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
      const row = slab.rowAt(slot);
      slab.requireVector(row);
      slab.#chunkOf(slot).norms[slot & CHUNK_MASK] = norm(row);
      const id = ids[slot];
      if (id === null || id === undefined) slab.#holes.push(slot);
      else if (slab.slotOf(id) !== undefined) throw new RangeError('an id occurs twice');
      else slab.#bind(slot, slab.handles.intern(id));
    }
    if (slab.size > slab.capacityMax) throw new RangeError(`${slab.size} vectors are over the capacity of ${slab.capacityMax}`);
    return slab;
  }

  /** Live vectors. */
  get size(): number {
    return this.#size;
  }

  /** Slots in use, holes included. */
  get slotCount(): number {
    return this.#slotCount;
  }

  /** Slots the arrays have room for. */
  get capacity(): number {
    return this.#chunks.length * this.#chunks[0]!.norms.length;
  }

  /** The rows of the first `slots` slots, in order; views, which `putFresh` leaves as they are. */
  *rows(slots = this.#slotCount): IterableIterator<Float32Array> {
    for (let from = 0; from < slots; from += CHUNK_SLOTS) {
      const count = Math.min(CHUNK_SLOTS, slots - from);
      yield this.#chunkOf(from).rows.subarray(0, count * this.dimensions);
    }
  }

  *ids(): IterableIterator<string> {
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const handle = this.handleAt(slot);
      if (handle !== NO_HANDLE) yield this.handles.idOf(handle);
    }
  }

  /** The id in a slot; undefined for a hole. */
  idAt(slot: number): string | undefined {
    const handle = this.handleAt(slot);
    return handle === NO_HANDLE ? undefined : this.handles.idOf(handle);
  }

  /** NO_HANDLE for a hole. */
  handleAt(slot: number): number {
    return this.#chunkOf(slot).handleAt[slot & CHUNK_MASK]!;
  }

  slotOf(id: string): number | undefined {
    const slot = this.slotOfHandle(this.handles.find(id));
    return slot < 0 ? undefined : slot;
  }

  /** -1 where there is no vector. */
  slotOfHandle(handle: number): number {
    return handle >= 0 && handle < this.#slotOf.length ? this.#slotOf[handle]! : -1;
  }

  normAt(slot: number): number {
    return this.#chunkOf(slot).norms[slot & CHUNK_MASK]!;
  }

  /** A view of a slot's row, valid until the next `put`. */
  rowAt(slot: number): Float32Array {
    const at = (slot & CHUNK_MASK) * this.dimensions;
    return this.#chunkOf(slot).rows.subarray(at, at + this.dimensions);
  }

  get(id: string): Float32Array | undefined {
    const slot = this.slotOf(id);
    return slot === undefined ? undefined : this.rowAt(slot).slice();
  }

  copyTo(handle: number, out: Float32Array, offset: number): boolean {
    const slot = this.slotOfHandle(handle);
    if (slot < 0) return false;
    const { rows } = this.#chunkOf(slot);
    const from = (slot & CHUNK_MASK) * this.dimensions;
    for (let i = 0; i < this.dimensions; i++) out[offset + i] = rows[from + i]!;
    return true;
  }

  /** Store a vector, in the id's own slot or a hole where there is one. */
  put(id: string, vector: Float32Array): void {
    this.requireVector(vector);
    const known = this.slotOf(id);
    if (known === undefined) this.#requireRoom();
    this.#store(known ?? this.#holes.pop() ?? this.#newSlot(), id, vector);
  }

  /** Store a vector in a slot never used before; returns it, or undefined where exactly this vector was already there. */
  putFresh(id: string, vector: Float32Array): number | undefined {
    this.requireVector(vector);
    const known = this.slotOf(id);
    if (known === undefined) this.#requireRoom();
    else if (sameVector(this.rowAt(known), vector)) return undefined;
    else this.remove(id);
    const slot = this.#newSlot();
    this.#store(slot, id, vector);
    return slot;
  }

  /** A row that is nobody's, in a new slot: a graph may lead through it. */
  putHole(row: Float32Array): void {
    this.requireVector(row);
    this.#write(this.#newSlot(), row);
  }

  remove(id: string): boolean {
    const slot = this.slotOf(id);
    if (slot === undefined) return false;
    const { handleAt } = this.#chunkOf(slot);
    this.#slotOf[handleAt[slot & CHUNK_MASK]!] = -1;
    handleAt[slot & CHUNK_MASK] = NO_HANDLE;
    this.#size--;
    this.#holes.push(slot);
    return true;
  }

  similarityAt(slot: number, query: Float32Array, queryNorm: number): number {
    const { rows, norms } = this.#chunkOf(slot);
    const at = slot & CHUNK_MASK;
    return similarity(this.metric, rows, at * this.dimensions, norms[at]!, query, queryNorm);
  }

  similarities(query: Float32Array, ids: readonly string[]): Float64Array {
    const out = new Float64Array(ids.length);
    this.similaritiesTo(
      query,
      Int32Array.from(ids, (id) => this.handles.find(id)),
      ids.length,
      out,
    );
    return out;
  }

  similaritiesTo(query: Float32Array, handles: Int32Array, count: number, out: Float64Array): void {
    this.requireVector(query);
    const queryNorm = norm(query);
    for (let i = 0; i < count; i++) {
      const slot = this.slotOfHandle(handles[i]!);
      out[i] = slot < 0 ? Number.NaN : this.similarityAt(slot, query, queryNorm);
    }
  }

  /**
   * Exact search over every live vector; as `nearest` of the contract. The filter is asked only about vectors that are similar enough to be kept,
   * so one that lets much through is called a few hundred times, not once a row; one that turns out to refuse most is asked first, and saves the sums.
   */
  scan(
    query: Float32Array,
    k: number,
    filter: ((handle: number) => boolean) | undefined,
    handles: Int32Array,
    similarities: Float64Array | undefined,
  ): number {
    const top = this.#top;
    top.reset(Math.min(k, this.size), this.handles);
    const queryNorm = norm(query);
    let asked = 0;
    let passed = 0;
    const passes = (handle: number): boolean => {
      if (filter === undefined) return true;
      asked++;
      if (!filter(handle)) return false;
      passed++;
      return true;
    };
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const handle = this.handleAt(slot);
      if (handle === NO_HANDLE) continue;
      const filterFirst = asked >= FILTER_SAMPLE && 2 * passed < asked;
      if (filterFirst && !passes(handle)) continue;
      const value = this.similarityAt(slot, query, queryNorm);
      if (value < top.floor || !top.wants(value, handle)) continue;
      if (filterFirst || passes(handle)) top.offer(value, handle);
    }
    return top.drain(handles, similarities);
  }

  /** The best of the listed slots that are live and pass the filter; as `nearest` of the contract. */
  best(
    slots: readonly number[],
    query: Float32Array,
    k: number,
    filter: ((handle: number) => boolean) | undefined,
    handles: Int32Array,
    similarities: Float64Array | undefined,
  ): number {
    const top = this.#top;
    top.reset(k, this.handles);
    const queryNorm = norm(query);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      const handle = this.handleAt(slot);
      if (handle === NO_HANDLE || (filter !== undefined && !filter(handle))) continue;
      top.offer(this.similarityAt(slot, query, queryNorm), handle);
    }
    return top.drain(handles, similarities);
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

  /** Holes of these rows: chunks that are full are views of them, the last one is a copy that has room for more. */
  #takeOver(rows: Float32Array, count: number): void {
    this.#chunks.length = 0;
    for (let from = 0; from < count || from === 0; from += CHUNK_SLOTS) {
      const part = rows.subarray(from * this.dimensions, Math.min(from + CHUNK_SLOTS, count) * this.dimensions);
      const isFull = count - from >= CHUNK_SLOTS;
      const chunk = newChunk(from > 0 || isFull ? CHUNK_SLOTS : Math.max(count, CAPACITY_FIRST), this.dimensions, isFull ? part : undefined);
      if (!isFull) chunk.rows.set(part);
      this.#chunks.push(chunk);
    }
    this.#slotCount = count;
  }

  #chunkOf(slot: number): Chunk {
    return this.#chunks[slot >>> CHUNK_BITS]!;
  }

  #newSlot(): number {
    const slot = this.#slotCount++;
    if (slot >= this.capacity) this.#grow();
    return slot;
  }

  #store(slot: number, id: string, vector: Float32Array): void {
    this.#write(slot, vector);
    if (this.handleAt(slot) === NO_HANDLE) this.#bind(slot, this.handles.intern(id));
  }

  #write(slot: number, vector: Float32Array): void {
    const { rows, norms } = this.#chunkOf(slot);
    rows.set(vector, (slot & CHUNK_MASK) * this.dimensions);
    norms[slot & CHUNK_MASK] = norm(vector);
  }

  #bind(slot: number, handle: number): void {
    this.#slotOf = withPlace(this.#slotOf, handle, -1);
    this.#slotOf[handle] = slot;
    this.#chunkOf(slot).handleAt[slot & CHUNK_MASK] = handle;
    this.#size++;
  }

  #grow(): void {
    const { capacity } = this;
    if (capacity >= CHUNK_SLOTS) {
      this.#chunks.push(newChunk(CHUNK_SLOTS, this.dimensions));
      return;
    }
    const [small] = this.#chunks;
    const chunk = newChunk(Math.min(2 * capacity, CHUNK_SLOTS), this.dimensions);
    chunk.rows.set(small!.rows);
    chunk.norms.set(small!.norms);
    chunk.handleAt.set(small!.handleAt);
    this.#chunks[0] = chunk;
  }
}

function newChunk(slots: number, dimensions: number, rows: Float32Array = new Float32Array(slots * dimensions)): Chunk {
  return { rows, norms: new Float64Array(slots), handleAt: new Int32Array(slots).fill(NO_HANDLE) };
}

/** `search` of the contract, by way of `nearest`. */
export function searchById(index: VectorIndex, query: Float32Array, k: number, { filter, ef }: SearchOptions): Neighbour[] {
  requireK(k);
  const room = Math.min(k, index.size);
  const handles = new Int32Array(room);
  const similarities = new Float64Array(room);
  const byHandle = filter && ((handle: number): boolean => filter(index.handles.idOf(handle)));
  const count = index.nearest(query, k, { filter: byHandle, ef }, handles, similarities);
  return Array.from(handles.subarray(0, count), (handle, i) => ({ id: index.handles.idOf(handle), similarity: similarities[i]! }));
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

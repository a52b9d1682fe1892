import type { Handles } from '../contracts/handles.ts';

/**
 * A nearest-neighbour index over float32 vectors with string ids. Similarity is larger-is-closer: the inner product for `ip`,
 * cosine for `cosine` (0 where either vector is all zeros), negative squared Euclidean distance for `l2`; computed in double
 * precision from the stored vectors, so every implementation reports the same number for the same pair.
 * Every implementation passes `index/vector.suite.ts`.
 */
export type Metric = 'ip' | 'cosine' | 'l2';

export interface Neighbour {
  readonly id: string;
  readonly similarity: number;
}

export interface SearchOptions {
  /** Keep only ids for which this holds. It must be pure and must not change the index. */
  readonly filter?: (id: string) => boolean;
  readonly ef?: number;
}

export interface HandleSearchOptions {
  /** As in `SearchOptions`, by handle. */
  readonly filter?: ((handle: number) => boolean) | undefined;
  /** Size of the dynamic candidate list (HNSW's `ef`); raised to k where smaller. Chosen by the index where absent; ignored by exact search. */
  readonly ef?: number | undefined;
}

export interface VectorIndex {
  readonly kind: 'hnsw' | 'exact';
  readonly dimensions: number;
  readonly metric: Metric;
  readonly size: number;
  /** Another number after each change of what a search may find: as long as it stays, so do answers that were kept. */
  readonly version: number;
  /** The registry that its ids have their handles from. */
  readonly handles: Handles;
  has(id: string): boolean;
  /**
   * Add or replace. Throws RangeError on a wrong length, a component that is not finite (or over 1e15, whose squares would overflow),
   * and where a new id would pass `capacityMax`; the index is then unchanged.
   */
  upsert(id: string, vector: Float32Array): void;
  /** Returns whether it was there. */
  remove(id: string): boolean;
  /** A copy of the vector, or undefined. */
  get(id: string): Float32Array | undefined;
  /** The similarity of the query to the vector of each id, in order; NaN where there is none. Throws RangeError on a bad query (as `upsert`). */
  similarities(query: Float32Array, ids: readonly string[]): Float64Array;
  /** Every id, in no particular order. */
  ids(): IterableIterator<string>;
  /**
   * At most k neighbours, the most similar first, ties by id. Fewer only where fewer match. An approximate index may choose any of
   * several equals at the cut. Throws RangeError on a bad query (as `upsert`) and on a k that is not a whole number from 0.
   */
  search(query: Float32Array, k: number, options?: SearchOptions): Neighbour[];

  // ---- the same by handle, into the caller's arrays: nothing is allocated or looked up a vector

  /** As `search`; fills `handles`, and `similarities` where it is given, from 0, and returns how many there are. Both must have room for k. */
  nearest(query: Float32Array, k: number, options: HandleSearchOptions, handles: Int32Array, similarities?: Float64Array): number;
  /** As `similarities`, for the first `count` handles. */
  similaritiesTo(query: Float32Array, handles: Int32Array, count: number, out: Float64Array): void;
  /** Copies the vector of a handle to `offset`; false, and nothing copied, where there is none. */
  copyTo(handle: number, out: Float32Array, offset: number): boolean;
}

/** A snapshot's description; it stands in the bundle's manifest or beside the file. */
export interface SnapshotManifest {
  readonly format: 'gatehouse-index-1';
  readonly kind: 'hnsw' | 'exact';
  readonly metric: Metric;
  readonly dimensions: number;
  readonly count: number;
  readonly m?: number;
  readonly efConstruction?: number;
  /** The sphere that an `ip` graph lifts its vectors to (index/graph-row.ts). */
  readonly sphere?: { readonly radius: number; readonly spread: number };
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
}

/** Items by their numbers in a table (places in its `ids`), each with its score. */
export interface ScoredItems {
  readonly items: Uint32Array;
  readonly scores: Float64Array;
}

/** People by what they hold (index/profiles.ts). */
export interface ProfileSearch {
  readonly ids: readonly string[];
  /** What the people most alike want of all items, for whoever holds `values` of the items with `numbers`, in no particular order. `ever` is what they hold. */
  alike(numbers: ArrayLike<number>, values: ArrayLike<number>): ScoredItems & { readonly ever: Float64Array };
}

/** Past sessions by what they clicked (index/sessions.ts). */
export interface SessionSearch {
  readonly ids: readonly string[];
  /** What came next in sessions like the one that clicked these numbers, the last click last; the best first. */
  next(clicked: ArrayLike<number>): ScoredItems;
}

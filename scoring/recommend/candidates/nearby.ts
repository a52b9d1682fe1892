import type { VectorIndex } from '../../../index/contract.ts';
import type { HandleMap } from '../handle-map.ts';
import type { CandidateContext } from './contract.ts';
import { nearestTo } from './nearest.ts';
import type { CandidateSet } from './set.ts';

/** Vectors kept for one model, some 1 KB each: more visitors than are about in a quarter of an hour, or items whose pages are open. */
export const SEARCHED_MAX = 10_000;
/** So many times what is asked for is fetched, as some of it may not be shown: one in twenty is out of stock, a visitor's own items are left out. */
const FETCH_MARGIN = 1.3;

/** A vector, and what lies nearest to it in the index, whoever may see it: the nearest first. */
export interface Searched {
  readonly query: Float32Array;
  /** Of the index when the query was made. */
  readonly version: number;
  nearest: Int32Array;
  /** Of these. */
  similarities: Float64Array;
  /** How many were asked for. */
  reach: number;
}

/**
 * What was searched for lately, so that the same question costs no search: a second placement of a page, a page that is loaded anew, and an item's page
 * whoever opens it. The key is what was asked about, never who asked; what may be shown is asked anew each time. An index that changed answers anew.
 */
class NearbyCache {
  /** In the order in which they were last asked for. */
  readonly #searched = new Map<number, Searched>();

  get(key: number, index: VectorIndex): Searched | undefined {
    const known = this.#searched.get(key);
    if (known === undefined || known.version !== index.version) return undefined;
    this.#searched.delete(key);
    this.#searched.set(key, known);
    return known;
  }

  /** `version` is the index's when the query was made. */
  put(key: number, version: number, query: Float32Array): Searched {
    const searched = { query, version, nearest: new Int32Array(0), similarities: new Float64Array(0), reach: 0 };
    this.#searched.delete(key);
    this.#searched.set(key, searched);
    if (this.#searched.size > SEARCHED_MAX) this.#searched.delete(this.#searched.keys().next().value!);
    return searched;
  }
}

/** By the model or index whose answers they are: they go with it. */
const caches = new WeakMap<object, NearbyCache>();

export function nearbyOf(model: object): NearbyCache {
  const known = caches.get(model);
  if (known) return known;
  const made = new NearbyCache();
  caches.set(model, made);
  return made;
}

/** As `nearestTo`, of what may have been searched for before. The answer is the same either way. */
export function nearbyTo(index: VectorIndex, searched: Searched, max: number, context: CandidateContext, found: Int32Array, ef?: number): number {
  const { exact, allow } = context;
  const { query } = searched;
  if (exact || max === 0) return nearestTo(index, query, max, context, found, ef);
  const reach = Math.ceil(FETCH_MARGIN * max);
  if (searched.reach < reach) {
    const nearest = new Int32Array(reach);
    searched.similarities = new Float64Array(reach);
    searched.nearest = nearest.subarray(0, index.nearest(query, reach, { ef }, nearest, searched.similarities));
    searched.reach = reach;
  }
  const { nearest } = searched;
  let count = 0;
  for (let i = 0; i < nearest.length && count < max; i++) if (allow(nearest[i]!)) found[count++] = nearest[i]!;
  // Shorter than it was asked for, the list is all that there is.
  return count === max || nearest.length < searched.reach ? count : nearestTo(index, query, max, context, found, ef);
}

/**
 * Fills a column with each candidate's similarity, NaN where it has no vector. Of what the search found it is known: a vector is anywhere in memory, and
 * reading it costs more than all that is computed with it.
 */
export function similarityColumn(
  index: VectorIndex,
  { query, nearest, similarities }: Searched,
  candidates: CandidateSet,
  column: Float64Array,
  map: () => HandleMap,
): void {
  const known = map();
  for (let i = 0; i < nearest.length; i++) known.put(nearest[i]!, similarities[i]!);
  if (others.length < candidates.capacity) {
    others = new Int32Array(candidates.capacity);
    computed = new Float64Array(candidates.capacity);
  }
  let count = 0;
  for (let c = 0; c < candidates.count; c++) {
    const at = known.positionOf(candidates.handles[c]!);
    column[c] = at < 0 ? ASKED : known.scores[at]!;
    if (at < 0) others[count++] = candidates.handles[c]!;
  }
  index.similaritiesTo(query, others, count, computed);
  for (let c = 0, at = 0; c < candidates.count; c++) if (column[c] === ASKED) column[c] = computed[at++]!;
}

/** No similarity. */
const ASKED = Number.NEGATIVE_INFINITY;
/** Only used between two awaits; they grow to the longest candidate list. */
let others = new Int32Array(0);
let computed = new Float64Array(0);

const FLOAT = new Float64Array(1);
const WORDS = new Int32Array(FLOAT.buffer);

/**
 * Tells apart what visitors touched, by items and weights, in 53 bits: of 10,000 that are kept two share them with probability 6e-9, and one of these would
 * be given the other's candidates. The lanes are those of hash53.
 */
export function keyOf(touched: HandleMap): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < touched.count; i++) {
    FLOAT[0] = touched.scores[i]!;
    const handle = touched.handleAt(i);
    a = Math.imul(Math.imul(a ^ handle, 2654435761) ^ WORDS[0]!, 2246822507) ^ WORDS[1]!;
    b = Math.imul(Math.imul(b ^ handle, 1597334677) ^ WORDS[1]!, 3266489909) ^ WORDS[0]!;
    a ^= a >>> 15;
    b ^= b >>> 13;
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

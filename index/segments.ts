import type { HandleSearchOptions } from './contract.ts';
import { Graph, type GraphShape } from './graph.ts';
import { chooseSphere, type Sphere } from './graph-row.ts';
import { efFor, FETCH_MARGIN, GRAPH_FROM_SLOTS, SCAN_SHARE } from './hnsw.ts';
import { norm } from './similarity.ts';
import { requireK, requireWhole, type VectorSlab } from './slab.ts';

/** Room that a new segment's graph has: what starts a compaction, twice, so that doubling it, which copies 16 MB, is seldom needed. */
const SEGMENT_CAPACITY = 40_000;
/** Slots put into the active graph at each write: it catches up with the first `GRAPH_FROM_SLOTS`, and a write stays under a millisecond. */
const INSERTS_PER_WRITE = 4;

/** The slots from `first` to the next segment. */
interface Segment {
  readonly first: number;
  /** Of the slots below `graphed`; the others are gone through. Undefined while there are few. */
  graph: Graph | undefined;
  graphed: number;
  /** Slots that hold a vector; the others are tombstones. */
  live: number;
}

/**
 * One slab, and graphs over it, each over the slots behind those of the one before:
 *
 *   slots   0 ........................ 1,000,000 ....... 1,020,000 .... 1,023,417
 *           [ base: built elsewhere    ][ sealed         ][ active      ]  < new slots
 *             never written               being compacted   takes updates
 *
 * A vector that is replaced or removed leaves a hole in its slot, the tombstone: graphs still lead through it, no answer names it. A search asks every
 * graph and keeps the best of all that are live, so that the next search finds an update.
 */
export class Segments {
  readonly slab: VectorSlab;
  readonly #shape: GraphShape;
  readonly #segments: Segment[];
  /** Where the base ends, or will end once it is built. */
  #baseSlots: number;

  /** Over a slab whose first slots are in `base`, or with `baseSlots` will be; without either, all of it is the active segment. */
  constructor(slab: VectorSlab, shape: GraphShape, base?: Graph, baseSlots = base === undefined ? 0 : slab.slotCount) {
    this.slab = slab;
    this.#shape = shape;
    this.#baseSlots = baseSlots;
    const active = { first: baseSlots, graph: undefined, graphed: baseSlots, live: baseSlots === 0 ? slab.size : 0 };
    this.#segments = base === undefined ? [active] : [{ first: 0, graph: base, graphed: baseSlots, live: slab.size }, active];
  }

  /** Slots that the base does not have. */
  get deltaSlots(): number {
    return this.slab.slotCount - this.#baseSlots;
  }

  /** Slots of the delta that no compaction took yet. */
  get activeSlots(): number {
    return this.slab.slotCount - this.#active.first;
  }

  get tombstones(): number {
    return this.slab.slotCount - this.slab.size;
  }

  /** Of the base. */
  get sphere(): Sphere | undefined {
    return this.#segments[0]!.graph?.sphere;
  }

  /** Returns whether anything changed. Throws as the contract's `upsert` does. */
  upsert(id: string, vector: Float32Array): boolean {
    const { slab } = this;
    const before = slab.slotOf(id);
    const slot = slab.putFresh(id, vector);
    if (slot === undefined) return false;
    if (before !== undefined) this.#died(before);
    this.#active.live++;
    this.catchUp(INSERTS_PER_WRITE);
    return true;
  }

  remove(id: string): boolean {
    const slot = this.slab.slotOf(id);
    if (slot === undefined) return false;
    this.slab.remove(id);
    this.#died(slot);
    return true;
  }

  /** Puts slots into the active graph that are not there yet, at most `max`; returns whether some are left. */
  catchUp(max: number): boolean {
    const { slab } = this;
    const active = this.#active;
    if (this.activeSlots < GRAPH_FROM_SLOTS) return false;
    active.graph ??= Graph.create(slab, chooseSphere(slab), this.#shape, SEGMENT_CAPACITY, active.first);
    for (let n = 0; n < max && active.graphed < slab.slotCount; n++) active.graph.insert(slab, active.graphed++);
    return active.graphed < slab.slotCount;
  }

  /** Ends the active segment and begins another. Returns where that begins: slots below it change no more, but to become holes. */
  seal(): number {
    const first = this.slab.slotCount;
    if (this.activeSlots > 0) this.#segments.push({ first, graph: undefined, graphed: first, live: 0 });
    return first;
  }

  /** A graph of all slots below `end` becomes the base. Returns the graphs that nobody needs any more. */
  rebase(graph: Graph, end: number): Graph[] {
    const kept = this.#segments.filter(({ first }) => first >= end);
    const replaced = this.#segments.filter(({ first }) => first < end);
    const live = this.slab.size - kept.reduce((sum, segment) => sum + segment.live, 0);
    this.#segments.splice(0, this.#segments.length, { first: 0, graph, graphed: end, live }, ...kept);
    this.#baseSlots = end;
    return graphsOf(replaced);
  }

  /** Whether slots wait for the graph that is to become the base: no search finds them. */
  get lacksBase(): boolean {
    return this.#baseSlots > 0 && this.#segments[0]!.first > 0;
  }

  get graphs(): Graph[] {
    return graphsOf(this.#segments);
  }

  /** As the contract's. */
  nearest(query: Float32Array, k: number, { filter, ef }: HandleSearchOptions, handles: Int32Array, similarities?: Float64Array): number {
    const { slab } = this;
    slab.requireVector(query);
    requireK(k);
    if (ef !== undefined) requireWhole('ef', ef, 1, Number.MAX_SAFE_INTEGER);
    const wanted = Math.min(k, slab.size);
    if (wanted === 0) return 0;
    const queryNorm = norm(query);
    const scanFrom = Math.max(GRAPH_FROM_SLOTS, SCAN_SHARE * slab.slotCount);
    const slots: number[] = [];
    for (let reach = filter ? FETCH_MARGIN * wanted : wanted; reach <= scanFrom; ) {
      const all = this.#near(query, queryNorm, reach, ef, slots);
      const found = slab.best(slots, query, wanted, filter, handles, similarities);
      if (found === wanted || all) return found;
      reach *= FETCH_MARGIN * Math.max(1, wanted / Math.max(found, 0.5));
    }
    return slab.scan(query, wanted, filter, handles, similarities);
  }

  /** Fills `slots` with the nearest of every segment: `reach` live ones of each, and the holes between them. Returns whether they are all that there are. */
  #near(query: Float32Array, queryNorm: number, reach: number, ef: number | undefined, slots: number[]): boolean {
    let all = true;
    slots.length = 0;
    for (let at = 0; at < this.#segments.length; at++) {
      const { first, graph, graphed, live } = this.#segments[at]!;
      const end = this.#segments[at + 1]?.first ?? this.slab.slotCount;
      if (live === 0) continue;
      const fetch = Math.ceil((reach * (end - first)) / live);
      const isSearched = graph !== undefined && fetch < graphed - first;
      if (isSearched) {
        all = false;
        const listed = ef ?? efFor(this.slab.metric, fetch, graph.sphere);
        const labels = graph.nearest(query, queryNorm, fetch, Math.min(graphed - first, Math.max(fetch, listed)));
        for (let i = 0; i < labels.length; i++) slots.push(first + labels[i]!);
      }
      for (let slot = isSearched ? graphed : first; slot < end; slot++) slots.push(slot);
    }
    return all;
  }

  get #active(): Segment {
    return this.#segments.at(-1)!;
  }

  /** A slot became a hole. Slots of a base that is still being built are in no segment. */
  #died(slot: number): void {
    const segment = this.#segments.findLast(({ first }) => first <= slot);
    if (segment) segment.live--;
  }
}

function graphsOf(segments: readonly Segment[]): Graph[] {
  return segments.flatMap(({ graph }) => graph ?? []);
}

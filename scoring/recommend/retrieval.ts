import type { NeighboursFile, PopularityFile } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import { type Handles, withPlace } from '../../contracts/handles.ts';
import type { VectorIndex } from '../../index/contract.ts';
import type { HandleMap } from './handle-map.ts';
import type { ItemFoldIn } from './item-fold-in.ts';
import type { LookAlikes, SessionNeighbours } from './numbered.ts';
import type { TouchedItems } from './touched.ts';

/** Turns what a user touched into a vector of the item space; undefined when none of it is known to the model. */
export interface UserTower {
  /** The weights are `touched.scores`. */
  fold(touched: HandleMap): Promise<Float32Array | undefined>;
}

/** Turns the items of a visit into what is expected next, a vector that `index` is searched with. */
export interface NextItem {
  readonly index: VectorIndex;
  /** `clicked` are the first `length` handles, the newest first; undefined when the model knows none of them. */
  expect(clicked: Int32Array, length: number): Promise<Float32Array | undefined>;
}

/** The catalogue by what its items are: category, brand, words, attributes. In step with every change of an item. */
export interface ContentSpace {
  /** Undefined while it is being opened. */
  readonly index: VectorIndex | undefined;
}

/** What a bundle gives to retrieval. Each part may be missing; the pipeline then does without and says so. All speak of the catalogue's handles. */
export interface RetrievalModels {
  readonly itemIndex?: VectorIndex | undefined;
  /** Keeps `itemIndex` in step with the catalogue. */
  readonly foldIn?: ItemFoldIn | undefined;
  readonly userTower?: UserTower | undefined;
  readonly neighbours?: NeighbourTable | undefined;
  /** Weights of a linear model of items by items, the strongest first. */
  readonly linear?: NeighbourTable | undefined;
  readonly lookAlikes?: LookAlikes | undefined;
  readonly sessionNeighbours?: SessionNeighbours | undefined;
  readonly nextItem?: NextItem | undefined;
  readonly content?: ContentSpace | undefined;
  readonly popularity?: PopularityTable | undefined;
}

/** Item-to-item lists, the closest first. */
export class NeighbourTable {
  /** By handle: the item's row in `indptr`, or -1. */
  #rowOf = new Int32Array(0);
  readonly #indptr: Uint32Array;
  readonly #neighbours: Int32Array;
  readonly #similarities: Float32Array;

  constructor(handles: Handles, ids: readonly string[], indptr: Uint32Array, neighbours: Uint32Array, similarities: Float32Array) {
    this.#indptr = indptr;
    this.#similarities = similarities;
    const own = Int32Array.from(ids, (id) => handles.intern(id));
    for (let row = 0; row < own.length; row++) {
      this.#rowOf = withPlace(this.#rowOf, own[row]!, -1);
      this.#rowOf[own[row]!] = row;
    }
    // A loop, not `from`, which takes ten times as long: three seconds for the twenty neighbours of each of a million items.
    this.#neighbours = new Int32Array(neighbours.length);
    for (let i = 0; i < neighbours.length; i++) this.#neighbours[i] = own[neighbours[i]!]!;
  }

  /** Checks every position before it is used: a crafted table must not read out of bounds. Throws `bundle_corrupt`. */
  static fromFile(file: NeighboursFile, handles: Handles): NeighbourTable {
    requireIds(file);
    const indptr = words(file.indptr);
    const neighbours = words(file.neighbours);
    const similarities = new Float32Array(alignedBuffer(file.similarities));
    const count = file.ids.length;
    let sound = indptr.length === count + 1 && indptr[0] === 0 && indptr[count] === neighbours.length && similarities.length === neighbours.length;
    for (let i = 0; sound && i < count; i++) sound = indptr[i]! <= indptr[i + 1]!;
    for (let i = 0; sound && i < neighbours.length; i++) sound = neighbours[i]! < count && Number.isFinite(similarities[i]!);
    if (!sound) throw new GatehouseError('bundle_corrupt', 'the item-to-item table does not hold together');
    return new NeighbourTable(handles, file.ids, indptr, neighbours, similarities);
  }

  /** Calls `visit` for each neighbour of the item, the closest first, at most `limit`. */
  each(item: number, limit: number, visit: (neighbour: number, similarity: number) => void): void {
    const row = this.#rowOf[item] ?? -1;
    if (row < 0) return;
    const from = this.#indptr[row]!;
    const to = Math.min(this.#indptr[row + 1]!, from + limit);
    for (let i = from; i < to; i++) visit(this.#neighbours[i]!, this.#similarities[i]!);
  }
}

export class PopularityTable {
  /** The most popular first. */
  readonly order: Int32Array;
  /** By handle. */
  #scores = new Float32Array(0);

  constructor(handles: Handles, ids: readonly string[], scores: Float32Array) {
    this.order = Int32Array.from(ids, (id) => handles.intern(id));
    for (let i = 0; i < ids.length; i++) {
      this.#scores = withPlace(this.#scores, this.order[i]!, 0);
      this.#scores[this.order[i]!] = scores[i]!;
    }
  }

  /** Throws `bundle_corrupt`: a score that is not finite would leave the candidates in no order. */
  static fromFile(file: PopularityFile, handles: Handles): PopularityTable {
    requireIds(file);
    const scores = new Float32Array(alignedBuffer(file.scores));
    if (scores.length !== file.ids.length || !scores.every(Number.isFinite))
      throw new GatehouseError('bundle_corrupt', 'the popularity table does not hold together');
    return new PopularityTable(handles, file.ids, scores);
  }

  score(item: number): number {
    return this.#scores[item] ?? 0;
  }
}

/** Weight of an item in a user's history for implicit feedback: repeated acts count less each time, a purchase twice as much as a look. */
export function historyWeight(interactions: number, purchases: number): number {
  return Math.log1p(interactions) + 2 * Math.log1p(purchases);
}

/**
 * Weights of all items that the user or session touched, as scores of `out`, which must be empty. The trainer uses the same function of counts.
 * A purchase counts as a look as well: the look may be forgotten already.
 */
export function historyWeights(interactions: TouchedItems, session: TouchedItems, purchases: TouchedItems, out: HandleMap): void {
  for (let i = 0; i < interactions.length; i++) atLeast(out, out.add(interactions.handles[i]!), interactions.counts[i]!);
  // A session's events are in the user's history as well, where there is a user.
  for (let i = 0; i < session.length; i++) atLeast(out, out.add(session.handles[i]!), session.counts[i]!);
  for (let i = 0; i < purchases.length; i++) {
    const at = out.add(purchases.handles[i]!);
    atLeast(out, at, purchases.counts[i]!);
    out.links[at] = i;
  }
  for (let at = 0; at < out.count; at++) {
    const bought = out.links[at]!;
    out.scores[at] = historyWeight(out.scores[at]!, bought < 0 ? 0 : purchases.counts[bought]!);
  }
}

function atLeast(map: HandleMap, position: number, value: number): void {
  if (map.scores[position]! < value) map.scores[position] = value;
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(alignedBuffer(bytes));
}

/**
 * MessagePack hands out views at any byte offset; typed arrays of wider elements need an aligned buffer of their own. Not by `slice`: of a
 * Buffer, which is what a file is read into, that is a view as well.
 */
export function alignedBuffer(bytes: Uint8Array): ArrayBuffer {
  if (!(bytes instanceof Uint8Array)) throw new GatehouseError('bundle_corrupt', 'a table lacks a column');
  if (bytes.byteLength % 4 !== 0) throw new GatehouseError('bundle_corrupt', 'a table has a length that is no multiple of 4');
  return new Uint8Array(bytes).buffer;
}

/** The table comes from a file, so its types are checked too. */
function requireIds(file: { readonly ids: readonly string[] } | null | undefined): asserts file {
  const sound = typeof file === 'object' && Array.isArray(file?.ids) && file.ids.every((id: unknown) => typeof id === 'string');
  if (!sound) throw new GatehouseError('bundle_corrupt', 'a table has no list of ids');
}

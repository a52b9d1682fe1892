import type { NeighboursFile, PopularityFile } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { VectorIndex } from '../../index/contract.ts';
import type { HistoryEntry } from '../features/contract.ts';

/** Turns what a user touched into a vector of the item space; undefined when none of it is known to the model. */
export interface UserTower {
  fold(weights: ReadonlyMap<string, number>): Promise<Float32Array | undefined>;
}

/** What a bundle gives to retrieval. Each part may be missing; the pipeline then does without and says so. */
export interface RetrievalModels {
  readonly itemIndex?: VectorIndex | undefined;
  readonly userTower?: UserTower | undefined;
  readonly neighbours?: NeighbourTable | undefined;
  readonly popularity?: PopularityTable | undefined;
}

/** Item-to-item lists, the closest first. */
export class NeighbourTable {
  readonly #ids: readonly string[];
  readonly #position = new Map<string, number>();
  readonly #indptr: Uint32Array;
  readonly #neighbours: Uint32Array;
  readonly #similarities: Float32Array;

  constructor(ids: readonly string[], indptr: Uint32Array, neighbours: Uint32Array, similarities: Float32Array) {
    this.#ids = ids;
    this.#indptr = indptr;
    this.#neighbours = neighbours;
    this.#similarities = similarities;
    for (let i = 0; i < ids.length; i++) this.#position.set(ids[i]!, i);
  }

  /** Checks every position before it is used: a crafted table must not read out of bounds. Throws `bundle_corrupt`. */
  static fromFile(file: NeighboursFile): NeighbourTable {
    requireIds(file);
    const indptr = words(file.indptr);
    const neighbours = words(file.neighbours);
    const similarities = new Float32Array(copyBuffer(file.similarities));
    const count = file.ids.length;
    let sound = indptr.length === count + 1 && indptr[0] === 0 && indptr[count] === neighbours.length && similarities.length === neighbours.length;
    for (let i = 0; sound && i < count; i++) sound = indptr[i]! <= indptr[i + 1]!;
    for (let i = 0; sound && i < neighbours.length; i++) sound = neighbours[i]! < count && Number.isFinite(similarities[i]!);
    if (!sound) throw new GatehouseError('bundle_corrupt', 'the item-to-item table does not hold together');
    return new NeighbourTable(file.ids, indptr, neighbours, similarities);
  }

  /** Calls `visit` for each neighbour of the item, the closest first, at most `limit`. */
  each(itemId: string, limit: number, visit: (neighbourId: string, similarity: number) => void): void {
    const position = this.#position.get(itemId);
    if (position === undefined) return;
    const from = this.#indptr[position]!;
    const to = Math.min(this.#indptr[position + 1]!, from + limit);
    for (let i = from; i < to; i++) visit(this.#ids[this.#neighbours[i]!]!, this.#similarities[i]!);
  }
}

export class PopularityTable {
  readonly ids: readonly string[];
  readonly #scores = new Map<string, number>();

  constructor(ids: readonly string[], scores: Float32Array) {
    this.ids = ids;
    for (let i = 0; i < ids.length; i++) this.#scores.set(ids[i]!, scores[i]!);
  }

  /** Throws `bundle_corrupt`: a score that is not finite would leave the candidates in no order. */
  static fromFile(file: PopularityFile): PopularityTable {
    requireIds(file);
    const scores = new Float32Array(copyBuffer(file.scores));
    if (scores.length !== file.ids.length || !scores.every(Number.isFinite))
      throw new GatehouseError('bundle_corrupt', 'the popularity table does not hold together');
    return new PopularityTable(file.ids, scores);
  }

  score(itemId: string): number {
    return this.#scores.get(itemId) ?? 0;
  }
}

/** Weight of an item in a user's history for implicit feedback: repeated acts count less each time, a purchase twice as much as a look. */
export function historyWeight(interactions: number, purchases: number): number {
  return Math.log1p(interactions) + 2 * Math.log1p(purchases);
}

/** Weights of all items that the user or session touched. The trainer uses the same function on its own counts. */
export function historyWeights(
  interactions: readonly HistoryEntry[],
  session: readonly HistoryEntry[],
  purchases: readonly HistoryEntry[],
): Map<string, number> {
  const counts = new Map<string, { interactions: number; purchases: number }>();
  const slot = (id: string) => {
    let entry = counts.get(id);
    if (!entry) {
      entry = { interactions: 0, purchases: 0 };
      counts.set(id, entry);
    }
    return entry;
  };
  for (const entry of interactions) slot(entry.item_id).interactions = entry.count;
  // A session's events are in the user's history as well, where there is a user.
  for (const entry of session) {
    const own = slot(entry.item_id);
    own.interactions = Math.max(own.interactions, entry.count);
  }
  for (const entry of purchases) {
    const own = slot(entry.item_id);
    own.purchases = entry.count;
    own.interactions = Math.max(own.interactions, entry.count);
  }
  const weights = new Map<string, number>();
  for (const [id, { interactions: i, purchases: p }] of counts) weights.set(id, historyWeight(i, p));
  return weights;
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(copyBuffer(bytes));
}

/**
 * MessagePack hands out views at any byte offset; typed arrays of wider elements need an aligned buffer of their own. Not by `slice`: of a
 * Buffer, which is what a file is read into, that is a view as well.
 */
function copyBuffer(bytes: Uint8Array): ArrayBuffer {
  if (!(bytes instanceof Uint8Array)) throw new GatehouseError('bundle_corrupt', 'a table lacks a column');
  if (bytes.byteLength % 4 !== 0) throw new GatehouseError('bundle_corrupt', 'a table has a length that is no multiple of 4');
  return new Uint8Array(bytes).buffer;
}

/** The table comes from a file, so its types are checked too. */
function requireIds(file: { readonly ids: readonly string[] } | null | undefined): asserts file {
  const sound = typeof file === 'object' && Array.isArray(file?.ids) && file.ids.every((id: unknown) => typeof id === 'string');
  if (!sound) throw new GatehouseError('bundle_corrupt', 'a table has no list of ids');
}

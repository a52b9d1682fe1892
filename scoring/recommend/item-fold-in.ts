import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatehouseError } from '../../contracts/errors.ts';
import type { EventName, TimedEvent } from '../../contracts/event.ts';
import { NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import type { VectorIndex } from '../../index/contract.ts';
import { cholesky, solveLower, solveLowerTransposed } from '../cholesky.ts';
import type { EntityState, FeatureEngine } from '../features/contract.ts';
import { hash32 } from '../features/hash.ts';
import type { Catalogue } from './catalogue.ts';
import { type ContentModel, contentTokens, contentVector } from './content-vector.ts';
import { HandleMap } from './handle-map.ts';
import { expectedFactors, type ItemFoldInModel } from './item-fold-in-model.ts';
import { historyWeight, historyWeights, type UserTower } from './retrieval.ts';
import { TouchedItems } from './touched.ts';

/** Items that have a vector although the bundle does not know them: months of a large shop's news. For one more a bundle has to be trained. */
export const NEW_ITEMS_MAX = 100_000;
/** New items whose acts are added up at once, some 17 KB each with 64 factors; the one that nobody acted on the longest keeps its vector as it is. */
export const FOLDED_ITEMS_MAX = 2_000;
/** Vectors of items that left the catalogue, for those who had them and for the day on which they come back. The ones that left first go. */
export const LEFT_ITEMS_MAX = 100_000;
/** People told apart on a new item, the last ones: each counts once. */
const PEOPLE_MAX = 64;
/**
 * How much those count who did not act on a new item, over their share in the acts since it came: nobody declined an item that was not there. Over the
 * whole share, as in training, new items are found half as often; chosen on the first three quarters of Online Retail and of a simulated shop.
 */
const EXPOSURE_WEIGHT = 0.25;
/** Items that are compared with the catalogue between two turns: a new one takes up to half a millisecond, one that is as it was 50 ns. */
const PLACED_PER_TURN = 4;
const COMPARED_PER_TURN = 4_096;

/** What counts as an act, and whether it is a purchase. */
const ACTS: Partial<Readonly<Record<EventName, 0 | 1>>> = { view_item: 0, select_item: 0, add_to_cart: 0, add_to_wishlist: 0, purchase: 1 };

/** Why an item has no vector yet: too many updates wait for a compaction, or there are too many new items. */
export const FOLD_IN_REFUSALS = ['busy', 'full'] as const;
export type FoldInRefusal = (typeof FOLD_IN_REFUSALS)[number];

export interface ItemFoldInOptions {
  readonly model: ItemFoldInModel;
  readonly content?: ContentModel | undefined;
  /** Of the items that training knew; it is changed. */
  readonly index: VectorIndex;
  /** A user tower over these vectors. */
  readonly towerOf: (vectors: Pick<VectorIndex, 'copyTo'>) => UserTower;
  readonly onRefused?: ((reason: FoldInRefusal) => void) | undefined;
}

/** What people did with one new item. */
interface Folded {
  /** Acts in the shop before its first one. */
  readonly since: number;
  readonly people: Uint32Array;
  acts: number;
  /** Lower triangle, row by row: the sum of confidence x x'. */
  readonly matrix: Float64Array;
  /** The sum of (1 + confidence) x. */
  readonly right: Float64Array;
}

/** An act of somebody on new items, noted but not yet learned. */
export interface NotedAct {
  readonly items: readonly number[];
  readonly confidence: number;
}

/**
 * Gives items that training did not know a vector of the trained space, and keeps the index in step with the catalogue:
 *
 *   put        what their content lets expect, by a linear map (Gantner et al. 2010, "Learning attribute-to-feature mappings for cold-start
 *              recommendations")
 *   acted on   the item's half-step of ALS (Hu, Koren, Volinsky 2008) over the vectors of the people who acted, drawn towards that expectation;
 *              solved anew at the 1st, 2nd, 4th, 8th ... of them
 *   deleted    out of the index, whether known or new
 *
 * People's vectors are made of what training knew alone, so that new items do not pull each other along. The gateway and the trainer's replay both run
 * this, fact by fact: a ranker meets the columns that it learned from.
 */
export class ItemFoldIn {
  readonly #options: ItemFoldInOptions;
  readonly #tower: UserTower;
  /** By handle: 1 for items that training knew. */
  #trained = new Uint8Array(0);
  readonly #left = new Map<number, Float32Array>();
  readonly #new = new Set<number>();
  readonly #folded = new Map<number, Folded>();
  #acts = 0;
  #catalogue: Catalogue | undefined;
  readonly #interactions: TouchedItems;
  readonly #purchases: TouchedItems;
  readonly #session: TouchedItems;
  readonly #weights = new HandleMap();
  readonly #system: Float64Array;

  constructor(options: ItemFoldInOptions) {
    const { index, towerOf, model } = options;
    const { handles } = index;
    this.#options = options;
    this.#tower = towerOf({ copyTo: (handle, out, offset) => this.isTrained(handle) && this.copyTo(handle, out, offset) });
    const vector = new Float32Array(index.dimensions);
    for (let handle = 0; handle < handles.size; handle++) {
      if (!index.copyTo(handle, vector, 0)) continue;
      this.#trained = withPlace(this.#trained, handle, 0);
      this.#trained[handle] = 1;
    }
    this.#interactions = new TouchedItems(handles);
    this.#purchases = new TouchedItems(handles);
    this.#session = new TouchedItems(handles);
    this.#system = new Float64Array(model.factors ** 2);
  }

  /** Whether training knew the item. */
  isTrained(handle: number): boolean {
    return this.#trained[handle] === 1;
  }

  /** As an index does, of items that left the catalogue as well: who had them is no less known for it. */
  copyTo(handle: number, out: Float32Array, offset: number): boolean {
    if (this.#options.index.copyTo(handle, out, offset)) return true;
    const left = this.#left.get(handle);
    if (left) out.set(left, offset);
    return left !== undefined;
  }

  /** Follows each put and delete from now on, until what it returns is called. */
  follow(catalogue: Catalogue): () => void {
    this.#catalogue = catalogue;
    return catalogue.watch((handle) => this.#changed(handle));
  }

  /** Makes the index say of every item what the catalogue says, in steps, as long as `isWanted`. */
  async compare(isWanted: () => boolean): Promise<void> {
    const end = Math.max(this.#trained.length, this.#catalogue?.end ?? 0);
    let placed = 0;
    for (let handle = 0; handle < end; handle++) {
      if (handle % COMPARED_PER_TURN === COMPARED_PER_TURN - 1 || placed === PLACED_PER_TURN) {
        await nextTurn();
        placed = 0;
      }
      if (!isWanted()) return;
      if (this.#changed(handle)) placed++;
    }
  }

  /** Counts an event; undefined unless somebody acted for the first time on an item that training did not know. `learn` has to follow. */
  note({ name, items, user_id, session_id }: TimedEvent): NotedAct | undefined {
    const bought = ACTS[name];
    const person = user_id ?? session_id;
    if (bought === undefined || items === undefined) return undefined;
    this.#acts += items.length;
    if (person === undefined) return undefined;
    const hash = hash32(person);
    const taken: number[] = [];
    for (const { item_id } of items) {
      const handle = this.#options.index.handles.find(item_id);
      if (handle === NO_HANDLE || this.isTrained(handle) || this.#catalogue?.at(handle) === undefined) continue;
      const folded = this.#foldedOf(handle);
      if (folded.people.includes(hash)) continue;
      folded.people.copyWithin(1, 0);
      folded.people[0] = hash;
      taken.push(handle);
    }
    return taken.length === 0 ? undefined : { items: taken, confidence: this.#options.model.alpha * historyWeight(1, bought) };
  }

  /** Adds what was noted to the items, by the vector of who acted; of somebody whom training says nothing about there is nothing to add. */
  async learn(
    { items, confidence }: NotedAct,
    engine: Pick<FeatureEngine, 'eachInHistory'>,
    user: EntityState | undefined,
    session: EntityState | undefined,
  ): Promise<void> {
    this.#interactions.load(engine, user, 'interactions');
    this.#purchases.load(engine, user, 'purchases');
    this.#session.load(engine, session, 'interactions');
    this.#weights.clear();
    historyWeights(this.#interactions, this.#session, this.#purchases, this.#weights);
    // The tower reads the weights before it waits for anything.
    const vector = await this.#tower.fold(this.#weights);
    if (!vector) return;
    for (const handle of items) {
      const folded = this.#folded.get(handle);
      if (!folded) continue;
      addTo(folded, vector, confidence);
      if ((folded.acts & (folded.acts - 1)) === 0) this.#place(handle);
    }
  }

  #foldedOf(handle: number): Folded {
    const { factors } = this.#options.model;
    const known = this.#folded.get(handle);
    const folded = known ?? {
      since: this.#acts,
      people: new Uint32Array(PEOPLE_MAX),
      acts: 0,
      matrix: new Float64Array((factors * (factors + 1)) / 2),
      right: new Float64Array(factors),
    };
    // Set anew, so that the map's order is that of the last acts.
    this.#folded.delete(handle);
    this.#folded.set(handle, folded);
    if (this.#folded.size > FOLDED_ITEMS_MAX) this.#folded.delete(this.#folded.keys().next().value!);
    return folded;
  }

  /** Makes the index say of an item what the catalogue says. Returns whether that took some time. */
  #changed(handle: number): boolean {
    if (this.#catalogue?.at(handle) === undefined) return this.#leave(handle);
    if (!this.isTrained(handle)) return this.#place(handle);
    const left = this.#left.get(handle);
    if (left === undefined || !this.#upsert(handle, left)) return false;
    this.#left.delete(handle);
    return true;
  }

  #leave(handle: number): boolean {
    const { index } = this.#options;
    const vector = new Float32Array(index.dimensions);
    if (!index.copyTo(handle, vector, 0)) return false;
    if (this.isTrained(handle)) {
      this.#left.set(handle, vector);
      if (this.#left.size > LEFT_ITEMS_MAX) this.#left.delete(this.#left.keys().next().value!);
    }
    this.#folded.delete(handle);
    this.#new.delete(handle);
    return index.remove(index.handles.idOf(handle));
  }

  /** Gives a new item the vector that is known of it, if anything is. Returns whether that took some time. */
  #place(handle: number): boolean {
    const expected = this.#expected(handle);
    const folded = this.#folded.get(handle);
    const vector = folded && folded.acts > 0 ? this.#solve(folded, expected) : expected;
    if (!vector) return false;
    if (!this.#new.has(handle) && this.#new.size >= NEW_ITEMS_MAX) this.#options.onRefused?.('full');
    else if (this.#upsert(handle, vector)) this.#new.add(handle);
    return true;
  }

  #expected(handle: number): Float32Array | undefined {
    const { content, model } = this.#options;
    const item = this.#catalogue?.at(handle);
    const tokens = content && model.contentMap && item ? contentTokens(item) : undefined;
    return tokens && tokens.size > 0 ? expectedFactors(model.contentMap!, contentVector(content!, tokens)) : undefined;
  }

  #solve({ since, matrix, right }: Folded, expected: Float32Array | undefined): Float32Array {
    const { factors, regularization, userGram, acts } = this.#options.model;
    const exposure = EXPOSURE_WEIGHT * Math.min(1, (this.#acts - since + 1) / acts);
    const system = this.#system;
    const vector = Float64Array.from(right, (sum, i) => sum + regularization * (expected?.[i] ?? 0));
    for (let i = 0, at = 0; i < factors; i++) {
      for (let j = 0; j <= i; j++, at++) system[i * factors + j] = exposure * userGram[i * factors + j]! + matrix[at]!;
      system[i * factors + i]! += regularization;
    }
    cholesky(system, factors);
    solveLower(system, vector);
    solveLowerTransposed(system, vector);
    return Float32Array.from(vector);
  }

  #upsert(handle: number, vector: Float32Array): boolean {
    const { index, onRefused } = this.#options;
    try {
      index.upsert(index.handles.idOf(handle), vector);
      return true;
    } catch (cause) {
      if (!(cause instanceof GatehouseError && cause.code === 'index_busy')) throw cause;
      onRefused?.('busy');
      return false;
    }
  }
}

function addTo(folded: Folded, vector: Float32Array, confidence: number): void {
  const { matrix, right } = folded;
  folded.acts++;
  for (let i = 0, at = 0; i < vector.length; i++) {
    right[i]! += (1 + confidence) * vector[i]!;
    for (let j = 0; j <= i; j++) matrix[at++]! += confidence * vector[i]! * vector[j]!;
  }
}

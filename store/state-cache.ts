import { ENTITY_KINDS, type EntityKind } from './contract.ts';
import type { RedoPlace } from './redo.ts';

/** One entity's decoded state. `batch` is the last batch that changed it: while that isn't durable the entry is the only truth. */
export interface CacheEntry<S> {
  readonly kind: EntityKind;
  readonly id: string;
  /** Where the log has it. Kept, because finding it by its key at each change and each commit took as long as encoding the state. */
  readonly place: RedoPlace;
  state: S | undefined;
  touchedMs: number;
  batch: number;
  /** Read since it was last looked at for dropping. */
  used: boolean;
  newer: CacheEntry<S> | undefined;
  older: CacheEntry<S> | undefined;
}

/** Entries looked at by one addition before it lets the cache pass its limit for now: the cost of adding stays bounded. */
const LOOKED_AT_MAX = 16;

/**
 * Second-chance cache of decoded states (Corbato 1968), one map a kind so that a look-up builds no string.
 *
 *   newest <-> ... <-> oldest      an entry that was read, or isn't durable, goes back to the front instead of being dropped
 *
 * Reading marks the entry and moves nothing: a recommendation reads two hundred, and moving each to the front touched three others in memory.
 */
export class StateCache<S> {
  readonly #maps: ReadonlyMap<EntityKind, Map<string, CacheEntry<S>>> = new Map(ENTITY_KINDS.map((kind) => [kind, new Map()]));
  readonly #entriesMax: number;
  #newest: CacheEntry<S> | undefined;
  #oldest: CacheEntry<S> | undefined;
  size = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(kind: EntityKind, id: string): CacheEntry<S> | undefined {
    const entry = this.#map(kind).get(id);
    if (entry !== undefined) entry.used = true;
    return entry;
  }

  /** The entry without marking it as used. */
  peek(kind: EntityKind, id: string): CacheEntry<S> | undefined {
    return this.#map(kind).get(id);
  }

  /** Add an entry that isn't there yet, and drop old ones whose last batch is at most `durableBatch`. */
  add(entry: CacheEntry<S>, durableBatch: number): void {
    this.#map(entry.kind).set(entry.id, entry);
    this.#linkNewest(entry);
    this.size++;
    for (let looked = 0; this.size > this.#entriesMax && looked < LOOKED_AT_MAX; looked++) {
      const oldest = this.#oldest;
      if (oldest === undefined || oldest === entry) return;
      if (oldest.used || oldest.batch > durableBatch) {
        oldest.used = false;
        this.#unlink(oldest);
        this.#linkNewest(oldest);
      } else this.drop(oldest);
    }
  }

  drop(entry: CacheEntry<S>): void {
    if (!this.#map(entry.kind).delete(entry.id)) return;
    this.#unlink(entry);
    this.size--;
  }

  #map(kind: EntityKind): Map<string, CacheEntry<S>> {
    const map = this.#maps.get(kind);
    if (map === undefined) throw new Error(`unknown entity kind ${kind}`);
    return map;
  }

  #linkNewest(entry: CacheEntry<S>): void {
    entry.newer = undefined;
    entry.older = this.#newest;
    if (this.#newest) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  #unlink(entry: CacheEntry<S>): void {
    if (entry.newer) entry.newer.older = entry.older;
    else this.#newest = entry.older;
    if (entry.older) entry.older.newer = entry.newer;
    else this.#oldest = entry.newer;
  }
}

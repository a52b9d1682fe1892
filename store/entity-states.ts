import type { Batch } from './batch.ts';
import type { EntityKind, EntityRef, StateCodec, Unit } from './contract.ts';
import type { Disk } from './disk.ts';
import { safeKey } from './keys.ts';
import { ERASED_STATE, isErased, REDO_BYTES_MAX, RedoLog } from './redo.ts';
import { type CacheEntry, StateCache } from './state-cache.ts';
import { STATE_HEADER_BYTES, stateTouchedMs } from './values.ts';

export interface EntityStatesOptions<S> {
  readonly codec: StateCodec<S>;
  readonly retention: { readonly stateTtlMs: number };
  readonly cacheEntriesMax: number;
  /** Bytes of states that may wait for their rows; REDO_BYTES_MAX where absent. */
  readonly redoBytesMax?: number;
}

/** The entities' states: in memory as long as they are ahead of the disk or in use, on disk otherwise: in the redo log, or in rows of their own. */
export class EntityStates<S> {
  readonly #disk: Disk;
  readonly #redo: RedoLog;
  readonly #codec: StateCodec<S>;
  readonly #ttlMs: number;
  /** Id of the newest durable batch: what later batches changed must stay in memory. */
  readonly #durableId: () => number;
  readonly #cache: StateCache<S>;
  #hits = 0;
  #misses = 0;

  constructor(disk: Disk, options: EntityStatesOptions<S>, durableId: () => number) {
    this.#durableId = durableId;
    this.#disk = disk;
    this.#redo = new RedoLog(disk, options.redoBytesMax ?? REDO_BYTES_MAX);
    this.#codec = options.codec;
    this.#ttlMs = options.retention.stateTtlMs;
    this.#cache = new StateCache(options.cacheEntriesMax);
  }

  get({ kind, id }: EntityRef, nowMs: number): S | undefined {
    return this.#alive(this.#entry(kind, id), nowMs);
  }

  /** Apply the unit to one entity, in memory, as part of `batch`. */
  bring(batch: Batch<S>, unit: Unit<S>, ref: EntityRef, nowMs: number): S {
    const entry = this.#entry(ref.kind, ref.id);
    const state = unit.apply(ref, this.#alive(entry, nowMs));
    if (this.#cache.peek(ref.kind, ref.id) !== entry) this.#cache.add(entry, this.#durableId());
    entry.state = state;
    entry.touchedMs = nowMs;
    if (entry.batch !== batch.id) batch.dirty.push(entry);
    entry.batch = batch.id;
    return state;
  }

  /** Takes the state out, in memory, as part of `batch`; an entity without one stays as it is. */
  erase(batch: Batch<S>, { kind, id }: EntityRef, nowMs: number): void {
    const entry = this.#entry(kind, id);
    if (entry.state === undefined) return;
    entry.state = undefined;
    entry.touchedMs = nowMs;
    if (entry.batch !== batch.id) batch.dirty.push(entry);
    entry.batch = batch.id;
  }

  /** Encode what the batch changed. */
  seal(batch: Batch<S>): void {
    for (const { place, state, touchedMs } of batch.dirty) {
      this.#redo.put(place, touchedMs, state === undefined ? ERASED_STATE : this.#codec.encodeShared(state));
    }
    batch.redo = this.#redo.seal(batch.flushStates, batch.ops);
  }

  /** Whether a state that was last touched before `beforeMs` has not reached its row, where a purge looks for it. */
  awaitsRow(beforeMs: number): boolean {
    return (this.#redo.oldestMs() ?? beforeMs) < beforeMs;
  }

  committed(batches: readonly Batch<S>[]): void {
    for (const { redo } of batches) if (redo) this.#redo.committed(redo);
  }

  /** Drop what lost batches changed, so that the disk is asked again. */
  forget(batches: readonly Batch<S>[]): void {
    this.#redo.lost();
    for (const batch of batches) for (const entry of batch.dirty) this.#cache.drop(entry);
  }

  counters(): Record<string, number> {
    return {
      cache_entries: this.#cache.size,
      cache_hits: this.#hits,
      cache_misses: this.#misses,
      redo_states: this.#redo.states,
      redo_bytes: this.#redo.bytes,
    };
  }

  #alive(entry: CacheEntry<S>, nowMs: number): S | undefined {
    return entry.touchedMs >= nowMs - this.#ttlMs ? entry.state : undefined;
  }

  /** The entity's entry, from the cache or the disk. One without a state isn't put into the cache: it is seldom asked for again. */
  #entry(kind: EntityKind, id: string): CacheEntry<S> {
    const cached = this.#cache.get(kind, id);
    if (cached !== undefined) {
      this.#hits++;
      return cached;
    }
    this.#misses++;
    const place = this.#redo.place(stateKey(kind, id));
    const entry: CacheEntry<S> = { kind, id, place, state: undefined, touchedMs: 0, batch: 0, used: false, newer: undefined, older: undefined };
    const bytes = this.#redo.read(place) ?? this.#disk.get('states', place.key);
    if (bytes === undefined || isErased(bytes)) return entry;
    entry.touchedMs = stateTouchedMs(bytes);
    entry.state = this.#codec.decode(bytes.subarray(STATE_HEADER_BYTES));
    this.#cache.add(entry, this.#durableId());
    return entry;
  }
}

/** What a state's row is known by. */
export function stateKey(kind: EntityKind, id: string): string {
  return `${kind}:${safeKey(id)}`;
}

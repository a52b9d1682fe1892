import type { TimedEvent } from '../../contracts/event.ts';
import { type Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import type { EntityRef, Store } from '../../store/contract.ts';
import { inTime } from '../deadline.ts';
import type { EntityState, FeatureEngine } from '../features/contract.ts';

/** Never read, or changed since. */
const STALE = -1;

/**
 * What the ranker's features need of each item's state, as columns by handle. An item's numbers hold until a window moves on (an hour, by the
 * shipped features) or until an event of the item is told by `touched`, so a request reads the states of a few candidates instead of all.
 * 64 bytes an item by the shipped features.
 */
export class ItemNumbersTable {
  readonly #engine: FeatureEngine;
  readonly #set: string;
  readonly #handles: Handles;
  readonly #count: number;
  readonly #holdMs: number;
  #values = new Float64Array(0);
  /** By handle: the number of the period that the values were read in. */
  #period = new Float64Array(0);
  /** By handle, counts the events: one that comes while states are being read must not be lost. */
  #events = new Uint32Array(0);

  /** Throws `config_invalid` where the set asks for more of an item than numbers. */
  constructor(engine: FeatureEngine, set: string, handles: Handles) {
    const { count, holdMs } = engine.itemNumbers(set);
    this.#engine = engine;
    this.#set = set;
    this.#handles = handles;
    this.#count = count;
    this.#holdMs = holdMs;
  }

  /** By handle, as `CandidateColumns` wants them. Valid until the next `refresh`. */
  get values(): Float64Array {
    return this.#values;
  }

  /** The states of the event's items changed. Call it when the store has the change. */
  touched({ items }: Pick<TimedEvent, 'items'>): void {
    if (!items) return;
    for (const { item_id } of items) {
      const handle = this.#handles.find(item_id);
      if (handle === NO_HANDLE || handle >= this.#period.length) continue;
      this.#period[handle] = STALE;
      this.#events[handle]!++;
    }
  }

  /** Reads the states of those whose numbers no longer hold. Rejects when the store does, or with a LateError. */
  async refresh(store: Pick<Store<EntityState>, 'states'>, handles: Int32Array, count: number, nowMs: number, limitMs: number): Promise<void> {
    const stale = this.#stale(handles, count, nowMs);
    const events = stale.map((handle) => this.#events[handle]!);
    const refs = stale.map((handle): EntityRef => ({ kind: 'item', id: this.#handles.idOf(handle) }));
    const states = await inTime(store.states(refs), limitMs, 'the store');
    for (let i = 0; i < stale.length; i++) this.#put(stale[i]!, states[i], nowMs, this.#events[stale[i]!] === events[i]);
  }

  isFresh(handles: Int32Array, count: number, nowMs: number): boolean {
    const period = Math.floor(nowMs / this.#holdMs);
    for (let i = 0; i < count; i++) if (this.#period[handles[i]!] !== period) return false;
    return true;
  }

  /** As `refresh`, where states are at hand. */
  refreshFrom(stateOf: (itemId: string) => EntityState | undefined, handles: Int32Array, count: number, nowMs: number): void {
    for (const handle of this.#stale(handles, count, nowMs)) this.#put(handle, stateOf(this.#handles.idOf(handle)), nowMs, true);
  }

  #stale(handles: Int32Array, count: number, nowMs: number): number[] {
    if (this.#handles.size > this.#period.length) this.#makeRoom(this.#handles.size - 1);
    const period = Math.floor(nowMs / this.#holdMs);
    const stale: number[] = [];
    for (let i = 0; i < count; i++) if (this.#period[handles[i]!] !== period) stale.push(handles[i]!);
    return stale;
  }

  #put(handle: number, state: EntityState | undefined, nowMs: number, holds: boolean): void {
    this.#engine.readItem(this.#set, state, nowMs, this.#values, handle * this.#count);
    this.#period[handle] = holds ? Math.floor(nowMs / this.#holdMs) : STALE;
  }

  #makeRoom(handle: number): void {
    this.#period = withPlace(this.#period, handle, STALE);
    this.#events = withPlace(this.#events, handle, 0);
    this.#values = withPlace(this.#values, this.#period.length * this.#count - 1, 0);
  }
}

import { type Handles, NO_HANDLE } from '../../contracts/handles.ts';
import type { EntityState, FeatureEngine, HistoryEntry } from '../features/contract.ts';

/** Acts of a user without a session id belong to one visit until they rest this long: GA4's session timeout. */
export const VISIT_GAP_MS = 30 * 60_000;

/** Entries at first; a history's own limit bounds it. */
const ENTRIES_FIRST = 64;

/** A history as columns, the newest first. Made once and loaded for each request. Items that the registry does not know are left out. */
export class TouchedItems {
  readonly #ids: Handles;
  readonly #visit: (entry: HistoryEntry) => void;
  length = 0;
  handles = new Int32Array(ENTRIES_FIRST);
  counts = new Float64Array(ENTRIES_FIRST);
  firstMs = new Float64Array(ENTRIES_FIRST);
  lastMs = new Float64Array(ENTRIES_FIRST);

  constructor(ids: Handles) {
    this.#ids = ids;
    this.#visit = ({ item_id, count, firstMs, lastMs }) => {
      const handle = this.#ids.find(item_id);
      if (handle !== NO_HANDLE) this.#push(handle, count, firstMs, lastMs);
    };
  }

  load(engine: Pick<FeatureEngine, 'eachInHistory'>, state: EntityState | undefined, history: string): void {
    this.length = 0;
    engine.eachInHistory(state, history, this.#visit);
  }

  /** Takes what `history`, the newest first, holds of the visit that goes on at `nowMs`: nothing where its user rests. */
  loadVisit({ length, handles, counts, firstMs, lastMs }: TouchedItems, nowMs: number): void {
    this.length = 0;
    for (let i = 0, nextMs = nowMs; i < length && nextMs - lastMs[i]! < VISIT_GAP_MS; nextMs = lastMs[i++]!)
      this.#push(handles[i]!, counts[i]!, firstMs[i]!, lastMs[i]!);
  }

  #push(handle: number, count: number, firstMs: number, lastMs: number): void {
    if (this.length === this.handles.length) this.#grow();
    this.handles[this.length] = handle;
    this.counts[this.length] = count;
    this.firstMs[this.length] = firstMs;
    this.lastMs[this.length++] = lastMs;
  }

  #grow(): void {
    const { handles, counts, firstMs, lastMs } = this;
    this.handles = new Int32Array(2 * handles.length);
    this.handles.set(handles);
    this.counts = new Float64Array(2 * counts.length);
    this.counts.set(counts);
    this.firstMs = new Float64Array(2 * firstMs.length);
    this.firstMs.set(firstMs);
    this.lastMs = new Float64Array(2 * lastMs.length);
    this.lastMs.set(lastMs);
  }
}

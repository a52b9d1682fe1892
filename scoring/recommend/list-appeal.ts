import type { TimedEvent } from '../../contracts/event.ts';
import { lookedAt } from '../../contracts/examined.ts';
import { type Handles, NO_HANDLE, withPlace } from '../../contracts/handles.ts';
import { PLACEMENTS_MAX } from '../../contracts/placement.ts';
import { ForwardDecay } from './decayed-counts.ts';

/** A fortnight, as for the click rates that exploration plays by: long enough to tell items apart, short enough for a season. */
const HALF_LIFE_MS = 14 * 24 * 3_600_000;
/** An unknown item is believed in as if it had had this many clicks, as many as were to be expected: twenty views where one in twenty is clicked on. */
const PRIOR_CLICKS = 1;
/** The click rate of a placement of which nothing is known yet, counted as that many looks. */
const PRIOR_RATE = 0.05;
const RATE_LOOKS = 100;
/** Placements behind the limit, and lists that name none, are one. */
const OTHERS = '';

interface ListCounts {
  looks: number;
  clicks: number;
}

/**
 * How well items are received where they are seen: their clicks over those that their views let expect. What is popular was mostly shown much; this is
 * what is left of demand without that, so that a ranking can learn from what it tried. From `view_item_list` and `select_item` events of all lists, the
 * shop's own as well, by forward decay.
 *
 * A view lets expect as many clicks as its placement has a look, times how often its place is looked at by the usual guess (`lookedAt`). The curve that a training finds is not used here: the trainer has to see at each moment
 * of the past what the gateway saw then, and no bundle holds the curves of those before it.
 */
export class ListAppeal {
  readonly #handles: Handles;
  /** By handle. */
  #clicked = new Float64Array(0);
  #expected = new Float64Array(0);
  readonly #placements = new Map<string, ListCounts>();
  readonly #decay = new ForwardDecay(HALF_LIFE_MS);

  constructor(handles: Handles) {
    this.#handles = handles;
  }

  /** Views and clicks of ids that are no item yet are not counted. */
  add({ name, placement, items, timestamp_ms }: TimedEvent): void {
    const isView = name === 'view_item_list';
    if (!(isView || name === 'select_item') || items === undefined) return;
    const weight = this.#decay.weightAt(timestamp_ms, (factor) => this.#rescale(factor));
    const list = this.#listOf(placement ?? OTHERS);
    // A shop that tells of clicks and of no views would make appeal of what is popular.
    if (!isView && list.looks === 0) return;
    const age = this.#decay.ageAt(timestamp_ms);
    const rate = (list.clicks * age + RATE_LOOKS * PRIOR_RATE) / (list.looks * age + RATE_LOOKS);
    for (let place = 0; place < items.length; place++) {
      const handle = this.#handles.find(items[place]!.item_id);
      const looks = weight * lookedAt(place);
      if (isView) list.looks += looks;
      else list.clicks += weight;
      if (handle === NO_HANDLE) continue;
      this.#reach(handle);
      if (isView) this.#expected[handle]! += looks * rate;
      else this.#clicked[handle]! += weight;
    }
  }

  /**
   * Tells of the first `count` items: clicks over those to be expected, 1 for an item that nobody has seen, above it for what is liked more than what is
   * shown on average. What was a fortnight ago counts as half.
   */
  tell(handles: Int32Array, count: number, nowMs: number, appeal: Float64Array): void {
    const age = this.#decay.ageAt(nowMs);
    for (let i = 0; i < count; i++) {
      const handle = handles[i]!;
      appeal[i] = ((this.#clicked[handle] ?? 0) * age + PRIOR_CLICKS) / ((this.#expected[handle] ?? 0) * age + PRIOR_CLICKS);
    }
  }

  delete(handle: number): void {
    if (handle >= this.#clicked.length) return;
    this.#clicked[handle] = 0;
    this.#expected[handle] = 0;
  }

  #listOf(placement: string): ListCounts {
    const name = this.#placements.has(placement) || this.#placements.size < PLACEMENTS_MAX ? placement : OTHERS;
    let counts = this.#placements.get(name);
    if (counts === undefined) {
      counts = { looks: 0, clicks: 0 };
      this.#placements.set(name, counts);
    }
    return counts;
  }

  #reach(handle: number): void {
    this.#clicked = withPlace(this.#clicked, handle, 0);
    this.#expected = withPlace(this.#expected, handle, 0);
  }

  #rescale(factor: number): void {
    for (const counts of [this.#clicked, this.#expected]) for (let handle = 0; handle < counts.length; handle++) counts[handle]! *= factor;
    for (const counts of this.#placements.values()) {
      counts.looks *= factor;
      counts.clicks *= factor;
    }
  }
}

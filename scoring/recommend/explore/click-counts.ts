import type { TimedEvent } from '../../../contracts/event.ts';
import { EXAMINED_MIN, type Examined, lookedAt } from '../../../contracts/examined.ts';
import { ForwardDecay } from '../decayed-counts.ts';

/** A fortnight: long enough to tell the click rates of items apart, short enough that a season's favourite is tried anew. */
const HALF_LIFE_MS = 14 * 24 * 3_600_000;
/** Items told apart over all placements, some 40 MB. Past it the half that was shown least is forgotten: what is said of it is closest to saying nothing. */
export const CLICK_ITEMS_MAX = 100_000;
/**
 * An unknown item is believed in as if it had been clicked on once, in as many views as that takes at the placement's own click rate: twenty where one view
 * in twenty is clicked on. Items differ by as much as the rate itself; a prior of a fixed number of views hardly tries anything where clicks are frequent.
 */
const PRIOR_CLICKS = 1;
/** The click rate of a placement of which nothing is known yet, counted as that many views. Lists of shops are clicked on once in twenty to fifty views. */
const PRIOR_RATE = 0.05;
const RATE_SHOWN = 100;
/** Views are counted apart by place up to here, those behind it at the last: what is learned of places goes no deeper. */
const PLACES_MAX = 24;

interface Count {
  /** By place, as long as the lowest one. */
  readonly shown: number[];
  clicked: number;
}

interface PlacementCounts {
  readonly all: Count;
  readonly items: Map<string, Count>;
}

/**
 * Views and clicks of items in the lists of each placement, by forward decay as in `Trending`, from `view_item_list` and `select_item` events that
 * name the placement. A shop that reports no list views leaves every item as unknown as on its first day.
 *
 * A view is worth as much as its place, the item's among those of the event, is looked at: at the end of a list most visitors never saw what they did not
 * click on. Where nothing is known of the placement's places they are taken to be looked at by 1 / place. What is known comes with a bundle, after the
 * views, so they are weighed when they are asked for.
 */
export class ClickCounts {
  #placements: ReadonlyMap<string, PlacementCounts> = new Map();
  #size = 0;
  readonly #decay = new ForwardDecay(HALF_LIFE_MS);
  #examined: Examined = new Map();

  /** Other placements than these are not counted: events may name any. */
  constructor(placements: Iterable<string>) {
    this.follow(placements);
  }

  /** Counts these placements from now on. What is known of those among them stays, of others it goes. */
  follow(placements: Iterable<string>): void {
    const known = this.#placements;
    this.#placements = new Map([...placements].map((id) => [id, known.get(id) ?? { all: { shown: [], clicked: 0 }, items: new Map() }]));
    this.#size = 0;
    for (const { items } of this.#placements.values()) this.#size += items.size;
  }

  /** How often places are looked at, from now on. */
  weigh(examined: Examined): void {
    this.#examined = examined;
  }

  /** Items that are told apart, once for each placement. */
  get size(): number {
    return this.#size;
  }

  add({ name, placement, items, timestamp_ms }: TimedEvent): void {
    const isView = name === 'view_item_list';
    const counts = placement === undefined ? undefined : this.#placements.get(placement);
    if (!(isView || name === 'select_item') || counts === undefined || items === undefined) return;
    const weight = this.#decay.weightAt(timestamp_ms, (factor) => this.#rescale(factor));
    for (const [n, { item_id }] of items.entries()) {
      let count = counts.items.get(item_id);
      if (count === undefined) {
        count = { shown: [], clicked: 0 };
        counts.items.set(item_id, count);
        this.#size++;
      }
      for (const one of [count, counts.all]) {
        if (isView) show(one, Math.min(n, PLACES_MAX - 1), weight);
        else one.clicked += weight;
      }
    }
    if (this.#size > CLICK_ITEMS_MAX) this.#forget();
  }

  /** The Beta distribution of an item's click rate as of a moment. */
  belief(placement: string, itemId: string, nowMs: number): { readonly a: number; readonly b: number } {
    const counts = this.#placements.get(placement);
    const age = this.#decay.ageAt(nowMs);
    const examined = this.#examined.get(placement);
    const { all, items } = counts ?? { all: NONE, items: undefined };
    const rate = rateOf(looksOf(all, examined) * age, all.clicked * age);
    const count = items?.get(itemId) ?? NONE;
    const clicked = count.clicked * age;
    // Clicks that came without their view count as viewed.
    const missed = Math.max(0, looksOf(count, examined) * age - clicked);
    return { a: PRIOR_CLICKS + clicked, b: PRIOR_CLICKS / rate - PRIOR_CLICKS + missed };
  }

  #rescale(factor: number): void {
    for (const { all, items } of this.#placements.values()) {
      for (const count of [all, ...items.values()]) {
        for (let place = 0; place < count.shown.length; place++) count.shown[place]! *= factor;
        count.clicked *= factor;
      }
    }
  }

  #forget(): void {
    const weights = [...this.#placements.values()].flatMap(({ items }) => [...items.values()].map(weightOf));
    const median = weights.sort((a, b) => a - b)[weights.length >> 1]!;
    for (const { items } of this.#placements.values()) {
      for (const [id, count] of items) {
        // Where most weigh the same, those that came first go.
        if (weightOf(count) > median || this.#size <= CLICK_ITEMS_MAX / 2) continue;
        items.delete(id);
        this.#size--;
      }
    }
  }
}

const NONE: Readonly<Count> = { shown: [], clicked: 0 };

function show({ shown }: Count, place: number, weight: number): void {
  while (shown.length <= place) shown.push(0);
  shown[place]! += weight;
}

/** Views, each as much as its place is looked at; places behind the curve's are looked at like its last. */
function looksOf({ shown }: Readonly<Count>, examined: readonly number[] | undefined): number {
  let looks = 0;
  for (let place = 0; place < shown.length; place++) {
    const share = examined?.[Math.min(place, examined.length - 1)];
    looks += shown[place]! * (share === undefined ? lookedAt(place) : Math.max(EXAMINED_MIN, share));
  }
  return looks;
}

function weightOf({ shown, clicked }: Count): number {
  return shown.reduce((sum, views) => sum + views, clicked);
}

function rateOf(shown: number, clicked: number): number {
  const rate = (clicked + RATE_SHOWN * PRIOR_RATE) / (Math.max(shown, clicked) + RATE_SHOWN);
  // Away from 0 and 1, so that a Beta distribution always is one.
  return Math.min(0.99, Math.max(0.001, rate));
}

import type { TimedEvent } from '../../../contracts/event.ts';
import { ForwardDecay } from '../decayed-counts.ts';

/** A fortnight: long enough to tell the click rates of items apart, short enough that a season's favourite is tried anew. */
const HALF_LIFE_MS = 14 * 24 * 3_600_000;
/** Items told apart over all placements, some 15 MB. Past it the half that was shown least is forgotten: what is said of it is closest to saying nothing. */
export const CLICK_ITEMS_MAX = 100_000;
/** An unknown item is believed in as if it had been shown this often at the placement's own click rate: a few dozen views then outweigh it. */
const PRIOR_SHOWN = 20;
/** The click rate of a placement of which nothing is known yet, counted as that many views. Lists of shops are clicked on once in twenty to fifty views. */
const PRIOR_RATE = 0.05;
const RATE_SHOWN = 100;

interface Count {
  shown: number;
  clicked: number;
}

interface PlacementCounts {
  readonly all: Count;
  readonly items: Map<string, Count>;
}

/**
 * Views and clicks of items in the lists of each placement, by forward decay as in `Trending`, from `view_item_list` and `select_item` events that
 * name the placement. A shop that reports no list views leaves every item as unknown as on its first day.
 */
export class ClickCounts {
  #placements: ReadonlyMap<string, PlacementCounts> = new Map();
  #size = 0;
  readonly #decay = new ForwardDecay(HALF_LIFE_MS);

  /** Other placements than these are not counted: events may name any. */
  constructor(placements: Iterable<string>) {
    this.follow(placements);
  }

  /** Counts these placements from now on. What is known of those among them stays, of others it goes. */
  follow(placements: Iterable<string>): void {
    const known = this.#placements;
    this.#placements = new Map([...placements].map((id) => [id, known.get(id) ?? { all: { shown: 0, clicked: 0 }, items: new Map() }]));
    this.#size = 0;
    for (const { items } of this.#placements.values()) this.#size += items.size;
  }

  /** Items that are told apart, once for each placement. */
  get size(): number {
    return this.#size;
  }

  add({ name, placement, items, timestamp_ms }: TimedEvent): void {
    const field = name === 'view_item_list' ? 'shown' : name === 'select_item' ? 'clicked' : undefined;
    const counts = placement === undefined ? undefined : this.#placements.get(placement);
    if (field === undefined || counts === undefined || items === undefined) return;
    const weight = this.#decay.weightAt(timestamp_ms, (factor) => this.#rescale(factor));
    for (const { item_id } of items) {
      let count = counts.items.get(item_id);
      if (count === undefined) {
        count = { shown: 0, clicked: 0 };
        counts.items.set(item_id, count);
        this.#size++;
      }
      count[field] += weight;
      counts.all[field] += weight;
    }
    if (this.#size > CLICK_ITEMS_MAX) this.#forget();
  }

  /** The Beta distribution of an item's click rate as of a moment. */
  belief(placement: string, itemId: string, nowMs: number): { readonly a: number; readonly b: number } {
    const counts = this.#placements.get(placement);
    const age = this.#decay.ageAt(nowMs);
    const rate = rateOf(counts?.all ?? NONE, age);
    const { shown, clicked } = counts?.items.get(itemId) ?? NONE;
    // Clicks that came without their view count as viewed.
    const missed = Math.max(0, shown - clicked) * age;
    return { a: PRIOR_SHOWN * rate + clicked * age, b: PRIOR_SHOWN * (1 - rate) + missed };
  }

  #rescale(factor: number): void {
    for (const { all, items } of this.#placements.values()) {
      for (const count of [all, ...items.values()]) {
        count.shown *= factor;
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

const NONE: Readonly<Count> = { shown: 0, clicked: 0 };

function weightOf({ shown, clicked }: Count): number {
  return shown + clicked;
}

function rateOf({ shown, clicked }: Readonly<Count>, age: number): number {
  const rate = (clicked * age + RATE_SHOWN * PRIOR_RATE) / (Math.max(shown, clicked) * age + RATE_SHOWN);
  // Away from 0 and 1, so that a Beta distribution always is one.
  return Math.min(0.99, Math.max(0.001, rate));
}

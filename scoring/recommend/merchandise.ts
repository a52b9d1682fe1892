import type { Item } from '../../contracts/item.ts';
import { type Boost, type Cap, holdsAt, type Objective, type Period, type Slot } from '../../contracts/merchandising.ts';
import type { CandidateSource } from '../../contracts/recommend.ts';
import { type FieldValue, itemTest, readerOf } from './item-field.ts';
import type { Placement } from './placements.ts';

const DAY_MS = 86_400_000;
/** A month: an assortment's news are its weeks, and a season later an item is nothing new. */
const FRESHNESS_HALF_LIFE_DAYS = 30;

/** What a placement wishes, with its filters ready to be asked. Made once for each placement. */
interface Wishes {
  readonly boosts: readonly { readonly period: Period; readonly fits: (item: Item) => boolean; readonly weight: number }[];
  readonly slots: readonly { readonly share: number; readonly source: Slot['source']; readonly fits: (item: Item) => boolean }[];
  readonly caps: readonly { readonly field: string; readonly read: (item: Item) => FieldValue | undefined; readonly max: number }[];
}

const wishes = new WeakMap<Placement, Wishes>();

function wishesOf(placement: Placement): Wishes {
  const known = wishes.get(placement);
  if (known) return known;
  const made: Wishes = {
    boosts: (placement.boosts ?? []).map((boost: Boost) => ({ period: boost, fits: itemTest(boost.filter), weight: boost.weight })),
    slots: (placement.slots ?? []).map(({ share, source, filter }) => ({ share, source, fits: itemTest(filter ?? []) })),
    caps: (placement.caps ?? []).map(({ field, max }: Cap) => ({ field, read: readerOf(field), max })),
  };
  wishes.set(placement, made);
  return made;
}

/** What the wishes ask of candidates, by position. */
export interface WishedFor {
  item(position: number): Item | undefined;
  isFrom(position: number, source: CandidateSource): boolean;
}

/** Candidates whose scores are weighed against other aims. */
export interface Weighable {
  readonly count: number;
  /** The model's, by position. */
  readonly scores: ArrayLike<number>;
  item(position: number): Item | undefined;
  createdMs(position: number): number;
  /** 0 to 1. */
  popularity(position: number): number;
}

export interface Adjustment {
  readonly name: Objective | 'boost';
  readonly amount: number;
}

/** What an answer's scores are made of. */
export interface Weighing {
  /** What is added up for a position. */
  of(position: number): Adjustment[];
  /** What a score of the model that is higher by 1 adds. */
  readonly perScore: number;
}

/** The scores of an answer by its placement's objectives and boosts; undefined where it has none, and the model's own stand. */
export function objectivesOf(placement: Placement, candidates: Weighable, nowMs: number): Weighing | undefined {
  const boosts = wishesOf(placement).boosts.filter(({ period }) => holdsAt(period, nowMs));
  const { objectives } = placement;
  if (boosts.length === 0 && objectives === undefined) return undefined;
  const { count, scores } = candidates;
  let worst = Number.POSITIVE_INFINITY;
  let best = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    worst = Math.min(worst, scores[i]!);
    best = Math.max(best, scores[i]!);
  }
  const span = best > worst ? best - worst : 1;
  const { relevance = 1, margin = 0, freshness = 0, popularity = 0 } = objectives ?? {};
  const of = (position: number): Adjustment[] => {
    const item = candidates.item(position);
    const made: Adjustment[] = [{ name: 'relevance', amount: relevance * ((scores[position]! - worst) / span) }];
    const add = (name: Adjustment['name'], amount: number): void => {
      if (amount !== 0) made.push({ name, amount });
    };
    if (margin !== 0) add('margin', margin * marginOf(item));
    if (freshness !== 0) add('freshness', freshness * freshnessOf(candidates.createdMs(position), nowMs));
    if (popularity !== 0) add('popularity', popularity * candidates.popularity(position));
    for (const { fits, weight } of boosts) if (item && fits(item)) add('boost', weight);
    return made;
  };
  return { of, perScore: relevance / span };
}

export function sumOf(adjustments: readonly Adjustment[]): number {
  return adjustments.reduce((sum, { amount }) => sum + amount, 0);
}

function marginOf(item: Item | undefined): number {
  const margin = item?.attributes?.['margin'];
  return typeof margin === 'number' ? Math.min(1, Math.max(0, margin)) : 0;
}

function freshnessOf(createdMs: number, nowMs: number): number {
  return createdMs > 0 ? 2 ** (-Math.max(0, nowMs - createdMs) / (FRESHNESS_HALF_LIFE_DAYS * DAY_MS)) : 0;
}

/** How many more items of each value an answer may have. */
export interface CapCounts {
  /** The field whose cap is reached for the item; undefined where it may be shown. */
  full(item: Item | undefined): string | undefined;
  take(item: Item | undefined): void;
  release(item: Item | undefined): void;
}

const UNCAPPED: CapCounts = { full: () => undefined, take() {}, release() {} };

export function capsOf(placement: Placement): CapCounts {
  const { caps } = wishesOf(placement);
  if (caps.length === 0) return UNCAPPED;
  const counts = caps.map(() => new Map<FieldValue, number>());
  const count = (item: Item | undefined, by: number): void => {
    for (const [n, { read }] of caps.entries()) {
      const value = item && read(item);
      if (value !== undefined) counts[n]!.set(value, (counts[n]!.get(value) ?? 0) + by);
    }
  };
  return {
    full(item) {
      if (item === undefined) return undefined;
      for (const [n, { field, read, max }] of caps.entries()) {
        const value = read(item);
        if (value !== undefined && (counts[n]!.get(value) ?? 0) >= max) return field;
      }
      return undefined;
    },
    take: (item) => count(item, 1),
    release: (item) => count(item, -1),
  };
}

/** The places that shares of the placement keep, each with what may stand there. */
export function slotsOf(
  placement: Placement,
  places: number,
  candidates: WishedFor,
): readonly { readonly places: number; fits(position: number): boolean }[] {
  return wishesOf(placement).slots.map(({ share, source, fits }) => ({
    places: Math.round(share * places),
    fits(position) {
      if (source !== undefined) return candidates.isFrom(position, source);
      const item = candidates.item(position);
      return item !== undefined && fits(item);
    },
  }));
}

/** Item ids by their place from 0; of two pins of one place, or of one item, the first counts. */
export function pinsAt(placement: Placement, nowMs: number): ReadonlyMap<number, string> {
  const pinned = new Map<number, string>();
  const items = new Set<string>();
  for (const pin of placement.pins ?? []) {
    if (!holdsAt(pin, nowMs) || pinned.has(pin.position - 1) || items.has(pin.item_id)) continue;
    pinned.set(pin.position - 1, pin.item_id);
    items.add(pin.item_id);
  }
  return pinned;
}

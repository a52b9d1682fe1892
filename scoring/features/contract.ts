import type { EventName, TimedEvent } from '../../contracts/event.ts';
import type { EntityKind, EntityRef, StateCodec } from '../../store/contract.ts';

/** Sliding windows. Each is counted in tiles: the current, partly filled one and the full ones before it (tiles.ts draws it and says how fine). */
export const WINDOWS = ['1m', '10m', '1h', '24h', '7d', '14d', '30d', '90d'] as const;
export type Window = (typeof WINDOWS)[number];

/**
 * Numbers that an event, or an item of an event, carries. `amount` is the event's `value`, or price x quantity over its items; for an item
 * entity always its own price x quantity. `price` and `quantity` give one number an item of the event; a price that is not in the event comes
 * from the catalogue. `is_fraud` is 1 or 0 and missing where the event does not say. `carried` is what the event took along (`Carried`). Values are rounded to
 * 1e-4, so that sums don't depend on order.
 */
export type NumericField = 'amount' | 'price' | 'quantity' | 'rating' | 'is_fraud' | 'carried';
/**
 * Ids whose distinct number or share can be asked for. `category` and `brand` come from the catalogue at the time of the event; `day_part` is one of
 * four (night or day, weekday or weekend, UTC), so that its share is a habit.
 */
export type KeyField =
  | 'user_id'
  | 'session_id'
  | 'item_id'
  | 'card_id'
  | 'device_id'
  | 'ip'
  | 'address_id'
  | 'merchant_id'
  | 'email_domain'
  | 'payment_method'
  | 'currency'
  | 'country'
  | 'day_part'
  | 'category'
  | 'brand';

/** Fields of a payment that say in which country it is: a payment whose own disagree is worth a look. */
export type PlaceField = 'country' | 'billing_country' | 'shipping_country' | 'ip_country';

/**
 * What is taken of the newest values of a `recent` feature, the subject's own left out. `sd` and `mad` are the standard deviation (of the values, not
 * of a sample) and the median distance from the median. The `above_` ones look at values over the feature's threshold: how many there are, their
 * share since the first of them, seconds since that first one, how many the newest unbroken run of them has, seconds since that run began, and how
 * many values came after the newest of them.
 */
export type RecentStatistic =
  | 'count'
  | 'mean'
  | 'sd'
  | 'median'
  | 'mad'
  | 'min'
  | 'max'
  | 'above_count'
  | 'above_rate'
  | 'above_first'
  | 'above_run'
  | 'above_run_start'
  | 'below_run';

/** A number, or `times` (value of a feature declared before + `plus`). */
export type Threshold = number | { readonly times: number; readonly feature: string; readonly plus: number };

/** Which events a feature counts. A chargeback without `is_fraud` counts as fraud. Labels count at their own time: when they arrived. */
export interface EventFilter {
  readonly events: readonly EventName[];
  readonly where?: { readonly field: 'is_fraud'; readonly equals: boolean };
}

/**
 * One number of a vector. `text` is the sentence shown to a person, with `{value}` in it.
 * Missing is NaN: no state, an empty window for mean/min/max/last, a zero denominator. An event later than `nowMs` is not counted until its
 * tile is reached.
 */
export type Feature = { readonly name: string; readonly text: string } & (
  | ({ readonly aggregate: 'count'; readonly entity: EntityKind; readonly window: Window } & EventFilter)
  | ({
      readonly aggregate: 'sum' | 'mean' | 'min' | 'max';
      readonly entity: EntityKind;
      readonly window: Window;
      readonly of: NumericField;
    } & EventFilter)
  /** Distinct values last seen within the window, exact to the millisecond; at most 64 are told apart (then the value is 64). */
  | ({ readonly aggregate: 'distinct'; readonly entity: EntityKind; readonly window: Window; readonly of: KeyField } & EventFilter)
  /** The value of the newest such event that is not later than `nowMs` and not the subject's own. */
  | ({ readonly aggregate: 'last'; readonly entity: EntityKind; readonly of: NumericField } & EventFilter)
  /** Seconds since the first or the last such event; the subject's own event is not its own predecessor (`last` passes over it). */
  | ({ readonly aggregate: 'time_since'; readonly entity: EntityKind; readonly edge: 'first' | 'last' } & EventFilter)
  /**
   * Share (0..1) of the entity's latest 50 sightings of `of` that equal the subject's: `category` and `brand` of the candidate item, anything
   * else of the subject's event. Missing where the subject has none or nothing was seen.
   */
  | ({ readonly aggregate: 'share'; readonly entity: EntityKind; readonly of: KeyField } & EventFilter)
  /**
   * A statistic of the newest `last` values of `of`, or of those among them within the window (exact to the millisecond). Missing where there is
   * nothing to take it of; counts are then 0.
   */
  | ({
      readonly aggregate: 'recent';
      readonly entity: EntityKind;
      readonly of: NumericField;
      readonly statistic: RecentStatistic;
      readonly last: number;
      readonly window?: Window;
      readonly above?: Threshold;
    } & EventFilter)
  /** numerator / (denominator + plus), of features of the same set, declared before. */
  | { readonly aggregate: 'ratio'; readonly numerator: string; readonly denominator: string; readonly plus?: number }
  /** (value - center) / (scale + plus), of features of the same set, declared before. */
  | { readonly aggregate: 'zscore'; readonly value: string; readonly center: string; readonly scale: string; readonly plus: number }
  /** 1 where two places of the subject's event differ, 0 where they are the same; missing where it does not say both. */
  | { readonly aggregate: 'differs'; readonly left: PlaceField; readonly right: PlaceField }
  /** A number of the subject itself: the request's event, the candidate item, or the clock (UTC; weekday 0 is Monday, night is before 7). */
  | {
      readonly aggregate: 'subject';
      readonly field: 'amount' | 'hour' | 'weekday' | 'is_night' | 'is_weekend' | 'item_price' | 'item_age_days' | 'item_stock';
    }
  /** A number that the caller hands in by name, such as a candidate source's score. */
  | { readonly aggregate: 'context'; readonly key: string }
);

/**
 * A bounded list of what an entity touched last, distinct by item, for candidates and fold-in. Names are unique within an entity kind.
 * An item that had to leave a full list and comes back starts anew.
 */
export interface History extends EventFilter {
  readonly name: string;
  readonly entity: EntityKind;
  readonly itemsMax: number;
}

export interface HistoryEntry {
  readonly item_id: string;
  /** How many such events, and how many units in all. */
  readonly count: number;
  readonly quantity: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/**
 * What such events take along as the number `carried`: the value that a feature of a set has for them when they arrive, before they count. So the state of one
 * entity can count what that of another said: a merchant's, whether the payers of its frauds had been paying unlike themselves. The fact keeps the number, so
 * that a replay counts the same one.
 */
export interface Carried extends EventFilter {
  readonly set: string;
  readonly feature: string;
}

/** Everything the engine computes. Plain JSON, so that it can stand in a file and in a bundle's manifest. */
export interface FeatureDeclarations {
  readonly version: number;
  readonly histories: readonly History[];
  readonly carried?: Carried;
  /** Named vectors; a model names one. */
  readonly sets: Readonly<Record<string, readonly Feature[]>>;
}

/** What the engine needs to know of an item. */
export interface ItemFacts {
  readonly category?: string | undefined;
  readonly brand?: string | undefined;
  readonly price?: number | undefined;
  readonly stock?: number | undefined;
  readonly created_ms?: number | undefined;
}
export type ItemLookup = (itemId: string) => ItemFacts | undefined;

/** State of one entity. Opaque: only the engine reads or changes it. Bounded whatever the traffic. It does not name its entity: the key does. */
export interface EntityState {
  readonly kind: EntityKind;
}

/** What a vector is about, at `nowMs`. The states already include the subject's own event where that is wanted (a score does). */
export interface Subject {
  readonly nowMs: number;
  readonly states: Readonly<Partial<Record<EntityKind, EntityState | undefined>>>;
  readonly event?: TimedEvent | undefined;
}

/** A candidate row: the item, its state, and the context values in the order of `contextKeys(set)`. */
export interface Candidate {
  readonly item: ItemFacts | undefined;
  readonly state: EntityState | undefined;
  readonly context: ArrayLike<number>;
}

/** Where the facts of an item stand among its `width` numbers. Keys are hashes of the names (hash53). */
export const FACTS = { price: 0, stock: 1, createdMs: 2, categoryKey: 3, brandKey: 4, width: 5 } as const;

/** What the engine needs to know of items that have handles. */
export interface CandidateFacts {
  /** FACTS.width numbers an item, by handle; NaN where an item does not say. */
  readonly facts: Float64Array;
}

/** One request's candidates as columns: the first `count` of each. */
export interface CandidateColumns {
  readonly count: number;
  readonly handles: Int32Array;
  readonly items: CandidateFacts;
  /** In the order of `contextKeys(set)`. */
  readonly context: readonly Float64Array[];
  /** What `readItem` gave of each item, by handle, `itemNumbers(set).count` numbers each. */
  readonly itemNumbers: Float64Array;
}

/** How many numbers of an item's state a set needs, and for how long they hold: until the next multiple of `holdMs`, or until the item's next event. */
export interface ItemNumbers {
  readonly count: number;
  readonly holdMs: number;
}

/**
 * The feature engine: pure code, the same online and in replay. `(state, event) -> state`, `(state, now) -> vector`.
 * It reads no clock and keeps nothing between calls.
 */
export interface FeatureEngine {
  readonly declarations: FeatureDeclarations;
  readonly codec: StateCodec<EntityState>;
  /** Names of a set's features in vector order. Throws `bundle_incompatible` on an unknown set. */
  names(set: string): readonly string[];
  contextKeys(set: string): readonly string[];
  /** sha256 over everything that decides a set's values: engine version, windows, the set's features in order; sentences are left out. */
  hash(set: string): string;
  /** The sentence for a feature's value. */
  explain(set: string, index: number, value: number): string;
  /** The entities whose state this event changes, without duplicates, in a fixed order (items of the event last). None for an event that nothing counts. */
  entities(event: TimedEvent): EntityRef[];
  /** The entities of whose states `carry` reads what this event takes along; none for an event that takes nothing. */
  carriers(event: TimedEvent): EntityRef[];
  /** The event as the journal keeps it, with what it takes along of these states, in the order of `carriers`. */
  carry(event: TimedEvent, states: readonly (EntityState | undefined)[]): TimedEvent;
  /**
   * Brings a state forward, in place where it can; an event older than the widest window changes nothing but first/last times. States depend
   * on the set of events and not on their order (but for counts in overfull histories). The caller sees to it that an event comes once.
   */
  apply(ref: EntityRef, state: EntityState | undefined, event: TimedEvent, items: ItemLookup): EntityState;
  /** Writes one row of `names(set).length` float32 values into `out` at `offset`. Never changes a state. */
  vector(set: string, subject: Subject, context: ArrayLike<number>, out: Float32Array, offset: number): void;
  /** Writes one row a candidate; what does not depend on the candidate is computed once. */
  vectors(set: string, subject: Subject, candidates: readonly Candidate[], out: Float32Array): void;
  /** What `rows` needs of an item's state. Throws `config_invalid` where the set asks for more than numbers (a share of the item's own list). */
  itemNumbers(set: string): ItemNumbers;
  /** Writes these numbers, as of `nowMs`, into `out` at `offset`. */
  readItem(set: string, state: EntityState | undefined, nowMs: number, out: Float64Array, offset: number): void;
  /** As `vectors`, value for value, for candidates that are kept as columns. */
  rows(set: string, subject: Subject, candidates: CandidateColumns, out: Float32Array): void;
  /** The same numbers by column, as rankers take them: feature f of candidate c at f * count + c. */
  columns(set: string, subject: Subject, candidates: CandidateColumns, out: Float32Array): void;
  /** Calls `visit` with each entry of a history, newest first, ties by item id. The entry may change after the next event. */
  eachInHistory(state: EntityState | undefined, name: string, visit: (entry: HistoryEntry) => void): void;
  /** Newest first, ties by item id; empty where there is no such history. A copy. */
  history(state: EntityState | undefined, name: string): readonly HistoryEntry[];
}

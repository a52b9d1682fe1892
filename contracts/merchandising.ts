import Type, { type Static } from 'typebox';
import { Id, TimestampMs } from './event.ts';
import { Filter } from './filter.ts';
import { CANDIDATE_SOURCES, RECOMMEND_LIMIT_MAX } from './recommend.ts';

const strict = { additionalProperties: false };

/** Each is looked at for every candidate of every answer: past this a merchandiser means a filter, or a list. */
const WISHES_MAX = 20;
/** An attribute that is a text or a flag, category or brand: what a cap counts by. */
const GROUP_FIELD = '^(category|brand|attributes\\.[a-z][a-z0-9_]{0,63})$';

/** From when until when a wish holds; absent: always. `until_ms` is the first moment at which it holds no more. */
const PERIOD = { from_ms: Type.Optional(TimestampMs), until_ms: Type.Optional(TimestampMs) };
export interface Period {
  readonly from_ms?: number;
  readonly until_ms?: number;
}

export function holdsAt({ from_ms = Number.NEGATIVE_INFINITY, until_ms = Number.POSITIVE_INFINITY }: Period, nowMs: number): boolean {
  return from_ms <= nowMs && nowMs < until_ms;
}

/** An item at a place, whatever its score, as long as it may be shown at all: a pinned item that is sold out, filtered or hidden gives its place up. */
export const Pin = Type.Object(
  { item_id: Id, position: Type.Integer({ minimum: 1, maximum: RECOMMEND_LIMIT_MAX, description: 'From 1.' }), ...PERIOD },
  strict,
);
export type Pin = Static<typeof Pin>;
export const Pins = Type.Array(Pin, { maxItems: WISHES_MAX });

/** Raises (or, below 0, lowers) what fits the filter. 1 is the distance between the best and the worst candidate of the answer. */
export const Boost = Type.Object({ filter: Filter, weight: Type.Number({ minimum: -1, maximum: 1 }), ...PERIOD }, strict);
export type Boost = Static<typeof Boost>;
export const Boosts = Type.Array(Boost, { maxItems: WISHES_MAX });

/** A share of the places that goes to items of a source, or to those that fit a filter, where there are as many. Exactly one of the two is given. */
export const Slot = Type.Object(
  {
    share: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
    source: Type.Optional(Type.Enum(CANDIDATE_SOURCES.filter((source) => source !== 'fallback'))),
    filter: Type.Optional(Filter),
  },
  strict,
);
export type Slot = Static<typeof Slot>;
export const Slots = Type.Array(Slot, { maxItems: WISHES_MAX });

/** At most so many items with the same value of the field in one answer. Items without the value are not counted. Pinned items are, and stay. */
export const Cap = Type.Object(
  { field: Type.String({ pattern: GROUP_FIELD }), max: Type.Integer({ minimum: 1, maximum: RECOMMEND_LIMIT_MAX }) },
  strict,
);
export type Cap = Static<typeof Cap>;
export const Caps = Type.Array(Cap, { maxItems: WISHES_MAX });

const Weight = Type.Number({ minimum: -10, maximum: 10 });
export const OBJECTIVES = ['relevance', 'margin', 'freshness', 'popularity'] as const;
export type Objective = (typeof OBJECTIVES)[number];
/**
 * What an answer is ordered by, as weights of numbers between 0 and 1: `relevance` is the model's score between the worst and the best candidate (weight 1
 * where it is left out), `margin` the attribute of that name, a share of the price, `freshness` halves every 30 days after `created_ms`, `popularity` is
 * the item's demand over that of the most wanted one. What an item does not say counts as 0.
 */
export const Objectives = Type.Object(
  {
    relevance: Type.Optional(Type.Number({ minimum: 0, maximum: 10 })),
    margin: Type.Optional(Weight),
    freshness: Type.Optional(Weight),
    popularity: Type.Optional(Weight),
  },
  strict,
);
export type Objectives = Static<typeof Objectives>;

/** Ids of a list with their quotes pass the 64 KiB of a control request at some 480. */
export const EDITORIAL_ITEMS_MAX = 400;
/** What editors chose, in their order: a candidate source of the placements that it names. */
export const EditorialListRequest = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 200 }),
    placements: Type.Array(Id, { minItems: 1, maxItems: 100 }),
    item_ids: Type.Array(Id, { maxItems: EDITORIAL_ITEMS_MAX }),
    ...PERIOD,
  },
  strict,
);
export type EditorialListRequest = Static<typeof EditorialListRequest>;
export const EditorialList = Type.Object(
  { list_id: Id, ...EditorialListRequest.properties, updated_ms: TimestampMs, updated_by: Type.String() },
  strict,
);
export type EditorialList = Static<typeof EditorialList>;
/** In the order of their ids. */
export const EditorialListsResponse = Type.Object({ lists: Type.Array(EditorialList) }, strict);
export type EditorialListsResponse = Static<typeof EditorialListsResponse>;

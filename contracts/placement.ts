import Type, { type Static } from 'typebox';
import { Id, TimestampMs } from './event.ts';
import { Exploration } from './exploration.ts';
import { Filter } from './filter.ts';
import { Boosts, Caps, Objectives, Pins, Slots } from './merchandising.ts';
import { CANDIDATE_SOURCES, type CandidateSource, RECOMMEND_LIMIT_MAX } from './recommend.ts';

const strict = { additionalProperties: false };
/** In the settings' file and changed live together: each is looked at by nobody but its page, and a shop with more has forgotten some. */
export const PLACEMENTS_MAX = 100;
const Cap = Type.Integer({ minimum: 0, maximum: 500 });
const isSource = (source: CandidateSource): source is Exclude<CandidateSource, 'fallback' | 'pinned'> => source !== 'fallback' && source !== 'pinned';

/** A named slot of a page: which sources may fill it and what is kept out. */
export const Placement = Type.Object(
  {
    id: Id,
    limit: Type.Integer({ minimum: 1, maximum: RECOMMEND_LIMIT_MAX }),
    sources: Type.Object(
      {
        user_vector: Cap,
        item_to_item: Cap,
        buy_again: Cap,
        popular: Cap,
        new: Cap,
        look_alike: Type.Optional(Cap),
        linear: Type.Optional(Cap),
        session_neighbours: Type.Optional(Cap),
        next_item: Type.Optional(Cap),
        content: Type.Optional(Cap),
        editorial: Type.Optional(Cap),
      },
      strict,
    ),
    /** Milliseconds that a source may take to prepare its answer, at most what is left of the answer's own time. One that is late is left out, and the answer says so. */
    source_deadlines_ms: Type.Optional(
      Type.Partial(Type.Record(Type.Enum(CANDIDATE_SOURCES.filter(isSource)), Type.Number({ minimum: 1, maximum: 1000 }))),
    ),
    /** What every item of this slot must fulfil. */
    filter: Type.Optional(Filter),
    /** What the conditions of a filter cannot say: CEL over `item`. Asked when an item changes. */
    when: Type.Optional(Type.String({ minLength: 1, maxLength: 4000 })),
    /** Items bought within this many days are left out; 0 lets them in (a wholesaler's customers buy again). */
    suppress_purchased_days: Type.Integer({ minimum: 0, maximum: 3650 }),
    /** Items looked at within this many hours, by the user or in this visit, are left out. Not where nothing is said. */
    suppress_viewed_hours: Type.Optional(Type.Number({ minimum: 0, maximum: 24 * 365 })),
    /** For how long `hide_item` keeps an item away from who hid it; HIDE_DAYS where nothing is said. */
    hide_days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })),
    /** Share of the answer kept for items that are newer than `new_days`, so that a new item is seen at all. */
    new_share: Type.Number({ minimum: 0, maximum: 0.5 }),
    new_days: Type.Integer({ minimum: 0, maximum: 365 }),
    /** From 1: where the places of the kept share begin. What would stand lower is moved up to them; they are the last ones where nothing is said. */
    new_place: Type.Optional(Type.Integer({ minimum: 1, maximum: RECOMMEND_LIMIT_MAX })),
    /** The lambda of maximal marginal relevance: 0 ranks by score alone; 1 puts variety above everything. */
    diversity: Type.Number({ minimum: 0, maximum: 1 }),
    /** Variety of categories, unless said otherwise, or of the bundle's item vectors. An item without a vector is compared by its category. */
    diversity_by: Type.Optional(Type.Enum(['category', 'vector'])),
    pins: Type.Optional(Pins),
    boosts: Type.Optional(Boosts),
    slots: Type.Optional(Slots),
    caps: Type.Optional(Caps),
    objectives: Type.Optional(Objectives),
    /** What is tried out, and how. Nothing unless said. */
    exploration: Type.Optional(Exploration),
  },
  strict,
);
export type Placement = Static<typeof Placement>;

const { id: _, ...fields } = Placement.properties;
/** A placement without its id, which is the address's. */
export const PlacementRequest = Type.Object(fields, strict);
export type PlacementRequest = Static<typeof PlacementRequest>;

/** A placement in force, and where it comes from: the settings (the file, or what ships with the gateway), or a change while the gateway ran. */
export const PlacementEntry = Type.Object(
  {
    placement: Placement,
    origin: Type.Enum(['settings', 'live']),
    /** Of a live one. */
    updated_ms: Type.Optional(TimestampMs),
    updated_by: Type.Optional(Type.String()),
  },
  strict,
);
export type PlacementEntry = Static<typeof PlacementEntry>;
/** Those of the settings in their order, then the others in the order of their ids. */
export const PlacementsResponse = Type.Object({ placements: Type.Array(PlacementEntry) }, strict);
export type PlacementsResponse = Static<typeof PlacementsResponse>;

import Type, { type Static } from 'typebox';
import { Country, Id } from './event.ts';
import { Filter } from './filter.ts';

export const RECOMMEND_LIMIT_MAX = 100;
/** An act on an item is a recommendation's if it was shown to the visitor this long before, where no `recommendation_id` says whose it is. */
export const ATTRIBUTION_MS = 24 * 3_600_000;

/** Who asks, from which page. An unknown user or session is a cold one, never an error. */
export const RecommendRequest = Type.Object(
  {
    placement: Type.Optional(Id),
    user_id: Type.Optional(Id),
    session_id: Type.Optional(Id),
    /** The item on the page (`product` placement), in the cart, and so on: the context that item-to-item starts from. */
    item_id: Type.Optional(Id),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: RECOMMEND_LIMIT_MAX })),
    country: Type.Optional(Country),
    category: Type.Optional(Type.String({ maxLength: 100 })),
    /** On top of the placement's own. */
    filter: Type.Optional(Filter),
    exclude: Type.Optional(Type.Array(Id, { maxItems: 500 })),
    /** Say of each item what every feature added to its score. For a secret key: it tells what the shopper did. */
    explain: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type RecommendRequest = Static<typeof RecommendRequest>;

/** More slots than a page has; each costs as much as a request of its own. */
export const PAGE_PLACEMENTS_MAX = 10;
const { placement, item_id, limit, category, filter, ...ofVisitor } = RecommendRequest.properties;
/** Several placements of one page, in the order in which they choose: what one shows, those behind it leave out. */
export const RecommendPageRequest = Type.Object(
  {
    ...ofVisitor,
    placements: Type.Array(Type.Object({ placement: Id, item_id, limit, category, filter }, { additionalProperties: false }), {
      minItems: 1,
      maxItems: PAGE_PLACEMENTS_MAX,
    }),
  },
  { additionalProperties: false },
);
export type RecommendPageRequest = Static<typeof RecommendPageRequest>;

/** Where a candidate came from. `ranked` items may have several; the first is the strongest. */
export const CANDIDATE_SOURCES = [
  'user_vector',
  'item_to_item',
  'buy_again',
  'popular',
  'new',
  'look_alike',
  'linear',
  'session_neighbours',
  'next_item',
  'content',
  'editorial',
  'pinned',
  'fallback',
] as const;
export type CandidateSource = (typeof CANDIDATE_SOURCES)[number];

/** What one feature, or one source where no model ranked, added to an item's score. */
export const RankContribution = Type.Object(
  {
    feature: Type.String(),
    /** Null: not known. */
    value: Type.Union([Type.Number(), Type.Null()]),
    text: Type.String(),
    contribution: Type.Number(),
  },
  { additionalProperties: false },
);
export type RankContribution = Static<typeof RankContribution>;

/**
 * Why an item has its score. `model_score` is what the ranker gave, or the blend of the sources; without boosts and objectives it is the item's score. It is
 * `base` and all contributions together: exact Shapley values of the ranker's trees, or the terms of the blend.
 */
export const ItemExplanation = Type.Object(
  {
    by: Type.Enum(['ranker', 'blend']),
    model_score: Type.Number(),
    /** Absent, as are contributions, where the ranker has no trees to tell it by. */
    base: Type.Optional(Type.Number()),
    /** Those that are not 0, the strongest first. */
    contributions: Type.Optional(Type.Array(RankContribution)),
    /** What the placement's objectives and boosts made of the score: together they are the item's score. */
    adjustments: Type.Optional(
      Type.Array(
        Type.Object(
          { name: Type.Enum(['relevance', 'margin', 'freshness', 'popularity', 'boost']), amount: Type.Number() },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  { additionalProperties: false },
);
export type ItemExplanation = Static<typeof ItemExplanation>;

export const RecommendedItem = Type.Object(
  {
    item_id: Id,
    score: Type.Number(),
    sources: Type.Array(Type.Enum([...CANDIDATE_SOURCES])),
    /** A sentence for the shopper, such as "because you viewed X". */
    reason: Type.String(),
    /** Only where the request asked to explain, and the item was ranked: `fallback` items are not. */
    explanation: Type.Optional(ItemExplanation),
  },
  { additionalProperties: false },
);
export type RecommendedItem = Static<typeof RecommendedItem>;

export const RecommendResponse = Type.Object(
  {
    recommendation_id: Id,
    placement: Id,
    items: Type.Array(RecommendedItem, { maxItems: RECOMMEND_LIMIT_MAX }),
    bundle: Type.Union([Type.String(), Type.Null()]),
    /** The experiment that runs on the placement, and what the visitor gets of it. */
    experiment: Type.Optional(Type.Object({ experiment_id: Id, variant: Type.String() }, { additionalProperties: false })),
    /** True when a model or source was missing or late and a declared fallback answered. */
    degraded: Type.Boolean(),
    degraded_by: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);
export type RecommendResponse = Static<typeof RecommendResponse>;

/** An answer a placement, in the order of the request. */
export const RecommendPageResponse = Type.Object(
  { answers: Type.Array(RecommendResponse, { maxItems: PAGE_PLACEMENTS_MAX }) },
  { additionalProperties: false },
);
export type RecommendPageResponse = Static<typeof RecommendPageResponse>;

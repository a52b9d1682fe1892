import Type, { type Static } from 'typebox';
import { Id } from './event.ts';
import { CANDIDATE_SOURCES, RecommendResponse } from './recommend.ts';

const strict = { additionalProperties: false };

/** Refused proposals that are named; the rest is counted. A screen shows no more. */
export const TRACE_REFUSED_MAX = 200;

/** An item that a source would have proposed, and why it may not be shown. */
const Refused = Type.Object({ item_id: Id, reason: Type.String() }, strict);

const TraceSource = Type.Object(
  {
    source: Type.Enum([...CANDIDATE_SOURCES]),
    /** `answered`, `silent` (nothing to say to this visitor), `off`, `missing` (no model), `late`, `failed`. */
    outcome: Type.String(),
    cap: Type.Integer(),
    ms: Type.Number(),
    /** The best first. */
    found: Type.Array(Id),
    /** Of those that it came across; a source that goes through fitting items alone comes across none. */
    refused: Type.Array(Refused, { maxItems: TRACE_REFUSED_MAX }),
    refused_total: Type.Integer(),
  },
  strict,
);

const TraceCandidate = Type.Object(
  {
    item_id: Id,
    title: Type.Union([Type.String(), Type.Null()]),
    sources: Type.Array(Type.Enum([...CANDIDATE_SOURCES])),
    /** What each source says of it, by the name of the ranker's feature; null: nothing. */
    source_scores: Type.Record(Type.String(), Type.Union([Type.Number(), Type.Null()])),
    model_score: Type.Number(),
    /** After objectives and boosts. */
    score: Type.Number(),
    /** By score, from 1. */
    rank: Type.Integer(),
    /** In the answer, from 1; null: not shown. */
    place: Type.Union([Type.Integer(), Type.Null()]),
    /** Why it is not shown: `score`, `diversity`, `cap_<field>`, `slot`, `new_share`, `exploration`. */
    dropped_by: Type.Union([Type.String(), Type.Null()]),
  },
  strict,
);
export type TraceCandidate = Static<typeof TraceCandidate>;

/** Every stage of one answer, for merchandisers. The answer was shown to nobody and is not journalled. */
export const RecommendTrace = Type.Object(
  {
    response: RecommendResponse,
    stages: Type.Array(Type.Object({ stage: Type.String(), ms: Type.Number() }, strict)),
    scored_by: Type.Enum(['ranker', 'blend']),
    sources: Type.Array(TraceSource),
    /** The best ranked first. */
    candidates: Type.Array(TraceCandidate),
  },
  strict,
);
export type RecommendTrace = Static<typeof RecommendTrace>;

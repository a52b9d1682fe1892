import Type, { type Static } from 'typebox';
import { Id } from './event.ts';
import { SEVERITIES } from './push.ts';
import { DECISIONS } from './score.ts';

const strict = { additionalProperties: false };

export const CASE_STATES = ['open', 'assigned', 'closed'] as const;
export type CaseState = (typeof CASE_STATES)[number];
/** What the payment of a case turned out to be. */
export const VERDICTS = ['fraud', 'legitimate'] as const;
export type Verdict = (typeof VERDICTS)[number];

export const NOTE_CHARS_MAX = 2_000;
/** A case with more has become a discussion, which is better held elsewhere. */
export const NOTES_MAX = 100;
const NoteText = Type.String({ minLength: 1, maxLength: NOTE_CHARS_MAX });
const Person = Type.String({ minLength: 1, maxLength: 100 });

export const CaseNote = Type.Object({ at_ms: Type.Integer(), actor: Type.String(), text: NoteText }, strict);
export type CaseNote = Static<typeof CaseNote>;

/** A later event on the payment of a case, such as its chargeback. */
export const CaseOutcome = Type.Object({ name: Type.String(), at_ms: Type.Integer(), is_fraud: Type.Optional(Type.Boolean()) }, strict);
export type CaseOutcome = Static<typeof CaseOutcome>;

/** A decision that a person looks at. Its id is that of its alert. */
export const ReviewCase = Type.Object(
  {
    case_id: Id,
    opened_ms: Type.Integer(),
    state: Type.Enum([...CASE_STATES]),
    severity: Type.Enum([...SEVERITIES]),
    decision: Type.Enum([...DECISIONS]),
    title: Type.String(),
    transaction_id: Id,
    user_id: Type.Optional(Id),
    amount: Type.Optional(Type.Number()),
    currency: Type.Optional(Type.String()),
    probability: Type.Union([Type.Number(), Type.Null()]),
    /** Features and rules that spoke for fraud, as in the decision's reasons. */
    codes: Type.Array(Type.String()),
    reasons: Type.Array(Type.String()),
    assignee: Type.Union([Person, Type.Null()]),
    verdict: Type.Union([Type.Enum([...VERDICTS]), Type.Null()]),
    decided_by: Type.Union([Type.String(), Type.Null()]),
    decided_ms: Type.Union([Type.Integer(), Type.Null()]),
    notes: Type.Array(CaseNote),
    outcomes: Type.Array(CaseOutcome),
  },
  strict,
);
export type ReviewCase = Static<typeof ReviewCase>;

export const REVIEWS_PAGE_MAX = 200;
export const ReviewsQuery = Type.Object(
  {
    state: Type.Optional(Type.Enum([...CASE_STATES])),
    assignee: Type.Optional(Person),
    decision: Type.Optional(Type.Enum([...DECISIONS])),
    /** A feature or `rule:<id>` that must be among the case's reasons. */
    code: Type.Optional(Type.String({ maxLength: 200 })),
    /** `risk`: the amount that is expected to be lost, the largest first; `newest` and `oldest` by the time of the decision. */
    sort: Type.Optional(Type.Enum(['risk', 'newest', 'oldest'])),
    skip: Type.Optional(Type.Integer({ minimum: 0 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: REVIEWS_PAGE_MAX })),
  },
  strict,
);
export type ReviewsQuery = Static<typeof ReviewsQuery>;
/** `counts` are of the whole queue, `total` of what the query asks for. */
export const ReviewsResponse = Type.Object(
  {
    counts: Type.Object({ open: Type.Integer(), assigned: Type.Integer(), closed: Type.Integer() }, strict),
    total: Type.Integer(),
    cases: Type.Array(ReviewCase),
  },
  strict,
);
export type ReviewsResponse = Static<typeof ReviewsResponse>;

/** `assignee` null puts the case back into the queue. */
export const AssignRequest = Type.Object({ assignee: Type.Union([Person, Type.Null()]) }, strict);
export type AssignRequest = Static<typeof AssignRequest>;
export const NoteRequest = Type.Object({ text: NoteText }, strict);
export type NoteRequest = Static<typeof NoteRequest>;
/** The verdict becomes a label of the payment, as if the shop had sent it. A second verdict replaces the first. */
export const VerdictRequest = Type.Object({ verdict: Type.Enum([...VERDICTS]), note: Type.Optional(NoteText) }, strict);
export type VerdictRequest = Static<typeof VerdictRequest>;

/** How often a reason was right: of the closed cases that carry it, the share that was fraud, with its 95 % Wilson interval. */
export const ReasonPrecision = Type.Object(
  {
    code: Type.String(),
    decided: Type.Integer({ minimum: 1 }),
    fraud: Type.Integer({ minimum: 0 }),
    precision: Type.Number(),
    low: Type.Number(),
    high: Type.Number(),
  },
  strict,
);
export type ReasonPrecision = Static<typeof ReasonPrecision>;
/** Of all closed cases, and by reason, those with the most cases first. */
export const PrecisionResponse = Type.Object({ all: Type.Union([ReasonPrecision, Type.Null()]), reasons: Type.Array(ReasonPrecision) }, strict);
export type PrecisionResponse = Static<typeof PrecisionResponse>;

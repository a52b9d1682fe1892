import Type, { type Static } from 'typebox';
import { Amount, Country, Currency, EventItem, Id, PAYMENT_FIELDS, TimestampMs } from './event.ts';
import { Restriction } from './restriction.ts';

/** In order of precedence, the strongest first. */
export const DECISIONS = ['suspend', 'decline', 'restrict_payment_method', 'challenge', 'review', 'approve'] as const;
export type DecisionName = (typeof DECISIONS)[number];

/**
 * What a rule may ask for, in order of precedence. `allow` approves against the model and against overridable rules, as in Stripe Radar, but never against
 * a suspension, a rule that is not overridable or one that asks a block list.
 */
export const RULE_ACTIONS = ['suspend', 'decline', 'restrict_payment_method', 'challenge', 'review', 'allow'] as const;
export type RuleAction = (typeof RULE_ACTIONS)[number];

/** A payment that a checkout asks about. It becomes a `payment_attempt` event with `event_id` = `transaction_id`. */
export const ScoreRequest = Type.Object(
  {
    ...PAYMENT_FIELDS,
    transaction_id: Id,
    timestamp_ms: Type.Optional(TimestampMs),
    user_id: Id,
    session_id: Type.Optional(Id),
    amount: Amount,
    currency: Type.Optional(Currency),
    country: Type.Optional(Country),
    items: Type.Optional(Type.Array(EventItem, { maxItems: 100 })),
    /** Answer with the feature values that were seen, and with the model’s reasons for an approval as well. */
    explain: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type ScoreRequest = Static<typeof ScoreRequest>;

export const Reason = Type.Object(
  {
    /** The feature, `rule:<id>`, or `restriction:<id>`. */
    code: Type.String(),
    /** A sentence with the value, for a person. */
    text: Type.String(),
    /** What the feature added to the log-odds of fraud: its exact Shapley value, unless `method` says otherwise; absent for a rule or a restriction. */
    contribution: Type.Optional(Type.Number()),
    /** `occlusion`: how far the log-odds would fall if this feature alone had the model's reference value. Such numbers do not add up to the score. */
    method: Type.Optional(Type.Literal('occlusion')),
  },
  { additionalProperties: false },
);
export type Reason = Static<typeof Reason>;

/** `overruled`: an `allow` rule stood against it. */
export const RuleHit = Type.Object(
  { rule: Type.String(), version: Type.Integer(), action: Type.Enum([...RULE_ACTIONS]), overruled: Type.Optional(Type.Literal(true)) },
  { additionalProperties: false },
);
export type RuleHit = Static<typeof RuleHit>;

export const ScoreResponse = Type.Object(
  {
    transaction_id: Id,
    decision: Type.Enum([...DECISIONS]),
    /** The model's raw output in 0..1; null when no model answered. */
    score: Type.Union([Type.Number(), Type.Null()]),
    /** Calibrated probability of fraud; null when no model answered. */
    probability: Type.Union([Type.Number(), Type.Null()]),
    /** Share of known payments that look less strange, 0..1, whatever became of them; null when no anomaly model answered. Decisions of older versions lack it. */
    anomaly: Type.Optional(Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()])),
    reasons: Type.Array(Reason),
    rule_hits: Type.Array(RuleHit),
    /** What holds for the user or the means of payment: imposed before, or by this decision. */
    restrictions: Type.Optional(Type.Array(Restriction)),
    bundle: Type.Union([Type.String(), Type.Null()]),
    degraded: Type.Boolean(),
    degraded_by: Type.Optional(Type.Array(Type.String())),
    /** Values of the feature vector that was scored, by name; null where missing. There if the request has `explain`. */
    features: Type.Optional(Type.Record(Type.String(), Type.Union([Type.Number(), Type.Null()]))),
  },
  { additionalProperties: false },
);
export type ScoreResponse = Static<typeof ScoreResponse>;

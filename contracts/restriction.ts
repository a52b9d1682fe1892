import Type, { type Static } from 'typebox';
import { Id } from './event.ts';

const strict = { additionalProperties: false };

/** Decisions that go on after the payment that they were made on. */
export const RESTRICTION_ACTIONS = ['suspend', 'restrict_payment_method'] as const;
export type RestrictionAction = (typeof RESTRICTION_ACTIONS)[number];

/** Whom it holds for: a user (`suspend`), or a means of payment: a card, wherever it turns up, or a method of one user where there is no card. */
export const RestrictedEntity = Type.Object(
  { kind: Type.Enum(['user', 'card', 'payment_method']), id: Type.String({ minLength: 1, maxLength: 512 }) },
  strict,
);
export type RestrictedEntity = Static<typeof RestrictedEntity>;

/** Holds from `from_ms` until `until_ms`, both in ms since 1970, unless an analyst lifts it. */
export const Restriction = Type.Object(
  {
    restriction_id: Id,
    action: Type.Enum([...RESTRICTION_ACTIONS]),
    entity: RestrictedEntity,
    /** The first reason of the decision that imposed it, or what the analyst wrote. */
    reason: Type.String({ minLength: 1, maxLength: 500 }),
    /** The payment that brought it about; absent where an analyst imposed it. */
    transaction_id: Type.Optional(Id),
    from_ms: Type.Integer(),
    until_ms: Type.Integer(),
  },
  strict,
);
export type Restriction = Static<typeof Restriction>;

export const RESTRICTIONS_PAGE_MAX = 500;
export const RestrictionsQuery = Type.Object(
  {
    /** Of this entity alone. */
    entity_id: Type.Optional(Type.String({ maxLength: 512 })),
    skip: Type.Optional(Type.Integer({ minimum: 0 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: RESTRICTIONS_PAGE_MAX })),
  },
  strict,
);
export type RestrictionsQuery = Static<typeof RestrictionsQuery>;
/** Those in force, the newest first. */
export const RestrictionsResponse = Type.Object({ total: Type.Integer(), restrictions: Type.Array(Restriction) }, strict);
export type RestrictionsResponse = Static<typeof RestrictionsResponse>;

/** A month at the most: what is to hold longer belongs on a block list. */
export const RESTRICTION_HOURS_MAX = 31 * 24;
export const ImposeRequest = Type.Object(
  {
    action: Type.Enum([...RESTRICTION_ACTIONS]),
    entity: RestrictedEntity,
    reason: Type.String({ minLength: 1, maxLength: 500 }),
    hours: Type.Number({ exclusiveMinimum: 0, maximum: RESTRICTION_HOURS_MAX }),
  },
  strict,
);
export type ImposeRequest = Static<typeof ImposeRequest>;
export const LiftRequest = Type.Object({ reason: Type.String({ minLength: 1, maxLength: 500 }) }, strict);
export type LiftRequest = Static<typeof LiftRequest>;

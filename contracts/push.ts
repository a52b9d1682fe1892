import Type, { type Static } from 'typebox';
import { Id } from './event.ts';
import { DECISIONS } from './score.ts';

/** Channels of `GET /v1/stream`. */
export const CHANNELS = ['alerts'] as const;
export type Channel = (typeof CHANNELS)[number];
export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Something a person must see. */
export const Alert = Type.Object(
  {
    alert_id: Id,
    kind: Type.Enum(['decision', 'system']),
    severity: Type.Enum([...SEVERITIES]),
    at_ms: Type.Integer(),
    title: Type.String(),
    transaction_id: Type.Optional(Id),
    user_id: Type.Optional(Id),
    decision: Type.Optional(Type.Enum([...DECISIONS])),
    probability: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    amount: Type.Optional(Type.Number()),
    currency: Type.Optional(Type.String()),
    reasons: Type.Optional(Type.Array(Type.String())),
    /** What stands behind each reason: a feature, or `rule:<id>`. */
    codes: Type.Optional(Type.Array(Type.String())),
    bundle: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  },
  { additionalProperties: false },
);
export type Alert = Static<typeof Alert>;

/** Where a client stands in a channel. A new `epoch` means that the log was started anew and old offsets mean nothing. */
export const Position = Type.Object({ offset: Type.Integer({ minimum: 0 }), epoch: Type.String({ maxLength: 64 }) }, { additionalProperties: false });
export type Position = Static<typeof Position>;

/**
 * Frames that a client sends. `after` asks for everything behind that position; without it the stream starts now.
 * The token travels as `?token=` or in the first frame, because a browser cannot set headers on a WebSocket.
 */
export const ClientFrame = Type.Union([
  Type.Object({ type: Type.Literal('auth'), token: Type.String({ maxLength: 4096 }) }, { additionalProperties: false }),
  Type.Object(
    { type: Type.Literal('subscribe'), id: Type.Optional(Type.Integer()), channel: Type.Enum([...CHANNELS]), after: Type.Optional(Position) },
    { additionalProperties: false },
  ),
  Type.Object(
    { type: Type.Literal('unsubscribe'), id: Type.Optional(Type.Integer()), channel: Type.Enum([...CHANNELS]) },
    { additionalProperties: false },
  ),
  Type.Object({ type: Type.Literal('ping'), id: Type.Optional(Type.Integer()) }, { additionalProperties: false }),
]);
export type ClientFrame = Static<typeof ClientFrame>;

/**
 * Frames that the gateway sends. `subscribed.recovered` is true when everything after the client's position follows without
 * a gap, false when the position was too old or of another epoch (the client then reads the gap through the API).
 */
export const ServerFrame = Type.Union([
  Type.Object({ type: Type.Literal('ready'), connection: Id }, { additionalProperties: false }),
  Type.Object(
    {
      type: Type.Literal('subscribed'),
      id: Type.Optional(Type.Integer()),
      channel: Type.Enum([...CHANNELS]),
      offset: Type.Integer(),
      epoch: Type.String(),
      recovered: Type.Boolean(),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { type: Type.Literal('unsubscribed'), id: Type.Optional(Type.Integer()), channel: Type.Enum([...CHANNELS]) },
    { additionalProperties: false },
  ),
  Type.Object(
    { type: Type.Literal('push'), channel: Type.Enum([...CHANNELS]), offset: Type.Integer(), epoch: Type.String(), data: Alert },
    { additionalProperties: false },
  ),
  Type.Object({ type: Type.Literal('pong'), id: Type.Optional(Type.Integer()) }, { additionalProperties: false }),
  Type.Object({ type: Type.Literal('error'), code: Type.String(), detail: Type.String() }, { additionalProperties: false }),
]);
export type ServerFrame = Static<typeof ServerFrame>;

/** `POST /v1/stream/tokens` (secret key): a short-lived token that a browser may hold. */
export const StreamTokenRequest = Type.Object(
  {
    channels: Type.Array(Type.Enum([...CHANNELS]), { minItems: 1, maxItems: CHANNELS.length }),
    ttl_s: Type.Optional(Type.Integer({ minimum: 10, maximum: 86_400 })),
  },
  { additionalProperties: false },
);
export type StreamTokenRequest = Static<typeof StreamTokenRequest>;
export const StreamTokenResponse = Type.Object({ token: Type.String(), expires_ms: Type.Integer() }, { additionalProperties: false });
export type StreamTokenResponse = Static<typeof StreamTokenResponse>;

import Type, { type Static } from 'typebox';
import { BundleManifest } from './bundle.ts';
import { Id, TimestampMs } from './event.ts';
import { Alert, Position } from './push.ts';

const strict = { additionalProperties: false };

/** A bundle that lies in the bundle folder. `problem` says why its manifest cannot be read; the figures are then missing. */
export const BundleSummary = Type.Object(
  {
    version: Type.String(),
    state: Type.Enum(['current', 'previous', 'available']),
    created_ms: Type.Optional(Type.Integer()),
    bytes: Type.Optional(Type.Integer({ minimum: 0 })),
    metrics: Type.Optional(BundleManifest.properties.metrics),
    problem: Type.Optional(Type.String()),
  },
  strict,
);
export type BundleSummary = Static<typeof BundleSummary>;

/** A bundle whose fraud model is tried beside the one that serves. It decides the payments of `percent` of the users, always the same ones, and is a shadow for the others. */
export const Challenger = Type.Object({ version: BundleManifest.properties.version, percent: Type.Number({ minimum: 0, maximum: 100 }) }, strict);
export type Challenger = Static<typeof Challenger>;

/** The newest first. */
export const BundlesResponse = Type.Object(
  {
    current: Type.Union([Type.String(), Type.Null()]),
    challenger: Type.Union([Challenger, Type.Null()]),
    bundles: Type.Array(BundleSummary),
  },
  strict,
);
export type BundlesResponse = Static<typeof BundlesResponse>;
export const BundleChangeResponse = Type.Object({ current: Type.String() }, strict);
export type BundleChangeResponse = Static<typeof BundleChangeResponse>;

export const ALERTS_PAGE_MAX = 500;
export const AlertsQuery = Type.Object(
  {
    /** Offset behind which to start; 0 for the oldest kept. */
    after: Type.Optional(Type.Integer({ minimum: 0 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: ALERTS_PAGE_MAX })),
  },
  strict,
);
export type AlertsQuery = Static<typeof AlertsQuery>;
/** `position` is the newest offset; `first` the oldest that is kept. */
export const AlertsResponse = Type.Object(
  {
    position: Position,
    first: Type.Integer(),
    alerts: Type.Array(Type.Object({ offset: Type.Integer(), alert: Alert }, strict)),
  },
  strict,
);
export type AlertsResponse = Static<typeof AlertsResponse>;

const Quantile = Type.Union([Type.Number(), Type.Null()]);
/** Requests of one route in the window. Quantiles are read from histogram buckets; null without requests. */
export const RouteTraffic = Type.Object(
  {
    route: Type.String(),
    per_s: Type.Number(),
    errors_per_s: Type.Number(),
    p50_ms: Quantile,
    p95_ms: Quantile,
    p99_ms: Quantile,
  },
  strict,
);
export type RouteTraffic = Static<typeof RouteTraffic>;

/** One second of the data plane; quantiles over the routes that answer (recommend and score). */
export const TrafficSecond = Type.Object(
  {
    at_ms: Type.Integer(),
    /** Requests by route; a route without any is left out. */
    requests: Type.Record(Type.String(), Type.Number()),
    p50_ms: Quantile,
    p99_ms: Quantile,
  },
  strict,
);
export type TrafficSecond = Static<typeof TrafficSecond>;

/** The dashboard's numbers over the last `window_s` seconds (at most a minute). */
export const TrafficResponse = Type.Object(
  {
    at_ms: Type.Integer(),
    window_s: Type.Number(),
    routes: Type.Array(RouteTraffic),
    /** The oldest first. */
    seconds: Type.Array(TrafficSecond),
    /** Decisions in the window, by name. */
    decisions: Type.Record(Type.String(), Type.Number()),
    /** Degraded answers in the window, by reason. */
    degraded: Type.Record(Type.String(), Type.Number()),
    event_loop: Type.Object({ p50_ms: Type.Number(), p99_ms: Type.Number(), max_ms: Type.Number() }, strict),
    memory_bytes: Type.Integer(),
    uptime_s: Type.Number(),
  },
  strict,
);
export type TrafficResponse = Static<typeof TrafficResponse>;

export const HealthResponse = Type.Object({ status: Type.Literal('ok'), version: Type.String() }, strict);
export type HealthResponse = Static<typeof HealthResponse>;
/** 200 when ready, 503 with the reasons when not. `warnings` are what a person should see to although it serves. */
export const ReadyResponse = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Type.String()), warnings: Type.Array(Type.String()) }, strict);
export type ReadyResponse = Static<typeof ReadyResponse>;

/** A token for the dashboard's own stream, and where to open it. */
export const ControlStreamTokenResponse = Type.Object({ token: Type.String(), expires_ms: Type.Integer(), url: Type.String() }, strict);
export type ControlStreamTokenResponse = Static<typeof ControlStreamTokenResponse>;

/** What a key may be; see `ROUTES` for what each may do. */
export const KEY_KINDS = ['publishable', 'secret'] as const;
export type KeyKind = (typeof KEY_KINDS)[number];

const Label = Type.String({ minLength: 1, maxLength: 100 });
const Origins = Type.Array(Type.String({ pattern: '^https?://[!-~]{1,253}$' }), { maxItems: 50 });
export const ApiKeySummary = Type.Object(
  { id: Id, kind: Type.Enum([...KEY_KINDS]), label: Label, origins: Origins, created_ms: TimestampMs },
  strict,
);
export type ApiKeySummary = Static<typeof ApiKeySummary>;
export const ApiKeysResponse = Type.Object({ keys: Type.Array(ApiKeySummary) }, strict);
export type ApiKeysResponse = Static<typeof ApiKeysResponse>;
export const CreateKeyRequest = Type.Object({ kind: Type.Enum([...KEY_KINDS]), label: Label, origins: Type.Optional(Origins) }, strict);
export type CreateKeyRequest = Static<typeof CreateKeyRequest>;
/** `key` is shown this once: the gateway keeps only its hash. */
export const CreateKeyResponse = Type.Object({ key: Type.String(), id: Id }, strict);
export type CreateKeyResponse = Static<typeof CreateKeyResponse>;

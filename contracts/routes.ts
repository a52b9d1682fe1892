import Type, { type TSchema } from 'typebox';
import { BundleManifest } from './bundle.ts';
import {
  AlertsQuery,
  AlertsResponse,
  ApiKeysResponse,
  BundleChangeResponse,
  BundlesResponse,
  Challenger,
  ControlStreamTokenResponse,
  CreateKeyRequest,
  CreateKeyResponse,
  HealthResponse,
  ReadyResponse,
  TrafficResponse,
} from './control.ts';
import { type ErrorCode, STORE_ERRORS } from './errors.ts';
import { EventsRequest, EventsResponse, Id } from './event.ts';
import { EXPERIMENT_ROUTES } from './experiment-routes.ts';
import { DeleteItemsRequest, ItemsPage, ItemsQuery, ItemsResponse, PatchItemsRequest, PutItemsRequest } from './item.ts';
import { MERCHANDISING_ROUTES } from './merchandising-routes.ts';
import { ErasureJob, ErasuresResponse } from './privacy.ts';
import { ClientFrame, ServerFrame, StreamTokenRequest, StreamTokenResponse } from './push.ts';
import { RecommendPageRequest, RecommendPageResponse, RecommendRequest, RecommendResponse } from './recommend.ts';
import { ImposeRequest, LiftRequest, Restriction, RestrictionsQuery, RestrictionsResponse } from './restriction.ts';
import { AssignRequest, NoteRequest, PrecisionResponse, ReviewCase, ReviewsQuery, ReviewsResponse, VerdictRequest } from './review.ts';
import { RISK_ROUTES } from './risk-routes.ts';
import { ScoreRequest, ScoreResponse } from './score.ts';

/** What a request needs to be allowed. A publishable key has `events` and `recommend`, a secret key all but `admin`, the admin token only `admin`. */
export const CAPABILITIES = ['events', 'recommend', 'items', 'score', 'stream_token', 'admin'] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** `stream` is a token that the stream checks itself; `none` needs nothing. */
export type RouteKey = Capability | 'stream' | 'none';

export interface Route {
  readonly plane: 'data' | 'control';
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With `{name}` for a parameter. */
  readonly path: string;
  readonly summary: string;
  readonly key: RouteKey;
  readonly parameters?: Readonly<Record<string, TSchema>>;
  readonly query?: TSchema;
  readonly request?: TSchema;
  /** Content types of a body that is no JSON. */
  readonly requestTypes?: readonly string[];
  /** Absent where the answer is no JSON: `contentType` says what it is then. */
  readonly response?: TSchema;
  readonly contentType?: string;
  /** Status of success; 200 unless said otherwise. */
  readonly status?: number;
  /** Errors beyond those that every route of its plane can give (`errorsOf`). */
  readonly errors: readonly ErrorCode[];
}

const VersionParameter = { version: BundleManifest.properties.version };

/** A `GET` carries the request in its query: every value but the arrays of the body form. */
const RecommendQuery = Type.Omit(RecommendRequest, ['exclude', 'filter']);
const StreamQuery = Type.Object({ token: Type.Optional(Type.String({ maxLength: 4096 })) }, { additionalProperties: false });

/** Every route of both planes, once. Handlers, access control, OpenAPI, metrics and docs take theirs from here. */
export const ROUTES = {
  // ---- data plane
  events: {
    plane: 'data',
    method: 'POST',
    path: '/v1/events',
    summary: 'Send events. 200 means that all of them are durable; an event_id that was sent before counts nothing twice.',
    key: 'events',
    request: EventsRequest,
    response: EventsResponse,
    errors: ['timestamp_out_of_range', 'currency_unknown', 'event_conflict', 'transaction_not_found', ...STORE_ERRORS],
  },
  items_put: {
    plane: 'data',
    method: 'PUT',
    path: '/v1/items',
    summary: 'Put items into the catalogue, each replacing what was there. They can be recommended at once.',
    key: 'items',
    request: PutItemsRequest,
    response: ItemsResponse,
    errors: [...STORE_ERRORS],
  },
  items_patch: {
    plane: 'data',
    method: 'PATCH',
    path: '/v1/items',
    summary: 'Change the named fields of items. One unknown item and nothing is changed.',
    key: 'items',
    request: PatchItemsRequest,
    response: ItemsResponse,
    errors: ['item_not_found', ...STORE_ERRORS],
  },
  items_delete: {
    plane: 'data',
    method: 'DELETE',
    path: '/v1/items',
    summary: 'Delete items. They are gone from the very next answer.',
    key: 'items',
    request: DeleteItemsRequest,
    response: ItemsResponse,
    errors: [...STORE_ERRORS],
  },
  recommend: {
    plane: 'data',
    method: 'POST',
    path: '/v1/recommend',
    summary: 'Recommend items for a placement. Never empty while items exist; degraded when a source was missing or late.',
    key: 'recommend',
    request: RecommendRequest,
    response: RecommendResponse,
    errors: [],
  },
  recommend_get: {
    plane: 'data',
    method: 'GET',
    path: '/v1/recommend',
    summary: 'The same, with the request in the query.',
    key: 'recommend',
    query: RecommendQuery,
    response: RecommendResponse,
    errors: [],
  },
  recommend_page: {
    plane: 'data',
    method: 'POST',
    path: '/v1/recommend/page',
    summary: 'Recommend for several placements of a page at once: no item is in two of them.',
    key: 'recommend',
    request: RecommendPageRequest,
    response: RecommendPageResponse,
    errors: [],
  },
  score: {
    plane: 'data',
    method: 'POST',
    path: '/v1/score',
    summary: 'Decide on a payment. The same transaction_id again gets the stored answer and is counted once.',
    key: 'score',
    request: ScoreRequest,
    response: ScoreResponse,
    errors: ['timestamp_out_of_range', 'currency_unknown', 'event_conflict', 'erased', ...STORE_ERRORS],
  },
  stream: {
    plane: 'data',
    method: 'GET',
    path: '/v1/stream',
    summary: 'WebSocket of live alerts. Subscribe with the last position seen to get all that was missed; docs/protocol.md has the frames.',
    key: 'stream',
    query: StreamQuery,
    status: 101,
    errors: [],
  },
  stream_token: {
    plane: 'data',
    method: 'POST',
    path: '/v1/stream/tokens',
    summary: 'Issue a short-lived token with which a browser may open the stream.',
    key: 'stream_token',
    request: StreamTokenRequest,
    response: StreamTokenResponse,
    errors: [],
  },
  data_health: {
    plane: 'data',
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the data port answers.',
    key: 'none',
    response: HealthResponse,
    errors: [],
  },
  // ---- control plane
  health: {
    plane: 'control',
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the process lives. Restart it when this fails.',
    key: 'none',
    response: HealthResponse,
    errors: [],
  },
  ready: {
    plane: 'control',
    method: 'GET',
    path: '/readyz',
    summary: 'Whether it should get traffic; 503 with the reasons when not.',
    key: 'none',
    response: ReadyResponse,
    errors: [],
  },
  metrics: {
    plane: 'control',
    method: 'GET',
    path: '/metrics',
    summary: 'Prometheus metrics.',
    key: 'none',
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    errors: [],
  },
  openapi: {
    plane: 'control',
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description.',
    key: 'none',
    response: Type.Object({ openapi: Type.String() }),
    errors: [],
  },
  docs: {
    plane: 'control',
    method: 'GET',
    path: '/docs',
    summary: 'The reference as a page.',
    key: 'none',
    contentType: 'text/html; charset=utf-8',
    errors: [],
  },
  dashboard: {
    plane: 'control',
    method: 'GET',
    path: '/',
    summary: 'The dashboard. The page asks for the admin token.',
    key: 'none',
    contentType: 'text/html; charset=utf-8',
    errors: [],
  },
  bundles: {
    plane: 'control',
    method: 'GET',
    path: '/v1/bundles',
    summary: 'List the bundles, the newest first.',
    key: 'admin',
    response: BundlesResponse,
    errors: [],
  },
  bundle_activate: {
    plane: 'control',
    method: 'POST',
    path: '/v1/bundles/{version}/activate',
    summary: 'Verify, probe and swap in a bundle. A refused one leaves the current one serving.',
    key: 'admin',
    parameters: VersionParameter,
    response: BundleChangeResponse,
    errors: ['bundle_not_found', 'bundle_corrupt', 'bundle_incompatible', 'bundle_probe_failed', 'snapshot_corrupt', ...STORE_ERRORS],
  },
  bundle_rollback: {
    plane: 'control',
    method: 'POST',
    path: '/v1/bundles/rollback',
    summary: 'Swap the previous bundle back in.',
    key: 'admin',
    response: BundleChangeResponse,
    errors: ['bundle_not_found', 'bundle_corrupt', 'bundle_incompatible', 'bundle_probe_failed', 'snapshot_corrupt', ...STORE_ERRORS],
  },
  challenger_set: {
    plane: 'control',
    method: 'PUT',
    path: '/v1/challenger',
    summary: 'Try the fraud model of a bundle beside the one that serves, as a shadow or on a share of the users.',
    key: 'admin',
    request: Challenger,
    response: Challenger,
    errors: ['bundle_not_found', 'bundle_corrupt', 'bundle_incompatible', 'bundle_probe_failed', 'snapshot_corrupt', ...STORE_ERRORS],
  },
  challenger_end: {
    plane: 'control',
    method: 'DELETE',
    path: '/v1/challenger',
    summary: 'End the trial: the bundle that serves decides alone.',
    key: 'admin',
    response: BundlesResponse,
    errors: ['bundle_not_found', ...STORE_ERRORS],
  },
  ...RISK_ROUTES,
  alerts: {
    plane: 'control',
    method: 'GET',
    path: '/v1/alerts',
    summary: 'Read the alerts log, the oldest first.',
    key: 'admin',
    query: AlertsQuery,
    response: AlertsResponse,
    errors: ['store_unavailable'],
  },
  reviews: {
    plane: 'control',
    method: 'GET',
    path: '/v1/reviews',
    summary: 'The review queue: decisions that a person looks at, by expected loss unless asked otherwise.',
    key: 'admin',
    query: ReviewsQuery,
    response: ReviewsResponse,
    errors: [],
  },
  reviews_precision: {
    plane: 'control',
    method: 'GET',
    path: '/v1/reviews/precision',
    summary: 'How often each reason was right among the cases that were decided.',
    key: 'admin',
    response: PrecisionResponse,
    errors: [],
  },
  review: {
    plane: 'control',
    method: 'GET',
    path: '/v1/reviews/{id}',
    summary: 'One case with its notes and what became of its payment.',
    key: 'admin',
    parameters: { id: Id },
    response: ReviewCase,
    errors: ['not_found'],
  },
  review_assign: {
    plane: 'control',
    method: 'POST',
    path: '/v1/reviews/{id}/assign',
    summary: 'Give a case to somebody, or back to the queue.',
    key: 'admin',
    parameters: { id: Id },
    request: AssignRequest,
    response: ReviewCase,
    errors: ['not_found', 'case_closed', ...STORE_ERRORS],
  },
  review_note: {
    plane: 'control',
    method: 'POST',
    path: '/v1/reviews/{id}/notes',
    summary: 'Add a note to a case.',
    key: 'admin',
    parameters: { id: Id },
    request: NoteRequest,
    response: ReviewCase,
    errors: ['not_found', 'case_full', ...STORE_ERRORS],
  },
  review_decide: {
    plane: 'control',
    method: 'POST',
    path: '/v1/reviews/{id}/verdict',
    summary: 'Decide a case. The verdict becomes a label of its payment.',
    key: 'admin',
    parameters: { id: Id },
    request: VerdictRequest,
    response: ReviewCase,
    errors: ['not_found', 'case_full', 'event_conflict', ...STORE_ERRORS],
  },
  restrictions: {
    plane: 'control',
    method: 'GET',
    path: '/v1/restrictions',
    summary: 'Suspended users and restricted means of payment, the newest first.',
    key: 'admin',
    query: RestrictionsQuery,
    response: RestrictionsResponse,
    errors: [],
  },
  restriction_impose: {
    plane: 'control',
    method: 'POST',
    path: '/v1/restrictions',
    summary: 'Suspend a user, or restrict a means of payment, for some hours.',
    key: 'admin',
    request: ImposeRequest,
    response: Restriction,
    status: 201,
    errors: ['restrictions_full', ...STORE_ERRORS],
  },
  restriction_lift: {
    plane: 'control',
    method: 'POST',
    path: '/v1/restrictions/{id}/lift',
    summary: 'Lift a restriction, at once.',
    key: 'admin',
    parameters: { id: Id },
    request: LiftRequest,
    response: RestrictionsResponse,
    errors: ['not_found', ...STORE_ERRORS],
  },
  ...EXPERIMENT_ROUTES,
  ...MERCHANDISING_ROUTES,
  items_list: {
    plane: 'control',
    method: 'GET',
    path: '/v1/items',
    summary: 'Read the catalogue in pages, in the order in which this process learned of the items.',
    key: 'admin',
    query: ItemsQuery,
    response: ItemsPage,
    errors: ['item_not_found'],
  },
  user_export: {
    plane: 'control',
    method: 'GET',
    path: '/v1/users/{id}',
    summary: 'Everything that is stored of a person, a JSON value a line; whole when the last line says `end`. The reading is journalled.',
    key: 'admin',
    parameters: { id: Id },
    contentType: 'application/x-ndjson',
    errors: ['user_too_large', 'overloaded', ...STORE_ERRORS],
  },
  user_erase: {
    plane: 'control',
    method: 'DELETE',
    path: '/v1/users/{id}',
    summary: 'Erase a person, in the background: asking again while it runs starts nothing new.',
    key: 'admin',
    parameters: { id: Id },
    response: ErasureJob,
    status: 202,
    errors: ['overloaded', ...STORE_ERRORS],
  },
  erasures: {
    plane: 'control',
    method: 'GET',
    path: '/v1/erasures',
    summary: 'Erasures that run, and the last ones that are done, the newest first.',
    key: 'admin',
    response: ErasuresResponse,
    errors: [],
  },
  traffic: {
    plane: 'control',
    method: 'GET',
    path: '/v1/traffic',
    summary: 'Rates, latency quantiles, decisions and degraded answers of the last minute.',
    key: 'admin',
    response: TrafficResponse,
    errors: [],
  },
  control_stream_token: {
    plane: 'control',
    method: 'POST',
    path: '/v1/stream-token',
    summary: 'A stream token for the dashboard, with the address of the stream.',
    key: 'admin',
    response: ControlStreamTokenResponse,
    errors: [],
  },
  keys: {
    plane: 'control',
    method: 'GET',
    path: '/v1/keys',
    summary: 'List the API keys of the store, without the keys themselves.',
    key: 'admin',
    response: ApiKeysResponse,
    errors: ['store_unavailable'],
  },
  key_create: {
    plane: 'control',
    method: 'POST',
    path: '/v1/keys',
    summary: 'Make an API key. It is shown this once.',
    key: 'admin',
    request: CreateKeyRequest,
    response: CreateKeyResponse,
    status: 201,
    errors: [...STORE_ERRORS],
  },
  key_revoke: {
    plane: 'control',
    method: 'DELETE',
    path: '/v1/keys/{id}',
    summary: 'Revoke an API key, at once.',
    key: 'admin',
    parameters: { id: Id },
    response: ApiKeysResponse,
    errors: ['not_found', ...STORE_ERRORS],
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;

/** Frames of the stream, for the description. */
export const STREAM_FRAMES = { ClientFrame, ServerFrame } as const;

const BODY_ERRORS = ['malformed_body', 'invalid_request', 'body_too_large', 'nesting_too_deep', 'forbidden_key', 'unsupported_media_type'] as const;

/** Every error code that a route can answer with, those common to its kind first. */
export function errorsOf(route: Route): readonly ErrorCode[] {
  const codes = new Set<ErrorCode>(['method_not_allowed', 'internal']);
  if (route.key !== 'none') codes.add('unauthenticated').add('forbidden');
  if (route.request !== undefined) for (const code of BODY_ERRORS) codes.add(code);
  if (route.query !== undefined || route.parameters !== undefined) codes.add('invalid_request');
  if (route.plane === 'data' && route.key !== 'none') {
    codes.add('origin_not_allowed').add('overloaded').add('draining').add('not_acceptable');
    if (route.request !== undefined) codes.add('bad_framing').add('length_required');
  }
  for (const code of route.errors) codes.add(code);
  return [...codes];
}

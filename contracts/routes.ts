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
import { DATA_ROUTES } from './data-routes.ts';
import { type ErrorCode, STORE_ERRORS } from './errors.ts';
import { Id } from './event.ts';
import { EXPERIMENT_ROUTES } from './experiment-routes.ts';
import { ItemsPage, ItemsQuery } from './item.ts';
import { MERCHANDISING_ROUTES } from './merchandising-routes.ts';
import { ErasureJob, ErasuresResponse } from './privacy.ts';
import { ClientFrame, ServerFrame } from './push.ts';
import { ImposeRequest, LiftRequest, Restriction, RestrictionsQuery, RestrictionsResponse } from './restriction.ts';
import { AssignRequest, NoteRequest, PrecisionResponse, ReviewCase, ReviewsQuery, ReviewsResponse, VerdictRequest } from './review.ts';
import { RISK_ROUTES } from './risk-routes.ts';

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

/** Every route of both planes, once. Handlers, access control, OpenAPI, metrics and docs take theirs from here. */
export const ROUTES = {
  ...DATA_ROUTES,
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

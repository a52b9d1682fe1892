import Type from 'typebox';
import { HealthResponse } from './control.ts';
import { STORE_ERRORS } from './errors.ts';
import { EventsRequest, EventsResponse } from './event.ts';
import { DeleteItemsRequest, ItemsResponse, PatchItemsRequest, PutItemsRequest } from './item.ts';
import { StreamTokenRequest, StreamTokenResponse } from './push.ts';
import { RecommendPageRequest, RecommendPageResponse, RecommendRequest, RecommendResponse } from './recommend.ts';
import type { Route } from './routes.ts';
import { ScoreRequest, ScoreResponse } from './score.ts';

/** A `GET` carries the request in its query: every value but the arrays of the body form. */
const RecommendQuery = Type.Omit(RecommendRequest, ['exclude', 'filter']);
const StreamQuery = Type.Object({ token: Type.Optional(Type.String({ maxLength: 4096 })) }, { additionalProperties: false });

/** What storefronts and checkouts ask: the whole data plane. A part of `ROUTES`. */
export const DATA_ROUTES = {
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
} as const satisfies Record<string, Route>;

import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import type { StreamTokenRequest, StreamTokenResponse } from '../../contracts/push.ts';
import { RecommendRequest } from '../../contracts/recommend.ts';
import { type Capability, ROUTES, type Route, type RouteName } from '../../contracts/routes.ts';
import { checkShape, decodeBody, encodeBody, negotiate } from '../../contracts/wire.ts';
import type { Principal } from '../auth/keyring.ts';
import type { Priority } from '../overload/admission.ts';
import { asGatehouseError, type HttpRequest, type HttpResponse, type HttpRoute, problemResponse } from '../transport/http.ts';
import { createEventsHandler } from './events.ts';
import { createItemsHandlers } from './items.ts';
import type { DataDeps } from './plane.ts';
import type { Recommendations } from './recommend.ts';
import { createScoreHandler } from './score.ts';

/** A stream token that nobody asked a life for: an hour, the length of a shift's open page between renewals. */
const STREAM_TOKEN_TTL_S = 3600;

/** The data plane's HTTP routes: each checks the key, admission and the shape before its handler sees the request. */
export function createDataRoutes(deps: DataDeps, recommendations: Recommendations): HttpRoute[] {
  const items = createItemsHandlers(deps);
  const body = <T>(name: RouteName, priority: Priority, handle: (value: T, principal: Principal) => Promise<unknown>): HttpRoute => {
    const route: Route = ROUTES[name];
    const read = bodyReader<T>(route.request!);
    return mount(deps, route, priority, (request, principal) => handle(read(request), principal));
  };
  return [
    body('events', 'events', createEventsHandler(deps)),
    body('score', 'score', createScoreHandler(deps)),
    body('recommend', 'recommend', recommendations.handle),
    body('recommend_page', 'recommend', recommendations.handlePage),
    mount(deps, ROUTES.recommend_get, 'recommend', (request, principal) => recommendations.handle(readQuery(request), principal)),
    body('items_put', 'items', items.put),
    body('items_patch', 'items', items.patch),
    body('items_delete', 'items', items.delete),
    body(
      'stream_token',
      'items',
      async ({ channels, ttl_s }: StreamTokenRequest): Promise<StreamTokenResponse> => deps.streamTokens.issue(channels, ttl_s ?? STREAM_TOKEN_TTL_S),
    ),
    {
      method: 'GET',
      path: ROUTES.data_health.path,
      handler: () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"status":"ok"}' }),
    },
  ];
}

function mount(
  deps: DataDeps,
  route: Route,
  priority: Priority,
  handle: (request: HttpRequest, principal: Principal) => Promise<unknown>,
): HttpRoute {
  const capability = route.key as Capability;
  return {
    method: route.method,
    path: route.path,
    async handler(request): Promise<HttpResponse> {
      try {
        const principal = deps.keyring.check(request.header('authorization'), capability, request.header('origin'));
        const encoding = negotiate(request.header('accept'));
        const leave = deps.admission.enter(priority);
        try {
          const { bytes, contentType } = encodeBody(await handle(request, principal), encoding);
          return { status: route.status ?? 200, headers: { 'content-type': contentType }, body: bytes };
        } finally {
          leave();
        }
      } catch (thrown) {
        const error = asGatehouseError(thrown);
        deps.metrics.counter('refused', error.code).inc();
        if (error.status >= 500 && error.code !== 'overloaded') deps.log.error({ err: thrown, request_id: request.requestId }, error.message);
        return problemResponse(error, request.requestId);
      }
    },
  };
}

function bodyReader<T>(schema: TSchema): (request: HttpRequest) => T {
  const validator = Compile(schema);
  return (request) => checkShape<T>(validator, decodeBody(request.body, request.header('content-type')));
}

const RecommendQuery = Compile(RecommendRequest);
const QUERY_NUMBERS: ReadonlySet<string> = new Set(['limit']);
const QUERY_BOOLEANS: ReadonlySet<string> = new Set(['explain']);
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

/** The request of `GET /v1/recommend`: each parameter once. */
function readQuery(request: HttpRequest): RecommendRequest {
  const value: Record<string, unknown> = {};
  for (const [key, text] of new URLSearchParams(request.query)) {
    if (Object.hasOwn(value, key))
      throw new GatehouseError('invalid_request', `the parameter ${key} stands twice`, { errors: [{ path: `/${key}`, message: 'given twice' }] });
    if (key === 'exclude' || key === '__proto__')
      throw new GatehouseError('invalid_request', `${key} is no parameter; use POST`, { errors: [{ path: `/${key}`, message: 'unknown' }] });
    if (QUERY_NUMBERS.has(key)) value[key] = Number(text);
    // Anything but the two words is left as it is, for the schema to refuse.
    else value[key] = QUERY_BOOLEANS.has(key) ? (BOOLEANS.get(text) ?? text) : text;
  }
  return checkShape<RecommendRequest>(RecommendQuery, value);
}

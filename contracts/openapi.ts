import Type, { type TSchema } from 'typebox';
import * as control from './control.ts';
import { ERRORS, type ErrorCode } from './errors.ts';
import * as event from './event.ts';
import * as item from './item.ts';
import * as lists from './lists.ts';
import * as push from './push.ts';
import * as recommend from './recommend.ts';
import { CAPABILITIES, errorsOf, ROUTES, type Route, type RouteKey, STREAM_FRAMES } from './routes.ts';
import * as rules from './rules.ts';
import * as score from './score.ts';

type Json = { readonly [key: string]: unknown };

/** Names under `components/schemas`: the largest first, so that a schema is referred to by its own name wherever it stands as a whole. */
const NAMED: readonly (readonly [string, TSchema])[] = [
  ['ClientFrame', STREAM_FRAMES.ClientFrame],
  ['ServerFrame', STREAM_FRAMES.ServerFrame],
  ['EventsRequest', event.EventsRequest],
  ['EventsResponse', event.EventsResponse],
  ['Event', event.Event],
  ['EventItem', event.EventItem],
  ['ItemsRequest', item.PutItemsRequest],
  ['DeleteItemsRequest', item.DeleteItemsRequest],
  ['ItemsResponse', item.ItemsResponse],
  ['Item', item.Item],
  ['RecommendRequest', recommend.RecommendRequest],
  ['RecommendResponse', recommend.RecommendResponse],
  ['RecommendedItem', recommend.RecommendedItem],
  ['ScoreRequest', score.ScoreRequest],
  ['ScoreResponse', score.ScoreResponse],
  ['Reason', score.Reason],
  ['RuleHit', score.RuleHit],
  ['StreamTokenRequest', push.StreamTokenRequest],
  ['StreamTokenResponse', push.StreamTokenResponse],
  ['Alert', push.Alert],
  ['Position', push.Position],
  ['BundlesResponse', control.BundlesResponse],
  ['BundleSummary', control.BundleSummary],
  ['BundleChangeResponse', control.BundleChangeResponse],
  ['RulesResponse', rules.RulesResponse],
  ['RuleVersion', rules.RuleVersion],
  ['CreateRuleRequest', rules.CreateRuleRequest],
  ['RuleStateRequest', rules.RuleStateRequest],
  ['BacktestRequest', rules.BacktestRequest],
  ['BacktestsResponse', rules.BacktestsResponse],
  ['BacktestJob', rules.BacktestJob],
  ['BacktestRule', rules.BacktestRule],
  ['ListsResponse', lists.ListsResponse],
  ['ListSummary', lists.ListSummary],
  ['CreateListRequest', lists.CreateListRequest],
  ['ListEntriesResponse', lists.ListEntriesResponse],
  ['ListEntry', lists.ListEntry],
  ['AddEntriesRequest', lists.AddEntriesRequest],
  ['RemoveEntriesRequest', lists.RemoveEntriesRequest],
  ['ListChangeResponse', lists.ListChangeResponse],
  ['AlertsResponse', control.AlertsResponse],
  ['TrafficResponse', control.TrafficResponse],
  ['RouteTraffic', control.RouteTraffic],
  ['TrafficSecond', control.TrafficSecond],
  ['HealthResponse', control.HealthResponse],
  ['ReadyResponse', control.ReadyResponse],
  ['ControlStreamTokenResponse', control.ControlStreamTokenResponse],
  ['ApiKeysResponse', control.ApiKeysResponse],
  ['ApiKeySummary', control.ApiKeySummary],
  ['CreateKeyRequest', control.CreateKeyRequest],
  ['CreateKeyResponse', control.CreateKeyResponse],
];

/** The body of every failed request (RFC 9457). */
const ProblemSchema = Type.Object(
  {
    type: Type.String({ format: 'uri' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Enum(Object.keys(ERRORS)),
    detail: Type.String(),
    fix: Type.String(),
    errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
    request_id: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

/** TypeBox composes by reference (an array keeps the very object of its items), by which a schema within another is known by its name. */
function plain(schema: unknown, names: ReadonlyMap<unknown, string>, isRoot: boolean): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  const name = isRoot ? undefined : names.get(schema);
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  if (Array.isArray(schema)) return schema.map((part) => plain(part, names, false));
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, plain(value, names, false)]));
}

const SECURITY: Readonly<Record<RouteKey, readonly Json[]>> = {
  none: [],
  stream: [{ streamToken: [] }],
  events: [{ publishableKey: [] }, { secretKey: [] }],
  recommend: [{ publishableKey: [] }, { secretKey: [] }],
  items: [{ secretKey: [] }],
  score: [{ secretKey: [] }],
  stream_token: [{ secretKey: [] }],
  admin: [{ adminToken: [] }],
};

const bearer = (description: string): Json => ({ type: 'http', scheme: 'bearer', description });
const SECURITY_SCHEMES: Json = {
  publishableKey: bearer('`gh_pub_…`: for pages. It may send events and ask for recommendations, from its listed origins.'),
  secretKey: bearer(`\`gh_sec_…\`: for servers. It may do all of the data plane (${CAPABILITIES.filter((name) => name !== 'admin').join(', ')}).`),
  adminToken: bearer('`gh_adm_…`: for the control plane.'),
  streamToken: {
    type: 'apiKey',
    in: 'query',
    name: 'token',
    description: 'A short-lived token of POST /v1/stream/tokens, here or in the first frame.',
  },
};

/**
 * The OpenAPI 3.1 description of both planes. Paths that both have (`/healthz`) are described once, for each of their servers.
 * `version` is the gateway's.
 */
export function openApi(version: string): Json {
  const names = new Map<unknown, string>(NAMED.map(([name, schema]) => [schema, name]));
  const schemas: Record<string, unknown> = { Problem: plain(ProblemSchema, names, true) };
  for (const [name, schema] of NAMED) schemas[name] = plain(schema, names, true);

  const paths: Record<string, Record<string, unknown>> = {};
  for (const [id, route] of Object.entries<Route>(ROUTES)) {
    const path = paths[route.path] ?? {};
    paths[route.path] = path;
    const method = route.method.toLowerCase();
    // The data port's liveness answers as the control port's does.
    if (path[method] === undefined) path[method] = operation(id, route, names);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gatehouse',
      version,
      description:
        'Real-time recommendations, risk scores and live alerts. The data plane and the control plane listen on ports of their own. Bodies are JSON or, on the data plane, MessagePack by content type.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [DATA_SERVER, CONTROL_SERVER],
    tags: [
      { name: 'data', description: 'Data plane: storefronts, checkouts, back ends.' },
      { name: 'control', description: 'Control plane: operators. Keep it off the internet.' },
    ],
    paths,
    components: { schemas, securitySchemes: SECURITY_SCHEMES },
  };
}

const DATA_SERVER = { url: 'http://127.0.0.1:8080', description: 'Data plane' };
const CONTROL_SERVER = { url: 'http://127.0.0.1:8081', description: 'Control plane' };

function operation(id: string, route: Route, names: ReadonlyMap<unknown, string>): Json {
  const body = (schema: TSchema): Json => {
    const content = { schema: plain(schema, names, false) };
    return route.plane === 'data' ? { 'application/json': content, 'application/msgpack': content } : { 'application/json': content };
  };
  const servers = route.path === '/healthz' ? [DATA_SERVER, CONTROL_SERVER] : [route.plane === 'data' ? DATA_SERVER : CONTROL_SERVER];
  return {
    operationId: id,
    summary: route.summary,
    tags: [route.plane],
    servers,
    security: SECURITY[route.key],
    ...parametersOf(route, names),
    ...(route.request ? { requestBody: { required: true, content: body(route.request) } } : {}),
    ...(route.requestTypes
      ? { requestBody: { required: true, content: Object.fromEntries(route.requestTypes.map((type) => [type, { schema: { type: 'string' } }])) } }
      : {}),
    responses: {
      [String(route.status ?? 200)]: {
        description: route.status === 101 ? 'The connection is a WebSocket: `ServerFrame` and `ClientFrame` as JSON or MessagePack.' : 'Done.',
        ...(route.response ? { content: body(route.response) } : {}),
        ...(route.contentType ? { content: { [route.contentType]: { schema: { type: 'string' } } } } : {}),
      },
      ...(id === 'ready' && route.response ? { '503': { description: 'Not ready, with the reasons.', content: body(route.response) } } : {}),
      ...problemsOf(route),
    },
  };
}

function parametersOf(route: Route, names: ReadonlyMap<unknown, string>): Json {
  const inPath = Object.entries(route.parameters ?? {}).map(([name, schema]) => ({
    name,
    in: 'path',
    required: true,
    schema: plain(schema, names, false),
  }));
  const query = (route.query ?? { properties: {} }) as { properties?: Record<string, TSchema>; required?: readonly string[] };
  // The stream's token is a security scheme, and so no parameter.
  const inQuery = Object.entries(route.key === 'stream' ? {} : (query.properties ?? {})).map(([name, schema]) => ({
    name,
    in: 'query',
    required: query.required?.includes(name) ?? false,
    schema: plain(schema, names, false),
  }));
  const parameters = [...inPath, ...inQuery];
  return parameters.length === 0 ? {} : { parameters };
}

/** One answer for each status; its description names the codes. */
function problemsOf(route: Route): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(route)) {
    const codes = byStatus.get(ERRORS[code].status) ?? [];
    codes.push(code);
    byStatus.set(ERRORS[code].status, codes);
  }
  const problems: Record<string, unknown> = {};
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b)) {
    problems[String(status)] = {
      description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' '),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return problems;
}

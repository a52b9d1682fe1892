import { ERRORS, GatehouseError } from '../../contracts/errors.ts';

/** What a handler sees of a request. Everything in it stays valid after an await. */
export interface HttpRequest {
  /** Upper case. A HEAD request reaches the GET handler as `HEAD`. */
  readonly method: string;
  readonly path: string;
  /** Decoded values of the `:name` parts of the route. */
  readonly params: Readonly<Record<string, string>>;
  /** Without the question mark; empty when there is none. */
  readonly query: string;
  /** The decoded first value of a query parameter. */
  queryValue(name: string): string | undefined;
  /** The value of the first such header line. `name` in lower case. */
  header(name: string): string | undefined;
  /** The complete body, a copy of its own. Empty when there is none. */
  readonly body: Uint8Array;
  /** The peer's address as text; of a proxy, when one is in front. Empty once the peer is gone. */
  readonly remoteAddress: string;
  readonly requestId: string;
  /** True once the peer is gone: nobody will read the answer. */
  isAborted(): boolean;
}

/** `Content-Length`, `Date` and `Connection` are the transport's own: leave them out of `headers`. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** `path` is exact or has `:name` parts, each of which matches one segment. */
export interface HttpRoute {
  readonly method: HttpMethod;
  readonly path: string;
  /** Runs once the whole body is there. A thrown GatehouseError is answered as its problem, anything else as `internal` and logged. */
  handler(request: HttpRequest): Promise<HttpResponse> | HttpResponse;
}

/** Seconds that a client waits after a 503; short, because shedding and restarts are. Clients add jitter. */
export const RETRY_AFTER_S = 1;

/** The RFC 9457 answer for an expected failure. */
export function problemResponse(error: GatehouseError, requestId?: string): HttpResponse {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (error.status === 503) headers['retry-after'] = String(RETRY_AFTER_S);
  if (error.code === 'unauthenticated') headers['www-authenticate'] = 'Bearer';
  return { status: error.status, headers, body: JSON.stringify(error.toProblem(requestId)) };
}

/** The error to answer with for anything thrown: an expected failure as it is, the rest as `internal`. */
export function asGatehouseError(thrown: unknown): GatehouseError {
  if (thrown instanceof GatehouseError) return thrown;
  return new GatehouseError('internal', ERRORS.internal.title, { cause: thrown });
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  411: 'Length Required',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
};

const statusLines = new Map<number, string>(Object.entries(REASONS).map(([status, reason]) => [Number(status), `${status} ${reason}`]));

/** `200 OK`; a status that the table lacks goes without a reason phrase, which RFC 9112 allows. */
export function statusLine(status: number): string {
  return statusLines.get(status) ?? `${status} `;
}

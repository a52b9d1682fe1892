import { randomBytes } from 'node:crypto';
import { GatehouseError } from '../../contracts/errors.ts';
import { Exchange, WaitingList } from './exchange.ts';
import { HeaderScanner } from './framing.ts';
import { asGatehouseError, type HttpMethod, type HttpRequest, type HttpResponse, type HttpRoute, problemResponse, statusLine } from './http.ts';
import type { NativeApp, NativeListenSocket, NativeRequest, NativeResponse, Uws } from './native.ts';
import { decodeParams, paramNames, paramValues, Router } from './router.ts';
import type { WsRoute } from './socket.ts';
import { registerWs, UPGRADE_REQUIRED } from './upgrade.ts';
import { loadUws } from './uws.ts';

export interface ServerLimits {
  /** Bytes of a request body. */
  readonly bodyBytesMax: number;
  /** Time a body may take from its headers to its last byte. */
  readonly requestTimeoutMs: number;
  /** Header lines of a request. The addon itself stops at 100 lines or 16 KB (431). */
  readonly headerCountMax: number;
}

/** The two calls of a pino logger that the transport makes. */
export interface ServerLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly limits: ServerLimits;
  readonly routes: readonly HttpRoute[];
  readonly ws?: WsRoute;
  /** CORS headers for the answer to a request that has an Origin; undefined when that origin gets none. Asked for preflights too. */
  readonly cors?: (request: HttpRequest) => Readonly<Record<string, string>> | undefined;
  /** After each answer. `route` is the pattern (`other` when none matched); status 499 says that the peer left before it. */
  readonly onRequestDone?: (route: string, method: string, status: number, durationMs: number) => void;
  readonly log: ServerLog;
}

export interface Server {
  /** The port that was taken. @throws GatehouseError port_in_use */
  listen(): Promise<number>;
  /** New requests on open connections are answered 503 `draining` from now on; what is running goes on. */
  drain(): void;
  inFlight(): number;
  /** Stop listening, let requests in flight finish for up to `graceMs`, then close every connection. */
  close(options: { readonly graceMs: number }): Promise<void>;
}

/** nginx's number for "client closed request"; only ever seen in metrics. */
const STATUS_CLIENT_GONE = 499;
/** A body announced up to this many times the limit is read and thrown away, so that its sender sees the 413 instead of a reset. */
const DISCARD_FACTOR_MAX = 8;
/** How often overdue bodies are looked for. */
const SWEEP_MS = 250;
/** How often `close` looks whether the last request has finished. */
const DRAIN_POLL_MS = 10;
/** CR or LF in a header value would let its source write headers, or a whole answer, of its own. */
const LINE_BREAK = /[\r\n]/;
/** Methods whose request must say how long its body is (RFC 9110 8.6 says should; without it an empty body and a lost one look alike). */
const NEEDS_LENGTH: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

const REGISTER = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'del' } as const satisfies Record<HttpMethod, keyof NativeApp>;

/**
 * An HTTP and WebSocket server on uWebSockets.js. Nothing outside this folder knows the addon.
 * @throws GatehouseError platform_unsupported when no binary fits this machine.
 */
export async function createServer(options: ServerOptions): Promise<Server> {
  return new UwsServer(await loadUws(), options);
}

class UwsServer implements Server {
  readonly #uws: Uws;
  readonly #app: NativeApp;
  readonly #options: ServerOptions;
  readonly #limits: ServerLimits;
  readonly #router: Router;
  readonly #scanner: HeaderScanner;
  readonly #waiting = new WaitingList();
  readonly #idPrefix = randomBytes(5).toString('hex');
  #idNext = 0;
  #inFlight = 0;
  #draining = false;
  #listenSocket: NativeListenSocket | undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(uws: Uws, options: ServerOptions) {
    this.#uws = uws;
    this.#options = options;
    this.#limits = options.limits;
    this.#router = new Router(options.routes);
    this.#scanner = new HeaderScanner(options.limits.headerCountMax);
    this.#app = uws.App();
    if (options.ws) {
      registerWs(this.#app, options.ws, (native, request) => this.#begin(native, request, options.ws?.path ?? '', 'GET'), {
        refuse: (exchange, error) => this.#refuse(exchange, error),
        answer: (exchange, response) => this.#answer(exchange, response),
        forget: (exchange) => this.#settle(exchange, 101),
      });
    }
    for (const route of options.routes) this.#register(route);
    this.#app.any('/*', (native, request) => this.#fallback(native, request));
  }

  listen(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#app.listen(host, port, this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
        if (socket === false) {
          reject(new GatehouseError('port_in_use', `cannot listen on ${host}:${port}: it is taken, or the address is not of this machine.`));
          return;
        }
        this.#listenSocket = socket;
        this.#sweep = setInterval(() => this.#closeOverdue(), Math.min(SWEEP_MS, this.#limits.requestTimeoutMs));
        this.#sweep.unref();
        resolve(this.#uws.us_socket_local_port(socket));
      });
    });
  }

  drain(): void {
    this.#draining = true;
  }

  inFlight(): number {
    return this.#inFlight;
  }

  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#draining = true;
    if (this.#listenSocket) {
      this.#uws.us_listen_socket_close(this.#listenSocket);
      this.#listenSocket = undefined;
    }
    const deadlineMs = performance.now() + graceMs;
    while (this.#inFlight > 0 && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    if (this.#inFlight > 0)
      this.#options.log.warn({ in_flight: this.#inFlight, grace_ms: graceMs }, 'requests were cut at the end of the grace period');
    clearInterval(this.#sweep);
    this.#app.close();
  }

  #register(route: HttpRoute): void {
    const names = paramNames(route.path);
    this.#app[REGISTER[route.method]](route.path, (native, request) => {
      // The addon's URL is read only where it isn't the pattern itself: each native call costs about as much as the whole dispatch.
      const path = names.length === 0 ? route.path : request.getUrl();
      const raw = names.map((_name, index) => request.getParameter(index));
      const exchange = this.#begin(native, request, route.path, route.method, path);
      if (exchange === undefined) return;
      if (names.length > 0) {
        const params = decodeParams(names, raw);
        if (params === undefined) {
          this.#refuse(exchange, new GatehouseError('not_found', 'a part of the path is empty or not valid percent-encoding'));
          return;
        }
        exchange.params = params;
      }
      this.#receive(exchange, route);
    });
  }

  /**
   * Copy what is needed of the native request, which is gone when this callback returns, and check its framing. Returns undefined
   * when the request was refused.
   */
  #begin(native: NativeResponse, request: NativeRequest, route: string, method: string, path: string = route): Exchange | undefined {
    const scanner = this.#scanner;
    scanner.begin();
    request.forEach(scanner.take);
    const query = request.getQuery() ?? '';
    const exchange = new Exchange(native, { method, path, route, query }, scanner.lines, performance.now(), this.#newId);
    exchange.hasOrigin = scanner.hasOrigin;
    this.#inFlight += 1;
    native.onAborted(() => this.#abort(exchange));
    if (scanner.problem !== undefined) {
      this.#refuseFraming(exchange, scanner.problem);
      return undefined;
    }
    if (this.#draining) {
      exchange.closes = true;
      this.#refuse(exchange, new GatehouseError('draining', 'this gateway takes no new requests'));
      return undefined;
    }
    return exchange;
  }

  /** Take the body, then run the handler. Called right after `#begin`, whose scan of the headers is still in the scanner. */
  #receive(exchange: Exchange, route: HttpRoute): void {
    const { contentLength, chunked } = this.#scanner;
    const { bodyBytesMax } = this.#limits;
    if (contentLength > bodyBytesMax) {
      exchange.closes = contentLength > bodyBytesMax * DISCARD_FACTOR_MAX;
      this.#refuse(exchange, tooLarge(bodyBytesMax));
      return;
    }
    if (contentLength <= 0 && !chunked) {
      if (contentLength < 0 && NEEDS_LENGTH.has(exchange.method)) {
        this.#refuse(exchange, new GatehouseError('length_required', `${exchange.method} without Content-Length`));
        return;
      }
      this.#run(exchange, route);
      return;
    }
    this.#waiting.add(exchange);
    exchange.native.onData((chunk, isLast) => {
      if (exchange.done) return;
      if (!exchange.receive(chunk, isLast, bodyBytesMax)) {
        this.#waiting.remove(exchange);
        exchange.closes = true;
        this.#refuse(exchange, tooLarge(bodyBytesMax));
      } else if (isLast) {
        this.#waiting.remove(exchange);
        if (chunked) this.#runLater(exchange, route);
        else this.#run(exchange, route);
      }
    });
  }

  /**
   * The addon reads chunks loosely: it takes trailer lines, or whatever follows the last chunk, for the next request. So a handler with a chunked
   * body runs only when what was read together with it has been parsed, which aborts this exchange if it was not clean, and the
   * connection ends with the answer, so that nothing can be smuggled behind it.
   */
  #runLater(exchange: Exchange, route: HttpRoute): void {
    exchange.closes = true;
    setImmediate(() => {
      if (!exchange.done) this.#run(exchange, route);
    });
  }

  #run(exchange: Exchange, route: HttpRoute): void {
    let result: Promise<HttpResponse> | HttpResponse;
    try {
      result = route.handler(exchange);
    } catch (thrown) {
      this.#fail(exchange, thrown);
      return;
    }
    if (result instanceof Promise) {
      result.then(
        (response) => this.#answer(exchange, response),
        (thrown) => this.#fail(exchange, thrown),
      );
    } else this.#answer(exchange, result);
  }

  #fail(exchange: Exchange, thrown: unknown): void {
    const error = asGatehouseError(thrown);
    if (error.code === 'internal') {
      this.#options.log.error({ err: error.cause ?? error, request_id: exchange.requestId, route: exchange.route }, 'a request failed');
    }
    this.#refuse(exchange, error);
  }

  #refuse(exchange: Exchange, error: GatehouseError, headers: Readonly<Record<string, string>> = {}): void {
    if (exchange.done) return;
    const response = problemResponse(error, exchange.requestId);
    this.#answer(exchange, { ...response, headers: { ...response.headers, ...headers } });
  }

  /**
   * Refuse an ambiguous request and end its connection. Not at once: while an answer is owed, the addon closes the connection as soon as it meets
   * another request in what it has read, so what hides behind this one is never run.
   */
  #refuseFraming(exchange: Exchange, problem: string): void {
    exchange.closes = true;
    setImmediate(() => this.#refuse(exchange, new GatehouseError('bad_framing', problem)));
  }

  #answer(exchange: Exchange, response: HttpResponse): void {
    if (exchange.done) return;
    const headers = this.#headersOf(exchange, response);
    for (const name in headers) {
      if (LINE_BREAK.test(headers[name] ?? '')) {
        this.#fail(exchange, new Error(`the value of the answer's header ${name} has a line break`));
        return;
      }
    }
    const { native } = exchange;
    const { status, body = '' } = response;
    const closes = exchange.closes || this.#draining;
    exchange.done = true;
    native.cork(() => {
      if (status !== 200) native.writeStatus(statusLine(status));
      for (const name in headers) native.writeHeader(name, headers[name] ?? '');
      if ((status === 204 || status === 304) && !closes) native.endWithoutBody();
      else if (exchange.method === 'HEAD') native.endWithoutBody(typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength, closes);
      else native.end(body, closes);
    });
    this.#settle(exchange, status);
  }

  #headersOf(exchange: Exchange, response: HttpResponse): Readonly<Record<string, string>> {
    const headers = response.headers ?? {};
    if (!exchange.hasOrigin || this.#options.cors === undefined) return headers;
    return { ...headers, ...this.#options.cors(exchange) };
  }

  #abort(exchange: Exchange): void {
    exchange.aborted = true;
    this.#waiting.remove(exchange);
    if (exchange.done) return;
    exchange.done = true;
    this.#settle(exchange, STATUS_CLIENT_GONE);
  }

  /** Book the end of an exchange: each one that `#begin` made comes here once. */
  #settle(exchange: Exchange, status: number): void {
    exchange.done = true;
    this.#inFlight -= 1;
    this.#options.onRequestDone?.(exchange.route, exchange.method, status, performance.now() - exchange.startedMs);
  }

  #closeOverdue(): void {
    const startedMs = performance.now() - this.#limits.requestTimeoutMs;
    for (let exchange = this.#waiting.takeOverdue(startedMs); exchange; exchange = this.#waiting.takeOverdue(startedMs)) {
      exchange.closes = true;
      this.#answer(exchange, { status: 408 });
    }
  }

  /** What no native route took: HEAD, preflights, other methods and unknown paths. */
  #fallback(native: NativeResponse, request: NativeRequest): void {
    const path = request.getUrl();
    const method = request.getCaseSensitiveMethod();
    const methods = this.#router.methods(path);
    const getRoute = method === 'HEAD' ? this.#router.find('GET', path) : undefined;
    const exchange = this.#begin(native, request, getRoute?.path ?? 'other', method, path);
    if (exchange === undefined) return;
    if (path === this.#options.ws?.path) {
      this.#answer(exchange, UPGRADE_REQUIRED);
      return;
    }
    if (methods.length === 0) {
      this.#refuse(exchange, new GatehouseError('not_found', `there is nothing at ${path.slice(0, 200)}`));
      return;
    }
    const allow = allowHeader(methods);
    if (method === 'OPTIONS') {
      this.#answer(exchange, { status: 204, headers: { allow } });
      return;
    }
    if (getRoute === undefined) {
      this.#refuse(exchange, new GatehouseError('method_not_allowed', `${method.slice(0, 20)} is not one of ${allow}`), { allow });
      return;
    }
    const params = decodeParams(paramNames(getRoute.path), paramValues(getRoute.path, path));
    if (params === undefined) {
      this.#refuse(exchange, new GatehouseError('not_found', 'a part of the path is not valid percent-encoding'));
      return;
    }
    exchange.params = params;
    this.#receive(exchange, getRoute);
  }

  readonly #newId = (): string => {
    this.#idNext += 1;
    return `${this.#idPrefix}-${this.#idNext.toString(36)}`;
  };
}

function allowHeader(methods: readonly HttpMethod[]): string {
  const all: string[] = [...methods];
  if (methods.includes('GET')) all.push('HEAD');
  all.push('OPTIONS');
  return all.join(', ');
}

function tooLarge(bodyBytesMax: number): GatehouseError {
  return new GatehouseError('body_too_large', `the body is over ${bodyBytesMax} bytes`);
}

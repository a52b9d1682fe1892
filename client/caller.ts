import { CONTENT_TYPES, decodeBody, type Encoding, encodeBody } from '../contracts/wire.ts';
import { type Backoff, backoffMs, sleep } from './backoff.ts';
import { errorOfAnswer, GatehouseClientError } from './errors.ts';

/** What of `fetch` is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface CallOptions {
  /** Ends the call with the code `aborted`. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of this call, its retries included. */
  readonly timeoutMs?: number | undefined;
  /** Let the request outlive the page that sent it (browsers; up to 64 KiB). */
  readonly keepalive?: boolean | undefined;
}

export interface CallerOptions {
  /** Where the data plane is, such as `https://gatehouse.example`. */
  readonly baseUrl: string;
  /** A publishable key in a browser, a secret key on a server. */
  readonly key: string;
  readonly fetch?: Fetch | undefined;
  readonly encoding?: Encoding | undefined;
  readonly timeoutMs?: number | undefined;
  /** Tries after the first. */
  readonly retriesMax?: number | undefined;
  readonly backoff?: Backoff | undefined;
  readonly random?: (() => number) | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined;
  readonly sleep?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/** A page that waits longer has lost its shopper; the gateway answers in milliseconds, so this leaves room for two retries. */
const TIMEOUT_MS = 5_000;
/** With the default backoff, some two seconds of a restarting gateway. */
const RETRIES_MAX = 3;
const BACKOFF: Backoff = { firstMs: 100, maxMs: 2_000 };

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Call = <T>(method: Method, path: string, body: unknown, options?: CallOptions) => Promise<T>;

/**
 * Makes the function behind every method: one request with its deadline and its retries. Whatever the network or the gateway does, it rejects
 * with GatehouseClientError.
 * The size of an answer is bounded by the deadline alone: it comes from a gateway that the caller chose.
 */
export function createCaller(options: CallerOptions): Call {
  const base = options.baseUrl.replace(/\/+$/, '');
  const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const encoding = options.encoding ?? 'json';
  const { timeoutMs = TIMEOUT_MS, retriesMax = RETRIES_MAX, backoff = BACKOFF, random = Math.random, now = () => performance.now() } = options;
  const wait = options.sleep ?? sleep;
  const headers = { authorization: `Bearer ${options.key}`, accept: CONTENT_TYPES[encoding] };

  async function attempt<T>(method: Method, path: string, body: BodyInit | undefined, signal: AbortSignal, keepalive: boolean): Promise<T> {
    const response = await fetch(base + path, {
      method,
      headers: body === undefined ? headers : { ...headers, 'content-type': CONTENT_TYPES[encoding] },
      ...(body === undefined ? {} : { body }),
      signal,
      keepalive,
      cache: 'no-store',
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (!response.ok) throw errorOfAnswer(response, decoded(bytes, 'application/json'));
    const value = decoded(bytes, response.headers.get('content-type') ?? undefined);
    if (value === undefined) throw errorOfAnswer(response, undefined);
    return value as T;
  }

  return async <T>(method: Method, path: string, body: unknown, call: CallOptions = {}): Promise<T> => {
    const limitMs = call.timeoutMs ?? timeoutMs;
    const deadlineMs = now() + limitMs;
    // One controller by hand: AbortSignal.any keeps a link to a long-lived signal for each call that was ever made with it.
    const controller = new AbortController();
    const onAbort = (): void => controller.abort();
    if (call.signal?.aborted) controller.abort();
    call.signal?.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(onAbort, limitMs);
    const ended = (cause: unknown): GatehouseClientError =>
      call.signal?.aborted
        ? new GatehouseClientError('aborted', 'the caller ended the call', { cause })
        : new GatehouseClientError('timeout', `no answer within ${limitMs} ms`, { cause });
    const bytes = body === undefined ? undefined : (encodeBody(body, encoding).bytes as BodyInit);
    try {
      for (let failures = 1; ; failures++) {
        let error: GatehouseClientError;
        try {
          return await attempt<T>(method, path, bytes, controller.signal, call.keepalive ?? false);
        } catch (thrown) {
          error = asClientError(thrown, controller.signal, ended);
        }
        if (!error.isTransient || controller.signal.aborted || failures > retriesMax) throw error;
        const waitMs = (error.retryAfterMs ?? 0) + backoffMs(failures, random, backoff);
        // A wait beyond the deadline would end in a timeout that says less.
        if (now() + waitMs >= deadlineMs) throw error;
        await wait(waitMs, controller.signal).catch((cause: unknown) => {
          throw ended(cause);
        });
      }
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', onAbort);
    }
  };
}

function asClientError(thrown: unknown, signal: AbortSignal, ended: (cause: unknown) => GatehouseClientError): GatehouseClientError {
  if (thrown instanceof GatehouseClientError && !(signal.aborted && thrown.isTransient)) return thrown;
  if (signal.aborted) return ended(thrown);
  return new GatehouseClientError('unreachable', 'the gateway cannot be reached, or the connection broke', { cause: thrown });
}

/** The value of an answer, or undefined where it is none: a proxy's page, or half an answer. */
function decoded(bytes: Uint8Array, contentType: string | undefined): unknown {
  try {
    return decodeBody(bytes, contentType);
  } catch {
    // What was wrong with the bytes helps nobody: the caller makes `unexpected_answer` of it, with the status.
    return undefined;
  }
}

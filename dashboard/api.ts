/** The control plane as the page sees it: same origin, admin token in the header. */
const TOKEN_KEY = 'gatehouse.token';
/** Activating a bundle probes it in a process of its own; everything else answers within milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;

/** An answer that is not a success. `message` is for the person at the desk. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The token lives as long as the tab: not in a cookie, which foreign pages could use, and not on disk. */
export const session = {
  get token(): string | null {
    return sessionStorage.getItem(TOKEN_KEY);
  },
  set token(token: string | null) {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  },
};

/** A body with its content type. */
export interface Sent {
  readonly type: string;
  readonly text: string;
}

export function json(value: unknown): Sent {
  return { type: 'application/json', text: JSON.stringify(value) };
}

/** Call a control route. `T` is the response type of the contract. Rejects with `ApiError`; status 0 when there was no answer. */
export async function call<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, sent?: Sent): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        ...(session.token === null ? {} : { authorization: `Bearer ${session.token}` }),
        ...(sent === undefined ? {} : { 'content-type': sent.type }),
      },
      ...(sent === undefined ? {} : { body: sent.text }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      cache: 'no-store',
    });
  } catch (cause) {
    throw new ApiError(
      0,
      cause instanceof Error && cause.name === 'TimeoutError' ? 'The gateway did not answer in time.' : 'The gateway cannot be reached.',
    );
  }
  const body: unknown = await response.json().catch(() => undefined);
  // Readiness tells its reasons with a 503.
  if (response.ok || path === '/readyz') return body as T;
  throw new ApiError(response.status, problemText(body) ?? `The gateway answered ${response.status}.`);
}

/** Places that are named when a form or an upload is refused; whoever mends it wants the pattern. */
const PLACES_SHOWN_MAX = 5;

function problemText(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { title, detail, fix, errors } = body as { title?: unknown; detail?: unknown; fix?: unknown; errors?: unknown };
  const places = (Array.isArray(errors) ? errors : [])
    .slice(0, PLACES_SHOWN_MAX)
    .map(({ path, message }: { readonly path?: unknown; readonly message?: unknown }) => `${path}: ${message}`);
  return [title, detail, ...places, fix].filter((part) => typeof part === 'string').join('. ');
}

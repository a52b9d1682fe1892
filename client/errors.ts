import { ERRORS, type ErrorCode, type FieldError, type Problem } from '../contracts/errors.ts';

/** Failures that no gateway told: they have no status. */
export const CLIENT_CODES = ['unreachable', 'timeout', 'aborted', 'unexpected_answer'] as const;
export type ClientCode = (typeof CLIENT_CODES)[number];

/** Statuses that pass by themselves. A 500 is a defect that a retry meets again, a 507 waits for a person. */
const PASSING: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

interface Facts {
  readonly status?: number;
  readonly errors?: readonly FieldError[] | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The one error of this client: what the gateway's problem said, or why there is none. */
export class GatehouseClientError extends Error {
  readonly code: ErrorCode | ClientCode;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly detail: string;
  /** The places of the request that are wrong, for `invalid_request` and its like. */
  readonly errors: readonly FieldError[] | undefined;
  /** Names the request in the gateway's log. */
  readonly requestId: string | undefined;
  /** What the gateway asked to wait before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode | ClientCode, detail: string, facts: Facts = {}) {
    super(`${code}: ${detail}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'GatehouseClientError';
    this.code = code;
    this.detail = detail;
    this.status = facts.status ?? 0;
    this.errors = facts.errors;
    this.requestId = facts.requestId;
    this.retryAfterMs = facts.retryAfterMs;
  }

  /** Whether the same request may succeed later. Every request of the data plane may be sent twice: events and payments count once by their id. */
  get isTransient(): boolean {
    return this.code === 'unreachable' || this.code === 'timeout' || PASSING.has(this.status);
  }
}

/** The error that an answer stands for. `body` is what could be decoded of it, anything at all. */
export function errorOfAnswer(response: Response, body: unknown): GatehouseClientError {
  const { status } = response;
  const retryAfterMs = retryAfterOf(response.headers);
  if (!isProblem(body)) {
    const detail = `the answer has status ${status} and is no problem of a gateway: something between us may have sent it`;
    return new GatehouseClientError('unexpected_answer', detail, { status, retryAfterMs });
  }
  return new GatehouseClientError(body.code, body.detail, { status, retryAfterMs, errors: body.errors, requestId: body.request_id });
}

function isProblem(body: unknown): body is Problem {
  if (typeof body !== 'object' || body === null) return false;
  const { code, detail } = body as Partial<Record<keyof Problem, unknown>>;
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) && typeof detail === 'string';
}

/** `Retry-After` in ms: seconds, or a date that is read against the sender's own clock. */
function retryAfterOf(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const waitMs = Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return waitMs >= 0 ? waitMs : undefined;
}

/**
 * The one table of expected failures. Each has a stable code, the HTTP status it is answered with, and a sentence that
 * says what to do. `docs/errors.md` is checked against it by the tidy test. A broken invariant is not listed here: it throws
 * a plain Error and stops what it was doing.
 */
export const ERRORS = {
  // ---- requests
  malformed_body: { status: 400, title: 'The body is not valid JSON or MessagePack', fix: 'Send one value in the declared content type.' },
  invalid_request: { status: 422, title: 'The request does not match its schema', fix: 'Compare it with /openapi.json; `errors` lists each place.' },
  body_too_large: { status: 413, title: 'The body is over the limit', fix: 'Send smaller batches; the limit is GATEHOUSE_BODY_BYTES_MAX.' },
  nesting_too_deep: { status: 400, title: 'The body is nested too deeply', fix: 'Flatten it; no request needs more than 8 levels.' },
  forbidden_key: { status: 400, title: 'The body has a key that is never allowed', fix: 'Remove `__proto__`, `constructor` and `prototype` keys.' },
  unsupported_media_type: { status: 415, title: 'The content type is not supported', fix: 'Send application/json or application/msgpack.' },
  not_acceptable: { status: 406, title: 'No supported answer type is accepted', fix: 'Accept application/json or application/msgpack.' },
  bad_framing: { status: 400, title: 'The HTTP framing is ambiguous', fix: 'Send exactly one Content-Length, or chunked encoding alone.' },
  length_required: { status: 411, title: 'A body needs a length', fix: 'Send Content-Length, or Transfer-Encoding: chunked.' },
  not_found: { status: 404, title: 'There is nothing at this address', fix: 'See /openapi.json on the control port for the routes.' },
  method_not_allowed: { status: 405, title: 'The route does not take this method', fix: 'See the Allow header.' },
  unauthenticated: { status: 401, title: 'No valid key was sent', fix: 'Send Authorization: Bearer with a key or token that this gateway knows.' },
  forbidden: {
    status: 403,
    title: 'This key may not do that',
    fix: 'Use a secret key on a server, a publishable key in a browser, the admin token on the control port.',
  },
  origin_not_allowed: { status: 403, title: 'This origin is not allowed', fix: 'Add the origin to the publishable key.' },
  timestamp_out_of_range: {
    status: 422,
    title: 'The timestamp is too far from the clock',
    fix: 'Send milliseconds since 1970, no more than a day in the future.',
  },
  event_conflict: { status: 409, title: 'This id was already used for something else', fix: 'Use a fresh id for each event or transaction.' },
  item_not_found: { status: 404, title: 'No such item', fix: 'Put the item first.' },
  transaction_not_found: { status: 404, title: 'No such transaction', fix: 'Score the transaction first, or send the entity ids with the label.' },
  currency_unknown: {
    status: 422,
    title: 'No rate is declared for this currency',
    fix: 'Add it to the file named by GATEHOUSE_RATES_FILE, or send the amount in the shop’s own.',
  },
  case_closed: { status: 409, title: 'The case was decided', fix: 'Decide it anew if the verdict was wrong; a closed case cannot be assigned.' },
  case_full: { status: 409, title: 'The case can hold no more', fix: 'Decide it without a note; longer discussions belong elsewhere.' },
  restrictions_full: { status: 409, title: 'There are too many restrictions', fix: 'Lift those of a rule gone wrong first; block lists hold more.' },
  document_conflict: {
    status: 409,
    title: 'Another gateway changed this at the same moment',
    fix: 'Read it again, then decide anew.',
  },
  experiment_conflict: {
    status: 409,
    title: 'The experiment is not in a state for that',
    fix: 'An experiment is started once and stopped once, and a placement runs one at a time.',
  },
  experiments_full: {
    status: 409,
    title: 'There are too many experiments',
    fix: 'This gateway keeps as many as it can list; start with a new store.',
  },
  overloaded: { status: 503, title: 'The gateway is shedding load', fix: 'Retry after the Retry-After header, with jitter.' },
  draining: { status: 503, title: 'The gateway is shutting down', fix: 'Send the request to another instance.' },
  store_unavailable: {
    status: 503,
    title: 'The store cannot take the write',
    fix: 'Check disk space, or that Redis is up; nothing was acknowledged.',
  },
  store_full: { status: 507, title: 'The store has no room left', fix: 'Free disk space or shorten retention; nothing was acknowledged.' },
  erased: { status: 410, title: 'It was erased together with the person whom it was about', fix: 'It cannot be made again; erasure wins.' },
  erase_unsupported: {
    status: 501,
    title: 'This store cannot erase a person',
    fix: 'Give streams of the Redis server a node limit; see docs/privacy.md.',
  },
  user_too_large: {
    status: 422,
    title: 'Too much is stored under this user id for one person',
    fix: 'An id that many share is nobody’s: let retention take its records.',
  },
  internal: { status: 500, title: 'The gateway failed', fix: 'Report the request id; the log has the cause.' },
  // ---- bundles and models
  bundle_not_found: { status: 404, title: 'No such bundle', fix: 'List the bundles with `gatehouse bundle list`.' },
  bundle_exists: { status: 409, title: 'A bundle of this version exists', fix: 'A version is never written twice: choose another one.' },
  bundle_corrupt: { status: 422, title: 'The bundle is damaged', fix: 'Train or copy it again; a file does not match its manifest.' },
  bundle_incompatible: { status: 422, title: 'The bundle does not fit this gateway', fix: 'Retrain it with this version and feature set.' },
  bundle_probe_failed: {
    status: 422,
    title: 'The bundle failed its probe',
    fix: 'Look at the probe message: a model crashed, timed out, or gave NaN or a wrong shape.',
  },
  model_invalid: {
    status: 422,
    title: 'The model or its manifest cannot be used',
    fix: 'See docs/bring-your-own-model.md for what a model has to be.',
  },
  snapshot_corrupt: { status: 422, title: 'The index snapshot is damaged', fix: 'Rebuild the index; the file does not match its manifest.' },
  index_busy: { status: 503, title: 'The index cannot take more updates now', fix: 'Send them again later; it is being compacted.' },
  compaction_failed: { status: 500, title: 'The index could not be compacted', fix: 'See the log; it goes on serving, and tries again.' },
  rule_invalid: { status: 422, title: 'The rule does not compile', fix: 'Mend the CEL expression at the position given.' },
  rule_not_found: { status: 404, title: 'No such version of a rule', fix: 'List the rules with GET /v1/rules.' },
  rule_state_conflict: { status: 409, title: 'The rule cannot take this step', fix: 'See docs/rules.md for the life of a rule.' },
  approval_required: { status: 403, title: 'A second person has to approve the rule', fix: 'Have another operator approve this version.' },
  list_not_found: { status: 404, title: 'No such list', fix: 'List the lists with GET /v1/lists.' },
  editorial_lists_full: { status: 409, title: 'There are too many editorial lists', fix: 'Remove lists that have run out.' },
  placements_full: { status: 409, title: 'There are too many placements', fix: 'Remove placements that no page asks for.' },
  list_conflict: { status: 409, title: 'The list cannot be changed so', fix: 'Choose another name, free entries, or retire the rules that ask it.' },
  backtest_not_found: { status: 404, title: 'No such backtest', fix: 'The last ten are kept; list them with GET /v1/backtests.' },
  backtest_busy: { status: 409, title: 'A backtest is running', fix: 'Wait for it, or cancel it: one runs at a time.' },
  backtest_failed: { status: 500, title: 'The backtest failed', fix: 'Look at its problem and at the log.' },
  // ---- start-up and command line
  config_invalid: { status: 500, title: 'A setting is wrong', fix: 'See docs/settings.md.' },
  port_in_use: { status: 500, title: 'The port is in use', fix: 'Stop the other process or choose another port.' },
  data_dir_unwritable: { status: 500, title: 'The data folder cannot be written', fix: 'Give the user write access, or set GATEHOUSE_DATA_DIR.' },
  store_locked: { status: 500, title: 'Another process uses this embedded store', fix: 'Stop it, or use Redis to share a store.' },
  store_incompatible: {
    status: 500,
    title: 'The store was written by an incompatible version',
    fix: 'Export it with that version, or start with an empty folder.',
  },
  rebuild_unsupported: {
    status: 500,
    title: 'The states of this store cannot be rebuilt',
    fix: 'Let the windows of new features fill; see docs/features.md.',
  },
  rebuild_incomplete: {
    status: 500,
    title: 'The journal does not reach back far enough to rebuild every feature',
    fix: 'Rebuild with --partial if what is named may count less than now.',
  },
  platform_unsupported: { status: 500, title: 'No native binary fits this machine', fix: 'Use Node 20, 22 or 24 on glibc Linux, macOS or Windows.' },
  input_unreadable: { status: 500, title: 'The input cannot be read', fix: 'Check the path and the format.' },
  mapping_invalid: { status: 500, title: 'The mapping file is wrong', fix: 'Compare it with the examples in training/sources/mappings.' },
  cancelled: { status: 500, title: 'The command was stopped', fix: 'Start it again; a training goes on with --resume.' },
  training_data_insufficient: { status: 500, title: 'There is not enough data to train', fix: 'Import or collect more events.' },
  training_data_too_large: {
    status: 500,
    title: 'There is more data than this learner takes',
    fix: 'Train on a shorter time or on fewer items, or choose another learner.',
  },
} as const satisfies Record<string, { status: number; title: string; fix: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** What every route that writes can meet. */
export const STORE_ERRORS = ['store_unavailable', 'store_full'] as const satisfies readonly ErrorCode[];

/** One place in a request that does not fit its schema. `path` is a JSON pointer. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** An expected failure. `message` is for people; `code` is stable and for programs. */
export class GatehouseError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly errors: readonly FieldError[] | undefined;

  constructor(code: ErrorCode, detail: string, options: { cause?: unknown; errors?: readonly FieldError[] } = {}) {
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GatehouseError';
    this.code = code;
    this.detail = detail;
    this.errors = options.errors;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  /** RFC 9457 problem details. */
  toProblem(requestId?: string): Problem {
    const { status, title, fix } = ERRORS[this.code];
    return {
      type: `https://gatehouse.dev/errors#${this.code}`,
      title,
      status,
      code: this.code,
      detail: this.detail,
      fix,
      ...(this.errors ? { errors: this.errors } : {}),
      ...(requestId ? { request_id: requestId } : {}),
    };
  }
}

/** The body of every failed request (RFC 9457, `application/problem+json`). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly fix: string;
  readonly errors?: readonly FieldError[];
  readonly request_id?: string;
}

/** WebSocket close codes. 4000-4999 is the private range of RFC 6455; 1xxx are the standard's own. */
export const CLOSE = {
  going_away: { code: 1012, reconnect: true, meaning: 'the gateway restarts or drains: reconnect with jitter' },
  protocol_error: { code: 1002, reconnect: false, meaning: 'a frame broke the WebSocket protocol' },
  unsupported_data: { code: 1003, reconnect: false, meaning: 'a frame of a kind that this stream does not take' },
  message_too_big: { code: 1009, reconnect: false, meaning: 'a frame over the limit' },
  invalid_frame: { code: 4400, reconnect: false, meaning: 'the frame does not match its schema' },
  unauthenticated: { code: 4401, reconnect: false, meaning: 'no valid token: fetch a new one first' },
  token_expired: { code: 4402, reconnect: true, meaning: 'the token expired: reconnect with a new one' },
  forbidden: { code: 4403, reconnect: false, meaning: 'the token does not allow this channel' },
  slow_consumer: { code: 4408, reconnect: true, meaning: 'the outbox passed its byte or age limit: reconnect and recover' },
  idle: { code: 4409, reconnect: true, meaning: 'no pong in time' },
  too_many_connections: { code: 4429, reconnect: true, meaning: 'the connection limit is reached: reconnect later' },
} as const satisfies Record<string, { code: number; reconnect: boolean; meaning: string }>;

export type CloseReason = keyof typeof CLOSE;

/** The tables of docs/errors.md. */
export function errorsMarkdown(): string {
  const errors = Object.entries(ERRORS).map(([code, { status, title, fix }]) => `| \`${code}\` | ${status} | ${title} | ${fix} |`);
  const closes = Object.entries(CLOSE).map(
    ([reason, { code, reconnect, meaning }]) => `| ${code} | \`${reason}\` | ${reconnect ? 'yes' : 'no'} | ${meaning} |`,
  );
  return [
    '| code | status | what is wrong | what to do |',
    '|---|---|---|---|',
    ...errors,
    '',
    '## Close codes of the stream',
    '',
    '| code | reason | reconnect | meaning |',
    '|---|---|---|---|',
    ...closes,
    '',
  ].join('\n');
}

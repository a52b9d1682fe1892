import { GatehouseError } from '../contracts/errors.ts';

/** What every setting has. `doc` is the sentence of docs/settings.md and gives the reason for the default or the limit. */
interface Described {
  readonly name: `GATEHOUSE_${string}`;
  readonly doc: string;
}
interface IntegerSetting extends Described {
  readonly kind: 'integer';
  readonly default: number;
  readonly min: number;
  readonly max: number;
}
interface TextSetting extends Described {
  readonly kind: 'text';
  readonly default: string;
}
/** A text that may be left out: the value is undefined then. */
interface OptionalSetting extends Described {
  readonly kind: 'optional';
}
/** Comma-separated. */
interface ListSetting extends Described {
  readonly kind: 'list';
}
interface ChoiceSetting<T extends string> extends Described {
  readonly kind: 'choice';
  readonly default: T;
  readonly of: readonly T[];
}
type Setting = IntegerSetting | TextSetting | OptionalSetting | ListSetting | ChoiceSetting<string>;

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

type Name = Described['name'];
const integer = (name: Name, value: number, min: number, max: number, doc: string): IntegerSetting => ({
  kind: 'integer',
  name,
  default: value,
  min,
  max,
  doc,
});
const text = (name: Name, value: string, doc: string): TextSetting => ({ kind: 'text', name, default: value, doc });
const optional = (name: Name, doc: string): OptionalSetting => ({ kind: 'optional', name, doc });
const list = (name: Name, doc: string): ListSetting => ({ kind: 'list', name, doc });
const choice = <const T extends string>(name: Name, value: NoInfer<T>, of: readonly T[], doc: string): ChoiceSetting<T> => ({
  kind: 'choice',
  name,
  default: value,
  of,
  doc,
});

/** Every setting, once. The key is its name in `Config`, `name` its environment variable. */
export const SETTINGS = {
  dataDir: text('GATEHOUSE_DATA_DIR', './data', 'Folder of the embedded store and the bundles. It must be writable and on a local disk.'),
  host: text('GATEHOUSE_HOST', '127.0.0.1', 'Address of the data plane. Loopback by default: put TLS in front before you open it.'),
  port: integer('GATEHOUSE_PORT', 8080, 0, 65_535, 'Port of the data plane. 0 takes a free one.'),
  controlHost: text(
    'GATEHOUSE_CONTROL_HOST',
    '127.0.0.1',
    'Address of the control plane. Keep it off the internet: /metrics, /healthz and /readyz need no token.',
  ),
  controlPort: integer('GATEHOUSE_CONTROL_PORT', 8081, 0, 65_535, 'Port of the control plane. 0 takes a free one.'),
  controlAllowedHosts: list(
    'GATEHOUSE_CONTROL_ALLOWED_HOSTS',
    'Host names by which browsers may address the control plane, besides localhost and IP addresses. Any other name is refused, so that a foreign page cannot reach it by DNS rebinding.',
  ),
  streamUrl: optional(
    'GATEHOUSE_STREAM_URL',
    'Public ws:// or wss:// address of /v1/stream for the dashboard. Left out: the host of the dashboard with the data port.',
  ),

  store: choice('GATEHOUSE_STORE', 'lmdb', ['lmdb', 'redis'], 'Embedded store for one process, or Redis to share state between several.'),
  redisUrl: text('GATEHOUSE_REDIS_URL', 'redis://127.0.0.1:6379', 'Address of Redis 7 or later; used with GATEHOUSE_STORE=redis.'),
  redisPrefix: text('GATEHOUSE_REDIS_PREFIX', 'gatehouse', 'Prefix of every Redis key, so that several gateways can share one Redis.'),
  durability: choice(
    'GATEHOUSE_DURABILITY',
    'sync',
    ['sync', 'async'],
    'sync: a 2xx means that the write is on disk. async: it is acknowledged before, and a power cut may lose the last moments.',
  ),
  journalRecordsMax: integer(
    'GATEHOUSE_JOURNAL_RECORDS_MAX',
    50_000_000,
    1000,
    10_000_000_000,
    'Facts kept in the journal, the oldest go first. At about 200 bytes each the default fills 10 GB of disk.',
  ),
  alertsMax: integer(
    'GATEHOUSE_ALERTS_MAX',
    100_000,
    100,
    100_000_000,
    'Alerts kept for recovery and review. A client that was away longer is told recovered: false.',
  ),
  idempotencyMs: integer(
    'GATEHOUSE_IDEMPOTENCY_MS',
    7 * DAY_MS,
    MINUTE_MS,
    365 * DAY_MS,
    'How long an event_id or transaction_id is remembered. Retries and late duplicates of a week are counted once.',
  ),
  stateTtlMs: integer(
    'GATEHOUSE_STATE_TTL_MS',
    180 * DAY_MS,
    HOUR_MS,
    3650 * DAY_MS,
    'How long the state of an entity that is not seen any more is kept. Twice the longest window (90 days), so that no window is cut.',
  ),
  stateCacheEntries: integer(
    'GATEHOUSE_STATE_CACHE_ENTRIES',
    50_000,
    0,
    10_000_000,
    'Decoded entity states kept in memory. A few kilobytes each, so the default stays within some 200 MB.',
  ),

  suspendMs: integer(
    'GATEHOUSE_SUSPEND_MS',
    7 * DAY_MS,
    MINUTE_MS,
    365 * DAY_MS,
    'How long a decision to suspend holds for the user. A week: long enough for an analyst to look, short enough that a mistake does not last.',
  ),
  restrictMs: integer(
    'GATEHOUSE_RESTRICT_MS',
    DAY_MS,
    MINUTE_MS,
    365 * DAY_MS,
    'How long a decision to restrict a means of payment holds for it. A day: stolen numbers are tried out within hours.',
  ),

  bodyBytesMax: integer(
    'GATEHOUSE_BODY_BYTES_MAX',
    MIB,
    KIB,
    64 * MIB,
    'Largest request body. 1 MiB holds a full batch of 1000 events of a kilobyte; parsing more would stop the event loop for over 10 ms.',
  ),
  requestTimeoutMs: integer(
    'GATEHOUSE_REQUEST_TIMEOUT_MS',
    10 * SECOND_MS,
    100,
    10 * MINUTE_MS,
    'Time for a client to send its body. A slower client is cut off so that it holds no memory.',
  ),
  recommendDeadlineMs: integer(
    'GATEHOUSE_RECOMMEND_DEADLINE_MS',
    50,
    1,
    10 * SECOND_MS,
    'Budget of a recommendation. Stages that are late are dropped and the answer is marked degraded.',
  ),
  scoreDeadlineMs: integer(
    'GATEHOUSE_SCORE_DEADLINE_MS',
    100,
    1,
    10 * SECOND_MS,
    'Budget of a risk score. After it the rules answer without the model and the answer is marked degraded.',
  ),
  candidatesMax: integer(
    'GATEHOUSE_CANDIDATES_MAX',
    200,
    1,
    1000,
    'Candidates that the ranker sees. 200 rows of a 100-tree model take 0.2 ms; the event loop stands still meanwhile.',
  ),
  contentItemsMax: integer(
    'GATEHOUSE_CONTENT_ITEMS_MAX',
    1_000_000,
    0,
    10_000_000,
    'Items that the source `content` knows, by vectors of 128 numbers: some 1.2 KB each, twice that while bundles are swapped. 0 does without it.',
  ),
  inFlightMax: integer(
    'GATEHOUSE_IN_FLIGHT_MAX',
    1024,
    1,
    100_000,
    'Requests in work at once. More are shed with 503 and Retry-After: a queue beyond this only adds latency.',
  ),
  eventLoopDelayMaxMs: integer(
    'GATEHOUSE_EVENT_LOOP_DELAY_MAX_MS',
    200,
    5,
    60 * SECOND_MS,
    'How long a request may have waited for the event loop before it is shed; twice as long for events, four times for scores. 200 ms is well past every deadline, so work taken then would be late.',
  ),
  clockSkewMaxMs: integer(
    'GATEHOUSE_CLOCK_SKEW_MAX_MS',
    DAY_MS,
    0,
    7 * DAY_MS,
    'How far ahead of the gateway a timestamp may be. A shop in another time zone that mixes up UTC stays within a day.',
  ),

  wsConnectionsMax: integer(
    'GATEHOUSE_WS_CONNECTIONS_MAX',
    10_000,
    1,
    1_000_000,
    'Open streams at once. At 30 KB each the default takes 300 MB; further ones are closed with 4429.',
  ),
  wsOutboxBytesMax: integer(
    'GATEHOUSE_WS_OUTBOX_BYTES_MAX',
    256 * KIB,
    4 * KIB,
    64 * MIB,
    'Bytes waiting for one slow stream. Above it the stream is closed with 4408 and recovers on reconnect; nothing is dropped silently.',
  ),
  wsOutboxAgeMs: integer(
    'GATEHOUSE_WS_OUTBOX_AGE_MS',
    30 * SECOND_MS,
    100,
    10 * MINUTE_MS,
    'Oldest alert that may wait for one slow stream. Half a minute is late for a risk desk: better to reconnect.',
  ),
  drainMs: integer(
    'GATEHOUSE_DRAIN_MS',
    10 * SECOND_MS,
    0,
    10 * MINUTE_MS,
    'Time for work in flight to finish at shutdown. Keep it below the grace period of the orchestrator (Kubernetes: 30 s).',
  ),

  adminToken: optional(
    'GATEHOUSE_ADMIN_TOKEN',
    'Token of the control plane: gh_adm_… in plain, or sha256:<hex>. Left out: nobody can change anything through the control plane.',
  ),
  adminTokens: list(
    'GATEHOUSE_ADMIN_TOKENS',
    'Tokens of named operators, as name=token (token as above), so that the journal says who changed what and one can approve what another wrote.',
  ),
  secretKeys: list('GATEHOUSE_SECRET_KEYS', 'Secret keys (gh_sec_… in plain, or sha256:<hex>) for servers, besides those in the store.'),
  publishableKeys: list('GATEHOUSE_PUBLISHABLE_KEYS', 'Publishable keys (gh_pub_…, or sha256:<hex>) for browsers, besides those in the store.'),
  allowedOrigins: list(
    'GATEHOUSE_ALLOWED_ORIGINS',
    'Origins (https://shop.example) of pages that may use the keys of GATEHOUSE_PUBLISHABLE_KEYS. Left out: none.',
  ),
  rulesFile: optional('GATEHOUSE_RULES_FILE', 'JSON file of risk rules. Left out: the rules that ship with the gateway.'),
  ruleApproval: choice(
    'GATEHOUSE_RULE_APPROVAL',
    'off',
    ['off', 'two_person'],
    'two_person: a rule goes live only after someone other than its author approved it; needs GATEHOUSE_ADMIN_TOKENS with two names.',
  ),
  breakerWindowMs: integer(
    'GATEHOUSE_BREAKER_WINDOW_MS',
    10 * MINUTE_MS,
    SECOND_MS,
    DAY_MS,
    'Sliding window of the circuit breaker. Ten minutes hold enough payments of a small shop and end a wrong rule before it has cost much.',
  ),
  breakerDecisionsMin: integer(
    'GATEHOUSE_BREAKER_DECISIONS_MIN',
    200,
    1,
    1_000_000,
    'Decisions that the window must hold before the breaker acts. Of fewer, a run of frauds looks like a wrong rule.',
  ),
  breakerRulePercent: integer(
    'GATEHOUSE_BREAKER_RULE_PERCENT',
    50,
    1,
    100,
    'A rule that stops more than this share of the window goes to shadow. Half is more than a card-testing attack makes of all payments; 100 turns it off.',
  ),
  breakerOverallPercent: integer(
    'GATEHOUSE_BREAKER_OVERALL_PERCENT',
    75,
    1,
    100,
    'When all rules together stop more than this share of the window, the one that stops the most goes to shadow. 100 turns it off.',
  ),
  ratesFile: optional(
    'GATEHOUSE_RATES_FILE',
    'JSON file of exchange rates, {"base": "EUR", "rates": {"USD": 0.92}}: amounts are counted in the base, and a currency that is not in it is refused. Left out: amounts are taken as they come.',
  ),
  featuresFile: optional(
    'GATEHOUSE_FEATURES_FILE',
    'JSON file of feature declarations (docs/features.md); gateway and trainer need the same. Left out: the features that ship with the gateway.',
  ),
  placementsFile: optional('GATEHOUSE_PLACEMENTS_FILE', 'JSON file of placements. Left out: the placements that ship with the gateway.'),
  logLevel: choice(
    'GATEHOUSE_LOG_LEVEL',
    'info',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'Lowest level that is logged. debug logs a line for each request and costs throughput.',
  ),
} as const satisfies Record<string, Setting>;

type Settings = typeof SETTINGS;
type Value<S> = S extends IntegerSetting
  ? number
  : S extends TextSetting
    ? string
    : S extends OptionalSetting
      ? string | undefined
      : S extends ListSetting
        ? readonly string[]
        : S extends ChoiceSetting<infer T>
          ? T
          : never;

/** Every setting, parsed and checked. Frozen: a setting that could change while the gateway runs would be read twice with two values. */
export type Config = { readonly [K in keyof Settings]: Value<Settings[K]> };

function wrong(setting: Setting, problem: string): GatehouseError {
  return new GatehouseError('config_invalid', `${setting.name} ${problem}`);
}

/** `raw` is never quoted in the error: it may be a secret that was put under the wrong name. */
function parse(setting: Setting, raw: string | undefined): number | string | readonly string[] | undefined {
  const given = raw?.trim();
  const empty = given === undefined || given === '';
  switch (setting.kind) {
    case 'optional':
      return empty ? undefined : given;
    case 'list':
      return Object.freeze(
        empty
          ? []
          : given
              .split(',')
              .map((part) => part.trim())
              .filter((part) => part !== ''),
      );
    case 'text':
      return empty ? setting.default : given;
    case 'choice':
      if (empty) return setting.default;
      if (!setting.of.includes(given)) throw wrong(setting, `must be one of ${setting.of.join(', ')}`);
      return given;
    case 'integer': {
      if (empty) return setting.default;
      if (!/^-?\d{1,15}$/.test(given)) throw wrong(setting, 'must be a whole number');
      return inRange(setting, Number(given));
    }
  }
}

function inRange(setting: IntegerSetting, value: number): number {
  if (!Number.isInteger(value) || value < setting.min || value > setting.max) {
    throw wrong(setting, `must be a whole number from ${setting.min} to ${setting.max}`);
  }
  return value;
}

/** Prefix of every setting's name; an unknown name with it is most likely a typing error and is refused. */
const PREFIX = 'GATEHOUSE_';

/**
 * Read the settings from the environment; `overrides` (from the command line or a test) win. An empty value counts as left out.
 * Throws `config_invalid` naming the setting: a wrong value, a value out of range, or a GATEHOUSE_ name that does not exist.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, overrides: Partial<Config> = {}): Config {
  const names = new Set<string>(Object.values(SETTINGS).map((setting) => setting.name));
  for (const name of Object.keys(env)) {
    if (name.startsWith(PREFIX) && !names.has(name)) throw new GatehouseError('config_invalid', `${name} is not a setting; see docs/settings.md`);
  }
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries<Setting>(SETTINGS)) {
    const override = overrides[key as keyof Config];
    if (override === undefined) {
      values[key] = parse(setting, env[setting.name]);
    } else if (setting.kind === 'integer') {
      values[key] = inRange(setting, Number(override));
    } else {
      // A given text passes the same checks; a list comes parsed.
      values[key] = typeof override === 'string' ? parse(setting, override) : override;
    }
  }
  const config = values as unknown as Config;
  checkOrigins(config);
  checkStreamUrl(config);
  return Object.freeze(config);
}

function checkOrigins({ allowedOrigins }: Config): void {
  for (const origin of allowedOrigins) {
    if (!isOrigin(origin)) throw wrong(SETTINGS.allowedOrigins, 'must hold origins such as https://shop.example, without a path');
  }
}

function checkStreamUrl({ streamUrl }: Config): void {
  if (streamUrl === undefined) return;
  if (!URL.canParse(streamUrl) || !/^wss?:$/.test(new URL(streamUrl).protocol)) throw wrong(SETTINGS.streamUrl, 'must start with ws:// or wss://');
}

/** Whether `text` is exactly what a browser would send as `Origin`. */
export function isOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.origin === text;
}

function defaultOf(setting: Setting): string {
  if (setting.kind === 'optional' || setting.kind === 'list') return '—';
  return `\`${setting.default}\``;
}

function valuesOf(setting: Setting): string {
  switch (setting.kind) {
    case 'integer':
      return `${setting.min} to ${setting.max}`;
    case 'choice':
      return setting.of.map((value) => `\`${value}\``).join(', ');
    case 'list':
      return 'comma-separated';
    case 'text':
    case 'optional':
      return 'text';
  }
}

/** The table of docs/settings.md. */
export function settingsMarkdown(): string {
  const rows = Object.values<Setting>(SETTINGS).map(
    (setting) => `| \`${setting.name}\` | ${defaultOf(setting)} | ${valuesOf(setting)} | ${setting.doc} |`,
  );
  return ['| setting | default | values | what it does, and why |', '|---|---|---|---|', ...rows, ''].join('\n');
}

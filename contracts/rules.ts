import Type, { type Static } from 'typebox';
import { Id, TimestampMs } from './event.ts';
import { RULE_ACTIONS } from './score.ts';

const strict = { additionalProperties: false };

/**
 * The life of a rule's version. `draft` is edited; `backtest` has been run over history; `shadow` is evaluated and recorded but does not act; `live`
 * acts; `retired` is kept, because decisions cite it, and is never evaluated again.
 */
export const RULE_STATES = ['draft', 'backtest', 'shadow', 'live', 'retired'] as const;
export type RuleState = (typeof RULE_STATES)[number];

/** What an author writes. `when` is CEL over `tx`, `features`, `score`, `probability`, `anomaly` and `in_list(name, value)`. */
const RULE_CONTENT = {
  description: Type.String({ minLength: 1, maxLength: 300 }),
  when: Type.String({ minLength: 1, maxLength: 4000 }),
  action: Type.Enum([...RULE_ACTIONS]),
  /** Whether an `allow` rule overrides it; true where left out. `suspend`, and whatever asks a block list, is never overridden. */
  overridable: Type.Optional(Type.Boolean()),
};

export const CreateRuleRequest = Type.Object({ id: Id, ...RULE_CONTENT }, strict);
export type CreateRuleRequest = Static<typeof CreateRuleRequest>;

/** A rule as the engine takes it, and as it stands in a rules file. */
export const Rule = Type.Object({ id: Id, version: Type.Integer({ minimum: 1 }), ...RULE_CONTENT, state: Type.Enum([...RULE_STATES]) }, strict);
export type Rule = Static<typeof Rule>;

const Share = Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()]);

/** What a backtest says of one rule. Figures of fraud count the payments whose label is known to be fraud; all others count as honest. */
export const BacktestRule = Type.Object(
  {
    id: Type.String(),
    version: Type.Integer(),
    action: Type.Enum([...RULE_ACTIONS]),
    hits: Type.Integer(),
    fraud_hits: Type.Integer(),
    /** Share of the hits that were fraud; null without hits. */
    precision: Share,
    /** Share of all fraud that it hits; null without fraud. */
    recall: Share,
    /** Sum of the fraudulent amounts that it hits, each at the rate of its time, in the shop's own currency. */
    amount_saved: Type.Number(),
    /** Sum of the honest amounts that it hits. */
    amount_hurt: Type.Number(),
    /** Distinct users whose honest payments it hits. */
    customers_hurt: Type.Integer(),
    /** Hits that no other rule of the run has. */
    hits_alone: Type.Integer(),
    failed: Type.Integer(),
    /** Hits that it shares with each other rule, the most first. */
    overlap: Type.Array(Type.Object({ id: Type.String(), version: Type.Integer(), hits: Type.Integer() }, strict)),
  },
  strict,
);
export type BacktestRule = Static<typeof BacktestRule>;

export const BacktestResult = Type.Object(
  {
    /** Payments looked at: those with a journalled vector, and those whose features were replayed. */
    transactions: Type.Integer(),
    journalled: Type.Integer(),
    replayed: Type.Integer(),
    /** Payments that could not be judged: they were decided on another feature set, or are over a limit. */
    left_out: Type.Integer(),
    /** Payments without a model's score: rules that read `score` or `probability` cannot hit them. */
    without_model: Type.Integer(),
    fraud: Type.Integer(),
    fraud_amount: Type.Number(),
    from_ms: Type.Union([Type.Integer(), Type.Null()]),
    to_ms: Type.Union([Type.Integer(), Type.Null()]),
    duration_ms: Type.Number(),
    rules: Type.Array(BacktestRule),
  },
  strict,
);
export type BacktestResult = Static<typeof BacktestResult>;

/** Newest payments that one run looks at, where nothing else is asked for; 36 bytes of memory each. */
export const BACKTEST_TRANSACTIONS_DEFAULT = 2_000_000;
export const BACKTEST_TRANSACTIONS_MAX = 10_000_000;

export const BacktestRequest = Type.Object(
  {
    /** The versions to run; every rule's newest version that is not retired, where left out. Live rules always run beside them, for the overlap. */
    rules: Type.Optional(Type.Array(Type.Object({ id: Id, version: Type.Integer({ minimum: 1 }) }, strict), { minItems: 1, maxItems: 100 })),
    from_ms: Type.Optional(TimestampMs),
    to_ms: Type.Optional(TimestampMs),
    transactions_max: Type.Optional(Type.Integer({ minimum: 1, maximum: BACKTEST_TRANSACTIONS_MAX })),
    /** `as_of`: an entry counts from when it was made to when it expires, so that no rule knows its future. `now`: the lists as they are. */
    lists: Type.Optional(Type.Enum(['as_of', 'now'])),
    /** `never`: payments without a journalled vector are left out, which saves the time and memory of the replay. */
    replay: Type.Optional(Type.Enum(['when_needed', 'never'])),
  },
  strict,
);
export type BacktestRequest = Static<typeof BacktestRequest>;

export const BACKTEST_STATES = ['running', 'done', 'failed', 'cancelled'] as const;
export const BacktestJob = Type.Object(
  {
    id: Id,
    state: Type.Enum([...BACKTEST_STATES]),
    author: Type.String(),
    started_ms: Type.Integer(),
    /** Share of the journal that has been read. */
    progress: Type.Number({ minimum: 0, maximum: 1 }),
    rules: Type.Array(Type.Object({ id: Type.String(), version: Type.Integer() }, strict)),
    result: Type.Optional(BacktestResult),
    problem: Type.Optional(Type.String()),
  },
  strict,
);
export type BacktestJob = Static<typeof BacktestJob>;
/** The newest first. */
export const BacktestsResponse = Type.Object({ backtests: Type.Array(BacktestJob) }, strict);
export type BacktestsResponse = Static<typeof BacktestsResponse>;

/** Why the circuit breaker took a rule out of action: it stopped `stopped` of the `decisions` of its window. */
export const Trip = Type.Object(
  { at_ms: Type.Integer(), decisions: Type.Integer(), stopped: Type.Integer(), scope: Type.Enum(['rule', 'overall']) },
  strict,
);
export type Trip = Static<typeof Trip>;

export const RuleVersion = Type.Object(
  {
    ...Rule.properties,
    overridable: Type.Boolean(),
    author: Type.String(),
    created_ms: Type.Integer(),
    changed_by: Type.String(),
    changed_ms: Type.Integer(),
    approved_by: Type.Optional(Type.String()),
    /** Present while the breaker holds the rule in shadow. */
    tripped: Type.Optional(Trip),
    /** Its last backtest. */
    backtest: Type.Optional(Type.Object({ at_ms: Type.Integer(), transactions: Type.Integer(), figures: BacktestRule }, strict)),
  },
  strict,
);
export type RuleVersion = Static<typeof RuleVersion>;

/** As it is listed. `problem` is there where this gateway can't compile it, and then it does not act: a feature or a list that it names is gone. */
export const ListedRule = Type.Object({ ...RuleVersion.properties, problem: Type.Optional(Type.String()) }, strict);
export type ListedRule = Static<typeof ListedRule>;

/** Whether going live needs a second person. */
export const RULE_APPROVALS = ['off', 'two_person'] as const;

/** Versions shown of each rule, besides those in force: what an analyst compares; the journal has every one. */
export const RULE_VERSIONS_SHOWN = 20;
export const RulesResponse = Type.Object(
  {
    approval: Type.Enum([...RULE_APPROVALS]),
    /** Names the rules in force and their states; decisions cite it. */
    ruleset: Type.String(),
    /** By id, then the newest version first. */
    rules: Type.Array(ListedRule),
  },
  strict,
);
export type RulesResponse = Static<typeof RulesResponse>;

export const RuleStateRequest = Type.Object({ state: Type.Enum(['shadow', 'live', 'retired']) }, strict);
export type RuleStateRequest = Static<typeof RuleStateRequest>;

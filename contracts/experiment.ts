import Type, { type Static } from 'typebox';
import { Id, TimestampMs } from './event.ts';

const strict = { additionalProperties: false };

export const EXPERIMENT_STATES = ['draft', 'running', 'stopped'] as const;
export type ExperimentState = (typeof EXPERIMENT_STATES)[number];
/** More variants than this share the visitors so thinly that no shop would see an end. */
export const VARIANTS_MAX = 6;

/** A placement with some of its fields replaced (docs/architecture.md). The first variant of an experiment is the control. */
export const Variant = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9_-]{1,40}$' }),
    /** Its share of the visitors is its weight over the sum of all. */
    weight: Type.Number({ exclusiveMinimum: 0, maximum: 1000 }),
    overrides: Type.Record(Type.String({ maxLength: 40 }), Type.Unknown()),
  },
  strict,
);
export type Variant = Static<typeof Variant>;

/** What stops an experiment by itself, once a difference from the control is beyond chance. */
export const Guardrails = Type.Object(
  {
    /** By how much the share of degraded answers may rise. */
    degraded_share_rise: Type.Number({ minimum: 0, maximum: 1 }),
    /** By how much the mean time to answer may rise. */
    latency_ms_rise: Type.Number({ minimum: 0, maximum: 10_000 }),
    /** By which share the revenue of a visitor may fall. */
    revenue_drop: Type.Number({ minimum: 0, maximum: 1 }),
  },
  strict,
);
export type Guardrails = Static<typeof Guardrails>;

const Settings = {
  experiment_id: Id,
  placement: Id,
  variants: Type.Array(Variant, { minItems: 2, maxItems: VARIANTS_MAX }),
  /** Chance of seeing a difference where there is none, at any time, for each metric; divided among the variants. */
  alpha: Type.Number({ minimum: 1e-6, maximum: 0.5 }),
  /** A visitor's outcome is what they do within this time of the first answer of the experiment that they get; then it counts, once. */
  window_hours: Type.Number({ minimum: 0.01, maximum: 24 * 28 }),
  /** Visitors at which the intervals are narrowest for what they promise. They hold at any number. */
  visitors_planned: Type.Integer({ minimum: 100, maximum: 100_000_000 }),
  guardrails: Guardrails,
};

export const CreateExperimentRequest = Type.Object(
  {
    experiment_id: Settings.experiment_id,
    placement: Settings.placement,
    variants: Settings.variants,
    alpha: Type.Optional(Settings.alpha),
    window_hours: Type.Optional(Settings.window_hours),
    visitors_planned: Type.Optional(Settings.visitors_planned),
    guardrails: Type.Optional(Type.Partial(Guardrails)),
  },
  strict,
);
export type CreateExperimentRequest = Static<typeof CreateExperimentRequest>;
export const StopExperimentRequest = Type.Object({ reason: Type.String({ minLength: 1, maxLength: 500 }) }, strict);
export type StopExperimentRequest = Static<typeof StopExperimentRequest>;

const Moment = Type.Union([TimestampMs, Type.Null()]);
export const Experiment = Type.Object(
  {
    ...Settings,
    state: Type.Enum([...EXPERIMENT_STATES]),
    created_ms: TimestampMs,
    started_ms: Moment,
    /** Journal offset behind which it counts. */
    started_offset: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    stopped_ms: Moment,
    stop_reason: Type.Union([Type.String(), Type.Null()]),
  },
  strict,
);
export type Experiment = Static<typeof Experiment>;
/** The newest first. */
export const ExperimentsResponse = Type.Object({ experiments: Type.Array(Experiment) }, strict);
export type ExperimentsResponse = Static<typeof ExperimentsResponse>;

/**
 * Of one visitor: whether they clicked on, put into the basket, or bought what the experiment showed them; all that they paid; whether their first
 * answer was degraded, and how long it took.
 */
export const EXPERIMENT_METRICS = ['click_rate', 'basket_rate', 'purchase_rate', 'revenue_per_visitor', 'degraded_share', 'latency_ms'] as const;
export type ExperimentMetric = (typeof EXPERIMENT_METRICS)[number];

const Figure = Type.Union([Type.Number(), Type.Null()]);
export const VariantResult = Type.Object(
  {
    name: Type.String(),
    /** Visitors who got an answer, and those whose window is over: outcomes are of these. */
    visitors: Type.Integer({ minimum: 0 }),
    counted: Type.Integer({ minimum: 0 }),
    means: Type.Record(Type.Enum([...EXPERIMENT_METRICS]), Figure),
  },
  strict,
);
export type VariantResult = Static<typeof VariantResult>;

/** Always valid: it may be looked at, and acted upon, at any time. Null while there are too few visitors to say anything. */
export const Comparison = Type.Object(
  {
    variant: Type.String(),
    metric: Type.Enum([...EXPERIMENT_METRICS]),
    /** Variant less control, with its confidence sequence at 1 - alpha over the number of variants beside the control. */
    difference: Figure,
    low: Figure,
    high: Figure,
    p_value: Figure,
    significant: Type.Boolean(),
  },
  strict,
);
export type Comparison = Static<typeof Comparison>;

export const ExperimentResult = Type.Object(
  {
    experiment: Experiment,
    variants: Type.Array(VariantResult),
    comparisons: Type.Array(Comparison),
    /** Whether the visitors are divided as the weights say. Where not, some are lost to one side, and nothing else here can be trusted. */
    sample_ratio: Type.Object({ p_value: Type.Number(), mismatch: Type.Boolean() }, strict),
    /** Answers to visitors beyond the limits, who are shown their variant and are not counted. */
    answers_over: Type.Integer({ minimum: 0 }),
    /** False: the journal has lost what happened at the beginning before it could be counted. */
    complete: Type.Boolean(),
  },
  strict,
);
export type ExperimentResult = Static<typeof ExperimentResult>;

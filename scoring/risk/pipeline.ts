import { hash } from 'node:crypto';
import type { RiskThresholds } from '../../contracts/bundle.ts';
import type { TimedEvent } from '../../contracts/event.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { Alert } from '../../contracts/push.ts';
import type { Restriction } from '../../contracts/restriction.ts';
import type { DecisionName, Reason, ScoreRequest, ScoreResponse } from '../../contracts/score.ts';
import type { EntityKind } from '../../store/contract.ts';
import { inTime, LateError } from '../deadline.ts';
import type { EntityState, FeatureEngine } from '../features/contract.ts';
import { alertSeverity, decide, modelDecision, stronger } from './decision.ts';
import type { DriftReference } from './drift.ts';
import { imposedBy, type RestrictionTerms, reasonOf } from './restrictions.ts';
import type { RuleBook } from './rules.ts';

export const FRAUD_SET = 'fraud';
/** A person reads the first few reasons; the rest explain nothing more. */
const REASONS_MAX = 5;
/** Contributions below this move the odds by under 2 %: noise to a reader. */
const CONTRIBUTION_MIN = 0.02;

/** A fraud model with what its answer needs. */
export interface FraudModel {
  readonly bundle: string;
  readonly thresholds: RiskThresholds;
  /** Raw probability of one vector. */
  predict(vector: Float32Array): Promise<number>;
  calibrate(raw: number): number;
  /** What each feature did to the log-odds, one number a feature: exact Shapley values, unless `method` says otherwise. Absent: nothing can tell. */
  contributions?(vector: Float32Array): ArrayLike<number> | Promise<ArrayLike<number>>;
  readonly method?: NonNullable<Reason['method']>;
  /** What drift is measured against; absent: it is not. */
  readonly reference?: DriftReference;
}

/** How strange a payment looks, whether such payments were fraud or not. */
export interface AnomalyModel {
  /** Share of known payments that look less strange than that of the vector, 0 to 1. */
  share(vector: Float32Array): Promise<number>;
}

interface Judged {
  readonly request: ScoreRequest & { readonly timestamp_ms: number };
  readonly model: FraudModel | undefined;
  /** Asked as well and recorded; it decides nothing, and what befalls it changes nothing. */
  readonly other?: FraudModel | undefined;
  /** Rules read what it says; absent: they find no number there, which degrades nothing. */
  readonly anomaly?: AnomalyModel | undefined;
  readonly rules: RuleBook;
  readonly nowMs: number;
  /** What earlier decisions and analysts hold against the user or the means of payment. */
  readonly standing?: readonly Restriction[] | undefined;
  /** How long this decision goes on; left out, as in a replay, it imposes nothing. */
  readonly terms?: RestrictionTerms | undefined;
  /** How long each model may take, the one beside the other; left out, as in a replay, for as long as it likes. */
  readonly deadlineMs?: number | undefined;
}

export interface RiskInput extends Judged {
  /** The request as the event that was counted (`paymentEvent`). */
  readonly event: TimedEvent;
  /** States of the transaction's entities, its own payment attempt included. */
  readonly states: Readonly<Partial<Record<EntityKind, EntityState | undefined>>>;
}

export interface RiskResult {
  readonly response: ScoreResponse;
  readonly decision: Fact & { kind: 'decision' };
  readonly alert: Alert | undefined;
  /** What the decision holds against the user or the means of payment from now on; undefined where nothing that does not stand already. */
  readonly imposed: Restriction | undefined;
  /** Why the answer is not what it could be, with the causes for the log; what was late has none, because its reason says it all and there may be one a request. */
  readonly failures: readonly { readonly reason: string; readonly cause: unknown }[];
}

/** Vectors that share one piece of memory: to get and free one for each payment takes longer than to fill a third of it. */
const VECTORS_A_SLAB = 64;
let slab = new Float32Array(0);
let slabUsed = 0;

/** Zeros of the given length. */
function newVector(width: number): Float32Array {
  if (slabUsed + width > slab.length) {
    slab = new Float32Array(width * VECTORS_A_SLAB);
    slabUsed = 0;
  }
  slabUsed += width;
  return slab.subarray(slabUsed - width, slabUsed);
}

/** From entity states to a decision. */
export function assess(engine: FeatureEngine, input: RiskInput): Promise<RiskResult> {
  const { request, event, states } = input;
  const vector = newVector(engine.names(FRAUD_SET).length);
  engine.vector(FRAUD_SET, { nowMs: request.timestamp_ms, states, event }, [], vector, 0);
  const { model, other, anomaly, rules, nowMs, standing, terms, deadlineMs } = input;
  // Field by field: a spread of so many costs more than all rules.
  return judge(engine, { request, model, other, anomaly, rules, nowMs, standing, terms, deadlineMs, vector });
}

/**
 * From a vector to a decision; a replay starts here. Without a model, or when it fails, the rules alone decide and the answer says that it is
 * degraded: a checkout always gets a verdict.
 */
export async function judge(engine: FeatureEngine, input: Judged & { readonly vector: Float32Array }): Promise<RiskResult> {
  const { request, model, rules, nowMs, vector, deadlineMs, terms, other, standing = [] } = input;
  const failures: { reason: string; cause: unknown }[] = [];
  let score = Number.NaN;
  let probability = Number.NaN;
  const asked = other && opinionOf(other, vector, deadlineMs);
  const strange = input.anomaly && strangenessOf(input.anomaly, vector, deadlineMs);
  if (!model) failures.push({ reason: 'model_missing', cause: undefined });
  else {
    try {
      score = await inTime(model.predict(vector), deadlineMs, 'the model');
      probability = model.calibrate(score);
      if (!Number.isFinite(probability)) throw new Error(`the model gave ${score}`);
    } catch (cause) {
      failures.push(failureOf(cause, 'model_failed', 'deadline'));
      score = Number.NaN;
      probability = Number.NaN;
    }
  }
  // Only what was asked is waited for: each wait is another turn of the queue of promises.
  const { anomaly, cause } = strange === undefined ? NO_ANOMALY : await strange;
  if (cause !== undefined) failures.push(failureOf(cause, 'anomaly_failed', 'anomaly_deadline'));
  const outcome = rules.evaluate({ request, vector, score, probability, anomaly, nowMs });
  for (const rule of outcome.failed) failures.push({ reason: `rule_failed`, cause: new Error(`rule ${rule.rule} threw`) });
  const byModel: DecisionName = model && Number.isFinite(probability) ? modelDecision(probability, model.thresholds) : 'approve';
  // What this payment itself deserves: an alert is raised for that alone, not for each try of somebody who is suspended already.
  const { decision: own, hits } = decide(byModel, outcome.live);
  const name = standing.reduce((decision, { action }) => stronger(decision, action), own);

  const reasons: Reason[] = [];
  for (const [i, { hit, description }] of outcome.live.entries()) {
    if (!hits[i]!.overruled) reasons.push({ code: `rule:${hit.rule}`, text: description });
  }
  if ((own !== 'approve' || request.explain === true) && model && Number.isFinite(probability)) {
    try {
      reasons.push(...(await inTime(explain(engine, model, vector), deadlineMs, 'the explanation')));
    } catch (cause) {
      // The verdict stands without its reasons.
      failures.push(failureOf(cause, 'explanation_failed', 'explanation_deadline'));
    }
  }

  const held = standing.some(({ action }) => action === own);
  const imposed = held || terms === undefined ? undefined : imposedBy(request, own, reasons, terms, nowMs);
  const restrictions = imposed === undefined ? standing : [...standing, imposed];
  reasons.unshift(...standing.map(reasonOf));
  const opinion = asked === undefined ? undefined : await asked;
  const degraded = failures.length > 0;
  const response: ScoreResponse = {
    transaction_id: request.transaction_id,
    decision: name,
    score: Number.isFinite(score) ? score : null,
    probability: Number.isFinite(probability) ? probability : null,
    anomaly: Number.isFinite(anomaly) ? anomaly : null,
    reasons,
    rule_hits: [...hits],
    bundle: model?.bundle ?? null,
    degraded,
  };
  if (restrictions.length > 0) response.restrictions = [...restrictions];
  if (degraded) response.degraded_by = [...new Set(failures.map((failure) => failure.reason))];
  if (request.explain === true) response.features = featuresOf(engine, vector);
  return {
    response,
    decision: {
      kind: 'decision',
      at_ms: nowMs,
      request,
      response,
      vector,
      feature_hash: engine.hash(FRAUD_SET),
      other_model: opinion,
      ruleset: rules.ruleset,
      // Left out where empty, which is nearly always: the journal has one of these for every payment.
      shadow_hits: outcome.shadow.length > 0 ? outcome.shadow : undefined,
      list_hits: outcome.listHits.length > 0 ? outcome.listHits : undefined,
    },
    alert: own === 'approve' ? undefined : alertFor(request, response, nowMs),
    imposed,
    failures,
  };
}

/** Late is another reason than failed: the first is what overload looks like, and is counted without a line in the log for each. */
function failureOf(cause: unknown, failed: string, late: string): RiskResult['failures'][number] {
  return cause instanceof LateError ? { reason: late, cause: undefined } : { reason: failed, cause };
}

type Opinion = NonNullable<(Fact & { kind: 'decision' })['other_model']>;

/** Undefined where the model fails or is late. */
async function opinionOf(model: FraudModel, vector: Float32Array, deadlineMs: number | undefined): Promise<Opinion | undefined> {
  try {
    const score = await inTime(model.predict(vector), deadlineMs, 'the other model');
    const probability = model.calibrate(score);
    if (!Number.isFinite(probability)) return undefined;
    return { bundle: model.bundle, score, probability, decision: modelDecision(probability, model.thresholds) };
  } catch {
    return undefined;
  }
}

interface Strangeness {
  readonly anomaly: number;
  readonly cause?: unknown;
}
const NO_ANOMALY: Strangeness = { anomaly: Number.NaN };

/** Never rejects: a payment is judged without it. NaN with the cause where the model fails or is late. */
async function strangenessOf(model: AnomalyModel, vector: Float32Array, deadlineMs: number | undefined): Promise<Strangeness> {
  try {
    const anomaly = await inTime(model.share(vector), deadlineMs, 'the anomaly model');
    if (!Number.isFinite(anomaly)) throw new Error(`the anomaly model gave ${anomaly}`);
    return { anomaly };
  } catch (cause) {
    return { anomaly: Number.NaN, cause };
  }
}

function featuresOf(engine: FeatureEngine, vector: Float32Array): Record<string, number | null> {
  return Object.fromEntries(engine.names(FRAUD_SET).map((name, i) => [name, Number.isFinite(vector[i]) ? vector[i]! : null]));
}

/** The features that moved the odds most towards fraud, as sentences with their values; none where the model can't tell. */
async function explain(engine: FeatureEngine, model: FraudModel, vector: Float32Array): Promise<Reason[]> {
  const contributions = await model.contributions?.(vector);
  if (!contributions) return [];
  const order = Array.from(contributions, (_, i) => i)
    .filter((i) => contributions[i]! >= CONTRIBUTION_MIN)
    .sort((a, b) => contributions[b]! - contributions[a]!)
    .slice(0, REASONS_MAX);
  const names = engine.names(FRAUD_SET);
  const by = model.method && { method: model.method };
  return order.map((i) => ({ code: names[i]!, text: engine.explain(FRAUD_SET, i, vector[i]!), contribution: contributions[i]!, ...by }));
}

function alertFor(request: ScoreRequest, response: ScoreResponse, nowMs: number): Alert | undefined {
  const severity = alertSeverity(response.decision);
  if (!severity) return undefined;
  return {
    // Derived, not drawn: a second decider of the same transaction makes the same alert.
    alert_id: `a${hash('sha1', request.transaction_id, 'hex').slice(0, 20)}`,
    kind: 'decision',
    severity,
    at_ms: nowMs,
    title: `${TITLES[response.decision]} ${request.amount.toFixed(2)}${request.currency ? ` ${request.currency}` : ''} by ${request.user_id}`,
    transaction_id: request.transaction_id,
    user_id: request.user_id,
    decision: response.decision,
    probability: response.probability,
    amount: request.amount,
    ...(request.currency ? { currency: request.currency } : {}),
    reasons: response.reasons.map((reason) => reason.text),
    codes: response.reasons.map((reason) => reason.code),
    bundle: response.bundle,
  };
}

const TITLES: Readonly<Record<DecisionName, string>> = {
  suspend: 'Suspended',
  decline: 'Declined',
  restrict_payment_method: 'Payment method restricted for',
  challenge: 'Challenged',
  review: 'To review:',
  approve: 'Approved',
};

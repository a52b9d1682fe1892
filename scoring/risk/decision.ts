import type { RiskThresholds } from '../../contracts/bundle.ts';
import type { Severity } from '../../contracts/push.ts';
import { DECISIONS, type DecisionName, type RuleHit } from '../../contracts/score.ts';
import type { LiveRule } from './rules.ts';

const RANK = Object.fromEntries(DECISIONS.map((name, i) => [name, i])) as Readonly<Record<DecisionName, number>>;

/** What the model alone says. */
export function modelDecision(probability: number, thresholds: RiskThresholds): DecisionName {
  if (probability >= thresholds.decline) return 'decline';
  if (probability >= thresholds.challenge) return 'challenge';
  if (probability >= thresholds.review) return 'review';
  return 'approve';
}

export interface Verdict {
  readonly decision: DecisionName;
  /** Every live rule that hit; those that an `allow` rule overruled are marked. */
  readonly hits: readonly RuleHit[];
}

/**
 * The strongest of the model's decision and the live rules' actions, in the order of DECISIONS. An `allow` rule silences the model and every
 * overridable rule; what is left then decides.
 */
export function decide(model: DecisionName, live: readonly LiveRule[]): Verdict {
  if (live.length === 0) return { decision: model, hits: [] };
  const allowed = live.some(({ hit }) => hit.action === 'allow');
  let decision: DecisionName = allowed ? 'approve' : model;
  const hits: RuleHit[] = [];
  for (const { hit, overridable } of live) {
    if (hit.action === 'allow') hits.push(hit);
    else if (allowed && overridable) hits.push({ ...hit, overruled: true });
    else {
      hits.push(hit);
      if (RANK[hit.action] < RANK[decision]) decision = hit.action;
    }
  }
  return { decision, hits };
}

const STOPS: ReadonlySet<DecisionName | RuleHit['action']> = new Set(['suspend', 'decline', 'restrict_payment_method']);

/** Whether the payment does not go through: what the circuit breaker counts. */
export function stopsPayment(action: DecisionName | RuleHit['action']): boolean {
  return STOPS.has(action);
}

const SEVERITY: Readonly<Record<DecisionName, Severity | undefined>> = {
  suspend: 'critical',
  decline: 'high',
  restrict_payment_method: 'high',
  challenge: 'medium',
  review: 'medium',
  approve: undefined,
};

/** How urgently a person must see the decision; undefined: not at all. */
export function alertSeverity(decision: DecisionName): Severity | undefined {
  return SEVERITY[decision];
}

/** The strongest of two decisions. */
export function stronger(a: DecisionName, b: DecisionName): DecisionName {
  return RANK[a] <= RANK[b] ? a : b;
}

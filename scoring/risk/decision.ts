import type { RiskThresholds } from '../../contracts/bundle.ts';
import type { Severity } from '../../contracts/push.ts';
import { DECISIONS, type DecisionName, type RuleHit } from '../../contracts/score.ts';

const RANK = Object.fromEntries(DECISIONS.map((name, i) => [name, i])) as Readonly<Record<DecisionName, number>>;

/** What the model alone says. */
export function modelDecision(probability: number, thresholds: RiskThresholds): DecisionName {
  if (probability >= thresholds.decline) return 'decline';
  if (probability >= thresholds.challenge) return 'challenge';
  if (probability >= thresholds.review) return 'review';
  return 'approve';
}

/** The strongest of the model's decision and the live rules' actions, in the order of DECISIONS. */
export function decide(model: DecisionName, hits: readonly RuleHit[]): DecisionName {
  let decision = model;
  for (const hit of hits) if (RANK[hit.action] < RANK[decision]) decision = hit.action;
  return decision;
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

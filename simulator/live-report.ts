import type { DecisionName } from '../contracts/score.ts';

export type LiveRoute = 'events' | 'recommend' | 'score' | 'items_put';

/** What came of a run of live traffic. */
export interface LiveReport {
  visits: number;
  attacks: number;
  /** Calls by route; a call that was retried counts once. */
  readonly requests: Record<LiveRoute, number>;
  /** Failed calls by error code. */
  readonly errors: Record<string, number>;
  readonly events: { accepted: number; duplicates: number; lost: number };
  readonly decisions: Record<DecisionName, number>;
  /** Payments that nobody decided on: they went to their provider unscored. */
  unscored: number;
  /** Fraudulent payments: refused, let through for a person to look at, and let through. */
  readonly frauds: { caught: number; reviewed: number; missed: number };
  /** Honest payments: let through (a passed challenge included) and refused. */
  readonly honest: { passed: number; refused: number };
  purchases: number;
  /** Recommended lists that were shown, and clicks on them. */
  readonly recommended: { lists: number; clicks: number };
  /** Labels, chargebacks, refunds and reviews: sent, and given up for want of room or because the gateway refused them. */
  readonly outcomes: { sent: number; lost: number };
}

export function emptyReport(): LiveReport {
  return {
    visits: 0,
    attacks: 0,
    requests: { events: 0, recommend: 0, score: 0, items_put: 0 },
    errors: {},
    events: { accepted: 0, duplicates: 0, lost: 0 },
    decisions: { suspend: 0, decline: 0, restrict_payment_method: 0, challenge: 0, review: 0, approve: 0 },
    unscored: 0,
    frauds: { caught: 0, reviewed: 0, missed: 0 },
    honest: { passed: 0, refused: 0 },
    purchases: 0,
    recommended: { lists: 0, clicks: 0 },
    outcomes: { sent: 0, lost: 0 },
  };
}

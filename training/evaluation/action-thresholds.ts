import type { RiskThresholds } from '../../contracts/bundle.ts';
import type { DecisionName } from '../../contracts/score.ts';
import { stronger } from '../../scoring/risk/decision.ts';
import { requireData, requireParam } from '../learners/contract.ts';

/** What actions and their mistakes cost, in the currency of the amounts; shares are between 0 and 1. */
export interface RiskCosts {
  /** Share of an honest payment that the shop earns, and loses where it refuses one. */
  readonly margin: number;
  /** What the bank takes for a fraud, beside the goods. */
  readonly chargebackFee: number;
  /** An analyst's look at one payment. */
  readonly review: number;
  /** Share of the frauds under review that the analyst finds in time. */
  readonly reviewFinds: number;
  /** Share of honest payers who do not come back from a challenge. */
  readonly challengeLoses: number;
  /** Share of frauds that a challenge stops. */
  readonly challengeStops: number;
  /** What an honest payer who was refused is worth beyond this payment. */
  readonly goodwill: number;
}

/** A shop's usual figures; every shop should set its own. */
export const RISK_COSTS: RiskCosts = {
  margin: 0.25,
  chargebackFee: 15,
  review: 3,
  reviewFinds: 0.8,
  challengeLoses: 0.15,
  challengeStops: 0.9,
  goodwill: 10,
};

export interface ActionRows {
  /** Calibrated probabilities. */
  readonly probabilities: ArrayLike<number>;
  /** 1: fraud. */
  readonly labels: ArrayLike<number>;
  readonly amounts: ArrayLike<number>;
  /** How many payments each row stands for, where rows were sampled; 1 if left out. */
  readonly weights?: ArrayLike<number>;
  /** What is decided of each row without the model, whose action counts where it is the stronger one; all are approved if left out. */
  readonly ruled?: readonly DecisionName[];
}

export interface ActionLimits {
  /** Payments that the model may send to review, beside those that are anyway. */
  readonly reviewsMax?: number;
  /** False: a person looks, and nothing happens to a payer by itself. */
  readonly automatic?: boolean;
}

export interface ActionThresholds {
  readonly thresholds: RiskThresholds;
  /** Cost of all rows with these thresholds, and without the model. */
  readonly cost: number;
  readonly costOfNone: number;
  /** Payments that the model would send to review. */
  readonly reviews: number;
}

/**
 * The thresholds of review, challenge and decline that cost least on the given rows, with at most `reviewsMax` of them under review: exact, over every
 * way to cut the rows by probability (dynamic programming over the cuts, the capacity as a sliding window). An action that never pays shares its
 * threshold with the next stronger one; 1.01 stands for none at all. Missing amounts count as 0. Throws `training_data_insufficient` without rows.
 */
export function thresholdsOfActions(
  rows: ActionRows,
  costs: RiskCosts,
  { reviewsMax = Number.POSITIVE_INFINITY, automatic = true }: ActionLimits = {},
): ActionThresholds {
  const n = rows.probabilities.length;
  requireData(n > 0, 'there are no payments to choose thresholds on');
  requireParam(
    Object.values(costs).every((cost) => Number.isFinite(cost) && cost >= 0),
    'costs must be numbers from 0',
  );
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => rows.probabilities[b]! - rows.probabilities[a]!);
  const sums = costSums(rows, order, costs);
  const isCut = (at: number): boolean => at === 0 || at === n || rows.probabilities[order[at]!] !== rows.probabilities[order[at - 1]!];

  // From the highest probability down: declined, then challenged, then reviewed, then approved. `challengedTo[i]` is the least cost of the first i rows
  // without a review among them, `from` the cut at which its challenges begin.
  let bestFrom = 0;
  const challengedTo = new Float64Array(n + 1);
  const challengedFrom = new Uint32Array(n + 1);
  for (let at = 0; at <= n; at++) {
    if (isCut(at) && sums.decline[at]! - sums.challenge[at]! < sums.decline[bestFrom]! - sums.challenge[bestFrom]!) bestFrom = at;
    challengedTo[at] = sums.decline[bestFrom]! - sums.challenge[bestFrom]! + sums.challenge[at]!;
    challengedFrom[at] = bestFrom;
  }
  const deque: number[] = [];
  let head = 0;
  const before = (at: number): number => challengedTo[at]! - sums.review[at]!;
  let best = { cost: Number.POSITIVE_INFINITY, reviewFrom: 0, reviewTo: 0 };
  for (let at = 0; at <= n; at++) {
    if (!isCut(at)) continue;
    if (automatic || at === 0) {
      while (deque.length > head && before(deque.at(-1)!) > before(at)) deque.pop();
      deque.push(at);
    }
    while (head < deque.length && sums.reviewed[at]! - sums.reviewed[deque[head]!]! > reviewsMax) head++;
    // Reviews that have to begin at the top have reached their limit.
    if (head === deque.length) break;
    const cost = before(deque[head]!) + sums.review[at]! + sums.approve[n]! - sums.approve[at]!;
    if (cost < best.cost) best = { cost, reviewFrom: deque[head]!, reviewTo: at };
  }
  const { reviewFrom, reviewTo, cost } = best;
  const thresholdAt = (cut: number): number => (cut === 0 ? NEVER : rows.probabilities[order[cut - 1]!]!);
  const decline = thresholdAt(challengedFrom[reviewFrom]!);
  const challenge = Math.min(decline, thresholdAt(reviewFrom));
  const review = Math.min(challenge, thresholdAt(reviewTo));
  return {
    thresholds: { review, challenge, decline },
    cost,
    costOfNone: sums.approve[n]!,
    reviews: sums.reviewed[reviewTo]! - sums.reviewed[reviewFrom]!,
  };
}

/** No probability reaches it. */
const NEVER = 1.01;

/** What one payment costs under a decision; an amount that is missing counts as 0. What is worse than declining costs as much. */
export function costOfDecision(decision: DecisionName, isFraud: boolean, amount: number, costs: RiskCosts): number {
  const worth = Number.isFinite(amount) ? amount : 0;
  const lost = worth + costs.chargebackFee;
  const refused = costs.margin * worth + costs.goodwill;
  if (decision === 'approve') return isFraud ? lost : 0;
  if (decision === 'review') return costs.review + (isFraud ? (1 - costs.reviewFinds) * lost : 0);
  if (decision === 'challenge') return isFraud ? (1 - costs.challengeStops) * lost : costs.challengeLoses * refused;
  return isFraud ? 0 : refused;
}

type PricedAction = 'approve' | 'review' | 'challenge' | 'decline';

/** Running sums over the ordered rows of what each action would cost, from 0 to n, and of the payments that a review would be new to. */
function costSums({ labels, amounts, weights, ruled }: ActionRows, order: Uint32Array, costs: RiskCosts) {
  const n = order.length;
  const sums = () => new Float64Array(n + 1);
  const running = { approve: sums(), review: sums(), challenge: sums(), decline: sums() };
  const reviewed = sums();
  for (let i = 0; i < n; i++) {
    const row = order[i]!;
    const times = weights === undefined ? 1 : weights[row]!;
    for (const action of PRICED_ACTIONS) {
      const decision = ruled === undefined ? action : stronger(action, ruled[row]!);
      running[action][i + 1] = running[action][i]! + times * costOfDecision(decision, labels[row]! > 0, amounts[row]!, costs);
    }
    reviewed[i + 1] = reviewed[i]! + (ruled === undefined || ruled[row] === 'approve' ? times : 0);
  }
  return { ...running, reviewed };
}

const PRICED_ACTIONS: readonly PricedAction[] = ['approve', 'review', 'challenge', 'decline'];

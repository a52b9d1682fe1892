import type { DecisionName } from '../../contracts/score.ts';
import type { FraudKind } from '../../simulator/index.ts';

/** What is not the shop's takings. Money is in the shop's currency. */
export interface Prices {
  /** Share of an honest payment that the shop earns, and loses where it refuses one. */
  readonly margin: number;
  /** An analyst's look at one payment. */
  readonly review: number;
  /** Share of the frauds under review that the analyst sees in time. */
  readonly reviewFinds: number;
  /** Share of honest payers who do not come back from a challenge. */
  readonly challengeLoses: number;
  /** What the bank takes for a fraud, beside the goods. */
  readonly chargebackFee: number;
}

/** A payment that came, and what became of it. */
export interface Outcome {
  readonly userId: string;
  readonly value: number;
  /** What kind of fraud it is; undefined: honest. */
  readonly fraud: FraudKind | undefined;
  /** What the payment provider says, if it is asked. */
  readonly authorised: boolean;
  /** Undefined: nobody judged it. */
  readonly decision: DecisionName | undefined;
  /** Whether it went on to the provider. */
  readonly allowed: boolean;
}

/** A span of payments in money. */
export class Week {
  payments = 0;
  frauds = 0;
  /** Frauds that were paid: goods and fees. */
  fraudLoss = 0;
  /** Earnings on honest payments that were refused, or whose payers did not come back from a challenge. */
  refusedLoss = 0;
  reviews = 0;
  reviewCost = 0;
  /** Amounts of honest payments that the provider would take: all, those that were refused, and those that were challenged. */
  honestAmount = 0;
  refusedAmount = 0;
  challengedAmount = 0;
  /** Customers with an honest payment that was refused or challenged. */
  readonly hurt = new Set<string>();
  readonly kinds = new Set<FraudKind>();

  get loss(): number {
    return this.fraudLoss + this.refusedLoss + this.reviewCost;
  }

  add(outcome: Outcome, prices: Prices): void {
    const { value, fraud, authorised, decision, allowed } = outcome;
    this.payments++;
    if (fraud !== undefined) {
      this.frauds++;
      this.kinds.add(fraud);
    }
    const reviewed = decision === 'review';
    if (reviewed) {
      this.reviews++;
      this.reviewCost += prices.review;
    }
    if (!authorised) return;
    // An expected value: the figures of a week are not to hang on a single draw.
    if (fraud !== undefined && allowed) this.fraudLoss += (value + prices.chargebackFee) * (reviewed ? 1 - prices.reviewFinds : 1);
    if (fraud === undefined) this.#addHonest(outcome, prices);
  }

  #addHonest({ userId, value, decision, allowed }: Outcome, prices: Prices): void {
    this.honestAmount += value;
    if (!allowed) {
      this.refusedAmount += value;
      this.refusedLoss += prices.margin * value;
    } else if (decision === 'challenge') {
      this.challengedAmount += value;
      this.refusedLoss += prices.challengeLoses * prices.margin * value;
    } else return;
    this.hurt.add(userId);
  }
}

/** Several weeks as one; who is hurt in two of them is one customer. */
export function together(weeks: readonly Week[]): Week {
  const sum = new Week();
  for (const week of weeks) {
    for (const key of SUMS) sum[key] += week[key];
    for (const user of week.hurt) sum.hurt.add(user);
    for (const kind of week.kinds) sum.kinds.add(kind);
  }
  return sum;
}

const SUMS = [
  'payments',
  'frauds',
  'fraudLoss',
  'refusedLoss',
  'reviews',
  'reviewCost',
  'honestAmount',
  'refusedAmount',
  'challengedAmount',
] as const;

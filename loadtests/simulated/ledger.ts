import type { DecisionName } from '../../contracts/score.ts';

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
  readonly value: number;
  readonly fraud: boolean;
  /** What the payment provider says, if it is asked. */
  readonly authorised: boolean;
  /** Undefined: nobody judged it. */
  readonly decision: DecisionName | undefined;
  /** Whether it went on to the provider. */
  readonly allowed: boolean;
}

/** One week of payments in money. */
export class Week {
  payments = 0;
  frauds = 0;
  /** Frauds that were paid: goods and fees. */
  fraudLoss = 0;
  /** Earnings on honest payments that were refused, or whose payers did not come back from a challenge. */
  refusedLoss = 0;
  honestRefused = 0;
  reviews = 0;
  reviewCost = 0;

  get loss(): number {
    return this.fraudLoss + this.refusedLoss + this.reviewCost;
  }

  add({ value, fraud, authorised, decision, allowed }: Outcome, prices: Prices): void {
    this.payments++;
    if (fraud) this.frauds++;
    const reviewed = decision === 'review';
    if (reviewed) {
      this.reviews++;
      this.reviewCost += prices.review;
    }
    if (!authorised) return;
    // An expected value: the figures of a week are not to hang on a single draw.
    if (fraud && allowed) this.fraudLoss += (value + prices.chargebackFee) * (reviewed ? 1 - prices.reviewFinds : 1);
    if (!fraud && decision === 'challenge') this.refusedLoss += prices.challengeLoses * prices.margin * value;
    if (!fraud && !allowed) {
      this.honestRefused++;
      this.refusedLoss += value * prices.margin;
    }
  }
}

import type { Event, TimedEvent } from '../contracts/event.ts';
import type { DecisionName } from '../contracts/score.ts';
import type { FraudKind } from './attacks.ts';
import { CURRENCY, DAY_MS } from './params.ts';
import { hashText, Rng, STREAM } from './prng.ts';
import type { PayAsk, PaymentAttempt } from './steps.ts';

/** A payment may be disputed this long; then a share of the honest ones is labelled as such. */
export const DISPUTE_WINDOW_DAYS = 20;
export const LABEL_DELAY_DAYS_MIN = 1;
const HONEST_LABELLED_SHARE = 0.6;
/** Some fraud is never found out. */
const FRAUD_FOUND_SHARE = 0.94;
/** Frauds that cost a card holder money come back as a chargeback; analysts find the others. */
const CHARGEBACK_SHARE: Readonly<Record<FraudKind, number>> = {
  card_testing: 0.5,
  stolen_card: 0.9,
  account_takeover: 0.85,
  fraud_ring: 0.8,
  bot_burst: 0.15,
  refund_abuse: 0,
};
const HONEST_REFUND_SHARE = 0.03;

/** Who gets past a decision. A challenge is a step-up that the card's holder passes and a thief does not; a restricted method cannot be paid with. */
const PASSES: Readonly<Record<DecisionName, 'all' | 'honest' | 'none'>> = {
  approve: 'all',
  review: 'all',
  challenge: 'honest',
  restrict_payment_method: 'none',
  decline: 'none',
  suspend: 'none',
};

/** Whether the payment goes on to its provider after the gateway's decision. */
export function passes(decision: DecisionName, honest: boolean): boolean {
  return PASSES[decision] === 'all' || (honest && PASSES[decision] === 'honest');
}

/** The ids under which a label is counted. */
function entityIds(attempt: PaymentAttempt): Partial<Event> {
  const { transaction_id, user_id, card_id, device_id, ip, address_id } = attempt;
  return {
    transaction_id,
    user_id,
    ...(card_id === undefined ? {} : { card_id }),
    ...(device_id === undefined ? {} : { device_id }),
    ...(ip === undefined ? {} : { ip }),
    ...(address_id === undefined ? {} : { address_id }),
  };
}

/** The provider's answer takes about a second. */
const PROVIDER_MS = 900;

/** What the provider says of a payment that it refuses. */
export function failureOf({ attempt, authorised }: PayAsk): TimedEvent | undefined {
  if (authorised) return undefined;
  return {
    event_id: `f_${attempt.transaction_id.slice(2)}`,
    name: 'payment_failed',
    timestamp_ms: attempt.timestamp_ms + PROVIDER_MS,
    ...entityIds(attempt),
    value: attempt.value,
    currency: CURRENCY,
  };
}

/** What becomes known of a payment later: at most one label or chargeback, 1 to 20 days on. */
export function labelOf(seed: number, { attempt, authorised, fraud }: PayAsk): TimedEvent | undefined {
  const rng = new Rng(seed, STREAM.outcome, hashText(attempt.transaction_id));
  if (fraud === undefined) {
    if (!authorised || !rng.chance(HONEST_LABELLED_SHARE)) return undefined;
    return label(attempt, 'label', DISPUTE_WINDOW_DAYS * DAY_MS, false);
  }
  if (!rng.chance(FRAUD_FOUND_SHARE)) return undefined;
  const disputed = authorised && rng.chance(CHARGEBACK_SHARE[fraud]);
  // Card holders read their statements late; analysts look at what stands out within days.
  const days = disputed ? rng.logNormal(7, 0.6) : rng.logNormal(2.5, 0.6);
  const delayMs = Math.floor(Math.min(DISPUTE_WINDOW_DAYS, Math.max(LABEL_DELAY_DAYS_MIN, days)) * DAY_MS);
  return label(attempt, disputed ? 'chargeback' : 'label', delayMs, true);
}

function label(attempt: PaymentAttempt, name: 'label' | 'chargeback', delayMs: number, is_fraud: boolean): TimedEvent {
  const worth = name === 'chargeback' ? { value: attempt.value, currency: CURRENCY } : {};
  return {
    event_id: `l_${attempt.transaction_id.slice(2)}`,
    name,
    timestamp_ms: attempt.timestamp_ms + delayMs,
    ...entityIds(attempt),
    ...worth,
    is_fraud,
  };
}

/** An honest purchase sent back, now and then. */
export function refundOf(seed: number, purchase: TimedEvent): TimedEvent | undefined {
  const { transaction_id, user_id, items, value } = purchase;
  if (transaction_id === undefined || user_id === undefined || items === undefined || value === undefined) return undefined;
  const rng = new Rng(seed, STREAM.outcome, hashText(transaction_id), 1);
  if (!rng.chance(HONEST_REFUND_SHARE)) return undefined;
  const back = rng.chance(0.7) ? items.slice(0, 1) : items;
  const worth = Math.round(back.reduce((sum, { price, quantity }) => sum + (price ?? 0) * (quantity ?? 1), 0) * 100) / 100;
  return {
    event_id: `r_${transaction_id.slice(2)}`,
    name: 'refund',
    timestamp_ms: purchase.timestamp_ms + Math.floor(rng.between(4, 14) * DAY_MS),
    user_id,
    transaction_id,
    items: back,
    value: worth,
    currency: CURRENCY,
  };
}

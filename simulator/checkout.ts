import type { EventItem } from '../contracts/event.ts';
import type { FraudKind } from './attacks.ts';
import { CURRENCY } from './params.ts';
import type { PaymentMethod } from './people.ts';
import type { Rng } from './prng.ts';
import type { Diary, PayAsk, PaymentAttempt } from './steps.ts';

/** One line of a basket. */
export interface Line {
  readonly itemId: string;
  readonly category: number;
  readonly price: number;
  readonly quantity: number;
}

/** With what, from where and to where somebody pays. */
export interface Means {
  readonly userId: string;
  readonly method: PaymentMethod;
  /** Undefined for methods without a card. */
  readonly cardId: string | undefined;
  readonly deviceId: string;
  readonly ip: string;
  readonly addressId: string;
  readonly emailDomain: string;
}

export function itemsOf(lines: readonly Line[]): EventItem[] {
  return lines.map(({ itemId, price, quantity }) => ({ item_id: itemId, quantity, price }));
}

export function totalOf(lines: readonly Line[]): number {
  return Math.round(lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0) * 100) / 100;
}

/** The fields that a payment, its purchase and its labels share. */
export function paymentFields(means: Means, transactionId: string): Partial<PaymentAttempt> & { transaction_id: string; user_id: string } {
  return {
    transaction_id: transactionId,
    user_id: means.userId,
    ...(means.cardId === undefined ? {} : { card_id: means.cardId }),
    device_id: means.deviceId,
    ip: means.ip,
    address_id: means.addressId,
    email_domain: means.emailDomain,
    payment_method: means.method,
  };
}

/** Asks to be paid. The transaction's id is the attempt's event id. */
export function payAsk(diary: Diary, means: Means, lines: readonly Line[], authorised: boolean, fraud: FraudKind | undefined, rng: Rng): PayAsk {
  const transactionId = rng.id('t_');
  const attempt: PaymentAttempt = {
    event_id: transactionId,
    name: 'payment_attempt',
    timestamp_ms: diary.atMs,
    session_id: diary.guest.sessionId,
    country: diary.guest.country,
    value: totalOf(lines),
    currency: CURRENCY,
    items: itemsOf(lines),
    ...paymentFields(means, transactionId),
  } as PaymentAttempt;
  return { ask: 'pay', attempt, authorised, fraud };
}

/** The purchase that follows an authorised attempt. */
export function purchaseOf(diary: Diary, attempt: PaymentAttempt, campaign: string | undefined): ReturnType<Diary['event']> {
  const { event_id: _id, name: _name, timestamp_ms: _at, ...shared } = attempt;
  return diary.event('purchase', { ...shared, ...(campaign === undefined ? {} : { campaign }) });
}

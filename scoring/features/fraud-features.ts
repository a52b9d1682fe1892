import type { EntityKind } from '../../store/contract.ts';
import type { EventFilter, Feature, Window } from './contract.ts';
import { count, distinct, ratio, share, since, subject, total } from './declare.ts';

const ATTEMPT: EventFilter = { events: ['payment_attempt'] };
/** The provider's refusal, an event of its own: when a payment is scored, nobody knows yet whether it will go through. */
const FAILED: EventFilter = { events: ['payment_failed'] };
/** What transactions turned out to be, counted when the news arrives. A chargeback says fraud by itself. */
const LABEL: EventFilter = { events: ['label', 'chargeback'] };
const FRAUD: EventFilter = { events: ['label', 'chargeback'], where: { field: 'is_fraud', equals: true } };
const VIEW: EventFilter = { events: ['view_item', 'view_item_list', 'search'] };
const CART: EventFilter = { events: ['add_to_cart'] };

const SPAN: Readonly<Record<Window, string>> = {
  '1m': 'the last minute',
  '10m': 'the last 10 minutes',
  '1h': 'the last hour',
  '24h': 'the last 24 hours',
  '7d': 'the last 7 days',
  '30d': 'the last 30 days',
  '90d': 'the last 90 days',
};
const NOUN = { user: 'customer', card: 'card', device: 'device', ip: 'IP address', merchant: 'merchant', session: 'visit' } as const;
type Party = keyof typeof NOUN & EntityKind;

function attempts(party: Party, ...windows: Window[]): Feature[] {
  return windows.map((w) => count(`${party}_attempts_${w}`, party, w, ATTEMPT, `{value} payment attempts by this ${NOUN[party]} in ${SPAN[w]}`));
}

function failures(party: Party, ...windows: Window[]): Feature[] {
  return windows.map((w) => count(`${party}_failed_${w}`, party, w, FAILED, `{value} refused payments of this ${NOUN[party]} in ${SPAN[w]}`));
}

function means(party: Party, ...windows: Window[]): Feature[] {
  return windows.map((w) =>
    total('mean', `${party}_mean_amount_${w}`, party, w, 'amount', ATTEMPT, `mean amount {value} of this ${NOUN[party]} in ${SPAN[w]}`),
  );
}

function partners(party: Party, of: 'card_id' | 'user_id' | 'device_id' | 'payment_method', plural: string, ...windows: Window[]): Feature[] {
  return windows.map((w) =>
    distinct(`${party}_${plural}_${w}`, party, w, of, ATTEMPT, `{value} ${plural.replace('_', ' ')} used with this ${NOUN[party]} in ${SPAN[w]}`),
  );
}

function frauds(party: Party, ...windows: Window[]): Feature[] {
  return windows.map((w) => count(`${party}_frauds_${w}`, party, w, FRAUD, `{value} frauds reported on this ${NOUN[party]} in ${SPAN[w]}`));
}

/** Reports and the share of fraud among them: what is known of a party's risk, with the delay at which labels come. */
function labelRisk(party: Party, ...windows: Window[]): Feature[] {
  return windows.flatMap((w) => [
    count(`${party}_labels_${w}`, party, w, LABEL, `{value} payments of this ${NOUN[party]} reported on in ${SPAN[w]}`),
    ...frauds(party, w),
    ratio(
      `${party}_fraud_rate_${w}`,
      `${party}_frauds_${w}`,
      `${party}_labels_${w}`,
      `share {value} of fraud among the reports on this ${NOUN[party]} in ${SPAN[w]}`,
    ),
  ]);
}

/**
 * The default set for payments. States already hold the request's own attempt, so counts start at 1 and means include it (as in the
 * Fraud Detection Handbook, whose 15 features are all covered: amount, night, weekend; customer count and mean in 24h, 7d, 30d;
 * merchant reports and fraud share in 24h, 7d, 30d, here by the time the report arrived instead of a fixed delay).
 */
export const FRAUD_FEATURES: readonly Feature[] = [
  subject('amount', 'amount', 'amount {value}'),
  subject('hour', 'hour', 'paid at hour {value} UTC'),
  subject('is_night', 'is_night', 'paid at night: {value}'),
  subject('is_weekend', 'is_weekend', 'paid on a weekend: {value}'),

  ...attempts('user', '10m', '1h', '24h', '7d', '30d'),
  ...means('user', '24h', '7d', '30d'),
  total('sum', 'user_amount_24h', 'user', '24h', 'amount', ATTEMPT, 'this customer tried to spend {value} in the last 24 hours'),
  total('max', 'user_max_amount_90d', 'user', '90d', 'amount', ATTEMPT, 'largest amount {value} of this customer in the last 90 days'),
  ratio('amount_to_user_mean', 'amount', 'user_mean_amount_30d', 'the amount is {value} times this customer’s mean'),
  ratio('amount_to_user_max', 'amount', 'user_max_amount_90d', 'the amount is {value} times this customer’s largest'),
  ...failures('user', '24h'),
  ...partners('user', 'card_id', 'cards', '24h', '30d'),
  ...partners('user', 'payment_method', 'payment_methods', '10m', '24h'),
  share('user_method_share', 'user', 'payment_method', ATTEMPT, '{value} of this customer’s recent payments used this method'),
  since('user_first_attempt', 'user', 'first', ATTEMPT, 'first payment of this customer {value} ago'),
  since('user_last_attempt', 'user', 'last', ATTEMPT, 'previous payment of this customer {value} ago'),
  ...frauds('user', '90d'),

  ...attempts('card', '1m', '10m', '24h'),
  ...means('card', '30d'),
  ratio('amount_to_card_mean', 'amount', 'card_mean_amount_30d', 'the amount is {value} times this card’s mean'),
  ...failures('card', '24h'),
  ...partners('card', 'user_id', 'customers', '30d'),
  since('card_first_attempt', 'card', 'first', ATTEMPT, 'first payment with this card {value} ago'),
  since('card_last_attempt', 'card', 'last', ATTEMPT, 'previous payment with this card {value} ago'),
  ...labelRisk('card', '90d'),

  ...attempts('device', '10m', '24h'),
  ...partners('device', 'card_id', 'cards', '10m', '24h'),
  ...partners('device', 'user_id', 'customers', '30d'),
  ...frauds('device', '90d'),

  ...attempts('ip', '10m', '24h'),
  ...partners('ip', 'card_id', 'cards', '10m', '24h'),
  ...partners('ip', 'user_id', 'customers', '24h'),
  ...failures('ip', '1h'),
  ...frauds('ip', '30d'),

  ...attempts('merchant', '24h', '7d', '30d'),
  ...labelRisk('merchant', '24h', '7d', '30d'),

  // A payment counts for its visit as well: only then is the visit's state among those that a payment is scored on.
  ...attempts('session', '1h'),
  count('session_views_1h', 'session', '1h', VIEW, '{value} pages of items seen in this visit in the last hour'),
  count('session_carts_1h', 'session', '1h', CART, '{value} items put into the cart in this visit in the last hour'),
];

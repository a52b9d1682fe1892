import type { EntityKind } from '../../store/contract.ts';
import type { Carried, EventFilter, Feature, Window } from './contract.ts';
import { count, distinct, last, ratio, recent, share, since, subject, total, zscore } from './declare.ts';

const ATTEMPT: EventFilter = { events: ['payment_attempt'] };
/** The provider's refusal, an event of its own: when a payment is scored, nobody knows yet whether it will go through. */
const FAILED: EventFilter = { events: ['payment_failed'] };
/** What transactions turned out to be, counted when the news arrives. A chargeback says fraud by itself. */
const LABEL: EventFilter = { events: ['label', 'chargeback'] };
const FRAUD: EventFilter = { events: ['label', 'chargeback'], where: { field: 'is_fraud', equals: true } };
const HONEST: EventFilter = { events: ['label'], where: { field: 'is_fraud', equals: false } };
const VIEW: EventFilter = { events: ['view_item', 'view_item_list', 'search'] };
const CART: EventFilter = { events: ['add_to_cart'] };
const SIGN_UP: EventFilter = { events: ['sign_up'] };
const LOGIN_FAILED: EventFilter = { events: ['login_failed'] };
const REFUND: EventFilter = { events: ['refund'] };

const SPAN: Readonly<Record<Window, string>> = {
  '1m': 'the last minute',
  '10m': 'the last 10 minutes',
  '1h': 'the last hour',
  '24h': 'the last 24 hours',
  '7d': 'the last 7 days',
  '14d': 'the last 14 days',
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

/** A customer's payments that medians and deviations look at: accuracy rose up to here and not beyond (docs/features.md). */
const PAYMENTS = 100;
/** A merchant's reports that runs and rates look at. */
const REPORTS = 50;

/** The amount against what the customer paid before: by mean and deviation, and by median, which a few large payments do not move. */
const USUAL_AMOUNTS: readonly Feature[] = [
  recent('user_mean_before_30d', 'user', 'amount', ATTEMPT, 'mean amount {value} of this customer’s earlier payments in the last 30 days', {
    statistic: 'mean',
    last: PAYMENTS,
    window: '30d',
  }),
  recent('user_sd_before_30d', 'user', 'amount', ATTEMPT, 'this customer’s amounts deviate by {value}', {
    statistic: 'sd',
    last: PAYMENTS,
    window: '30d',
  }),
  zscore('amount_zscore', 'amount', 'user_mean_before_30d', 'user_sd_before_30d', 'the amount is {value} deviations above this customer’s mean'),
  recent('user_median', 'user', 'amount', ATTEMPT, 'median amount {value} of this customer', { statistic: 'median', last: PAYMENTS }),
  recent('user_mad', 'user', 'amount', ATTEMPT, 'half of this customer’s amounts are within {value} of the median', {
    statistic: 'mad',
    last: PAYMENTS,
  }),
  ratio('amount_to_user_median', 'amount', 'user_median', 'the amount is {value} times this customer’s median', 1),
  zscore('amount_median_distance', 'amount', 'user_median', 'user_mad', 'the amount is {value} median deviations above this customer’s median'),
  ...large('user_large_7d', 'above_count', '7d', '{value} earlier payments of this customer in the last 7 days were far above the median'),
  ...large('user_large_14d', 'above_count', '14d', '{value} earlier payments of this customer in the last 14 days were far above the median'),
  ...large('user_large_rate_14d', 'above_rate', '14d', 'since the first payment far above the median, the share {value} of this customer’s was'),
  ...large('user_large_first_14d', 'above_first', '14d', 'first payment far above this customer’s median in the last 14 days: {value} ago'),
  recent('user_max_before_14d', 'user', 'amount', ATTEMPT, 'largest earlier amount {value} of this customer in the last 14 days', {
    statistic: 'max',
    last: PAYMENTS,
    window: '14d',
  }),
  ratio('user_max_to_median_14d', 'user_max_before_14d', 'user_median', 'the largest earlier amount in 14 days is {value} times the median', 1),
];

/** Whose account it is: how new, whether its password was guessed, whether device and address are its own, and whether it lives from refunds. */
const ACCOUNT: readonly Feature[] = [
  since('user_account_age', 'user', 'first', SIGN_UP, 'this account was opened {value} ago'),
  count('user_login_failed_1h', 'user', '1h', LOGIN_FAILED, '{value} failed logins of this customer in the last hour'),
  count('user_refunds_30d', 'user', '30d', REFUND, '{value} refunds to this customer in the last 30 days'),
  share('user_device_share', 'user', 'device_id', ATTEMPT, '{value} of this customer’s recent payments came from this device'),
  share('user_address_share', 'user', 'address_id', ATTEMPT, '{value} of this customer’s recent payments went to this address'),
];

/** Earlier payments of over two and a half medians: where money is tried out on a taken-over account. */
function large(name: string, statistic: 'above_count' | 'above_rate' | 'above_first', window: Window, text: string): Feature[] {
  const above = { times: 2.5, feature: 'user_median', plus: 1 };
  return [recent(name, 'user', 'amount', ATTEMPT, text, { statistic, last: PAYMENTS, window, above })];
}

/**
 * What the reports on a merchant look like in order: a merchant whose terminal is taken over shows fraud after fraud, of ordinary amounts and many
 * customers; one stolen card shows one among honest ones.
 */
const MERCHANT_REPORTS: readonly Feature[] = [
  ...reports('merchant_frauds_of_3', { statistic: 'above_count', last: 3 }, '{value} of the last 3 reports on this merchant were fraud'),
  ...reports('merchant_frauds_of_5', { statistic: 'above_count', last: 5 }, '{value} of the last 5 reports on this merchant were fraud'),
  ...reports('merchant_fraud_run', { statistic: 'above_run', last: REPORTS }, 'the last {value} reports on this merchant were all fraud'),
  ...reports('merchant_fraud_run_start', { statistic: 'above_run_start', last: REPORTS }, 'reports on this merchant have all been fraud for {value}'),
  ...reports(
    'merchant_fraud_rate_since_first',
    { statistic: 'above_rate', last: REPORTS, window: '30d' },
    'since the first fraud in 30 days, the share {value} of this merchant’s reports was fraud',
  ),
  ...reports(
    'merchant_fraud_first',
    { statistic: 'above_first', last: REPORTS, window: '30d' },
    'first fraud reported on this merchant in the last 30 days: {value} ago',
  ),
  ...reports('merchant_honest_since', { statistic: 'below_run', last: REPORTS }, '{value} honest reports on this merchant since its last fraud'),
  since('merchant_last_fraud', 'merchant', 'last', FRAUD, 'last fraud reported on this merchant {value} ago'),
  since('merchant_last_honest', 'merchant', 'last', HONEST, 'last honest report on this merchant {value} ago'),
  total('min', 'merchant_fraud_min_30d', 'merchant', '30d', 'amount', FRAUD, 'smallest fraud {value} reported on this merchant in the last 30 days'),
  total('mean', 'merchant_fraud_mean_30d', 'merchant', '30d', 'amount', FRAUD, 'mean fraud {value} reported on this merchant in the last 30 days'),
  distinct('merchant_victims_30d', 'merchant', '30d', 'user_id', FRAUD, '{value} customers with fraud at this merchant in the last 30 days'),
  last(
    'merchant_fraud_large_last',
    'merchant',
    'carried',
    FRAUD,
    'the customer of this merchant’s last fraud had {value} payments far above the median',
  ),
  ...(['min', 'mean'] as const).map((aggregate) =>
    total(
      aggregate,
      `merchant_fraud_large_${aggregate}_30d`,
      'merchant',
      '30d',
      'carried',
      FRAUD,
      `customers with fraud at this merchant in the last 30 days had ${aggregate === 'min' ? 'at least' : 'on average'} {value} payments far above the median`,
    ),
  ),
];

/**
 * What a fraud tells the merchant's state of its payer: how many of his payments were far above his median when it was reported, itself among them. Of a
 * stolen card there are several, and the merchant has nothing to do with it; where there is none, the fraud looked like any payment, and it may be the
 * merchant's terminal.
 */
export const FRAUD_CARRIES: Carried = { set: 'fraud', feature: 'user_large_14d', ...FRAUD };

function reports(
  name: string,
  what: { statistic: 'above_count' | 'above_run' | 'above_run_start' | 'above_rate' | 'above_first' | 'below_run'; last: number; window?: Window },
  text: string,
): Feature[] {
  return [recent(name, 'merchant', 'is_fraud', LABEL, text, { ...what, above: 0 })];
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
  ...USUAL_AMOUNTS,
  share('user_day_part_share', 'user', 'day_part', ATTEMPT, '{value} of this customer’s recent payments were at such an hour'),
  ...ACCOUNT,

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
  ...MERCHANT_REPORTS,

  // A payment counts for its visit as well: only then is the visit's state among those that a payment is scored on.
  ...attempts('session', '1h'),
  since('session_start', 'session', 'first', VIEW, 'this visit began {value} ago'),
  count('session_views_1h', 'session', '1h', VIEW, '{value} pages of items seen in this visit in the last hour'),
  count('session_carts_1h', 'session', '1h', CART, '{value} items put into the cart in this visit in the last hour'),
];

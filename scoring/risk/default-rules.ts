import type { CreateListRequest } from '../../contracts/lists.ts';
import type { Rule } from '../../contracts/rules.ts';

/** The lists that every desk keeps. They are empty at first. */
export const DEFAULT_LISTS: readonly CreateListRequest[] = [
  { name: 'blocked_cards', kind: 'block', of: 'card', description: 'Cards that are never taken' },
  { name: 'blocked_users', kind: 'block', of: 'user', description: 'Users whose payments are declined' },
  { name: 'blocked_devices', kind: 'block', of: 'device', description: 'Devices whose payments are declined' },
  { name: 'blocked_ips', kind: 'block', of: 'ip', description: 'Addresses and ranges whose payments are declined' },
  { name: 'blocked_email_domains', kind: 'block', of: 'email_domain', description: 'Mail domains whose payments are declined' },
  { name: 'allowed_users', kind: 'allow', of: 'user', description: 'Users who are known to be honest' },
  { name: 'watched_users', kind: 'watch', of: 'user', description: 'Users whose payments a person looks at' },
];

/**
 * What the features say plainly before there is a model: the two classic cases, the patterns that risk teams know by name, and the desk's lists. None of
 * the patterns declines: each has honest customers as well, who pass a challenge or a person's look. What they save and whom they hurt on a simulated shop
 * stands in docs/risk.md. 200 is a large amount to a shop whose payments are of some tens; a shop of other prices saves rules of its own.
 */
export const DEFAULT_RULES: readonly Rule[] = [
  {
    id: 'many-cards-short-time',
    version: 1,
    description: 'Many payment methods tried in a short time',
    // A family has two or three cards; the schemes' guides on card testing look from the fourth on.
    when: 'features.device_cards_10m >= 4.0 || features.user_cards_24h >= 4.0 || features.user_payment_methods_10m >= 4.0',
    action: 'restrict_payment_method',
    state: 'live',
  },
  {
    id: 'many-payments-short-time',
    version: 1,
    description: 'Many payments in a short time',
    // Who is refused tries again twice or three times.
    when: 'features.user_attempts_10m >= 5.0 || features.card_attempts_10m >= 5.0',
    action: 'review',
    state: 'live',
  },
  {
    id: 'refused-cards-in-a-row',
    version: 1,
    description: 'Several cards of one customer were refused',
    // Typing errors and empty accounts refuse one card, rarely two; three refusals over three cards are a list of numbers being tried.
    when: 'features.user_failed_24h >= 3.0 && features.user_cards_24h >= 3.0',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'busy-ip-few-customers',
    version: 1,
    description: 'An IP address of few customers tries many cards',
    // Mobile carriers and offices put many customers behind one address, so velocity alone says nothing there: here it is a household's at the most.
    when: 'features.ip_customers_24h <= 3.0 && (features.ip_cards_10m >= 4.0 || features.ip_failed_1h >= 5.0)',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'guessed-password',
    version: 1,
    description: 'A payment soon after many failed logins',
    // People mistype a password two or three times, then ask for a new one.
    when: 'features.user_login_failed_1h >= 5.0',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'unlike-own-history',
    version: 1,
    description: 'New device, new address and an amount far above what this customer usually pays',
    // A share of a third at the most says that there were two earlier payments elsewhere. A present for a friend has one of the three signs, or two.
    when: 'features.user_device_share <= 0.34 && features.user_address_share <= 0.34 && features.amount_to_user_median >= 3.0 && tx.amount > 100.0',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'new-account-large-amount',
    version: 1,
    description: 'A new account pays a large amount',
    // Who steals a card uses it within days, before its holder reads a statement.
    when: 'features.user_account_age < 604800.0 && tx.amount > 200.0',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'new-account-shared-means',
    version: 1,
    description: 'A new account pays with a device or card that others use',
    // A couple shares a tablet; the third customer is no family any more. Cards are rarely lent to another account at all.
    when: 'features.user_account_age < 604800.0 && (features.device_customers_30d >= 3.0 || features.card_customers_30d >= 2.0)',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'shared-device-new-card',
    version: 1,
    description: 'A device that many users share pays a large amount',
    when: 'features.device_customers_30d >= 4.0 && tx.amount > 200.0',
    action: 'challenge',
    state: 'live',
  },
  {
    id: 'serial-refunds',
    version: 1,
    description: 'Most of what this customer buys is sent back',
    // The account is its holder's own, who passes any challenge: a person has to look. Below 100 a look costs more than it finds.
    when: 'features.user_refunds_30d >= 2.0 && features.user_refunds_30d * 2.0 >= features.user_attempts_30d && tx.amount > 100.0',
    action: 'review',
    state: 'live',
  },
  {
    id: 'block-lists',
    version: 1,
    description: 'On a block list',
    when: 'in_list("blocked_cards", tx.card_id) || in_list("blocked_users", tx.user_id) || in_list("blocked_devices", tx.device_id) || in_list("blocked_ips", tx.ip) || in_list("blocked_email_domains", tx.email_domain)',
    action: 'decline',
    state: 'live',
  },
  {
    id: 'allow-list',
    version: 1,
    description: 'A user who is known to be honest',
    when: 'in_list("allowed_users", tx.user_id)',
    action: 'allow',
    state: 'live',
  },
  {
    id: 'watch-list',
    version: 1,
    description: 'A user whom the desk watches',
    when: 'in_list("watched_users", tx.user_id)',
    action: 'review',
    state: 'live',
  },
  {
    id: 'strange-large-payment',
    version: 1,
    description: 'A large payment unlike nearly all that are known',
    when: 'anomaly > 0.999 && tx.amount > 200.0',
    action: 'review',
    // What is strange is mostly honest: a desk looks at its hits first, then decides.
    state: 'shadow',
  },
];

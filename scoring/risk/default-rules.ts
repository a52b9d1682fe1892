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

/** The two classic cases, what the features say plainly without a model, and the desk's lists. Thresholds are those that card schemes' velocity guides start from. */
export const DEFAULT_RULES: readonly Rule[] = [
  {
    id: 'many-cards-short-time',
    version: 1,
    description: 'Many payment methods tried in a short time',
    when: 'features.device_cards_10m >= 4.0 || features.user_cards_24h >= 4.0 || features.user_payment_methods_10m >= 4.0',
    action: 'restrict_payment_method',
    state: 'live',
  },
  {
    id: 'many-payments-short-time',
    version: 1,
    description: 'Many payments in a short time',
    when: 'features.user_attempts_10m >= 8.0 || features.card_attempts_10m >= 8.0',
    action: 'review',
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

import type { FeatureDeclarations } from './contract.ts';
import { FRAUD_CARRIES, FRAUD_FEATURES } from './fraud-features.ts';
import { RANK_FEATURES } from './rank-features.ts';

/**
 * What a gateway computes when no bundle says otherwise: sets `fraud` and `rank`; histories `purchases` and `interactions` of a user,
 * `interactions` of a session, and of both what they want to see no more: `hidden`, and `unhidden` where they thought better of it.
 */
export const DEFAULT_DECLARATIONS: FeatureDeclarations = {
  version: 1,
  histories: [
    { name: 'purchases', entity: 'user', itemsMax: 256, events: ['purchase'] },
    { name: 'interactions', entity: 'user', itemsMax: 100, events: ['view_item', 'select_item', 'add_to_cart', 'add_to_wishlist', 'purchase'] },
    { name: 'interactions', entity: 'session', itemsMax: 30, events: ['view_item', 'select_item', 'add_to_cart', 'purchase'] },
    { name: 'hidden', entity: 'user', itemsMax: 128, events: ['hide_item'] },
    { name: 'unhidden', entity: 'user', itemsMax: 128, events: ['unhide_item'] },
    { name: 'hidden', entity: 'session', itemsMax: 30, events: ['hide_item'] },
    { name: 'unhidden', entity: 'session', itemsMax: 30, events: ['unhide_item'] },
  ],
  carried: FRAUD_CARRIES,
  sets: { fraud: FRAUD_FEATURES, rank: RANK_FEATURES },
};

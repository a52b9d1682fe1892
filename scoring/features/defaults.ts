import type { FeatureDeclarations } from './contract.ts';
import { FRAUD_FEATURES } from './fraud-features.ts';
import { RANK_FEATURES } from './rank-features.ts';

/**
 * What a gateway computes when no bundle says otherwise: sets `fraud` and `rank`; histories `purchases` and `interactions` of a user,
 * `interactions` of a session.
 */
export const DEFAULT_DECLARATIONS: FeatureDeclarations = {
  version: 1,
  histories: [
    { name: 'purchases', entity: 'user', itemsMax: 256, events: ['purchase'] },
    { name: 'interactions', entity: 'user', itemsMax: 100, events: ['view_item', 'select_item', 'add_to_cart', 'add_to_wishlist', 'purchase'] },
    { name: 'interactions', entity: 'session', itemsMax: 30, events: ['view_item', 'select_item', 'add_to_cart', 'purchase'] },
  ],
  sets: { fraud: FRAUD_FEATURES, rank: RANK_FEATURES },
};

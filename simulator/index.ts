/** A shop with known truth: its past as events, and its live life against a running gateway. */
export { FRAUD_KINDS, type FraudKind } from './attacks.ts';
export { type LiveOptions, runLive } from './live.ts';
export type { LiveReport } from './live-report.ts';
export type { ShopParams, ShopSettings } from './params.ts';
export { type CampaignFacts, createShop, type FraudTruth, type Shop } from './shop.ts';

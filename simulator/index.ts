/** A shop with known truth: its past as events, its time acted out against whoever answers, and its live life against a running gateway. */
export { type Audience, actOut } from './acted.ts';
export { FRAUD_KINDS, type FraudKind } from './attacks.ts';
export { type LiveOptions, runLive } from './live.ts';
export type { LiveReport } from './live-report.ts';
export { passes } from './outcomes.ts';
export type { ShopParams, ShopSettings } from './params.ts';
export { type CampaignFacts, createShop, type FraudTruth, type Shop } from './shop.ts';

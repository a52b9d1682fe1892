import { DAY_MS, type ShopSettings } from './params.ts';
import { hash32, Rng, STREAM } from './prng.ts';
import { CATEGORIES } from './words.ts';

/** A campaign starts about this often. */
const CAMPAIGN_EVERY_DAYS = 9;
/** Campaigns go on after the history, for live traffic. */
const CAMPAIGN_DAYS_AFTER = 60;

/** A promotion of one or two categories, shown to a random half of the users (so that its effect can be estimated). */
export interface Campaign {
  readonly index: number;
  readonly id: string;
  readonly categories: readonly number[];
  readonly startMs: number;
  readonly endMs: number;
  /** 0.1 is ten per cent off. */
  readonly discount: number;
  /** Added to the utility of a promoted item, times the user's own response. */
  readonly lift: number;
}

export function makeCampaigns(settings: ShopSettings): Campaign[] {
  const campaigns: Campaign[] = [];
  const days = settings.days + CAMPAIGN_DAYS_AFTER;
  for (let index = 0; index * CAMPAIGN_EVERY_DAYS < days; index += 1) {
    const rng = new Rng(settings.seed, STREAM.campaign, index);
    const startMs = settings.startMs + Math.floor((index * CAMPAIGN_EVERY_DAYS + rng.between(1, 4)) * DAY_MS);
    const first = rng.int(CATEGORIES.length);
    const second = rng.int(CATEGORIES.length);
    campaigns.push({
      index,
      id: `camp-${String(index + 1).padStart(2, '0')}`,
      categories: first === second || rng.chance(0.5) ? [first] : [first, second],
      startMs,
      endMs: startMs + rng.range(3, 7) * DAY_MS,
      discount: rng.pick([0.1, 0.15, 0.2, 0.25]),
      lift: rng.between(0.6, 1.4),
    });
  }
  return campaigns;
}

/** Whether the campaign is shown to this user: a fair coin of its own, whatever the user does. */
export function isTargeted(seed: number, campaign: Campaign, userIndex: number): boolean {
  return (hash32(seed, STREAM.campaignTarget, campaign.index, userIndex) & 1) === 1;
}

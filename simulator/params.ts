export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
export const MINUTE_MS = 60_000;

/** Dimensions of the hidden taste space. Enough for the styles to be told apart, few enough to be learnt from 60 days. */
export const TASTE_DIMENSIONS = 16;
/** Hidden clusters of items ("styles"); a user likes two or three of them. */
export const STYLES = 20;
export const CURRENCY = 'EUR';

/** Sizes over which the arrays of one process would no longer fit; far over what a demo needs. */
const USERS_MAX = 1_000_000;
const ITEMS_MAX = 200_000;
const DAYS_MAX = 3_650;

export interface ShopParams {
  readonly seed: number;
  /** History ends here (exclusive); it is `days` long. */
  readonly endMs: number;
  readonly users?: number | undefined;
  readonly items?: number | undefined;
  readonly days?: number | undefined;
  /**
   * The volume knob: mean visits per user and day (heavy-tailed over users). A visit is about 10 events, so the default size gives
   * 5,000 x 60 x 0.2 x 10 = about 0.6M events.
   */
  readonly visitsPerUserDay?: number | undefined;
  /** Share of payment attempts that are fraud. Attacks are planned so that their attempts come to about this share. */
  readonly fraudRate?: number | undefined;
  /** True: each kind of fraud has weeks of its own, one after another, so that what was learnt of the past meets what it has not seen. */
  readonly fraudWaves?: boolean | undefined;
  /** Share of the items that are first offered during the history. */
  readonly newShare?: number | undefined;
  /** How much of an item's worth no catalogue tells: the weight in the utility of a standard normal quality. */
  readonly appeal?: number | undefined;
  /** Share of the steps of a visit that go by the page's list, as in a shop that is a feed; 0: pages, searches and shelves alone, of which some have lists. */
  readonly feedShare?: number | undefined;
}

export interface ShopSettings {
  readonly seed: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly users: number;
  readonly items: number;
  readonly days: number;
  readonly visitsPerUserDay: number;
  readonly fraudRate: number;
  readonly fraudWaves: boolean;
  readonly newShare: number;
  readonly appeal: number;
  readonly feedShare: number;
}

function checked(name: string, value: number, low: number, high: number, whole: boolean): number {
  if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
    throw new RangeError(`${name} must be ${whole ? 'a whole number ' : ''}from ${low} to ${high}, not ${value}`);
  }
  return value;
}

/** Fills in the defaults and checks the ranges. Throws RangeError. */
export function settle(params: ShopParams): ShopSettings {
  const days = checked('days', params.days ?? 60, 1, DAYS_MAX, true);
  const endMs = checked('endMs', params.endMs, DAYS_MAX * DAY_MS, 4_000_000_000_000, true);
  return {
    seed: checked('seed', params.seed, 0, Number.MAX_SAFE_INTEGER, true),
    startMs: endMs - days * DAY_MS,
    endMs,
    users: checked('users', params.users ?? 5_000, 10, USERS_MAX, true),
    items: checked('items', params.items ?? 2_000, 60, ITEMS_MAX, true),
    days,
    visitsPerUserDay: checked('visitsPerUserDay', params.visitsPerUserDay ?? 0.2, 0.001, 5, false),
    fraudRate: checked('fraudRate', params.fraudRate ?? 0.02, 0, 0.2, false),
    fraudWaves: params.fraudWaves ?? false,
    newShare: checked('newShare', params.newShare ?? 0.18, 0, 1, false),
    appeal: checked('appeal', params.appeal ?? 0.35, 0, 5, false),
    feedShare: checked('feedShare', params.feedShare ?? 0, 0, 1, false),
  };
}

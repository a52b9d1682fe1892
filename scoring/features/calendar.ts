const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** 1 January 1970 was a Thursday; Monday is 0. */
const EPOCH_WEEKDAY = 3;
/** Night is before seven o'clock UTC, as in the Fraud Detection Handbook; the weekend is Saturday and Sunday. */
const NIGHT_UNTIL_HOUR = 7;
const SATURDAY = 5;

export function hourOf(atMs: number): number {
  return Math.floor((atMs % DAY_MS) / HOUR_MS);
}

export function weekdayOf(atMs: number): number {
  return (Math.floor(atMs / DAY_MS) + EPOCH_WEEKDAY) % 7;
}

export function isNight(atMs: number): boolean {
  return hourOf(atMs) < NIGHT_UNTIL_HOUR;
}

export function isWeekend(atMs: number): boolean {
  return weekdayOf(atMs) >= SATURDAY;
}

/** Which of the four parts of a week a moment falls in: people pay at hours of their own. */
export function dayPart(atMs: number): string {
  return `${isWeekend(atMs) ? 'weekend' : 'weekday'} ${isNight(atMs) ? 'night' : 'day'}`;
}

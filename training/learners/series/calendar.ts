import { requireParam } from '../contract.ts';

/** Columns of a regression, each a value for every step of the series and its horizon. */
export type Terms = readonly Float64Array[];

const DAYS_OF_WEEK = 7;
const MONTHS = 12;
/** 1970-01-01 was a Thursday; Monday is 0. */
const FIRST_WEEKDAY = 3;
const DAY_MS = 86_400_000;
/** Groups of holidays, each with a coefficient of its own. */
const GROUPS_MAX = 64;

export interface DailyTerms {
  /** Days since 1970 of the first value. */
  readonly firstDay: number;
  /** Values and horizon together. */
  readonly length: number;
  readonly weekday?: boolean;
  readonly month?: boolean;
  /** Groups of days since 1970 that have one effect: [[every Christmas], [every Easter Monday], ...]. */
  readonly holidays?: readonly (readonly number[])[];
}

/** Weekday (Monday is the base), month (January is) and holidays of a daily series, 0 or 1. */
export function dailyTerms({ firstDay, length, weekday = true, month = true, holidays = [] }: DailyTerms): Terms {
  requireParam(Number.isInteger(firstDay), `firstDay must be whole days since 1970, not ${firstDay}`);
  requireParam(holidays.length <= GROUPS_MAX, `there may be ${GROUPS_MAX} groups of holidays, not ${holidays.length}`);
  const column = (holds: (day: number) => boolean) => Float64Array.from({ length }, (_, t) => (holds(firstDay + t) ? 1 : 0));
  const terms: Float64Array[] = [];
  if (weekday) for (let d = 1; d < DAYS_OF_WEEK; d++) terms.push(column((day) => weekdayOf(day) === d));
  if (month) for (let m = 1; m < MONTHS; m++) terms.push(column((day) => new Date(day * DAY_MS).getUTCMonth() === m));
  for (const group of holidays) {
    const days = new Set(group);
    terms.push(column((day) => days.has(day)));
  }
  return terms;
}

export interface MonthlyTerms {
  readonly firstYear: number;
  /** 0 is January. */
  readonly firstMonth: number;
  readonly length: number;
  readonly month?: boolean;
  readonly tradingDays?: boolean;
}

/**
 * Month (January is the base) and trading days of a monthly series: how many Mondays, ..., Saturdays more than Sundays a month has, and the
 * length of February beside its mean.
 */
export function monthlyTerms({ firstYear, firstMonth, length, month = true, tradingDays = true }: MonthlyTerms): Terms {
  const terms: Float64Array[] = [];
  const monthOf = (t: number) => (firstMonth + t) % MONTHS;
  if (month) for (let m = 1; m < MONTHS; m++) terms.push(Float64Array.from({ length }, (_, t) => (monthOf(t) === m ? 1 : 0)));
  if (!tradingDays) return terms;
  const counts = Array.from({ length }, (_, t) => weekdayCounts(firstYear + Math.floor((firstMonth + t) / MONTHS), monthOf(t)));
  for (let d = 0; d < DAYS_OF_WEEK - 1; d++) terms.push(Float64Array.from(counts, (count) => count[d]! - count[DAYS_OF_WEEK - 1]!));
  terms.push(Float64Array.from(counts, (count, t) => (monthOf(t) === 1 ? count.reduce((a, b) => a + b, 0) - 28.25 : 0)));
  return terms;
}

/** How often each weekday, Monday first, is in a month. */
function weekdayCounts(year: number, month: number): number[] {
  const counts = new Array<number>(DAYS_OF_WEEK).fill(0);
  const first = Date.UTC(year, month, 1) / DAY_MS;
  const end = Date.UTC(year, month + 1, 1) / DAY_MS;
  for (let day = first; day < end; day++) counts[weekdayOf(day)]! += 1;
  return counts;
}

function weekdayOf(day: number): number {
  return (((day + FIRST_WEEKDAY) % DAYS_OF_WEEK) + DAYS_OF_WEEK) % DAYS_OF_WEEK;
}

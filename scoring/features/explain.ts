import type { Feature, RecentStatistic } from './contract.ts';

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

const DURATIONS: ReadonlySet<RecentStatistic> = new Set(['above_first', 'above_run_start']);

/** The feature's sentence with its value written for a person. */
export function explainFeature(feature: Feature, value: number): string {
  if (Number.isNaN(value)) return `not known: ${feature.text.replaceAll('{value}', '…')}`;
  return feature.text.replaceAll('{value}', () => formatValue(feature, value));
}

function formatValue(feature: Feature, value: number): string {
  if (feature.aggregate === 'time_since' || (feature.aggregate === 'recent' && DURATIONS.has(feature.statistic))) return formatDuration(value);
  if (feature.aggregate === 'share') return `${Math.round(value * 100)} %`;
  if (feature.aggregate === 'subject' && (feature.field === 'is_night' || feature.field === 'is_weekend')) return value === 1 ? 'yes' : 'no';
  if (Number.isInteger(value)) return String(value);
  // Four significant digits, but never fewer than the whole part: float32 has seven.
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

function formatDuration(seconds: number): string {
  if (seconds < MINUTE_S) return `${Math.round(seconds)} s`;
  if (seconds < HOUR_S) return `${Math.round(seconds / MINUTE_S)} min`;
  if (seconds < 2 * DAY_S) return `${Math.round(seconds / HOUR_S)} h`;
  return `${Math.round(seconds / DAY_S)} days`;
}

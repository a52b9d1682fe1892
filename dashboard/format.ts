/** Numbers and times as a desk reads them. Absent ones are a dash. */
export const NONE = '–';

/** Three significant digits at most: `0.42`, `8.1`, `312`, `12.4k`. */
export function formatRate(perS: number): string {
  if (perS >= 100_000) return `${Math.round(perS / 1000)}k`;
  if (perS >= 10_000) return `${(perS / 1000).toFixed(1)}k`;
  if (perS >= 100) return String(Math.round(perS));
  if (perS >= 1) return perS.toFixed(1);
  return perS === 0 ? '0' : perS.toFixed(2);
}

export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 100 ? Math.round(ms) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

export function formatShare(part: number, whole: number): string {
  if (whole === 0) return NONE;
  const percent = (part / whole) * 100;
  if (percent > 0 && percent < 0.1) return '<0.1%';
  return `${percent >= 10 || percent === 0 ? Math.round(percent) : percent.toFixed(1)}%`;
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const;
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined) return NONE;
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `18,404`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** Time between two moments in its largest unit: `12 s`, `3 min`, `2 h`, `5 d`. */
export function formatAge(fromMs: number, nowMs: number): string {
  const s = Math.max(0, Math.round((nowMs - fromMs) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

export function formatClock(ms: number): string {
  return new Date(ms).toLocaleTimeString('en-GB', { hour12: false });
}

/** `1,249.00 EUR`; without a currency the number alone. */
export function formatAmount(amount: number | undefined, currency: string | undefined): string {
  if (amount === undefined) return NONE;
  const text = amount.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return currency === undefined ? text : `${text} ${currency}`;
}

/** `restrict_payment_method` as words. */
export function formatName(name: string): string {
  return name.replaceAll('_', ' ');
}

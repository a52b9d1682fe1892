import type { PrecisionResponse, ReasonPrecision, ReviewCase } from '../../contracts/review.ts';

/** The two-sided 95 % point of the normal distribution. */
const Z = 1.959963984540054;

/** How often each reason was right among cases that have a verdict. */
export function precisionByReason(decided: readonly ReviewCase[]): PrecisionResponse {
  const tallies = new Map<string, { decided: number; fraud: number }>();
  for (const { codes, verdict } of decided) {
    for (const code of new Set(codes)) {
      const tally = tallies.get(code) ?? { decided: 0, fraud: 0 };
      tally.decided++;
      if (verdict === 'fraud') tally.fraud++;
      tallies.set(code, tally);
    }
  }
  const reasons = [...tallies]
    .map(([code, tally]) => precisionOf(code, tally.decided, tally.fraud))
    .sort((a, b) => b.decided - a.decided || (a.code < b.code ? -1 : 1));
  const frauds = decided.filter(({ verdict }) => verdict === 'fraud').length;
  return { all: decided.length === 0 ? null : precisionOf('all', decided.length, frauds), reasons };
}

/** With the score interval of Wilson (1927), which stays within 0..1 and holds for few cases. */
export function precisionOf(code: string, decided: number, fraud: number): ReasonPrecision {
  const share = fraud / decided;
  const middle = (share + (Z * Z) / (2 * decided)) / (1 + (Z * Z) / decided);
  const half = (Z / (1 + (Z * Z) / decided)) * Math.sqrt((share * (1 - share)) / decided + (Z * Z) / (4 * decided * decided));
  return { code, decided, fraud, precision: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

import type { TouchedItems } from '../touched.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';

const DAY_MS = 86_400_000;
/** A repurchase becomes half as likely after this many days without one; only the order of own items hangs on it. */
const BUY_AGAIN_HALF_LIFE_DAYS = 120;

/**
 * The user's own purchases. The columns: strength of the wish to buy again, how often it was bought, days since the last
 * and the first time, and days since the last time over the usual days between two. */
export const buyAgain: CandidateSource = {
  name: 'buy_again',
  columns: [
    { key: 'buy_again', without: 0 },
    { key: 'own_count', without: Number.NaN },
    { key: 'own_days', without: Number.NaN },
    { key: 'own_first_days', without: Number.NaN },
    { key: 'own_pace', without: Number.NaN },
  ],
  isServed: () => true,
  start: (context) => (context.purchases.length === 0 ? undefined : run(context)),
};

function run(context: CandidateContext): SourceRun {
  const { purchases, nowMs } = context;
  return {
    find(max, found) {
      const { top, catalogue, allow } = context;
      top.reset(max, catalogue.handles);
      for (let i = 0; i < purchases.length; i++) if (allow(purchases.handles[i]!)) top.offer(strength(purchases, i, nowMs), purchases.handles[i]!);
      return top.drain(found, undefined);
    },
    score(candidates, [again, count, days, firstDays, pace]) {
      const own = context.map();
      for (let i = 0; i < purchases.length; i++) {
        const at = own.add(purchases.handles[i]!);
        own.links[at] = i;
      }
      for (let c = 0; c < candidates.count; c++) {
        const at = own.positionOf(candidates.handles[c]!);
        const i = at < 0 ? -1 : own.links[at]!;
        again![c] = i < 0 ? 0 : strength(purchases, i, nowMs);
        count![c] = i < 0 ? Number.NaN : purchases.counts[i]!;
        days![c] = i < 0 ? Number.NaN : daysSince(purchases.lastMs[i]!, nowMs);
        firstDays![c] = i < 0 ? Number.NaN : daysSince(purchases.firstMs[i]!, nowMs);
        pace![c] = i < 0 ? Number.NaN : paceOf(purchases, i, nowMs);
      }
    },
  };
}

function strength(purchases: TouchedItems, i: number, nowMs: number): number {
  return purchases.counts[i]! * 2 ** (-daysSince(purchases.lastMs[i]!, nowMs) / BUY_AGAIN_HALF_LIFE_DAYS);
}

/** Above 1 the next purchase is due; missing where there was but one. */
function paceOf({ counts, firstMs, lastMs }: TouchedItems, i: number, nowMs: number): number {
  const usualMs = (lastMs[i]! - firstMs[i]!) / (counts[i]! - 1);
  return usualMs > 0 ? Math.max(0, nowMs - lastMs[i]!) / usualMs : Number.NaN;
}

function daysSince(atMs: number, nowMs: number): number {
  return Math.max(0, nowMs - atMs) / DAY_MS;
}

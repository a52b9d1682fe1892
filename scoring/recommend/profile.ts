import type { HandleMap } from './handle-map.ts';
import type { TouchedItems } from './touched.ts';

const DAY_MS = 86_400_000;
/** What was held a year ago says half as much about who a shopper is like: tastes last, and seasons come back. */
export const LIKENESS_HALF_LIFE_DAYS = 365;
/** A look says so much less than a purchase about who somebody is. */
const LOOK_WEIGHT = 0.25;

/**
 * Sum of 0.5 ^ (age / half-life) over `count` acts of which only the first and the last time are known: those between are taken as evenly spread.
 * An act of the future counts as one of now.
 */
export function decayedCount(count: number, firstMs: number, lastMs: number, nowMs: number, halfLifeDays: number): number {
  if (count <= 0) return 0;
  const newest = decay(nowMs - lastMs, halfLifeDays);
  if (count === 1) return newest;
  const ratio = decay((lastMs - firstMs) / (count - 1), halfLifeDays);
  return ratio === 1 ? count * newest : (newest * (1 - ratio ** count)) / (1 - ratio);
}

function decay(ageMs: number, halfLifeDays: number): number {
  return 2 ** (-Math.max(0, ageMs) / (halfLifeDays * DAY_MS));
}

/** How much of an item somebody holds who bought and looked at it so often, each as a `decayedCount`. */
export function heldValue(bought: number, looked: number): number {
  return bought + LOOK_WEIGHT * looked;
}

/**
 * What a visitor holds, as scores of `out`, which must be empty. Acts of a visit are in the shopper's history as well, where there is a shopper;
 * purchases are among a history's acts, and told from looks by their number.
 */
export function heldItems(interactions: TouchedItems, purchases: TouchedItems, session: TouchedItems, nowMs: number, out: HandleMap): void {
  const decayed = ({ firstMs, lastMs }: TouchedItems, i: number, count: number): number =>
    decayedCount(count, firstMs[i]!, lastMs[i]!, nowMs, LIKENESS_HALF_LIFE_DAYS);
  for (let i = 0; i < purchases.length; i++) {
    const at = out.add(purchases.handles[i]!);
    out.scores[at] = heldValue(decayed(purchases, i, purchases.counts[i]!), 0);
    out.links[at] = purchases.counts[i]!;
  }
  for (const acts of [interactions, session]) {
    for (let i = 0; i < acts.length; i++) {
      const at = out.add(acts.handles[i]!);
      // Seen in the other history already.
      if (out.peaks[at] === 1) continue;
      out.peaks[at] = 1;
      const looks = acts.counts[i]! - Math.max(0, out.links[at]!);
      out.scores[at] = out.scores[at]! + heldValue(0, decayed(acts, i, looks));
    }
  }
}

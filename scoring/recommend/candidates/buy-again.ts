import { NO_HANDLE } from '../../../contracts/handles.ts';
import type { HandleMap } from '../handle-map.ts';
import type { TouchedItems } from '../touched.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';

const DAY_MS = 86_400_000;
/** A repurchase becomes half as likely after this many days without one; only the order of own items hangs on it. */
const BUY_AGAIN_HALF_LIFE_DAYS = 120;
/** Between two purchases of what runs out, where nothing is known: counted as one interval beside those of the user. */
const USUAL_DAYS = 30;
/** So many intervals of an item say half of when it is due; with fewer, how often and how lately it was bought says more. */
const INTERVALS_HALF = 3;

/** The share of the candidates that goes by the user's rhythm; the rest goes by strength alone. With all by rhythm, Online Retail end to end was no better: wholesalers buy along what is not due yet. */
const DUE_SHARE = 0.5;

/**
 * The user's own purchases, those that are due first. The columns: strength of the wish to buy again, how often it was bought, days since the
 * last and the first time, days since the last time over the usual days between two, and the strength by the user's rhythm. The last one is what the
 * first half of the candidates and the blend go by; the ranker has the numbers that it is made of.
 */
export const buyAgain: CandidateSource = {
  name: 'buy_again',
  columns: [
    { key: 'buy_again', without: 0 },
    { key: 'own_count', without: Number.NaN },
    { key: 'own_days', without: Number.NaN },
    { key: 'own_first_days', without: Number.NaN },
    { key: 'own_pace', without: Number.NaN },
    { key: 'buy_again_due', without: 0 },
  ],
  isServed: () => true,
  start: (context) => (context.purchases.length === 0 ? undefined : run(context)),
};

function run(context: CandidateContext): SourceRun {
  const { purchases, nowMs } = context;
  const rhythms = rhythmsOf(context);
  const due = (i: number): number => strength(purchases, i, nowMs) * dueness(context, rhythms, i);
  return {
    find(max, found) {
      const taken = context.map();
      const half = bestBy(context, due, Math.ceil(max * DUE_SHARE), taken, found);
      return half + bestBy(context, (i) => strength(purchases, i, nowMs), max - half, taken, found.subarray(half));
    },
    score(candidates, [again, count, days, firstDays, pace, rhythm]) {
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
        rhythm![c] = i < 0 ? 0 : due(i);
      }
    },
  };
}

/** Writes the best of the purchases that may be shown and are not taken yet, and takes them; returns how many. */
function bestBy(
  { purchases, top, catalogue, allow }: CandidateContext,
  score: (i: number) => number,
  max: number,
  taken: HandleMap,
  found: Int32Array,
): number {
  top.reset(max, catalogue.handles);
  for (let i = 0; i < purchases.length; i++) {
    const handle = purchases.handles[i]!;
    if (!taken.has(handle) && allow(handle)) top.offer(score(i), handle);
  }
  const count = top.drain(found, undefined);
  for (let i = 0; i < count; i++) taken.add(found[i]!);
  return count;
}

function strength(purchases: TouchedItems, i: number, nowMs: number): number {
  return purchases.counts[i]! * 2 ** (-daysSince(purchases.lastMs[i]!, nowMs) / BUY_AGAIN_HALF_LIFE_DAYS);
}

/** Of each category of the purchases: milliseconds between purchases of the same item, as scores, and how many such intervals there are, as peaks. */
function rhythmsOf({ purchases: { handles, counts, firstMs, lastMs, length }, catalogue, map }: CandidateContext): HandleMap {
  const rhythms = map();
  for (let i = 0; i < length; i++) {
    const category = catalogue.category(handles[i]!);
    if (category === NO_HANDLE) continue;
    const at = rhythms.add(category);
    rhythms.scores[at] = rhythms.scores[at]! + lastMs[i]! - firstMs[i]!;
    rhythms.peaks[at] = rhythms.peaks[at]! + counts[i]! - 1;
  }
  return rhythms;
}

/**
 * How near an item is to being due, between 0 and 1: the density of a gamma renewal (shape 2, its mode at the usual interval) over its highest value, as
 * far as the rhythm is known. The usual interval is the mean of the item's own and one of its category's other items, which is theirs and one of USUAL_DAYS: after
 * the gamma priors of Bhagat et al. 2018 ("Buy It Again"), who take rates where this takes intervals.
 */
function dueness({ purchases: { handles, counts, firstMs, lastMs }, catalogue, nowMs }: CandidateContext, rhythms: HandleMap, i: number): number {
  const own = counts[i]! - 1;
  const ownMs = lastMs[i]! - firstMs[i]!;
  const at = rhythms.positionOf(catalogue.category(handles[i]!));
  const others = at < 0 ? 0 : rhythms.peaks[at]! - own;
  const othersMs = at < 0 ? 0 : rhythms.scores[at]! - ownMs;
  const categoryMs = (othersMs + USUAL_DAYS * DAY_MS) / (others + 1);
  const usualMs = (ownMs + categoryMs) / (own + 1);
  const passed = Math.max(0, nowMs - lastMs[i]!) / usualMs;
  // What the category tells of the item counts as one interval.
  const intervals = own + Math.min(1, others);
  const known = intervals / (intervals + INTERVALS_HALF);
  return 1 - known + known * passed * Math.exp(1 - passed);
}

/** Above 1 the next purchase is due; missing where there was but one. */
function paceOf({ counts, firstMs, lastMs }: TouchedItems, i: number, nowMs: number): number {
  const usualMs = (lastMs[i]! - firstMs[i]!) / (counts[i]! - 1);
  return usualMs > 0 ? Math.max(0, nowMs - lastMs[i]!) / usualMs : Number.NaN;
}

function daysSince(atMs: number, nowMs: number): number {
  return Math.max(0, nowMs - atMs) / DAY_MS;
}

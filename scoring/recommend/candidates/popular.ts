import type { CandidateContext, CandidateSource } from './contract.ts';

const NONE = new Int32Array(0);

/**
 * Live demand first, that of the page's category or of the visitor's country before that of all, and the bundle's table behind it, so that a fresh
 * gateway and a quiet one both have an answer. The columns are about the whole shop: the ranker learns from visits of no known country.
 */
export const popular: CandidateSource = {
  name: 'popular',
  columns: [
    { key: 'popular', without: 0 },
    { key: 'appeal', without: 1 },
  ],
  isServed: () => true,
  start(context) {
    // Scores are relative to the best of the list, so it is asked for even where the source is off.
    const live = context.trending.top(context.nowMs);
    return {
      find(max, found) {
        const count = firstOf(context.popularIn?.top ?? NONE, max, context, found);
        return context.few ? behind(count, context.few, max, context, found) : popularOfAll(count, live, max, context, found);
      },
      score(candidates, [column, appeal]) {
        const { trending, models, nowMs } = context;
        for (let c = 0; c < candidates.count; c++) {
          const handle = candidates.handles[c]!;
          column![c] = Math.max(trending.score(handle), models.popularity?.score(handle) ?? 0);
        }
        trending.appeal.tell(candidates.handles, candidates.count, nowMs, appeal!);
      },
    };
  },
};

/** The first of a list that may be shown. */
function firstOf(list: Int32Array, max: number, { allow }: CandidateContext, found: Int32Array): number {
  let count = 0;
  for (let i = 0; i < list.length && count < max; i++) if (allow(list[i]!)) found[count++] = list[i]!;
  return count;
}

/** Goes on behind the `count` that are found already. */
function popularOfAll(count: number, live: Int32Array, max: number, context: CandidateContext, found: Int32Array): number {
  const withLive = count === 0 ? firstOf(live, max, context, found) : append(count, live, max, context, found);
  return append(withLive, context.models.popularity?.order ?? NONE, max, context, found);
}

/** The same among few items. */
function behind(count: number, few: Int32Array, max: number, context: CandidateContext, found: Int32Array): number {
  if (count === 0) return popularOf(few, max, context, found);
  if (count === max) return count;
  // Of the best `max`, at most `count` are found already: the rest is enough.
  const best = new Int32Array(max);
  return append(count, best.subarray(0, popularOf(few, max, context, best)), max, context, found);
}

/** Adds those of a list that may be shown and are not found yet. */
function append(count: number, list: Int32Array, max: number, { allow, map }: CandidateContext, found: Int32Array): number {
  if (count === max || list.length === 0) return count;
  const taken = map();
  for (let i = 0; i < count; i++) taken.add(found[i]!);
  for (let i = 0; i < list.length && count < max; i++) if (allow(list[i]!) && !taken.has(list[i]!)) found[count++] = list[i]!;
  return count;
}

/** At most `max` of those that anybody asked for, in the order of the whole catalogue. */
export function popularOf(
  few: Int32Array,
  max: number,
  { top, catalogue, trending, models }: Pick<CandidateContext, 'top' | 'catalogue' | 'trending' | 'models'>,
  found: Int32Array,
): number {
  top.reset(max, catalogue.handles);
  for (let i = 0; i < few.length; i++) {
    const live = trending.score(few[i]!);
    const trained = models.popularity?.score(few[i]!) ?? 0;
    // Scores are at most 1: whatever is live stands before whatever is not.
    if (live > 0) top.offer(2 + live, few[i]!);
    else if (trained > 0) top.offer(trained, few[i]!);
  }
  return top.drain(found, undefined);
}

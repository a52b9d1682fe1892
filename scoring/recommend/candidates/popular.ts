import type { CandidateContext, CandidateSource } from './contract.ts';

/** Live demand first, the bundle's table behind it, so that a fresh gateway and a quiet one both have an answer. */
export const popular: CandidateSource = {
  name: 'popular',
  columns: [{ key: 'popular', without: 0 }],
  isServed: () => true,
  start(context) {
    // Scores are relative to the best of the list, so it is asked for even where the source is off.
    const live = context.trending.top(context.nowMs);
    return {
      find: (max, found) => (context.few ? popularOf(context.few, max, context, found) : popularOfAll(live, max, context, found)),
      score(candidates, [column]) {
        const { trending, models } = context;
        for (let c = 0; c < candidates.count; c++) {
          const handle = candidates.handles[c]!;
          column![c] = Math.max(trending.score(handle), models.popularity?.score(handle) ?? 0);
        }
      },
    };
  },
};

function popularOfAll(live: Int32Array, max: number, { allow, models, map }: CandidateContext, found: Int32Array): number {
  let count = 0;
  for (let i = 0; i < live.length && count < max; i++) if (allow(live[i]!)) found[count++] = live[i]!;
  const trained = models.popularity?.order;
  if (count === max || !trained) return count;
  const taken = map();
  for (let i = 0; i < count; i++) taken.add(found[i]!);
  for (let i = 0; i < trained.length && count < max; i++) if (allow(trained[i]!) && !taken.has(trained[i]!)) found[count++] = trained[i]!;
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

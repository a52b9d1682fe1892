import type { CandidateContext, CandidateSource } from './contract.ts';

/** What editors chose for the placement, in their order. It has no say about what others found. */
export const editorial: CandidateSource = {
  name: 'editorial',
  columns: [],
  isServed: () => true,
  start: (context) => (context.editorial.length === 0 ? undefined : { find: (max, found) => firstOf(max, context, found), score() {} }),
};

function firstOf(max: number, { editorial: chosen, allow, map }: CandidateContext, found: Int32Array): number {
  // An item may stand in several lists.
  const taken = map();
  let count = 0;
  for (let i = 0; i < chosen.length && count < max; i++) {
    if (taken.has(chosen[i]!) || !allow(chosen[i]!)) continue;
    taken.add(chosen[i]!);
    found[count++] = chosen[i]!;
  }
  return count;
}

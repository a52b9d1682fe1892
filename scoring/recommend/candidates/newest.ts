import type { CandidateContext, CandidateSource } from './contract.ts';

/** What was offered last: nobody would ever see a new item otherwise. */
export const newest: CandidateSource = {
  name: 'new',
  columns: [],
  isServed: () => true,
  start: (context) => ({
    find: (max, found) => (context.few ? newestOf(context.few, max, context, found) : newestOfAll(max, context, found)),
    score() {},
  }),
};

function newestOfAll(max: number, { catalogue, allow }: CandidateContext, found: Int32Array): number {
  let count = 0;
  if (max === 0) return 0;
  catalogue.eachNewest((handle) => {
    if (allow(handle)) found[count++] = handle;
    return count < max;
  });
  return count;
}

function newestOf(few: Int32Array, max: number, { catalogue, top }: CandidateContext, found: Int32Array): number {
  top.reset(max, catalogue.handles);
  for (let i = 0; i < few.length; i++) top.offer(catalogue.createdMs(few[i]!) || 0, few[i]!);
  return top.drain(found, undefined);
}

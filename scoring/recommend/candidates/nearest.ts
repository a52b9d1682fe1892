import type { VectorIndex } from '../../../index/contract.ts';
import type { CandidateContext } from './contract.ts';

/** Writes the items nearest to a vector that may be shown into `found`, at most `max`; returns how many. `ef` is the index's own where absent. */
export function nearestTo(index: VectorIndex, query: Float32Array, max: number, context: CandidateContext, found: Int32Array, ef?: number): number {
  const { exact, allow } = context;
  return exact ? nearestOf(exact, max, context, index, query, found) : index.nearest(query, max, { filter: allow, ef }, found);
}

/** By exact search among `some`. */
function nearestOf(
  some: Int32Array,
  max: number,
  { top, catalogue, allow }: CandidateContext,
  index: VectorIndex,
  query: Float32Array,
  found: Int32Array,
): number {
  const similarities = new Float64Array(some.length);
  index.similaritiesTo(query, some, some.length, similarities);
  top.reset(max, catalogue.handles);
  for (let i = 0; i < some.length; i++) {
    const similarity = similarities[i]!;
    // Items without a vector are no numbers, which pass no comparison.
    if (similarity >= top.floor && top.wants(similarity, some[i]!) && allow(some[i]!)) top.offer(similarity, some[i]!);
  }
  return top.drain(found, undefined);
}

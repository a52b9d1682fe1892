import type { VectorIndex } from '../../../index/contract.ts';
import { historyWeights } from '../retrieval.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';

/** What is near to the visitor's vector, which is folded from everything that they touched. */
export const userVector: CandidateSource = {
  name: 'user_vector',
  columns: [{ key: 'user_vector', without: Number.NaN }],
  isServed: (models) => models.userTower !== undefined && models.itemIndex !== undefined,
  start(context) {
    const { userTower, itemIndex } = context.models;
    if (!userTower || !itemIndex) return undefined;
    const weights = context.map();
    historyWeights(context.interactions, context.session, context.purchases, weights);
    if (weights.count === 0) return undefined;
    return userTower.fold(weights).then((user) => user && run(context, itemIndex, user));
  },
};

function run(context: CandidateContext, index: VectorIndex, user: Float32Array): SourceRun {
  return {
    find: (max, found) =>
      context.exact ? nearestOf(context.exact, max, context, index, user, found) : index.nearest(user, max, { filter: context.allow }, found),
    score: (candidates, [column]) => index.similaritiesTo(user, candidates.handles, candidates.count, column!),
  };
}

/** By exact search among `some`. */
function nearestOf(
  some: Int32Array,
  max: number,
  { top, catalogue, allow }: CandidateContext,
  index: VectorIndex,
  user: Float32Array,
  found: Int32Array,
): number {
  const similarities = new Float64Array(some.length);
  index.similaritiesTo(user, some, some.length, similarities);
  top.reset(max, catalogue.handles);
  for (let i = 0; i < some.length; i++) {
    const similarity = similarities[i]!;
    // Items without a vector are no numbers, which pass no comparison.
    if (similarity >= top.floor && top.wants(similarity, some[i]!) && allow(some[i]!)) top.offer(similarity, some[i]!);
  }
  return top.drain(found, undefined);
}

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
      context.few ? nearestOf(context.few, max, context, index, user, found) : index.nearest(user, max, { filter: context.allow }, found),
    score: (candidates, [column]) => index.similaritiesTo(user, candidates.handles, candidates.count, column!),
  };
}

function nearestOf(
  few: Int32Array,
  max: number,
  { top, catalogue }: CandidateContext,
  index: VectorIndex,
  user: Float32Array,
  found: Int32Array,
): number {
  const similarities = new Float64Array(few.length);
  index.similaritiesTo(user, few, few.length, similarities);
  top.reset(max, catalogue.handles);
  for (let i = 0; i < few.length; i++) if (!Number.isNaN(similarities[i]!)) top.offer(similarities[i]!, few[i]!);
  return top.drain(found, undefined);
}

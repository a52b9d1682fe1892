import type { VectorIndex } from '../../../index/contract.ts';
import { historyWeights } from '../retrieval.ts';
import { rankColumn } from './best.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';
import { nearestTo } from './nearest.ts';

/** What is near to the visitor's vector, which is folded from everything that they touched. The columns: similarity, and its rank. */
export const userVector: CandidateSource = {
  name: 'user_vector',
  columns: [
    { key: 'user_vector', without: Number.NaN },
    { key: 'user_vector_rank', without: Number.NaN },
  ],
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
    find: (max, found) => nearestTo(index, user, max, context, found),
    score(candidates, [column, rank]) {
      index.similaritiesTo(user, candidates.handles, candidates.count, column!);
      rankColumn(column!, candidates.count, rank!);
    },
  };
}

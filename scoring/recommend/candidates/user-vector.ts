import type { VectorIndex } from '../../../index/contract.ts';
import { historyWeights } from '../retrieval.ts';
import { rankColumn } from './best.ts';
import type { CandidateContext, CandidateSource, SourceRun } from './contract.ts';
import { keyOf, nearbyOf, nearbyTo, type Searched, similarityColumn } from './nearby.ts';

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
    const nearby = nearbyOf(userTower);
    const key = keyOf(weights);
    const known = nearby.get(key, itemIndex);
    if (known) return run(context, itemIndex, known);
    // The index may change while the model runs.
    const { version } = itemIndex;
    return userTower.fold(weights).then((user) => user && run(context, itemIndex, nearby.put(key, version, user)));
  },
};

function run(context: CandidateContext, index: VectorIndex, user: Searched): SourceRun {
  return {
    find: (max, found) => nearbyTo(index, user, max, context, found),
    score(candidates, [column, rank]) {
      similarityColumn(index, user, candidates, column!, context.map);
      rankColumn(column!, candidates.count, rank!);
    },
  };
}

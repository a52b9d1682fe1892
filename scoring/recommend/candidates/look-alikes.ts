import { heldItems } from '../profile.ts';
import { bestOf, rankColumn, scoreColumn, shareColumn } from './best.ts';
import type { CandidateSource } from './contract.ts';

/**
 * What people like the visitor want now: those who hold the same items. The columns: their votes, these over the most wanted candidate's and by rank, and
 * what they ever wanted.
 */
export const lookAlikes: CandidateSource = {
  name: 'look_alike',
  columns: [
    { key: 'look_alike', without: 0 },
    { key: 'look_alike_share', without: 0 },
    { key: 'look_alike_rank', without: Number.NaN },
    { key: 'look_alike_ever', without: 0 },
  ],
  isOptional: true,
  isServed: (models) => models.lookAlikes !== undefined,
  start(context) {
    const held = context.map();
    heldItems(context.interactions, context.purchases, context.session, context.nowMs, held);
    if (held.count === 0) return undefined;
    const votes = context.map();
    context.models.lookAlikes?.score(held, votes);
    return {
      find: (max, found) => bestOf(votes, max, context, found),
      score(candidates, [column, share, rank, ever]) {
        scoreColumn(votes, candidates, column!, ever!);
        shareColumn(column!, candidates.count, share!);
        rankColumn(column!, candidates.count, rank!);
      },
    };
  },
};

import { gapColumn, rankColumn } from './best.ts';
import type { CandidateSource } from './contract.ts';
import { nearestTo } from './nearest.ts';

/**
 * What a sequence model expects after the last items of the visit; of a shopper without a visit, after the last of their history. The columns: the
 * logit, how far it is below the best candidate's, since logits of two visits are of no common scale, and its rank.
 */
export const nextItem: CandidateSource = {
  name: 'next_item',
  columns: [
    { key: 'next_item', without: Number.NaN },
    { key: 'next_item_gap', without: Number.NaN },
    { key: 'next_item_rank', without: Number.NaN },
  ],
  isOptional: true,
  isServed: (models) => models.nextItem !== undefined,
  start(context) {
    const { session, interactions, models } = context;
    const clicked = session.length > 0 ? session : interactions;
    if (!models.nextItem || clicked.length === 0) return undefined;
    const { index } = models.nextItem;
    return models.nextItem.expect(clicked.handles, clicked.length).then(
      (query) =>
        query && {
          find: (max, found) => nearestTo(index, query, max, context, found),
          score(candidates, [column, gap, rank]) {
            index.similaritiesTo(query, candidates.handles, candidates.count, column!);
            gapColumn(column!, candidates.count, gap!);
            rankColumn(column!, candidates.count, rank!);
          },
        },
    );
  },
};

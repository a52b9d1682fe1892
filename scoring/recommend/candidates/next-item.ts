import type { CandidateSource } from './contract.ts';
import { nearestTo } from './nearest.ts';

/** What a sequence model expects after the last items of the visit; of a shopper without a visit, after the last of their history. */
export const nextItem: CandidateSource = {
  name: 'next_item',
  columns: [{ key: 'next_item', without: Number.NaN }],
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
          score: (candidates, [column]) => index.similaritiesTo(query, candidates.handles, candidates.count, column!),
        },
    );
  },
};

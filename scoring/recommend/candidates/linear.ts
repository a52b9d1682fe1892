import type { HandleMap } from '../handle-map.ts';
import type { NeighbourTable } from '../retrieval.ts';
import type { TouchedItems } from '../touched.ts';
import { bestOf, rankColumn, scoreColumn, shareColumn } from './best.ts';
import type { CandidateContext, CandidateSource } from './contract.ts';

const DAY_MS = 86_400_000;
/** What was bought or looked at so long ago counts half. */
const HALF_LIFE_DAYS = 60;

/**
 * A linear model over everything that the visitor holds (EASE), not only the latest items as item to item does. The columns: the score,
 * the same over the best candidate's and by rank, and the score if nothing that is held aged.
 */
export const linear: CandidateSource = {
  name: 'linear',
  columns: [
    { key: 'linear', without: 0 },
    { key: 'linear_share', without: 0 },
    { key: 'linear_rank', without: Number.NaN },
    { key: 'linear_ever', without: 0 },
  ],
  isOptional: true,
  isServed: (models) => models.linear !== undefined,
  start(context) {
    const { purchases, interactions, session } = context;
    const held = purchases.length > 0 ? purchases : interactions.length > 0 ? interactions : session;
    if (!context.models.linear || held.length === 0) return undefined;
    const scores = scoresOf(context.models.linear, held, context);
    return {
      find: (max, found) => bestOf(scores, max, context, found),
      score(candidates, [column, share, rank, ever]) {
        scoreColumn(scores, candidates, column!, ever!);
        shareColumn(column!, candidates.count, share!);
        rankColumn(column!, candidates.count, rank!);
      },
    };
  },
};

function scoresOf(table: NeighbourTable, held: TouchedItems, { map, nowMs }: CandidateContext): HandleMap {
  const scores = map();
  for (let i = 0; i < held.length; i++) {
    const weight = 2 ** (-Math.max(0, nowMs - held.lastMs[i]!) / (HALF_LIFE_DAYS * DAY_MS));
    table.each(held.handles[i]!, Number.POSITIVE_INFINITY, (item, value) => {
      const at = scores.add(item);
      scores.scores[at] = scores.scores[at]! + weight * value;
      scores.peaks[at] = scores.peaks[at]! + value;
    });
  }
  return scores;
}

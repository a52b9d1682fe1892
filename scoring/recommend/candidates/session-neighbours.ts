import { bestOf, rankColumn, scoreColumn, shareColumn } from './best.ts';
import type { CandidateContext, CandidateSource } from './contract.ts';
import type { CandidateSet } from './set.ts';

/**
 * What others clicked in visits like this one. The columns: the score, the same over the best candidate's and by rank, and how many items ago the
 * candidate was touched in this very visit: one next click in five goes back.
 */
export const sessionNeighbours: CandidateSource = {
  name: 'session_neighbours',
  columns: [
    { key: 'session_neighbours', without: 0 },
    { key: 'session_neighbours_share', without: 0 },
    { key: 'session_neighbours_rank', without: Number.NaN },
    { key: 'visit_steps', without: Number.NaN },
  ],
  isOptional: true,
  isServed: (models) => models.sessionNeighbours !== undefined,
  start(context) {
    const { visit, models } = context;
    if (visit.length === 0) return undefined;
    const scores = context.map();
    models.sessionNeighbours?.score(visit.handles, visit.length, scores);
    const steps = stepsBack(context);
    return {
      find: (max, found) => bestOf(scores, max, context, found),
      score(candidates, [column, share, rank, back]) {
        scoreColumn(scores, candidates, column!);
        shareColumn(column!, candidates.count, share!);
        rankColumn(column!, candidates.count, rank!);
        stepsColumn(steps, candidates, back!);
      },
    };
  },
};

/** Of each item of the visit its place from the end, 1 for the last. */
function stepsBack({ visit, map }: CandidateContext) {
  const steps = map();
  for (let i = 0; i < visit.length; i++) steps.scores[steps.add(visit.handles[i]!)] = i + 1;
  return steps;
}

function stepsColumn(steps: ReturnType<typeof stepsBack>, candidates: CandidateSet, column: Float64Array): void {
  for (let c = 0; c < candidates.count; c++) {
    const at = steps.positionOf(candidates.handles[c]!);
    column[c] = at < 0 ? Number.NaN : steps.scores[at]!;
  }
}

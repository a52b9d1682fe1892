import { bestOf, scoreColumn } from './best.ts';
import type { CandidateSource } from './contract.ts';

/** What others clicked in visits like this one. */
export const sessionNeighbours: CandidateSource = {
  name: 'session_neighbours',
  columns: [{ key: 'session_neighbours', without: 0 }],
  isOptional: true,
  isServed: (models) => models.sessionNeighbours !== undefined,
  start(context) {
    const { session, models } = context;
    if (session.length === 0) return undefined;
    const scores = context.map();
    models.sessionNeighbours?.score(session.handles, session.length, scores);
    return {
      find: (max, found) => bestOf(scores, max, context, found),
      score: (candidates, [column]) => scoreColumn(scores, candidates, column!),
    };
  },
};

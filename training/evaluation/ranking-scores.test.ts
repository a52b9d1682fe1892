import { expect, test } from 'vitest';
import { RankingScores } from './ranking-scores.ts';

test('means over lists, cut where it is said', () => {
  const scores = new RankingScores(2);
  scores.add('ours', ['a', 'b', 'c'], new Set(['b']));
  scores.add('ours', ['a', 'b', 'c'], new Set(['c']));
  scores.add('theirs', ['b', 'a'], new Set(['b']));
  const { ours, theirs } = scores.means();
  expect(ours).toEqual({ hitRate: 0.5, recall: 0.5, mrr: 0.25, ndcg: 0.5 / Math.log2(3) });
  expect(theirs).toEqual({ hitRate: 1, recall: 1, mrr: 1, ndcg: 1 });
});

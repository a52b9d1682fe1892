import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mean, ndcgAt, recallAt } from './evaluation/metrics.ts';
import { CUT, RankerRows } from './ranker-rows.ts';

const LONG = 40;

test('rankings are measured as sorted lists are, equals by id, and what is missing behind all', () => {
  const candidate = fc.record({
    score: fc.constantFrom(0, 0, 1, 2, 3, Number.NEGATIVE_INFINITY),
    grade: fc.constantFrom<(0 | 1 | 2)[]>(0, 0, 0, 0, 1, 2),
  });
  const question = fc.array(candidate, { minLength: 1, maxLength: LONG }).filter((all) => all.some(({ grade }) => grade > 0));
  fc.assert(
    fc.property(fc.array(question, { minLength: 1, maxLength: 4 }), (questions) => {
      const rows = new RankerRows({});
      const asked = questions.map((all) => {
        const ids = all.map((_, i) => `i${(i * 17) % LONG}`);
        const wanted = all.flatMap(({ grade }, i): [string, 1 | 2][] => (grade > 0 ? [[ids[i]!, grade as 1 | 2]] : []));
        return { ids, wanted, scores: Float64Array.from(all, ({ score }) => score) };
      });
      rows.restore({
        width: 1,
        answered: asked.map(({ ids, wanted, scores }, record) => ({
          ids,
          rows: Float32Array.from(scores),
          isSuppressed: false,
          baselines: { source: scores },
          query: { record, atMs: record, userId: undefined, sessionId: undefined },
          wanted,
        })),
      });
      const expected = asked.map(({ ids, wanted, scores }) => {
        const bought = wanted.filter(([, grade]) => grade === 2);
        const goal = new Set((bought.length > 0 ? bought : wanted).map(([id]) => id));
        const order = ids.map((_, i) => i).sort((a, b) => (scores[a] === scores[b] ? (ids[a]! < ids[b]! ? -1 : 1) : scores[b]! - scores[a]!));
        const top = order.slice(0, CUT).map((i) => ids[i]!);
        return { recall: recallAt(CUT, top, goal), ndcg: ndcgAt(CUT, top, goal), first: recallAt(1, top, goal) };
      });
      const measured = rows.evaluate({ model: (row) => Float64Array.from(row) });
      for (const { recall, ndcg, recallByCut } of [measured['model']!, measured['source']!]) {
        expect([recall, ndcg, recallByCut[0]!.y]).toEqual([
          mean(expected.map((one) => one.recall)),
          mean(expected.map((one) => one.ndcg)),
          mean(expected.map((one) => one.first)),
        ]);
      }
    }),
    { seed: 3, numRuns: 200 },
  );
});

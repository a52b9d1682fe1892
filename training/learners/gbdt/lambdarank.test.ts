import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLambdarank } from './lambdarank.ts';

/** The definition, pair by pair. */
function plain(labels: Float32Array, groups: Int32Array, scores: Float64Array, truncation: number) {
  const gradient = new Float64Array(labels.length);
  const hessian = new Float64Array(labels.length);
  const gainOf = (grade: number): number => 2 ** grade - 1;
  const discount = (rank: number): number => 1 / Math.log2(rank + 2);
  let ndcg = 0;
  for (let query = 0, start = 0; query < groups.length; start += groups[query++]!) {
    const rows = Array.from({ length: groups[query]! }, (_, i) => start + i);
    const dcgOf = (order: readonly number[]): number =>
      order.slice(0, truncation).reduce((sum, row, rank) => sum + gainOf(labels[row]!) * discount(rank), 0);
    const ideal = dcgOf(rows.toSorted((a, b) => labels[b]! - labels[a]!));
    const order = rows.toSorted((a, b) => scores[b]! - scores[a]! || a - b);
    ndcg += ideal > 0 ? dcgOf(order) * (1 / ideal) : 1;
    if (ideal === 0) continue;
    const spread = scores[order[0]!] !== scores[order.at(-1)!];
    let sum = 0;
    for (let i = 0; i < Math.min(truncation, order.length); i++) {
      for (let j = i + 1; j < order.length; j++) {
        const [better, worse] = labels[order[i]!]! > labels[order[j]!]! ? [order[i]!, order[j]!] : [order[j]!, order[i]!];
        if (labels[better] === labels[worse]) continue;
        const ahead = scores[better]! - scores[worse]!;
        const change = (gainOf(labels[better]!) - gainOf(labels[worse]!)) * Math.abs(discount(i) - discount(j)) * (1 / ideal);
        const weighed = spread ? change / (0.01 + Math.abs(ahead)) : change;
        const p = 1 / (1 + Math.exp(ahead));
        gradient[better]! -= p * weighed;
        gradient[worse]! += p * weighed;
        hessian[better]! += p * (1 - p) * weighed;
        hessian[worse]! += p * (1 - p) * weighed;
        sum += 2 * p * weighed;
      }
    }
    const scale = sum > 0 ? Math.log2(1 + sum) / sum : 1;
    for (const row of rows) {
      gradient[row]! *= scale;
      hessian[row]! *= scale;
    }
  }
  return { gradient, hessian, loss: -ndcg / groups.length };
}

const query = fc.array(fc.record({ grade: fc.constantFrom(0, 0, 0, 1, 2), score: fc.integer({ min: -6, max: 6 }) }), { minLength: 1, maxLength: 12 });

test('derivatives and loss are those of the definition, bit for bit, whatever was ranked before', () => {
  fc.assert(
    fc.property(
      fc.array(query, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 14 }),
      fc.integer({ min: 1, max: 5 }),
      (queries, truncation, step) => {
        const all = queries.flat();
        const groups = Int32Array.from(queries, ({ length }) => length);
        const labels = Float32Array.from(all, ({ grade }) => grade);
        const rank = createLambdarank({ rows: new Float32Array(all.length), n: all.length, f: 1, labels, groups }, truncation, undefined);
        const out = { gradient: new Float64Array(all.length).fill(9), hessian: new Float64Array(all.length).fill(9) };
        for (let round = 0; round < 3; round++) {
          const scores = Float64Array.from(all, ({ score }, i) => score + 0.25 * ((i * step * round) % 7));
          rank.gradients(scores, out);
          const { gradient, hessian, loss } = plain(labels, groups, scores, truncation);
          expect(out).toEqual({ gradient, hessian });
          expect(rank.loss(scores)).toBe(loss);
        }
      },
    ),
    { seed: 5, numRuns: 400 },
  );
});

test('a query longer than what is put in order by insertion has the same derivatives', () => {
  const n = 700;
  const labels = Float32Array.from({ length: n }, (_, i) => (i % 41 === 0 ? 1 : 0));
  const groups = Int32Array.of(n);
  const scores = Float64Array.from({ length: n }, (_, i) => (i * 7919) % 101);
  const out = { gradient: new Float64Array(n), hessian: new Float64Array(n) };
  createLambdarank({ rows: new Float32Array(n), n, f: 1, labels, groups }, 30, undefined).gradients(scores, out);
  const { gradient, hessian } = plain(labels, groups, scores, 30);
  expect(out).toEqual({ gradient, hessian });
});

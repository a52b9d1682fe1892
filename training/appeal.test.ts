import { describe, expect, test } from 'vitest';
import { appealWeight, withAppeal } from './appeal.ts';
import type { FusedModel } from './fusion.ts';
import { predictFused } from './fusion.ts';
import { fitGbdt } from './learners/gbdt/fit.ts';
import { predictMargin } from './learners/gbdt/predict.ts';
import { seededRandom } from './learners/random.ts';
import { ListRows } from './list-rows.ts';
import { RankerRows } from './ranker-rows.ts';

const NAMES = ['taste', 'appeal'];
const PLACES = 5;
const EXAMINED = [1, 0.6, 0.4, 0.3, 0.2];
const QUERY = { record: 0, atMs: 0, userId: 'u', sessionId: undefined };
const CURVES = { home: { lists: 1, clicks: 1, examined: EXAMINED } };
const taste = (rows: Float32Array) => Float64Array.from({ length: rows.length / 2 }, (_, i) => rows[2 * i]!);

/** Lists of which somebody clicks on one item, chosen by its place, by taste and by so much of the logarithm of its appeal. */
function listsOf(count: number, byTaste: number, byAppeal: number, seed = 1) {
  const random = seededRandom(seed);
  const lists = Array.from({ length: count }, (_, n) => {
    const rows = Float32Array.from({ length: 2 * PLACES }, (_, i) => (i % 2 === 0 ? random.normal() : Math.exp(0.7 * random.normal())));
    const odds = EXAMINED.map((looked, i) => looked * Math.exp(byTaste * rows[2 * i]! + byAppeal * Math.log(rows[2 * i + 1]!)));
    let left = random.next() * odds.reduce((a, b) => a + b);
    const place = odds.findIndex((odd) => {
      left -= odd;
      return left < 0;
    });
    const clicked = Uint8Array.from({ length: PLACES }, (_, i) => Number(i === place));
    return { placement: 'home', visitor: `u${n}`, places: Uint8Array.from({ length: PLACES }, (_, i) => i), clicked, rows };
  });
  const kept = new ListRows({});
  kept.restore({ width: 2, lists });
  const questions = new RankerRows({});
  questions.restore({
    width: 2,
    answered: lists.slice(0, 200).map(({ rows }) => ({ query: QUERY, wanted: [], isSuppressed: false, ids: [], rows, baselines: {} })),
  });
  return { lists: kept, rows: questions };
}

describe('what appeal weighs beside the scores', () => {
  test('is found from clicks, whatever the places did', () => {
    expect(appealWeight(listsOf(3_000, 1, 0.6), CURVES, NAMES, taste)).toBeCloseTo(0.6, 0);
    expect(appealWeight(listsOf(3_000, 1, 0.6), CURVES, NAMES, (rows) => taste(rows).map((score) => 10 * score))).toBeCloseTo(6, -1);
    expect(appealWeight(listsOf(3_000, 1, 0), CURVES, NAMES, taste)).toBeLessThan(0.1);
  });

  test('is never more than a share of what the scores say, by its spread, and nothing where clicks speak against it', () => {
    const scores = (rows: Float32Array) => taste(rows);
    expect(appealWeight(listsOf(3_000, 0.1, 2), CURVES, NAMES, scores)).toBeCloseTo(0.6 / 0.7, 1);
    expect(appealWeight(listsOf(3_000, 1, -0.8), CURVES, NAMES, scores)).toBe(0);
  });

  test('is nothing where there is too little to tell', () => {
    expect(appealWeight(listsOf(60, 1, 1), CURVES, NAMES, taste)).toBe(0);
    expect(appealWeight(listsOf(3_000, 1, 1), {}, NAMES, taste)).toBe(0);
    expect(appealWeight(listsOf(3_000, 1, 1), CURVES, ['taste', 'age'], taste)).toBe(0);
    expect(appealWeight(listsOf(3_000, 1, 1), CURVES, NAMES, (rows) => new Float64Array(rows.length / 2))).toBe(0);
  });
});

test('trees take it as one more tree, and a fused score as one more term', async () => {
  const random = seededRandom(2);
  const rows = Float32Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? random.normal() : Math.exp(random.normal())));
  const data = { rows, n: 200, f: 2, labels: Float32Array.from({ length: 200 }, (_, i) => rows[2 * i]!) };
  const trees = await fitGbdt(data, { objective: 'regression', numIterations: 3 }, { seed: 1 });
  const fused: FusedModel = { featureCount: 2, terms: [{ column: 0, feature: 'taste', kind: 'value', weight: 1 }] };
  const [more, fusedMore] = [withAppeal(trees, NAMES, 0.5, rows), withAppeal(fused, NAMES, 0.5, rows)];
  if ('terms' in more || !('terms' in fusedMore)) throw new Error('a model of another kind');
  const [was, is, fusedWas, fusedIs] = [
    predictMargin(trees, rows),
    predictMargin(more, rows),
    predictFused(fused, rows),
    predictFused(fusedMore, rows),
  ];
  for (let i = 0; i < 200; i++) {
    const wanted = 0.5 * Math.log(rows[2 * i + 1]!);
    expect(fusedIs[i]! - fusedWas[i]!).toBeCloseTo(wanted, 6);
    // Told in steps of a quarter, and no further than five times and a fifth.
    const told = Math.min(0.5 * Math.log(5), Math.max(-0.5 * Math.log(5), wanted));
    expect(Math.abs(is[i]! - was[i]! - told)).toBeLessThan(0.5 * Math.log(1.25) + 1e-6);
  }
  const stairs = more.trees.at(-1)!;
  expect(stairs.cover[0]).toBe(200);
  stairs.feature.forEach((feature, node) => {
    if (feature >= 0) expect(stairs.cover[stairs.left[node]!]! + stairs.cover[stairs.right[node]!]!).toBe(stairs.cover[node]);
  });
  expect(withAppeal(trees, NAMES, 0, rows)).toBe(trees);
});

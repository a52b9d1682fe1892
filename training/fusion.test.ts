import { expect, test } from 'vitest';
import { loadOnnx } from '../scoring/models/onnx.ts';
import { type FusionQuestion, fitFusion, fusedToOnnx, predictFused, singleSource } from './fusion.ts';
import { seededRandom } from './learners/random.ts';

const NAMES = ['item_price', 'session_neighbours_share', 'session_neighbours_rank', 'next_item_gap', 'next_item_rank', 'popular'];
const CANDIDATES = 12;

/** Ranks of values, 1 for the largest. */
const ranksOf = (values: readonly number[]) => values.map((value) => 1 + values.filter((other) => other > value).length);

/** Two sources that each see the wanted candidate through a noise of their own, and popularity, which sees nothing. */
function questionsOf(count: number, seed: number): { questions: FusionQuestion[]; wanted: number[] } {
  const random = seededRandom(seed);
  const wanted: number[] = [];
  const questions = Array.from({ length: count }, () => {
    const target = random.int(CANDIDATES);
    wanted.push(target);
    const seen = () => Array.from({ length: CANDIDATES }, (_, i) => (i === target ? 1 : 0) + 0.7 * random.normal());
    const [neighbours, next] = [seen().map(Math.exp), seen()];
    const [neighboursBest, nextBest] = [Math.max(...neighbours), Math.max(...next)];
    const [neighbourRanks, nextRanks] = [ranksOf(neighbours), ranksOf(next)];
    const rows = Float32Array.from(
      Array.from({ length: CANDIDATES }, (_, i) => [
        random.normal(),
        neighbours[i]! / neighboursBest,
        neighbourRanks[i]!,
        next[i]! - nextBest,
        nextRanks[i]!,
        random.next(),
      ]).flat(),
    );
    return { rows, worth: (scores: Float64Array) => 1 / scores.filter((score) => score >= scores[target]!).length };
  });
  return { questions, wanted };
}

const meanWorth = (questions: readonly FusionQuestion[], score: (rows: Float32Array) => Float64Array) =>
  questions.reduce((sum, { rows, worth }) => sum + worth(score(rows)), 0) / questions.length;

test('two sources that know different things rank better together than either, on questions that the weights never saw', () => {
  const fused = fitFusion(questionsOf(300, 1).questions, NAMES, 'next item');
  const { questions } = questionsOf(300, 2);
  const together = meanWorth(questions, (rows) => predictFused(fused, rows));
  for (const source of ['session neighbours', 'next item', 'popularity']) {
    expect(together).toBeGreaterThan(1.1 * meanWorth(questions, (rows) => predictFused(singleSource(NAMES, source)!, rows)));
  }
  expect(fused.terms.map(({ feature }) => feature)).not.toContain('item_price');
});

test('a single source keeps its own order, and what is no feature of the set gives none', () => {
  const { questions } = questionsOf(1, 3);
  const { rows } = questions[0]!;
  const scores = predictFused(singleSource(NAMES, 'next item')!, rows);
  const order = (values: ArrayLike<number>) => Array.from({ length: CANDIDATES }, (_, i) => i).sort((a, b) => values[b]! - values[a]!);
  expect(order(scores)).toEqual(order(Array.from({ length: CANDIDATES }, (_, i) => rows[i * NAMES.length + 3]!)));
  expect(singleSource(NAMES, 'look-alikes')).toBeUndefined();
});

test('the ONNX file gives the same scores, with missing and infinite values as well', async () => {
  const { questions } = questionsOf(300, 1);
  const fused = fitFusion(questions, NAMES, 'next item');
  expect(fused.terms.length).toBeGreaterThan(1);
  const rows = questions[0]!.rows.map((value, i) => (i % 5 === 0 ? Number.NaN : i % 7 === 0 ? Number.POSITIVE_INFINITY : value));
  const session = await loadOnnx(fusedToOnnx(fused));
  try {
    const { score } = await session.run({ features: { data: rows, dims: [CANDIDATES, NAMES.length] } });
    const expected = predictFused(fused, rows);
    expect(score!.dims).toEqual([CANDIDATES, 1]);
    (score!.data as Float32Array).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 4);
    });
  } finally {
    await session.release();
  }
});

test('a logarithm of what is missing, nothing, or no finite number says nothing, in the ONNX file as well', async () => {
  const model = { featureCount: 1, terms: [{ column: 0, feature: 'appeal', kind: 'log' as const, weight: 0.7 }] };
  const rows = Float32Array.of(2, 0.25, 1, 0, -3, Number.NaN, Number.POSITIVE_INFINITY);
  const session = await loadOnnx(fusedToOnnx(model));
  try {
    const { score } = await session.run({ features: { data: rows, dims: [rows.length, 1] } });
    const expected = predictFused(model, rows);
    expect([...expected]).toEqual([0.7 * Math.log(2), 0.7 * Math.log(0.25), 0, 0, 0, 0, 0].map((value) => expect.closeTo(value, 6)));
    (score!.data as Float32Array).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  } finally {
    await session.release();
  }
});

import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { treeEnsembleToOnnx } from '../../onnx/treeEnsemble.ts';
import { gbdtMember } from '../ensemble/member.ts';
import { seededRandom } from '../random.ts';
import { fitGbdt } from './fit.ts';
import { createLoss, type GbdtRows } from './objective.ts';
import { completeParams } from './params.ts';
import { predict, predictMargin } from './predict.ts';
import { createRowObjective, quantileOf } from './rowObjective.ts';

const SEED = { seed: 1 };
/** Of every third row of the small table below, by LightGBM 4.7 with the same settings. */
const LIGHTGBM_MEANS = [
  2.973438, 2.973438, 2.973438, 2.973438, 3.386369, 3.386369, 4.730929, 4.730929, 4.730929, 4.860311, 5.672792, 5.672792, 5.672792, 5.672792,
];

function part({ rows, f, labels }: GbdtRows, from: number, to: number): GbdtRows {
  return { rows: rows.slice(from * f, to * f), n: to - from, f, labels: labels.slice(from, to) };
}

/** Targets whose noise grows with the second column, or counts whose mean does. */
function rowsOf(kind: 'quantile' | 'poisson', n: number, seed: number): GbdtRows {
  const random = seededRandom(seed);
  const rows = Float32Array.from({ length: 3 * n }, () => (random.next() < 0.05 ? Number.NaN : random.normal()));
  const at = (row: number, column: number) => (Number.isNaN(rows[3 * row + column]!) ? 1 : rows[3 * row + column]!);
  const count = (mean: number): number => {
    // Knuth's: how many uniform numbers multiply to more than exp(-mean).
    let [drawn, product] = [0, random.next()];
    for (; product > Math.exp(-mean); drawn++) product *= random.next();
    return drawn;
  };
  const label = (row: number) =>
    kind === 'poisson' ? count(Math.exp(0.5 * at(row, 0) + (at(row, 1) > 0 ? 1 : 0))) : at(row, 0) + (at(row, 1) > 0 ? 2 : 0.5) * random.normal();
  return { rows, n, f: 3, labels: Float32Array.from({ length: n }, (_, row) => label(row)) };
}

describe.each(['quantile', 'poisson'] as const)('%s', (objective) => {
  const data = rowsOf(objective, 60, 4);
  const weights = Float32Array.from({ length: 60 }, (_, row) => row % 4);

  test('gradients are the derivatives of the loss, weights included', () => {
    const params = completeParams({ objective, alpha: 0.7 });
    const scores = Float64Array.from(data.labels, (_, row) => Math.sin(row));
    const into = { gradient: new Float64Array(60), hessian: new Float64Array(60) };
    createRowObjective(data, params, weights)!.gradients(scores, into);
    const loss = createLoss({ ...data, weights }, params);
    const total = weights.reduce((a, b) => a + b, 0);
    for (let row = 0; row < 60; row++) {
      const [up, down] = [1e-6, -1e-6].map((step) => loss(scores.map((score, i) => (i === row ? score + step : score)))) as [number, number];
      expect(into.gradient[row]).toBeCloseTo((total * (up - down)) / 2e-6, 4);
    }
  });

  test('ONNX and the member of an ensemble equal the trainer within 1e-5', async () => {
    const all = rowsOf(objective, 1_500, 5);
    const params = { objective, numIterations: 30, numLeaves: 7 };
    const model = await fitGbdt(all, params, SEED);
    const onnx = await loadOnnx(treeEnsembleToOnnx(model));
    const name = objective === 'poisson' ? 'mean' : 'score';
    const answer = await onnx.run({ features: { data: all.rows, dims: [1_500, 3] } });
    const margins = predictMargin(model, all.rows);
    predict(model, all.rows).forEach((expected, row) => {
      expect(Math.abs((answer[name]!.data[row] as number) - expected)).toBeLessThan(1e-5 * Math.max(1, expected));
      expect(Math.abs((answer['score']!.data[row] as number) - margins[row]!)).toBeLessThan(1e-5);
    });
    await onnx.release();
    const member = await gbdtMember(params)(all, SEED);
    expect(member.output).toBe(name);
    expect(member.predict(all.rows)).toEqual(predict(model, all.rows));
  });

  test('is the same with one thread and with two', async () => {
    const all = rowsOf(objective, 2_000, 6);
    const fitWith = (threads: number) => fitGbdt(all, { objective, numIterations: 5, baggingFraction: 0.8 }, { seed: 1, threads });
    expect(await fitWith(2)).toEqual(await fitWith(1));
  });
});

describe('quantiles', () => {
  test('have the smallest pinball loss of all values, weighted or not', () => {
    const random = seededRandom(2);
    for (let round = 0; round < 60; round++) {
      const values = Float64Array.from({ length: 1 + random.int(12) }, () => random.int(9));
      const weights = round % 2 ? Float32Array.from(values, () => 1 + random.int(3)) : undefined;
      const alpha = 0.1 + 0.8 * random.next();
      const lossAt = (answer: number) =>
        values.reduce(
          (sum, value, i) => sum + (weights?.[i] ?? 1) * (value >= answer ? alpha * (value - answer) : (1 - alpha) * (answer - value)),
          0,
        );
      const best = Math.min(...Array.from(values, lossAt));
      expect(lossAt(quantileOf(values.slice(), weights, alpha))).toBeCloseTo(best, 9);
    }
    expect(quantileOf(Float64Array.of(3, 4), Float32Array.of(0, 0), 0.5)).toBe(0);
  });

  test('a stump answers the quantile of each side, and an outlier does not move the median', async () => {
    const labels = Float32Array.of(1, 2, 3, 4, 5, 60, 61, 62, 63, 1e6);
    const data = { rows: Float32Array.from(labels.keys()), n: 10, f: 1, labels };
    const stump = { objective: 'quantile', numIterations: 1, numLeaves: 2, minDataInLeaf: 5, learningRate: 1 } as const;
    expect([...predict(await fitGbdt(data, { ...stump, alpha: 0.5 }, SEED), data.rows)]).toEqual([3, 3, 3, 3, 3, 62, 62, 62, 62, 62]);
    expect([...predict(await fitGbdt(data, { ...stump, alpha: 0.2 }, SEED), data.rows)]).toEqual([1, 1, 1, 1, 1, 60, 60, 60, 60, 60]);
  });

  test.each([0.1, 0.5, 0.9])('the share %d of unseen rows lies below the answer, where the noise is wide and where it is narrow', async (alpha) => {
    const all = rowsOf('quantile', 6_000, 7);
    const [train, held] = [part(all, 0, 4_000), part(all, 4_000, 6_000)];
    const model = await fitGbdt(train, { objective: 'quantile', alpha, numIterations: 60, numLeaves: 7 }, SEED);
    const answers = predict(model, held.rows);
    for (const isWide of [true, false]) {
      const rows = Array.from(answers.keys()).filter((row) => (isWide ? held.rows[3 * row + 1]! > 0 : held.rows[3 * row + 1]! <= 0));
      const below = rows.filter((row) => held.labels[row]! <= answers[row]!).length / rows.length;
      expect(Math.abs(below - alpha)).toBeLessThan(0.06);
    }
  });

  test('monotone constraints hold for refitted leaves', async () => {
    const all = rowsOf('quantile', 800, 8);
    const model = await fitGbdt(all, { objective: 'quantile', alpha: 0.5, numIterations: 20, monotoneConstraints: [-1, 0, 0] }, SEED);
    for (let row = 0; row < 50; row++) {
      const line = Float32Array.from({ length: 3 * 30 }, (_, i) => (i % 3 === 0 ? i / 30 - 1.5 : all.rows[3 * row + (i % 3)]!));
      const answers = predict(model, line);
      for (let i = 1; i < 30; i++) expect(answers[i]!).toBeLessThanOrEqual(answers[i - 1]! + 1e-6);
    }
  });
});

describe('counts', () => {
  test('means as LightGBM has them on a small table', async () => {
    const labels = Float32Array.from({ length: 40 }, (_, i) => ((i * 7) % 5) + (i >= 15 ? 3 : 0) + (i >= 28 ? (i * 3) % 4 : 0));
    const data = { rows: Float32Array.from(labels.keys()), n: 40, f: 1, labels };
    const model = await fitGbdt(data, { objective: 'poisson', numIterations: 5, numLeaves: 4, learningRate: 0.3, minDataInLeaf: 5 }, SEED);
    const answers = predict(model, data.rows);
    LIGHTGBM_MEANS.forEach((mean, i) => {
      expect(answers[3 * i]).toBeCloseTo(mean, 4);
    });
  });

  test('unseen counts add up to the means', async () => {
    const all = rowsOf('poisson', 6_000, 9);
    const [train, held] = [part(all, 0, 4_000), part(all, 4_000, 6_000)];
    const model = await fitGbdt(train, { objective: 'poisson', numIterations: 60, numLeaves: 7 }, SEED);
    const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);
    expect(Math.abs(sum(predict(model, held.rows)) / sum(held.labels) - 1)).toBeLessThan(0.06);
    const loss = createLoss(held, completeParams({ objective: 'poisson' }));
    expect(loss(predictMargin(model, held.rows))).toBeLessThan(loss(new Float64Array(held.n).fill(model.base)) - 0.2);
  });

  test('below 0, or 0 alone, are refused', async () => {
    const { rows, labels } = rowsOf('poisson', 60, 4);
    const refused = (counts: Float32Array) =>
      expect(fitGbdt({ rows, n: 60, f: 3, labels: counts }, { objective: 'poisson' }, SEED)).rejects.toMatchObject({
        code: 'training_data_insufficient',
      });
    await refused(labels.map((label, row) => (row === 3 ? -1 : label)));
    await refused(new Float32Array(60));
    await expect(fitGbdt({ rows, n: 60, f: 3, labels }, { objective: 'quantile', alpha: 1 }, SEED)).rejects.toThrow(RangeError);
  });
});

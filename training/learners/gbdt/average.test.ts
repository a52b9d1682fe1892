import { expect, test } from 'vitest';
import { expectedValue } from '../../../scoring/models/treeshap.ts';
import { averagePrecision, mean } from '../../evaluation/metrics.ts';
import { seededRandom } from '../random.ts';
import { fitAveraged } from './average.ts';
import { fitGbdt, type GbdtModel } from './fit.ts';
import type { GbdtRows } from './objective.ts';
import { predictMargin } from './predict.ts';

const PARAMS = { numIterations: 30, numLeaves: 8, learningRate: 0.2, featureFraction: 0.5, baggingFraction: 0.5 };

/** Rare positives that four of eight columns say something of. */
function rare(n: number, seed: number): GbdtRows {
  const random = seededRandom(seed);
  const rows = Float32Array.from({ length: n * 8 }, () => random.next());
  const labels = Float32Array.from({ length: n }, (_, i) => {
    const [a, b, c, d] = rows.subarray(i * 8, i * 8 + 4);
    return random.next() < 0.4 * (a! * b! + c! * d!) ** 3 ? 1 : 0;
  });
  return { rows, n, f: 8, labels };
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < found.length; i++) expect(found[i]).toBeCloseTo(expected[i]!, 5);
}

test('the margin is the mean of its members’, with their gains summed', async () => {
  const data = rare(2000, 1);
  const random = seededRandom(7);
  const members: GbdtModel[] = [];
  for (let i = 0; i < 3; i++) members.push(await fitGbdt(data, PARAMS, { seed: random.int(2 ** 31) }));
  const whole = await fitAveraged(data, PARAMS, 3, { seed: 7 });
  const margins = members.map((model) => predictMargin(model, data.rows));
  const expected = Float64Array.from(data.labels, (_, i) => mean(margins.map((each) => each[i]!)));
  expectClose(predictMargin(whole, data.rows), expected);
  expect(whole.trees).toHaveLength(90);
  expectClose(
    whole.gainByFeature,
    whole.gainByFeature.map((_, i) => members.reduce((sum, model) => sum + model.gainByFeature[i]!, 0)),
  );
  // What is explained adds up to it as well.
  expect(expectedValue(whole)).toBeCloseTo(mean(members.map(expectedValue)), 5);
});

test('says more of new rows than its members do', async () => {
  const [data, fresh] = [rare(4000, 2), rare(20_000, 3)];
  const precision = async (members: number, seed: number) =>
    averagePrecision(predictMargin(await fitAveraged(data, PARAMS, members, { seed }), fresh.rows), fresh.labels);
  const alone = [await precision(1, 1), await precision(1, 2), await precision(1, 3)];
  expect(await precision(5, 1)).toBeGreaterThan(Math.max(...alone));
});

test('tells its progress as one, and refuses no members', async () => {
  const calls: string[] = [];
  await fitAveraged(rare(500, 4), { ...PARAMS, numIterations: 2 }, 2, { seed: 1, progress: (done, total) => calls.push(`${done}/${total}`) });
  expect(calls).toEqual(['1/4', '2/4', '3/4', '4/4']);
  await expect(fitAveraged(rare(500, 4), PARAMS, 0, { seed: 1 })).rejects.toThrow(RangeError);
});

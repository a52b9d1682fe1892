import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { seededRandom } from '../random.ts';
import { type AutoencoderModel, type AutoencoderRows, autoencoderToOnnx, fitAutoencoder } from './autoencoder.ts';

const F = 6;

/** Rows that two hidden causes explain, on very different scales; in `strange` ones the causes contradict each other, while each value is usual. */
function table(n: number, seed: number, strange = false): AutoencoderRows {
  const random = seededRandom(seed);
  const rows = new Float32Array(n * F);
  for (let row = 0; row < n; row++) {
    const [a, b] = [random.normal(), random.normal()];
    const c = strange ? random.normal() : a;
    const noise = () => 0.05 * random.normal();
    rows.set([a, 100 * (c + noise()), a + b, 0.01 * (b - c + noise()), random.next() < 0.2 ? Number.NaN : b + noise(), 5], row * F);
  }
  return { rows, n, f: F };
}

const small = { hidden: 16, code: 3, batchSize: 64, epochs: 40, learningRate: 1e-2 };
const train = table(1000, 1);

async function scores(model: AutoencoderModel, { rows, n }: AutoencoderRows): Promise<Float32Array> {
  const session = await loadOnnx(autoencoderToOnnx(model));
  const { score } = await session.run({ features: { data: rows, dims: [n, F] } });
  await session.release();
  expect(score!.dims).toEqual([n, 1]);
  return score!.data as Float32Array;
}

/** The score in plain float64 loops. */
function plainScore({ standardiser, weights }: AutoencoderModel, row: Float32Array): number {
  const { mean, inverseDeviation, withMissing } = standardiser;
  const scaled = [...row].map((x, i) => (Number.isNaN(x) ? 0 : Math.min(10, Math.max(-10, Math.fround(x - mean[i]!) * inverseDeviation[i]!))));
  const input = [...scaled, ...withMissing.map((i) => Number(Number.isNaN(row[i]!)))];
  let x = input;
  for (const layer of ['encode0', 'encode1', 'decode0', 'decode1']) {
    const [weight, bias] = [weights[`${layer}.weight`]!, weights[`${layer}.bias`]!];
    const outputs = weight.shape[1]!;
    const sums = Array.from(bias.value, (start, to) => x.reduce((sum, value, from) => sum + value * weight.value[from * outputs + to]!, start));
    x = layer.endsWith('0') ? sums.map((sum) => Math.max(0, sum)) : sums;
  }
  return x.reduce((sum, value, i) => sum + (value - input[i]!) ** 2, 0) / input.length;
}

describe('fitAutoencoder', () => {
  test('gives rows that break the pattern a higher score, though each value is usual', async () => {
    const model = await fitAutoencoder(train, small, { seed: 1, threads: 1 });
    const usual = await scores(model, table(300, 2));
    const strange = await scores(model, table(300, 3, true));
    let above = 0;
    for (const high of strange) for (const low of usual) above += Number(high > low) + 0.5 * Number(high === low);
    // Area under the ROC curve: some strange rows contradict themselves only a little.
    expect(above / (usual.length * strange.length)).toBeGreaterThan(0.9);
  });

  test('the file says what plain loops say', async () => {
    const model = await fitAutoencoder(train, { ...small, epochs: 2 }, { seed: 1, threads: 1 });
    const some = table(50, 4, true);
    (await scores(model, some)).forEach((score, row) => {
      expect(Math.abs(score - plainScore(model, some.rows.subarray(row * F, (row + 1) * F)))).toBeLessThan(1e-5 * Math.max(1, score));
    });
  });

  test('scores are finite whatever they are given, and large for what is absurd', async () => {
    const model = await fitAutoencoder(train, { ...small, epochs: 5 }, { seed: 1, threads: 1 });
    const wild = [Number.NaN, Infinity, -Infinity, 3.4e38, 0];
    const rows = Float32Array.from({ length: wild.length * F }, (_, at) => wild[Math.floor(at / F)]!);
    const found = await scores(model, { rows, n: wild.length, f: F });
    expect(found.every(Number.isFinite)).toBe(true);
    const usual = await scores(model, table(100, 2));
    expect(found[3]!).toBeGreaterThan(10 * usual.reduce((sum, x) => sum + x / 100, 0));
  });

  test('is the same for the same seed, and keeps the epoch that validation likes best', async () => {
    const options = { seed: 2, threads: 1, validation: table(200, 5) };
    const params = { ...small, epochs: 4, dropout: 0.1 };
    const [first, again] = [await fitAutoencoder(train, params, options), await fitAutoencoder(train, params, options)];
    expect(again).toEqual(first);
    const { validationLosses, epochs } = first.history;
    expect(validationLosses[epochs - 1]).toBe(Math.min(...validationLosses));
    const mean = (await scores(first, options.validation)).reduce((sum, x) => sum + x / 200, 0);
    expect(mean / 2).toBeCloseTo(validationLosses[epochs - 1]!, 5);
  });

  test('refuses what it cannot learn from', async () => {
    const code = { code: 'training_data_insufficient' };
    await expect(fitAutoencoder({ rows: new Float32Array(0), n: 0, f: 3 }, {}, { seed: 1 })).rejects.toMatchObject(code);
    await expect(fitAutoencoder({ rows: new Float32Array(20).fill(4), n: 10, f: 2 }, {}, { seed: 1 })).rejects.toMatchObject(code);
    await expect(fitAutoencoder(train, { code: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
    await expect(fitAutoencoder({ ...train, f: 5 }, {}, { seed: 1 })).rejects.toThrow(RangeError);
  });
});

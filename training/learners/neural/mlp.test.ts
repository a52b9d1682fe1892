import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { seededRandom } from '../random.ts';
import { fitMlp, type MlpModel, type MlpRows, mlpToOnnx } from './mlp.ts';

const F = 5;

/** Features of very different sizes, one of them constant, one often missing; the label is what `of` makes of the standard values. */
function table(n: number, seed: number, of: (z: readonly number[], isMissing: boolean) => number): MlpRows {
  const random = seededRandom(seed);
  const rows = new Float32Array(n * F);
  const labels = new Float32Array(n);
  for (let row = 0; row < n; row++) {
    const z = [random.normal(), random.normal(), random.normal()];
    const isMissing = random.next() < 0.3;
    rows.set([z[0]!, 1000 + 50 * z[1]!, isMissing ? Number.NaN : z[2]!, 7, 1e-3 * random.normal()], row * F);
    labels[row] = of(z, isMissing);
  }
  return { rows, n, f: F, labels };
}

const exclusive = (z: readonly number[], isMissing: boolean): number => Number(isMissing || z[0]! * z[1]! > 0);
const small = { hidden: [16, 8], batchSize: 64, epochs: 12, learningRate: 1e-2 };

/** The network in plain float64 loops: what the file must answer. */
function reference({ standardiser, weights, hiddenLayers, target }: MlpModel, row: Float32Array): number[] {
  const { mean, inverseDeviation, withMissing } = standardiser;
  const values = [...row].map((x, i) => {
    const scaled = Math.fround(x - mean[i]!) * inverseDeviation[i]!;
    return Number.isNaN(scaled) ? 0 : Math.min(10, Math.max(-10, scaled));
  });
  let x = [...values, ...withMissing.map((i) => Number(Number.isNaN(row[i]!)))];
  for (let layer = 0; layer <= hiddenLayers; layer++) {
    const [weight, bias] = [weights[`layer${layer}.weight`]!, weights[`layer${layer}.bias`]!];
    const outputs = weight.shape[1]!;
    const sums = Array.from({ length: outputs }, (_, to) =>
      x.reduce((sum, value, from) => sum + value * weight.value[from * outputs + to]!, bias.value[to]!),
    );
    x = layer < hiddenLayers ? sums.map((sum) => Math.max(0, sum)) : sums;
  }
  return x.map((value) => value * target.deviation + target.mean);
}

async function predict(model: MlpModel, rows: Float32Array): Promise<Record<string, Float32Array>> {
  const session = await loadOnnx(mlpToOnnx(model));
  const answer = await session.run({ features: { data: rows, dims: [rows.length / F, F] } });
  await session.release();
  return Object.fromEntries(Object.entries(answer).map(([name, { data }]) => [name, data as Float32Array]));
}

describe('fitMlp', () => {
  test('binary: learns what no linear model can, missing values included, and the file says the same', async () => {
    const model = await fitMlp(table(3000, 1, exclusive), small, { seed: 1, threads: 1 });
    const test = table(500, 2, exclusive);
    const { score, probability } = await predict(model, test.rows);
    const right = test.labels.reduce((count, label, row) => count + Number(label === Number(probability![row]! > 0.5)), 0);
    expect(right / test.n).toBeGreaterThan(0.93);
    for (let row = 0; row < test.n; row++) {
      const [logit] = reference(model, test.rows.subarray(row * F, (row + 1) * F));
      expect(Math.abs(score![row]! - logit!)).toBeLessThan(1e-5 * Math.max(1, Math.abs(logit!)));
      expect(Math.abs(probability![row]! - 1 / (1 + Math.exp(-logit!)))).toBeLessThan(1e-5);
    }
    expect(model.history.trainLosses.at(-1)!).toBeLessThan(0.5 * model.history.trainLosses[0]!);
  });

  test('regression: in the units of the label', async () => {
    const data = (n: number, seed: number) => table(n, seed, (z) => 500 + 100 * Math.abs(z[0]!) + 20 * z[1]!);
    const model = await fitMlp(data(2000, 1), { ...small, objective: 'regression', dropout: 0 }, { seed: 1, threads: 1 });
    const test = data(400, 2);
    const { score } = await predict(model, test.rows);
    let [squares, spread] = [0, 0];
    const mean = test.labels.reduce((sum, label) => sum + label, 0) / test.n;
    test.labels.forEach((label, row) => {
      squares += (label - score![row]!) ** 2;
      spread += (label - mean) ** 2;
      const [truth] = reference(model, test.rows.subarray(row * F, (row + 1) * F));
      expect(Math.abs(score![row]! - truth!) / Math.abs(truth!)).toBeLessThan(1e-5);
    });
    expect(1 - squares / spread).toBeGreaterThan(0.95);
  });

  test('multiclass: probabilities over the classes', async () => {
    const classOf = (z: readonly number[]) => (z[0]! > 0 ? 2 : z[1]! > 0 ? 1 : 0);
    const model = await fitMlp(table(2000, 1, classOf), { ...small, objective: 'multiclass' }, { seed: 1, threads: 1 });
    const test = table(300, 2, classOf);
    const { score, probabilities } = await predict(model, test.rows);
    expect(probabilities!.length).toBe(3 * test.n);
    let right = 0;
    test.labels.forEach((label, row) => {
      const shares = [...probabilities!.subarray(3 * row, 3 * row + 3)];
      expect(shares.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 5);
      right += Number(shares.indexOf(Math.max(...shares)) === label);
      reference(model, test.rows.subarray(row * F, (row + 1) * F)).forEach((logit, i) => {
        expect(Math.abs(score![3 * row + i]! - logit)).toBeLessThan(1e-5 * Math.max(1, Math.abs(logit)));
      });
    });
    expect(right / test.n).toBeGreaterThan(0.93);
  });

  test('is finite whatever it is given', async () => {
    const model = await fitMlp(table(300, 1, exclusive), { ...small, epochs: 1 }, { seed: 1, threads: 1 });
    const wild = [Number.NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e-45, 0];
    const rows = Float32Array.from({ length: wild.length * F }, (_, at) => wild[Math.floor(at / F)]!);
    const { score, probability } = await predict(model, rows);
    expect([...score!, ...probability!].every(Number.isFinite)).toBe(true);
  });

  test('the same seed gives the same model bit for bit, another seed another one', async () => {
    const data = table(500, 1, exclusive);
    const params = { ...small, epochs: 2 };
    const [first, again, other] = [
      await fitMlp(data, params, { seed: 5, threads: 2 }),
      await fitMlp(data, params, { seed: 5, threads: 2 }),
      await fitMlp(data, params, { seed: 6, threads: 1 }),
    ];
    expect(mlpToOnnx(again)).toEqual(mlpToOnnx(first));
    expect(again.history).toEqual(first.history);
    expect(mlpToOnnx(other)).not.toEqual(mlpToOnnx(first));
  });

  test('rows of weight 0 teach nothing', async () => {
    const data = table(400, 1, exclusive);
    const poisoned = { ...data, labels: data.labels.map((label, row) => (row % 2 === 0 ? label : 1 - label)) };
    const weights = Float32Array.from({ length: data.n }, (_, row) => 1 - (row % 2));
    const model = await fitMlp({ ...poisoned, weights }, { ...small, epochs: 30 }, { seed: 1, threads: 1 });
    const { probability } = await predict(model, data.rows);
    const right = data.labels.reduce((count, label, row) => count + Number(label === Number(probability![row]! > 0.5)), 0);
    expect(right / data.n).toBeGreaterThan(0.85);
  });

  test('stops when validation no longer improves and keeps the best epoch', async () => {
    const random = seededRandom(9);
    const noise = () => Number(random.next() < 0.5);
    const [train, validation] = [table(200, 1, noise), table(200, 2, noise)];
    const params = { ...small, dropout: 0, epochs: 40, patience: 2 };
    const model = await fitMlp(train, params, { seed: 1, threads: 1, validation });
    const { validationLosses, epochs } = model.history;
    expect(epochs).toBe(validationLosses.indexOf(Math.min(...validationLosses)) + 1);
    expect(validationLosses.length).toBe(epochs + 2);
    // The weights are those of the best epoch, not of the last: their loss is the smallest seen.
    const { score } = await predict(model, validation.rows);
    const losses = validation.labels.map((label, row) => Math.log1p(Math.exp(label === 1 ? -score![row]! : score![row]!)));
    expect(losses.reduce((sum, loss) => sum + loss, 0) / validation.n).toBeCloseTo(validationLosses[epochs - 1]!, 5);
  });

  test('reports each step and ends when it is told to', async () => {
    const data = table(200, 1, exclusive);
    const seen: number[][] = [];
    await fitMlp(data, { ...small, epochs: 2 }, { seed: 1, threads: 1, progress: (done, total) => seen.push([done, total]) });
    expect(seen).toEqual(Array.from({ length: 8 }, (_, i) => [i + 1, 8]));
    const stop = new AbortController();
    const stopped = fitMlp(data, small, {
      seed: 1,
      threads: 1,
      signal: stop.signal,
      progress: (done) => done === 3 && stop.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
  });

  test('refuses what it cannot learn from', async () => {
    const data = table(50, 1, exclusive);
    const code = { code: 'training_data_insufficient' };
    await expect(
      fitMlp({ ...data, n: 0, rows: new Float32Array(0), labels: new Float32Array(0) }, {}, { seed: 1, threads: 1 }),
    ).rejects.toMatchObject(code);
    await expect(fitMlp({ ...data, labels: data.labels.map(() => 2) }, {}, { seed: 1, threads: 1 })).rejects.toMatchObject(code);
    await expect(
      fitMlp({ ...data, labels: data.labels.map(() => Number.NaN) }, { objective: 'regression' }, { seed: 1, threads: 1 }),
    ).rejects.toMatchObject(code);
    await expect(fitMlp({ ...data, weights: new Float32Array(50) }, {}, { seed: 1, threads: 1 })).rejects.toMatchObject(code);
    for (const wrong of [{ hidden: [0] }, { dropout: 1 }, { batchSize: 0 }, { epochs: 0.5 }, { learningRate: -1 }]) {
      await expect(fitMlp(data, wrong, { seed: 1, threads: 1 })).rejects.toThrow(RangeError);
    }
  });
});

test('balanced classes are the same training as rows that weigh so', async () => {
  const n = 400;
  const rows = Float32Array.from({ length: n }, (_, i) => Math.sin(3.7 * i) + (i % 10 === 0 ? 1 : 0));
  const labels = Float32Array.from({ length: n }, (_, i) => Number(i % 10 === 0));
  const params = { hidden: [4], dropout: 0, epochs: 20, batchSize: 64, learningRate: 0.02 };
  const table = { rows, n, f: 1, labels };
  const balanced = await fitMlp(table, { ...params, classWeights: 'balanced' }, { seed: 1 });
  const weighted = await fitMlp({ ...table, weights: labels.map((label) => (label ? 5 : 5 / 9)) }, params, { seed: 1 });
  expect(Buffer.compare(mlpToOnnx(balanced), mlpToOnnx(weighted))).toBe(0);
  const plain = await fitMlp(table, params, { seed: 1 });
  expect(Buffer.compare(mlpToOnnx(balanced), mlpToOnnx(plain))).not.toBe(0);
  await expect(fitMlp(table, { ...params, objective: 'regression', classWeights: 'balanced' }, { seed: 1 })).rejects.toThrow(RangeError);
});

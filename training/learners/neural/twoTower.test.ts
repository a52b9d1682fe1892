import { describe, expect, test } from 'vitest';
import { loadOnnx, type Tensor } from '../../../scoring/models/onnx.ts';
import { seededRandom } from '../random.ts';
import { fitTwoTower, type TwoTowerRows } from './twoTower.ts';
import { itemTowerToOnnx, queryTowerToOnnx, type TwoTowerModel, twoTowerItemVectors } from './twoTowerModel.ts';

const [ITEMS, GROUPS] = [60, 6];
const QUERY_WIDTH = 2;

/**
 * Shoppers with a taste (a group of items), seen in their history alone, in a season that picks one half of the group, seen in the features
 * alone. Item features say the group, roughly, and the half. Low item numbers are far more popular.
 */
function pairs(n: number, seed: number): TwoTowerRows {
  const random = seededRandom(seed);
  const perGroup = ITEMS / GROUPS;
  const pick = (group: number, half: number): number => group + GROUPS * (half + 2 * Math.floor((random.next() ** 2 * perGroup) / 2));
  const targets = new Uint32Array(n);
  const historyPtr = [0];
  const history: number[] = [];
  const queryFeatures = new Float32Array(n * QUERY_WIDTH);
  for (let pair = 0; pair < n; pair++) {
    const [group, half] = [random.int(GROUPS), random.int(2)];
    for (let i = random.int(4) + 1; i > 0; i--) history.push(pick(group, random.int(2)));
    historyPtr.push(history.length);
    queryFeatures.set([100 + half + 0.1 * random.normal(), random.next() < 0.5 ? Number.NaN : random.normal()], pair * QUERY_WIDTH);
    targets[pair] = pick(group, half);
  }
  const itemFeatures = Float32Array.from({ length: ITEMS * (GROUPS + 1) }, (_, at) => {
    const [item, feature] = [Math.floor(at / (GROUPS + 1)), at % (GROUPS + 1)];
    return feature < GROUPS ? Number(item % GROUPS === feature) : Math.floor(item / GROUPS) % 2;
  });
  return {
    items: ITEMS,
    targets,
    historyPtr: Uint32Array.from(historyPtr),
    history: Uint32Array.from(history),
    queryFeatures,
    queryWidth: QUERY_WIDTH,
    itemFeatures,
    itemWidth: GROUPS + 1,
  };
}

const small = { width: 16, hidden: [24], historyMax: 3, batchSize: 64, epochs: 10, learningRate: 1e-2 };
const train = pairs(1500, 1);
const unseen = pairs(200, 2);

async function queriesOf(model: TwoTowerModel, data: TwoTowerRows): Promise<Float32Array> {
  const n = data.targets.length;
  const items = new BigInt64Array(n * model.historyMax).fill(-1n);
  for (let pair = 0; pair < n; pair++) {
    const last = [...data.history.subarray(data.historyPtr[pair], data.historyPtr[pair + 1])].slice(-model.historyMax);
    last.forEach((item, i) => {
      items[pair * model.historyMax + i] = BigInt(item);
    });
  }
  const features: Record<string, Tensor> = data.queryWidth > 0 ? { features: { data: data.queryFeatures, dims: [n, data.queryWidth] } } : {};
  const session = await loadOnnx(queryTowerToOnnx(model));
  const { query } = await session.run({ items: { data: items, dims: [n, model.historyMax] }, ...features });
  await session.release();
  return query!.data as Float32Array;
}

const dot = (a: Float32Array, at: number, b: Float32Array, bt: number, width: number): number => {
  let total = 0;
  for (let i = 0; i < width; i++) total += a[at * width + i]! * b[bt * width + i]!;
  return total;
};

/** Share of pairs whose item is among the best `k` by cosine. */
function hitRate(model: TwoTowerModel, queries: Float32Array, vectors: Float32Array, data: TwoTowerRows, k: number): number {
  let hits = 0;
  data.targets.forEach((target, pair) => {
    const own = dot(queries, pair, vectors, target, model.width);
    let ahead = 0;
    for (let item = 0; item < ITEMS; item++) ahead += Number(dot(queries, pair, vectors, item, model.width) > own);
    hits += Number(ahead < k);
  });
  return hits / data.targets.length;
}

/** A tower in plain float64 loops. */
function plainTower(model: TwoTowerModel, name: string, input: readonly number[]): number[] {
  let x = [...input];
  for (let layer = 0; layer <= model.hiddenLayers; layer++) {
    const [weight, bias] = [model.weights[`${name}${layer}.weight`]!, model.weights[`${name}${layer}.bias`]!];
    const sums = Array.from(bias.value, (start, to) =>
      x.reduce((total, value, from) => total + value * weight.value[from * bias.value.length + to]!, start),
    );
    x = layer < model.hiddenLayers ? sums.map((value) => Math.max(0, value)) : sums;
  }
  const length = Math.hypot(...x);
  return x.map((value) => value / length);
}

describe('fitTwoTower', () => {
  test('finds items by history and features together', async () => {
    const model = await fitTwoTower(train, small, { seed: 1, threads: 1 });
    const [queries, vectors] = [await queriesOf(model, unseen), await twoTowerItemVectors(model)];
    // The right half of the right group has 5 of 60 items.
    expect(hitRate(model, queries, vectors, unseen, 5)).toBeGreaterThan(0.9);
    expect(model.history.trainLosses.at(-1)!).toBeLessThan(model.history.trainLosses[0]!);
  });

  test('log q is taken off: an item is not favoured for being popular', async () => {
    // With the correction the loss in a batch estimates the loss of a softmax over all items that occur.
    const model = await fitTwoTower(train, { ...small, epochs: 1, learningRate: 1e-12, coldShare: 0 }, { seed: 3, threads: 1 });
    const [queries, vectors] = [await queriesOf(model, train), await twoTowerItemVectors(model)];
    const occurring = [...new Set(train.targets)];
    let loss = 0;
    train.targets.forEach((target, pair) => {
      const logits = occurring.map((item) => 12 * dot(queries, pair, vectors, item, model.width));
      const own = logits[occurring.indexOf(target)]!;
      loss += Math.log(logits.reduce((total, logit) => total + Math.exp(logit - own), 0)) / train.targets.length;
    });
    expect(Math.abs(model.history.trainLosses[0]! - loss) / loss).toBeLessThan(0.05);
  });

  test('places an item that nobody has met by its features', async () => {
    const model = await fitTwoTower(train, small, { seed: 1, threads: 1 });
    const session = await loadOnnx(itemTowerToOnnx(model));
    const features = train.itemFeatures.slice(0, GROUPS * (GROUPS + 1));
    const { vector } = await session.run({
      items: { data: new BigInt64Array(GROUPS).fill(-1n), dims: [GROUPS] },
      features: { data: features, dims: [GROUPS, GROUPS + 1] },
    });
    await session.release();
    const vectors = await twoTowerItemVectors(model);
    for (let cold = 0; cold < GROUPS; cold++) {
      const byCosine = Array.from({ length: ITEMS }, (_, item) => item).sort(
        (a, b) => dot(vector!.data as Float32Array, cold, vectors, b, 16) - dot(vector!.data as Float32Array, cold, vectors, a, 16),
      );
      expect(byCosine.slice(0, 3).every((item) => item % GROUPS === cold)).toBe(true);
    }
  });

  test('both files say what plain loops say', async () => {
    const model = await fitTwoTower(train, { ...small, epochs: 1 }, { seed: 1, threads: 1 });
    const vectors = await twoTowerItemVectors(model);
    const scaledFeature = (standard: TwoTowerModel['queryStandard'], x: number, i: number) =>
      Number.isNaN(x) ? 0 : Math.min(10, Math.max(-10, Math.fround(x - standard.mean[i]!) * standard.inverseDeviation[i]!));
    const embedding = (item: number) => [...model.itemEmbeddings.subarray(item * 16, (item + 1) * 16)];
    for (const item of [0, 7, 59]) {
      const features = [...train.itemFeatures.subarray(item * (GROUPS + 1), (item + 1) * (GROUPS + 1))].map((x, i) =>
        scaledFeature(model.itemStandard, x, i),
      );
      plainTower(model, 'item', [...embedding(item), ...features]).forEach((x, i) => {
        expect(Math.abs(vectors[item * 16 + i]! - x)).toBeLessThan(1e-5);
      });
    }
    const queries = await queriesOf(model, unseen);
    for (let pair = 0; pair < 20; pair++) {
      const last = [...unseen.history.subarray(unseen.historyPtr[pair], unseen.historyPtr[pair + 1])].slice(-3);
      const mean = Array.from({ length: 16 }, (_, i) => last.reduce((total, item) => total + embedding(item)[i]! / last.length, 0));
      const given = [...unseen.queryFeatures.subarray(2 * pair, 2 * pair + 2)];
      const features = [...given.map((x, i) => scaledFeature(model.queryStandard, x, i)), Number(Number.isNaN(given[1]!))];
      plainTower(model, 'query', [...mean, ...features]).forEach((x, i) => {
        expect(Math.abs(queries[pair * 16 + i]! - x)).toBeLessThan(1e-5);
      });
    }
  });

  test('a number that is no item counts as none, beside a missing feature', async () => {
    const model = await fitTwoTower(train, { ...small, epochs: 1 }, { seed: 1, threads: 1 });
    const session = await loadOnnx(queryTowerToOnnx(model));
    const { query } = await session.run({
      items: { data: BigInt64Array.of(7n, -1n, -1n, BigInt(ITEMS), 7n, 10_000_000n), dims: [2, 3] },
      features: { data: Float32Array.of(101, Number.NaN, 101, Number.NaN), dims: [2, QUERY_WIDTH] },
    });
    await session.release();
    const { mean, inverseDeviation } = model.queryStandard;
    const features = [Math.fround(101 - mean[0]!) * inverseDeviation[0]!, 0, 1];
    plainTower(model, 'query', [...model.itemEmbeddings.subarray(7 * 16, 8 * 16), ...features]).forEach((x, i) => {
      for (const row of [0, 1]) expect(Math.abs((query!.data[row * 16 + i] as number) - x)).toBeLessThan(1e-5);
    });
  });

  test('works without any features, and without a history', async () => {
    const bare = { ...train, queryFeatures: new Float32Array(0), queryWidth: 0, itemFeatures: new Float32Array(0), itemWidth: 0 };
    const historyPtr = bare.historyPtr.slice().fill(0, 0, 2);
    const model = await fitTwoTower({ ...bare, historyPtr }, { ...small, epochs: 8 }, { seed: 1, threads: 1 });
    const queries = await queriesOf(model, { ...unseen, queryWidth: 0 });
    // Half and group cannot both be known: the group has 10 of 60 items.
    expect(hitRate(model, queries, await twoTowerItemVectors(model), unseen, 10)).toBeGreaterThan(0.85);
    const nothing = await queriesOf(model, { ...unseen, queryWidth: 0, historyPtr: new Uint32Array(unseen.targets.length + 1) });
    expect(nothing.every(Number.isFinite)).toBe(true);
  });

  test('is the same for the same seed, and keeps the epoch that validation likes best', async () => {
    const options = { seed: 2, threads: 1, validation: unseen };
    const [first, again] = [await fitTwoTower(train, { ...small, epochs: 3 }, options), await fitTwoTower(train, { ...small, epochs: 3 }, options)];
    expect(again).toEqual(first);
    const { validationLosses, epochs } = first.history;
    expect(validationLosses[epochs - 1]).toBe(Math.min(...validationLosses));
  });

  test('refuses what it cannot learn from', async () => {
    const code = { code: 'training_data_insufficient' };
    const none = {
      ...train,
      targets: new Uint32Array(0),
      historyPtr: Uint32Array.of(0),
      history: new Uint32Array(0),
      queryFeatures: new Float32Array(0),
    };
    await expect(fitTwoTower(none, small, { seed: 1 })).rejects.toMatchObject(code);
    await expect(fitTwoTower({ ...train, targets: train.targets.map(() => ITEMS) }, small, { seed: 1 })).rejects.toMatchObject(code);
    await expect(fitTwoTower(train, { ...small, historyMax: 0 }, { seed: 1 })).rejects.toThrow(RangeError);
    await expect(fitTwoTower({ ...train, queryWidth: 3 }, small, { seed: 1 })).rejects.toThrow(RangeError);
  });
});

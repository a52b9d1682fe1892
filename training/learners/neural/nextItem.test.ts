import { describe, expect, test } from 'vitest';
import { createExactIndex } from '../../../index/exact.ts';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { seededRandom } from '../random.ts';
import type { EncoderName } from './encoders.ts';
import { fitNextItem } from './nextItem.ts';
import type { NextItemModel } from './nextItemModel.ts';
import { hitRateAndMrr, itemVectors, nextItemToOnnx, rankNextItems } from './nextItemServing.ts';
import { plainQuery } from './plainEncoders.testing.ts';
import type { SequenceRows } from './windows.ts';

const ITEMS = 40;

/**
 * Shoppers who walk a ring of items, forwards or backwards: the next item is the last one plus the step between the last two, so a
 * model must look at two clicks. A tenth of the steps goes anywhere.
 */
function walks(count: number, seed: number): SequenceRows {
  const random = seededRandom(seed);
  const indptr = [0];
  const clicks: number[] = [];
  for (let s = 0; s < count; s++) {
    const direction = random.next() < 0.5 ? 1 : ITEMS - 1;
    let item = random.int(ITEMS);
    const length = 2 + random.int(7);
    for (let t = 0; t < length; t++) {
      clicks.push(item);
      item = random.next() < 0.1 ? random.int(ITEMS) : (item + direction) % ITEMS;
    }
    indptr.push(clicks.length);
  }
  return { items: ITEMS, indptr: Uint32Array.from(indptr), clicks: Uint32Array.from(clicks) };
}

const small = { width: 16, heads: 2, lengthMax: 6, negatives: 32, batchSize: 128, epochs: 12, learningRate: 1e-2, dropout: 0.1 };
const train = walks(900, 1);
const unseen = walks(200, 2);

async function queries(model: NextItemModel, contexts: readonly (readonly number[])[]): Promise<Float32Array[]> {
  const encoder = await loadOnnx(nextItemToOnnx(model));
  const items = BigInt64Array.from(contexts.flatMap((context) => Array.from({ length: model.lengthMax }, (_, i) => BigInt(context[i] ?? -1))));
  const { query } = await encoder.run({ items: { data: items, dims: [contexts.length, model.lengthMax] } });
  await encoder.release();
  const size = model.width + 1;
  return contexts.map((_, i) => (query!.data as Float32Array).slice(i * size, (i + 1) * size));
}

describe.each<EncoderName>(['gru', 'lstm', 'sasrec', 'cnn'])('fitNextItem with %s', (encoder) => {
  test('learns what needs two clicks to see, and loses nothing on the way to ONNX', async () => {
    const model = await fitNextItem(train, { ...small, encoder }, { seed: 1, threads: 1 });
    const ranks = await rankNextItems(model, unseen, 1);
    // Targets whose context holds one click can go either way.
    const positions = [...unseen.indptr.subarray(1)].flatMap((end, s) => Array.from({ length: end - unseen.indptr[s]! - 1 }, (_, i) => i));
    const later = ranks.filter((_, i) => positions[i]! >= 1);
    expect(hitRateAndMrr(later, 1).hitRate).toBeGreaterThan(0.75);
    expect(model.history.trainLosses.at(-1)!).toBeLessThan(model.history.trainLosses[0]!);

    // Whatever is not an item counts as no click, wherever it stands.
    const [alone, ...others] = await queries(model, [
      [3, 4],
      [3, 4, -1, ITEMS, 10_000_000, -7],
      [-1, -1, -1, -1, 3, 4],
      [ITEMS, 3, -1, -1, 4, -5],
    ]);
    for (const other of others) expect(other).toEqual(alone);
    const [empty] = await queries(model, [[]]);
    expect(empty!.every(Number.isFinite)).toBe(true);
  });

  test('the served file equals plain loops, unseen items included', async () => {
    const model = await fitNextItem(train, { ...small, encoder, epochs: 1 }, { seed: 3, threads: 1 });
    const contexts = [[5], [1, 2, 3], [9, 9, 0, 39, 20, 7], [ITEMS, 4, 1_000_000, 6, -3]];
    (await queries(model, contexts)).forEach((query, i) => {
      plainQuery(model, contexts[i]!).forEach((x, at) => {
        expect(Math.abs(query[at]! - x)).toBeLessThan(1e-5 * model.logitScale);
      });
    });
  });

  test('the training graph and the served one agree', async () => {
    // At a learning rate of almost nothing the first loss is that of the weights that are served.
    const params = { ...small, encoder, epochs: 1, learningRate: 1e-12, dropout: 0, negativesPower: 1 };
    const one = { items: ITEMS, indptr: Uint32Array.of(0, 5), clicks: Uint32Array.of(3, 4, 9, 4, 7) };
    const model = await fitNextItem(one, { ...params, negatives: 4096 }, { seed: 2, threads: 1 });
    const vectors = itemVectors(model);
    const size = model.width + 1;
    // Many draws ~ count estimate the softmax over the items that occur.
    const occurring = [3, 4, 7, 9];
    let loss = 0;
    const contexts = [1, 2, 3, 4].map((t) => [...one.clicks.subarray(0, t)]);
    (await queries(model, contexts)).forEach((query, t) => {
      const logits = occurring.map((item) => query.reduce((sum, x, i) => sum + x * vectors[item * size + i]!, 0));
      const own = logits[occurring.indexOf(one.clicks[t + 1]!)]!;
      loss += Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - own), 0)) / 4;
    });
    expect(Math.abs(model.history.trainLosses[0]! - loss)).toBeLessThan(0.05);
  });
});

describe('fitNextItem', () => {
  test('goes on from a model: known items keep what they learned, new ones begin at random, another shape is refused', async () => {
    const model = await fitNextItem(train, small, { seed: 1, threads: 1 });
    const numbers = Int32Array.from({ length: ITEMS }, (_, item) => (item === 7 ? -1 : item));
    const options = { seed: 2, threads: 1, start: { model, numbers } };
    const further = await fitNextItem(train, { ...small, epochs: 1, learningRate: 1e-9 }, options);
    expect(further.weights['state.weight']!.value[0]).toBeCloseTo(model.weights['state.weight']!.value[0]!, 5);
    expect(further.itemBias[5]).toBeCloseTo(model.itemBias[5]!, 5);
    expect(further.itemBias[7]).toBeCloseTo(0, 5);
    expect(further.history.trainLosses[0]!).toBeLessThan(model.history.trainLosses[0]! / 1.5);
    await expect(fitNextItem(train, { ...small, width: 8 }, options)).rejects.toThrow(RangeError);
    await expect(fitNextItem(train, small, { ...options, start: { model, numbers: numbers.slice(1) } })).rejects.toThrow(RangeError);
  });

  test('ranks are those of an exact inner product search over the item vectors', async () => {
    const model = await fitNextItem(train, { ...small, epochs: 1 }, { seed: 3, threads: 1 });
    const index = createExactIndex({ dimensions: model.width + 1, metric: 'ip' });
    const vectors = itemVectors(model);
    for (let item = 0; item < ITEMS; item++) index.upsert(`${item}`, vectors.subarray(item * (model.width + 1), (item + 1) * (model.width + 1)));
    const some = walks(5, 7);
    some.clicks[1] = ITEMS;
    const ranks = await rankNextItems(model, some, 1);
    let at = 0;
    for (let s = 0; s < 5; s++) {
      const clicks = [...some.clicks.subarray(some.indptr[s], some.indptr[s + 1])];
      for (let t = 1; t < clicks.length; t++) {
        const [query] = await queries(model, [clicks.slice(Math.max(0, t - model.lengthMax), t)]);
        const found = index.search(query!, ITEMS).findIndex(({ id }) => id === `${clicks[t]}`);
        expect(ranks[at++]).toBe(clicks[t]! < ITEMS ? found + 1 : ITEMS + 1);
      }
    }
    expect(ranks.length).toBe(at);
  });

  test.each([1, 2])('the same seed gives the same model bit for bit, with %i threads', async (threads) => {
    const params = { ...small, epochs: 1 };
    const some = walks(300, 1);
    const [first, again] = [await fitNextItem(some, params, { seed: 4, threads }), await fitNextItem(some, params, { seed: 4, threads })];
    expect(again).toEqual(first);
    expect(nextItemToOnnx(again)).toEqual(nextItemToOnnx(first));
  });

  test('watches the ranks of validation sequences and keeps the best epoch', async () => {
    const model = await fitNextItem(train, { ...small, epochs: 3 }, { seed: 1, threads: 1, validation: unseen });
    const { hitRate, mrr } = hitRateAndMrr(await rankNextItems(model, unseen, 1), 20);
    expect(model.history.validationLosses[model.history.epochs - 1]).toBe(-(hitRate + mrr));
    expect(-(hitRate + mrr)).toBe(Math.min(...model.history.validationLosses));
  });

  test('refuses what it cannot learn from', async () => {
    const short = { items: ITEMS, indptr: Uint32Array.of(0, 1, 2), clicks: Uint32Array.of(1, 2) };
    await expect(fitNextItem(short, small, { seed: 1, threads: 1 })).rejects.toMatchObject({ code: 'training_data_insufficient' });
    const beyond = { items: 2, indptr: Uint32Array.of(0, 2), clicks: Uint32Array.of(1, 2) };
    await expect(fitNextItem(beyond, small, { seed: 1, threads: 1 })).rejects.toMatchObject({ code: 'training_data_insufficient' });
    for (const wrong of [{ heads: 3, encoder: 'sasrec' as const }, { negatives: 0 }, { lengthMax: 1000 }, { logitScale: 0 }, { dropout: 1 }]) {
      await expect(fitNextItem(train, { ...small, ...wrong }, { seed: 1, threads: 1 })).rejects.toThrow(RangeError);
    }
  });
});

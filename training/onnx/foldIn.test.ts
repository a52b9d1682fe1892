import { afterAll, describe, expect, test } from 'vitest';
import { loadOnnx } from '../../scoring/models/onnx.ts';
import { fitAls, foldIn, gram } from '../learners/als.ts';
import { seededRandom } from '../learners/random.ts';
import { foldInModel } from './foldIn.ts';

const FACTORS = 16;
const LAMBDA = 0.1;
const random = seededRandom(1);
const itemFactors = Float32Array.from({ length: 500 * FACTORS }, () => 0.3 * random.normal());
const itemGram = gram(itemFactors, FACTORS);
const model = await loadOnnx(foldInModel({ itemFactors, factors: FACTORS, regularization: LAMBDA }));
afterAll(() => model.release());

function itemsOf(...numbers: number[]): Float32Array {
  return Float32Array.from(numbers.flatMap((item) => [...itemFactors.subarray(item * FACTORS, (item + 1) * FACTORS)]));
}

async function answer(items: Float32Array, confidence: Float32Array): Promise<Float32Array> {
  const { user } = await model.run({
    items: { data: items, dims: [confidence.length, FACTORS] },
    confidence: { data: confidence, dims: [confidence.length] },
  });
  expect(user!.dims).toEqual([1, FACTORS]);
  return user!.data as Float32Array;
}

/** Distance from the direct solution, relative to its length. */
async function error(items: Float32Array, confidence: Float32Array): Promise<number> {
  const truth = foldIn(itemGram, items, confidence, LAMBDA);
  const given = await answer(items, confidence);
  return Math.hypot(...given.map((x, i) => x - truth[i]!)) / Math.hypot(...truth);
}

describe('foldInModel', () => {
  test('declares its inputs and output', () => {
    expect(model.inputInfo).toEqual([
      { name: 'items', type: 'float32', dims: ['n', FACTORS] },
      { name: 'confidence', type: 'float32', dims: ['n'] },
    ]);
    expect(model.outputInfo).toEqual([{ name: 'user', type: 'float32', dims: [1, FACTORS] }]);
  });

  test.each([1, 2, 10, 100, 300])('equals the direct solution for %i items', async (n) => {
    const items = itemsOf(...Array.from({ length: n }, (_, i) => (i * 7) % 500));
    const confidence = Float32Array.from({ length: n }, () => 40 * random.next());
    expect(await error(items, confidence)).toBeLessThan(1e-5);
  });

  test('equals the direct solution at extreme confidences', async () => {
    for (const extreme of [0, 1e-30, 1e3, 1e6, 1e9]) {
      expect(await error(itemsOf(3), Float32Array.of(extreme))).toBeLessThan(1e-5);
      expect(await error(itemsOf(3, 9, 30, 31, 32), Float32Array.of(extreme, 1, 2, 3, 0.5))).toBeLessThan(1e-4);
      expect(await error(itemsOf(3, 9, 9, 9), Float32Array.of(extreme, extreme, 1, 0))).toBeLessThan(1e-4);
    }
  });

  test('is always finite, whatever it is given', async () => {
    const wild = [Number.NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e-45, -1, 0];
    for (const confidence of wild) {
      for (const fill of [...wild, 1, 1e6]) {
        const user = await answer(new Float32Array(2 * FACTORS).fill(fill), Float32Array.of(confidence, 1));
        expect(user.every(Number.isFinite)).toBe(true);
      }
    }
    expect([...(await answer(new Float32Array(FACTORS), Float32Array.of(5)))]).toEqual(new Array(FACTORS).fill(0));
    expect([...(await answer(new Float32Array(0), new Float32Array(0)))]).toEqual(new Array(FACTORS).fill(0));
  });

  test('a negative or missing confidence counts as zero', async () => {
    const items = itemsOf(1, 2);
    const plain = await answer(items, Float32Array.of(0, 4));
    expect(await answer(items, Float32Array.of(-3, 4))).toEqual(plain);
    expect(await answer(items, Float32Array.of(Number.NaN, 4))).toEqual(plain);
  });

  test('gives a known user the factors that training gave, from a catalogue with idle and repeated factors', async () => {
    const rows = {
      users: 4,
      items: 6,
      indptr: Uint32Array.of(0, 2, 4, 5, 7),
      indices: Uint32Array.of(0, 1, 1, 2, 0, 2, 3),
      values: new Float32Array(7).fill(2),
    };
    const fitted = await fitAls(rows, { factors: FACTORS, regularization: LAMBDA, alpha: 5, cgSteps: 20 }, { seed: 1 });
    const tower = await loadOnnx(foldInModel({ ...fitted, regularization: LAMBDA }));
    const items = fitted.itemFactors.slice(0, 2 * FACTORS);
    const { user } = await tower.run({ items: { data: items, dims: [2, FACTORS] }, confidence: { data: Float32Array.of(10, 10), dims: [2] } });
    (user!.data as Float32Array).forEach((x, i) => {
      expect(Math.abs(x - fitted.userFactors[i]!)).toBeLessThan(1e-4);
    });
    await tower.release();
  });

  test('is written the same each time, and refuses bad parameters', () => {
    const options = { itemFactors, factors: FACTORS, regularization: LAMBDA };
    expect(foldInModel(options)).toEqual(foldInModel(options));
    expect(() => foldInModel({ ...options, regularization: 0 })).toThrow(RangeError);
    expect(() => foldInModel({ ...options, cgSteps: 0 })).toThrow(RangeError);
    expect(() => foldInModel({ ...options, factors: 7 })).toThrow(RangeError);
  });
});

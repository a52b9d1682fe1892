import { describe, expect, test } from 'vitest';
import { seededRandom } from '../random.ts';
import { ADAM_DEFAULTS } from './adam.ts';
import { createEmbedding } from './embedding.ts';
import { createOptimiser, scheduledRate } from './optimiser.ts';
import { createWeights } from './weights.ts';

const steady = { learningRate: 0.1, warmupSteps: 0, finalShare: 1, totalSteps: 100, clipNorm: 0 };
const random = seededRandom(3);

/** Kingma and Ba's algorithm 1, as it is printed. */
function plainAdam(value: number, gradients: readonly number[], learningRate: number): number {
  const { beta1, beta2, epsilon } = ADAM_DEFAULTS;
  let [x, first, second] = [value, 0, 0];
  gradients.forEach((gradient, i) => {
    first = beta1 * first + (1 - beta1) * gradient;
    second = beta2 * second + (1 - beta2) * gradient * gradient;
    const [mean, square] = [first / (1 - beta1 ** (i + 1)), second / (1 - beta2 ** (i + 1))];
    x -= (learningRate * mean) / (Math.sqrt(square) + epsilon);
  });
  return x;
}

describe('createOptimiser', () => {
  test('moves dense weights as the algorithm says', () => {
    const weights = createWeights([{ name: 'w', shape: [2], start: () => 1 }], random);
    const optimiser = createOptimiser(weights, [], steady);
    const gradients = [0.5, -0.2, 3, 1e-3, 0];
    for (const gradient of gradients) {
      weights.gradients.set([gradient, -2 * gradient]);
      optimiser.step();
    }
    expect(weights.values[0]).toBeCloseTo(plainAdam(1, gradients, 0.1), 6);
    expect(weights.values[1]).toBeCloseTo(
      plainAdam(
        1,
        gradients.map((gradient) => -2 * gradient),
        0.1,
      ),
      6,
    );
  });

  test('adds up the gradients of a row fed twice, and leaves rows alone that were not fed', () => {
    const table = createEmbedding(4, 2, random, () => 1);
    const optimiser = createOptimiser(createWeights([], random), [table], steady);
    table.add(Int32Array.of(2, 0, 2, 9), 3, Float32Array.of(1, 2, 10, 20, 0.5, -0.5, 7, 7));
    expect(table.pendingSquaredNorm()).toBeCloseTo(1.5 ** 2 + 1.5 ** 2 + 10 ** 2 + 20 ** 2, 5);
    optimiser.step();
    expect(table.pendingSquaredNorm()).toBe(0);
    expect([...table.values.subarray(2, 4), ...table.values.subarray(6)]).toEqual([1, 1, 1, 1]);
    [10, 20].forEach((gradient, i) => {
      expect(table.values[i]).toBeCloseTo(plainAdam(1, [gradient], 0.1), 6);
    });
    [1.5, 1.5].forEach((gradient, i) => {
      expect(table.values[4 + i]).toBeCloseTo(plainAdam(1, [gradient], 0.1), 6);
    });
  });

  test('an embedding takes more rows at once than it first made room for, and reads what it holds', () => {
    const rows = 3000;
    const table = createEmbedding(rows, 1, random, (source) => source.next());
    const before = table.values.slice();
    const indices = Int32Array.from({ length: rows }, (_, i) => rows - 1 - i);
    const read = new Float32Array(rows);
    table.read(indices, rows, read);
    expect(read).toEqual(before.slice().reverse());
    table.add(indices, rows, new Float32Array(rows).fill(1));
    createOptimiser(createWeights([], random), [table], steady).step();
    table.values.forEach((value, i) => {
      expect(value).toBeCloseTo(before[i]! - 0.1, 5);
    });
  });

  test('means of rows, and their gradients shared out, are those of single rows', () => {
    const [table, plain] = [1, 2].map(() => createEmbedding(5, 3, seededRandom(8), (source) => source.normal()));
    const indices = Int32Array.of(9, 4, 0, 4);
    const read = new Float32Array(9);
    plain!.read(indices.subarray(1), 3, read);
    const means = new Float32Array(9).fill(7);
    table!.readMean(indices, 1, 3, means, 3);
    for (let d = 0; d < 3; d++) expect(means[3 + d]).toBeCloseTo((read[d]! + read[3 + d]! + read[6 + d]!) / 3, 6);
    expect([...means.subarray(0, 3), ...means.subarray(6)]).toEqual([7, 7, 7, 7, 7, 7]);
    table!.readMean(indices, 0, 0, means, 3);
    expect([...means.subarray(3, 6)]).toEqual([0, 0, 0]);
    const gradients = Float32Array.of(0, 0, 0, 3, -6, 1.5);
    table!.addShares(indices, 1, 3, gradients, 3);
    table!.addShares(indices, 0, 0, gradients, 3);
    plain!.add(indices.subarray(1), 3, Float32Array.of(1, -2, 0.5, 1, -2, 0.5, 1, -2, 0.5));
    expect(table!.pendingSquaredNorm()).toBeCloseTo(plain!.pendingSquaredNorm(), 4);
    for (const one of [table!, plain!]) createOptimiser(createWeights([], random), [one], steady).step();
    table!.values.forEach((value, i) => {
      expect(value).toBeCloseTo(plain!.values[i]!, 6);
    });
  });

  test('limits the length of all gradients together', () => {
    const limited = { ...steady, clipNorm: 1 };
    const weights = createWeights([{ name: 'w', shape: [1], start: () => 0 }], random);
    const table = createEmbedding(1, 1, random, () => 0);
    const optimiser = createOptimiser(weights, [table], limited);
    const feed = (gradient: number) => {
      weights.gradients[0] = 0.6 * gradient;
      table.add(Int32Array.of(0), 1, Float32Array.of(0.8 * gradient));
      optimiser.step();
    };
    feed(100);
    feed(0.5);
    // The first step's gradients count as 0.6 and 0.8, the second's as they are.
    expect(weights.values[0]).toBeCloseTo(plainAdam(0, [0.6, 0.3], 0.1), 6);
    expect(table.values[0]).toBeCloseTo(plainAdam(0, [0.8, 0.4], 0.1), 6);
  });

  test('stops at a gradient that is not finite', () => {
    const weights = createWeights([{ name: 'w', shape: [1] }], random);
    const optimiser = createOptimiser(weights, [], steady);
    weights.gradients[0] = Number.NaN;
    expect(() => optimiser.step()).toThrow('not finite');
    expect(weights.values[0]).toBe(0);
  });

  test('refuses parameters that cannot be meant', () => {
    for (const wrong of [{ learningRate: 0 }, { finalShare: 2 }, { warmupSteps: -1 }, { totalSteps: 0 }]) {
      expect(() => createOptimiser(createWeights([], random), [], { ...steady, ...wrong })).toThrow(RangeError);
    }
  });
});

describe('scheduledRate', () => {
  test('rises, then falls along half a cosine to its final share', () => {
    const params = { learningRate: 2, warmupSteps: 4, finalShare: 0.1, totalSteps: 104 };
    expect([0, 1, 3].map((step) => scheduledRate(step, params))).toEqual([0.5, 1, 2]);
    expect(scheduledRate(4, params)).toBe(2);
    expect(scheduledRate(54, params)).toBeCloseTo(2 * 0.55, 10);
    expect(scheduledRate(104, params)).toBeCloseTo(0.2, 10);
    expect(scheduledRate(500, params)).toBeCloseTo(0.2, 10);
  });
});

describe('createWeights', () => {
  test('lays named views over one flat array', () => {
    const weights = createWeights(
      [
        { name: 'a', shape: [2, 2], start: () => 1 },
        { name: 'b', shape: [3] },
      ],
      random,
    );
    weights.byName.get('b')!.value.fill(5);
    expect([...weights.values]).toEqual([1, 1, 1, 1, 5, 5, 5]);
    weights.byName.get('a')!.gradient[3] = 9;
    expect(weights.gradients[3]).toBe(9);
    expect(() =>
      createWeights(
        [
          { name: 'a', shape: [1] },
          { name: 'a', shape: [1] },
        ],
        random,
      ),
    ).toThrow('two weights');
  });
});

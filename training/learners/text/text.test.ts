import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { createTermCounter, termTensors } from '../../../scoring/text/terms.ts';
import { expectClose } from '../linear/linear.testing.ts';
import { seededRandom } from '../random.ts';
import { fitText, predictText, type TextModel, type TextParams, type TextRows, textToOnnx } from './text.ts';
import { inverseFrequencies, tfidf } from './tfidf.ts';
import { countTexts, VOCABULARY_DEFAULTS } from './vocabulary.ts';

const insufficient = expect.objectContaining({ code: 'training_data_insufficient' });
const SIX: TextRows = {
  texts: ['Not good, not good at all', "so good it's GOOD", 'bad fit bad colour', 'love it, so soft', "it's bad", 'soft and good fit'],
  labels: Float32Array.of(0, 1, 0, 1, 0, 1),
};

/** Reviews of three classes; only the pair "not good" tells the classes of good and bad apart in some. */
function reviews(count: number, seed: number): TextRows {
  const random = seededRandom(seed);
  const words = Array.from({ length: 300 }, (_, i) => `w${i}`);
  const own = [
    ['bad', 'not good', 'returned'],
    ['okay', 'average', 'so so'],
    ['good', 'love', 'perfect'],
  ];
  const labels = Float32Array.from({ length: count }, () => random.int(3));
  const texts = [...labels].map((label) => {
    const parts = Array.from({ length: 5 + random.int(20) }, () => words[Math.floor(300 * random.next() ** 3)]!);
    for (let i = 0; i < 2; i++) parts.splice(random.int(parts.length), 0, own[random.next() < 0.85 ? label : random.int(3)]![random.int(3)]!);
    return parts.join(random.next() < 0.5 ? ' ' : ', ');
  });
  return { texts, labels };
}

/** What the gateway does with texts: the terms of the model, then the served graph. */
async function serve(model: TextModel, texts: readonly string[]): Promise<Record<string, Float32Array>> {
  const served = await loadOnnx(textToOnnx(model));
  try {
    const answer = await served.run(termTensors(texts.map(createTermCounter(model.terms))));
    return Object.fromEntries(Object.entries(answer).map(([name, { data }]) => [name, data as Float32Array]));
  } finally {
    await served.release();
  }
}

const HOSTILE = ['', '\u0000\ud800', 'x'.repeat(20_000), 'good '.repeat(5000), '日本語', 'not good', "'; DROP TABLE reviews --"];

describe('TF-IDF', () => {
  const counted = countTexts(SIX.texts, { ...VOCABULARY_DEFAULTS, minDf: 2 });

  test("is scikit-learn 1.9's, pairs, thresholds and damping included", () => {
    expect(counted.terms).toMatchObject({ terms: ['bad', 'fit', 'good', "it's", 'so', 'soft'] });
    const idf = inverseFrequencies(6, counted.documents);
    expectClose(idf, [1.84729786, 1.84729786, 1.55961579, 1.84729786, 1.84729786, 1.84729786], 1e-6);
    const { indptr, indices, values } = tfidf(counted.counts, idf);
    expect([...indptr]).toEqual([0, 1, 4, 6, 8, 10, 13]);
    expect([...indices]).toEqual([2, 2, 3, 4, 0, 1, 4, 5, 0, 3, 1, 2, 5]);
    expectClose(
      values,
      [
        1,
        0.7108905,
        0.4973101,
        0.4973101,
        0.861037,
        0.5085423,
        Math.SQRT1_2,
        Math.SQRT1_2,
        Math.SQRT1_2,
        Math.SQRT1_2,
        0.6071443,
        0.512593,
        0.6071443,
      ],
      1e-6,
    );
  });

  test('a term in more than the share of the texts is left out', () => {
    expect(countTexts(SIX.texts, { ...VOCABULARY_DEFAULTS, minDf: 2, maxDf: 0.49 }).terms).toMatchObject({
      terms: ['bad', 'fit', "it's", 'so', 'soft'],
    });
    expect(() => countTexts(SIX.texts, { ...VOCABULARY_DEFAULTS, minDf: 7 })).toThrow(insufficient);
  });

  test.each(['vocabulary', 'hashed'] as const)('the counter of the gateway counts what the trainer counted: %s', (terms) => {
    const { texts } = reviews(50, 1);
    const learned = countTexts(texts, { ...VOCABULARY_DEFAULTS, terms, buckets: 512, minDf: terms === 'hashed' ? 1 : 2, maxDf: 1 });
    const count = createTermCounter(learned.terms);
    texts.forEach((text, row) => {
      const [from, to] = [learned.counts.indptr[row]!, learned.counts.indptr[row + 1]!];
      expect(count(text)).toEqual({ ids: learned.counts.indices.slice(from, to), counts: learned.counts.values.slice(from, to) });
    });
  });
});

describe('text classifier', () => {
  test("with logistic regression is scikit-learn's pipeline on the same texts", () => {
    const model = fitText(SIX, { minDf: 2, l2: 0.5, tolerance: 1e-9 }, { seed: 1 });
    expectClose(model.coefficients, [-0.94029864, 0.16297153, 0.04971259, -0.00628955, 0.80356998, 0.83886451], 1e-5);
    expectClose(predictText(model, SIX.texts), [0.47557535, 0.57061159, 0.29437219, 0.73378026, 0.30643742, 0.6192232], 1e-5);
  });

  const kinds: [string, Partial<TextParams>][] = [
    ['vocabulary, logistic', {}],
    ['hashed, logistic', { terms: 'hashed', buckets: 4096 }],
    ['vocabulary, lasso', { l1: 0.5, l2: 0.01 }],
    ['hashed, svm', { terms: 'hashed', buckets: 4096, classifier: 'svm' }],
    ['words, svm', { ngrams: 1, classifier: 'svm', classWeights: 'balanced' }],
  ];
  test.each(kinds)('learns, and served answers as the trainer does: %s', async (_, params) => {
    const [learned, fresh] = [reviews(600, 1), reviews(300, 2)];
    const model = fitText(learned, params, { seed: 1 });
    const texts = [...fresh.texts, ...HOSTILE];
    const predicted = predictText(model, texts);
    const { probability } = await serve(model, texts);
    expectClose(probability!, predicted, 1e-5);
    const right = fresh.labels.filter((label, row) => {
      const own = predicted.subarray(3 * row, 3 * row + 3);
      return own.indexOf(Math.max(...own)) === label;
    });
    expect(right.length / 300).toBeGreaterThan(0.75);
    expect(fitText(learned, params, { seed: 1 })).toEqual(model);
  });

  test('two classes have one output, and pairs tell "not good" from "good"', async () => {
    const { texts, labels } = reviews(600, 3);
    const model = fitText({ texts, labels: labels.map((label) => Number(label === 2)) }, {}, { seed: 1 });
    expect(model.outputs).toBe(1);
    const [good, bad] = predictText(model, ['it is good', 'it is not good']);
    expect(good!).toBeGreaterThan(2 * bad!);
    const { probability, score } = await serve(model, ['it is good', 'it is not good']);
    expectClose(probability!, [good!, bad!], 1e-5);
    expect(score![0]!).toBeCloseTo(Math.log(good! / (1 - good!)), 4);
  });

  test('the lasso leaves few terms', () => {
    const model = fitText(reviews(600, 1), { l1: 1, l2: 0 }, { seed: 1 });
    const used = model.coefficients.filter((value) => value !== 0).length;
    expect(used).toBeGreaterThan(5);
    expect(used).toBeLessThan(model.coefficients.length / 10);
  });

  test('a text without a known term has the answer of the intercept', () => {
    const model = fitText(SIX, { minDf: 2 }, { seed: 1 });
    expect(predictText(model, ['日本語'])[0]).toBeCloseTo(1 / (1 + Math.exp(-model.intercepts[0]!)), 6);
  });

  test('refuses what it cannot learn from', () => {
    expect(() => fitText({ texts: [], labels: new Float32Array(0) }, {}, { seed: 1 })).toThrow(insufficient);
    expect(() => fitText({ texts: ['', '!'], labels: Float32Array.of(0, 1) }, { minDf: 1 }, { seed: 1 })).toThrow(insufficient);
    expect(() => fitText({ ...SIX, labels: new Float32Array(6) }, { minDf: 1 }, { seed: 1 })).toThrow(insufficient);
    expect(() => fitText({ ...SIX, labels: new Float32Array(5) }, {}, { seed: 1 })).toThrow(RangeError);
    expect(() => fitText(SIX, { maxDf: 0 }, { seed: 1 })).toThrow(RangeError);
  });
});

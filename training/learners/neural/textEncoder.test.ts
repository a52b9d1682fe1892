import { describe, expect, test } from 'vitest';
import { loadOnnx } from '../../../scoring/models/onnx.ts';
import { createTermSequencer, readTerms, sequenceTensor, writeTerms } from '../../../scoring/text/sequence.ts';
import { termCount } from '../../../scoring/text/terms.ts';
import { checkGradients } from '../../onnx/autodiff/gradients.suite.ts';
import { seededRandom } from '../random.ts';
import type { TextRows } from '../text/text.ts';
import { fitTextEncoder, predictTextEncoder, type TextEncoderParams } from './textEncoder.ts';
import { type TextEncoderModel, textEncoderToOnnx, textLogits, textSpecs } from './textEncoderModel.ts';

/** Reviews of three classes; "not good" is class 0, "good" and "not" apart class 2, so that words without their neighbours do not tell them apart. */
function reviews(count: number, seed: number): TextRows {
  const random = seededRandom(seed);
  const words = Array.from({ length: 60 }, (_, i) => `w${i}`);
  const own = [['not good'], ['okay', 'average'], ['good']];
  const labels = Float32Array.from({ length: count }, () => random.int(3));
  const texts = [...labels].map((label) => {
    // A good one holds "not" as well, elsewhere: only its place tells.
    const parts = Array.from({ length: 4 + random.int(8) }, () => words[random.int(60)]!);
    parts.splice(random.int(parts.length), 0, own[label]![random.int(own[label]!.length)]!);
    if (label === 2) parts.push('not', words[random.int(60)]!);
    return parts.join(' ');
  });
  return { texts, labels };
}

const KINDS = {
  bag: { encoder: 'bag', width: 8, lengthMax: 40, minDf: 2, epochs: 12, learningRate: 2e-2, dropout: 0.1, batchSize: 32 },
  cnn: {
    encoder: 'cnn',
    width: 8,
    kernels: [2, 3],
    filters: 8,
    ngrams: 1,
    lengthMax: 20,
    minDf: 2,
    epochs: 12,
    learningRate: 1e-2,
    dropout: 0.1,
    batchSize: 32,
  },
} as const satisfies Record<string, Partial<TextEncoderParams>>;

const train = reviews(600, 1);
const unseen = reviews(200, 2);
const HOSTILE = ['', '!?', 'unheard of', 'not good '.repeat(4000), '\ud800', '日本語', 'good', `${'w1 '.repeat(300)}good`];

/** What the gateway does: reads the file of terms, turns texts into ids, runs the ONNX file. */
async function serve(model: TextEncoderModel, texts: readonly string[]): Promise<Record<string, Float32Array>> {
  const sequences = readTerms(writeTerms(model.sequences));
  const served = await loadOnnx(textEncoderToOnnx(model));
  const answer = await served.run({ ids: sequenceTensor(texts.map(createTermSequencer(sequences)), sequences.lengthMax) });
  await served.release();
  return Object.fromEntries(Object.entries(answer).map(([name, { data }]) => [name, data as Float32Array]));
}

function plainDense({ weights }: TextEncoderModel, name: string, x: readonly number[]): number[] {
  const [weight, bias] = [weights[`${name}.weight`]!, weights[`${name}.bias`]!];
  return Array.from(bias.value, (start, to) => x.reduce((sum, value, from) => sum + value * weight.value[from * bias.value.length + to]!, start));
}

/** The probabilities in plain float64 loops over the trained weights. */
function plainProbabilities(model: TextEncoderModel, text: string): number[] {
  const { width, encoder, kernels } = model.network;
  const ids = createTermSequencer(model.sequences)(text);
  const rows = [...ids].map((id) => [...model.embeddings.subarray(id * width, (id + 1) * width)]);
  const zeros = new Array<number>(width).fill(0);
  let encoded = zeros.map((_, d) => rows.reduce((sum, row) => sum + row[d]! / rows.length, 0));
  if (encoder === 'cnn') {
    const all = Array.from({ length: model.sequences.lengthMax }, (_, at) => rows[at] ?? zeros);
    encoded = kernels.flatMap((kernel) => {
      const answers = Array.from({ length: all.length - kernel + 1 }, (_, at) =>
        plainDense(model, `taps${kernel}`, all.slice(at, at + kernel).flat()),
      );
      return answers[0]!.map((_, unit) => Math.max(0, ...answers.map((answer) => answer[unit]!)));
    });
  }
  const logits = plainDense(model, 'classes', encoded);
  const shares = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  return shares.map((share) => share / shares.reduce((sum, x) => sum + x, 0));
}

const rightShare = (probabilities: Float32Array, { labels }: TextRows): number =>
  labels.filter((label, row) => {
    const own = probabilities.subarray(3 * row, 3 * row + 3);
    return own.indexOf(Math.max(...own)) === label;
  }).length / labels.length;

describe.each(['bag', 'cnn'] as const)('fitTextEncoder, %s', (kind) => {
  const params = KINDS[kind];

  test('learns what depends on neighbours', async () => {
    const model = await fitTextEncoder(train, params, { seed: 1, threads: 1 });
    expect(rightShare(await predictTextEncoder(model, unseen.texts), unseen)).toBeGreaterThan(0.9);
    expect(model.history.trainLosses.at(-1)!).toBeLessThan(0.5 * model.history.trainLosses[0]!);
  });

  test('served with ids of the file of terms, it answers as plain loops and as the trainer do', async () => {
    const model = await fitTextEncoder(train, { ...params, epochs: 3 }, { seed: 1, threads: 1 });
    const texts = [...HOSTILE, ...unseen.texts.slice(0, 40)];
    const { probabilities } = await serve(model, texts);
    const own = await predictTextEncoder(model, texts);
    texts.forEach((text, row) => {
      plainProbabilities(model, text).forEach((p, k) => {
        expect(Math.abs(probabilities![3 * row + k]! - p), `text ${row}`).toBeLessThan(1e-5);
        expect(Math.abs(own[3 * row + k]! - p)).toBeLessThan(1e-5);
      });
    });
  });

  test('any number that is no term counts as none', async () => {
    const model = await fitTextEncoder(train, { ...params, epochs: 1 }, { seed: 1, threads: 1 });
    const { lengthMax, terms } = model.sequences;
    const served = await loadOnnx(textEncoderToOnnx(model));
    const data = sequenceTensor([Int32Array.of(3), Int32Array.of(3, termCount(terms), 2 ** 31 - 1, -7)], lengthMax);
    const { score } = await served.run({ ids: data });
    await served.release();
    expect(score!.data.slice(3)).toEqual(score!.data.slice(0, 3));
  });

  test('gradients are what central differences say', async () => {
    const network = { encoder: kind, width: 3, kernels: [2, 3], filters: 2 } as const;
    const specs = textSpecs(network, 3);
    const texts = { shape: kind === 'bag' ? [4, 3] : [4, 5, 3] };
    await checkGradients(
      ([x, ...weights]) => textLogits(x!, network, (name) => weights[specs.findIndex((spec) => spec.name === name)]!),
      [texts, ...specs.map(({ shape }) => ({ shape }))],
    );
  });

  test('is the same for the same seed, and another for another', async () => {
    const few = { ...params, epochs: 2 };
    const [first, again, other] = [
      await fitTextEncoder(train, few, { seed: 5, threads: 2, validation: unseen }),
      await fitTextEncoder(train, few, { seed: 5, threads: 2, validation: unseen }),
      await fitTextEncoder(train, few, { seed: 6, threads: 1 }),
    ];
    expect(textEncoderToOnnx(again)).toEqual(textEncoderToOnnx(first));
    expect(writeTerms(again.sequences)).toEqual(writeTerms(first.sequences));
    expect(again.history).toEqual(first.history);
    expect(textEncoderToOnnx(other)).not.toEqual(textEncoderToOnnx(first));
  });

  test('stops when validation no longer improves, keeps the best epoch, and trained on what is served', async () => {
    const random = seededRandom(9);
    const noise = (rows: TextRows): TextRows => ({ ...rows, labels: rows.labels.map(() => random.int(3)) });
    const validation = noise(unseen);
    const model = await fitTextEncoder(noise(train), { ...params, epochs: 30, patience: 2 }, { seed: 1, threads: 1, validation });
    const { validationLosses, epochs } = model.history;
    expect(validationLosses.length).toBe(epochs + 2);
    const probabilities = await predictTextEncoder(model, validation.texts);
    const loss = validation.labels.reduce((sum, label, row) => sum - Math.log(probabilities[3 * row + label]!) / 200, 0);
    expect(loss).toBeCloseTo(validationLosses[epochs - 1]!, 5);
    expect(validationLosses[epochs - 1]).toBe(Math.min(...validationLosses));
  });
});

describe('fitTextEncoder', () => {
  test('balanced, a rare class is said more often', async () => {
    const random = seededRandom(4);
    const rare = reviews(600, 5);
    const kept = [...rare.texts.keys()].filter((row) => rare.labels[row] !== 1 || random.next() < 0.1);
    const rows = { texts: kept.map((row) => rare.texts[row]!), labels: Float32Array.from(kept, (row) => rare.labels[row]!) };
    const few = { ...KINDS.bag, epochs: 2 };
    const shareOfRare = async (classWeights: 'balanced' | undefined) => {
      const model = await fitTextEncoder(rows, { ...few, classWeights }, { seed: 1, threads: 1 });
      const probabilities = await predictTextEncoder(model, unseen.texts);
      return unseen.texts.reduce((sum, _, row) => sum + probabilities[3 * row + 1]! / unseen.texts.length, 0);
    };
    expect(await shareOfRare('balanced')).toBeGreaterThan(1.5 * (await shareOfRare(undefined)));
  });

  test('keeps the most frequent terms', async () => {
    const texts = ['a b c', 'a b', 'a d d d d', 'b e'];
    const rows = { texts, labels: Float32Array.of(0, 1, 0, 1) };
    const model = await fitTextEncoder(rows, { ngrams: 1, minDf: 1, termsMax: 3, epochs: 1 }, { seed: 1, threads: 1 });
    expect(model.sequences.terms).toEqual({ kind: 'vocabulary', ngrams: 1, terms: ['a', 'b', 'c'] });
  });

  test('refuses what it cannot learn from', async () => {
    const code = { code: 'training_data_insufficient' };
    const options = { seed: 1, threads: 1 };
    await expect(fitTextEncoder({ texts: [], labels: new Float32Array(0) }, {}, options)).rejects.toMatchObject(code);
    await expect(fitTextEncoder({ ...train, labels: new Float32Array(600) }, {}, options)).rejects.toMatchObject(code);
    await expect(fitTextEncoder({ ...train, texts: train.texts.map(() => '') }, {}, options)).rejects.toMatchObject(code);
    await expect(fitTextEncoder({ ...train, labels: train.labels.map(() => Number.NaN) }, {}, options)).rejects.toMatchObject(code);
    await expect(fitTextEncoder({ ...train, weights: new Float32Array(600) }, {}, options)).rejects.toMatchObject(code);
    await expect(fitTextEncoder({ ...train, weights: new Float32Array(600).fill(-1) }, {}, options)).rejects.toMatchObject(code);
    const validation = { texts: ['a', 'b'], labels: Float32Array.of(0, 1) };
    await expect(fitTextEncoder(train, {}, { ...options, validation })).rejects.toMatchObject(code);
    await expect(fitTextEncoder({ ...train, labels: new Float32Array(5) }, {}, options)).rejects.toThrow(RangeError);
    for (const wrong of [
      { lengthMax: 0 },
      { termsMax: 0 },
      { dropout: 1 },
      { encoder: 'cnn' as const },
      { encoder: 'cnn' as const, ngrams: 1 as const, kernels: [2, 2] },
      { encoder: 'cnn' as const, ngrams: 1 as const, lengthMax: 3 },
    ]) {
      await expect(fitTextEncoder(train, wrong, options)).rejects.toThrow(RangeError);
    }
  });
});

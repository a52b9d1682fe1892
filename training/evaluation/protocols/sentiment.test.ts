import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../learners/random.ts';
import { hashFold } from '../splits.ts';
import { chooseRidges, evaluate, linearLearners, neuralLearners, readReviews } from './sentiment.ts';

const WORDS = [
  ['bad', 'returned', 'cheap'],
  ['okay', 'average', 'runs'],
  ['love', 'perfect', 'soft'],
];

function csv(count: number, seed: number): string {
  const random = seededRandom(seed);
  const lines = Array.from({ length: count }, (_, id) => {
    const rating = 1 + random.int(5);
    const own = WORDS[rating <= 2 ? 0 : rating === 3 ? 1 : 2]!;
    const text = Array.from({ length: 6 }, (_, i) => (i % 2 === 0 && random.next() < 0.8 ? own[random.int(3)] : `w${random.int(30)}`)).join(' ');
    // Every tenth review has neither title nor text and is left out; every fourth has a title alone.
    const [title, body] = id % 10 === 9 ? ['', ''] : id % 4 === 0 ? [text, ''] : ['', text];
    return `${id},${title},${body},${rating},${rating >= 4}`;
  });
  return ['row_id,title,review_text,rating,recommended', ...lines].join('\n');
}

test('reads the reviews with a text, and scores models that see no test row', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  try {
    const path = join(folder, 'reviews.csv');
    writeFileSync(path, csv(500, 1));
    const reviews = await readReviews(path);
    expect(reviews.texts).toHaveLength(450);
    expect([...reviews.folds.slice(0, 9)]).toEqual(Array.from({ length: 9 }, (_, id) => hashFold(id, 5)));
    expect(reviews.texts.every((text) => text.length > 0 && text === text.trim())).toBe(true);
    const params = { classWeights: 'balanced', ngrams: 1 } as const;
    const lines: string[] = [];
    const ridges = await chooseRidges(reviews, params, (line) => lines.push(line));
    for (const ridge of Object.values(ridges)) expect([1, 1 / 3, 0.1]).toContain(ridge);
    expect(lines).toHaveLength(3);
    const scores = await evaluate(reviews, linearLearners(params, ridges));
    expect(scores.macroF1).toBeGreaterThan(0.9);
    expect(scores.recommendedAuc).toBeGreaterThan(0.95);
    // Labels by chance: nothing is learned that holds on other rows.
    const random = seededRandom(2);
    const shuffled = { ...reviews, isRecommended: reviews.isRecommended.map(() => random.int(2)) };
    const blind = await evaluate(shuffled, linearLearners(params, ridges));
    expect(Math.abs(blind.recommendedAuc - 0.5)).toBeLessThan(0.1);
    const encoder = { classWeights: 'balanced', minDf: 1, width: 8, batchSize: 16, epochs: 10, learningRate: 2e-2 } as const;
    const neural = await evaluate(reviews, await neuralLearners(reviews, encoder, (line) => lines.push(line)));
    expect(lines.slice(3)).toEqual([
      expect.stringMatching(/^\d+ epochs, .* of the classes/),
      expect.stringMatching(/^\d+ epochs, .* of "recommended"/),
    ]);
    expect(neural.macroF1).toBeGreaterThan(0.85);
    expect(neural.recommendedAuc).toBeGreaterThan(0.95);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('says so when the data are absent', async () => {
  await expect(readReviews(join(tmpdir(), 'gatehouse-no-such-file.parquet'))).rejects.toMatchObject({ code: 'input_unreadable' });
});

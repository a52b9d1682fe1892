/**
 * Review sentiment on the clothing reviews: macro-F1 of three classes, and AUC of "recommended", beside the reference.
 *
 *   node dist/training/evaluation/protocols/sentiment.js [reviews.parquet]
 *
 * Class 0 is a rating of 1 or 2, class 1 of 3, class 2 of 4 or 5. Five folds by the hash of the row id. The strength of the ridge is chosen inside
 * the training part of fold 0 (learned on folds 2 to 4, judged on fold 1), for the classes and for "recommended" apart, and kept for all folds; nothing
 * is chosen by a test fold.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fitText, predictText, type TextParams } from '../../learners/text/text.ts';
import { openTables, readFunction } from '../../sources/duckdb.ts';
import { classMetrics, largestClass } from '../classes.ts';
import { averagePrecision, mean, rocAuc } from '../metrics.ts';
import { hashFold } from '../splits.ts';

/** Where development machines have the data, beside the project: nothing of it is part of the project. */
const DATA = fileURLToPath(new URL('../../../../../shared/data/womens_clothing_reviews/reviews.parquet', import.meta.url));
const FOLDS = 5;
/** 1 / C of the protocol's grid. */
const RIDGES = [1, 1 / 3, 0.1];
/** Published figures on all 22,642 reviews with a text (scikit-learn 1.9), and scikit-learn's pipeline with the published C on the four fifths at hand. */
const REFERENCES = [
  ['TF-IDF + LR, balanced, all reviews', '0.6602', '0.9586', '0.8319'],
  ['TF-IDF + LinearSVC, balanced, all reviews', '0.6555', '0.9585', '0.8329'],
  ['TF-IDF + LR, balanced, C 3, the 18,174 reviews', '0.6579', '0.9579', '0.8294'],
] as const;

export interface Reviews {
  readonly texts: readonly string[];
  /** 0, 1 or 2. */
  readonly classes: Float32Array;
  readonly isRecommended: Float32Array;
  readonly folds: Uint8Array;
}

export interface Ridges {
  readonly classes: number;
  readonly recommended: number;
}

export interface SentimentScores {
  readonly macroF1: number;
  readonly accuracy: number;
  readonly recall: readonly number[];
  readonly recommendedAuc: number;
  readonly notRecommendedAp: number;
}

/** Reads the reviews that have a title or a text. Throws `input_unreadable` where the file is absent. */
export async function readReviews(path: string): Promise<Reviews> {
  const tables = await openTables(path);
  try {
    const rows = await tables.all(
      `SELECT row_id, trim(coalesce(title, '') || ' ' || coalesce(review_text, '')), rating, recommended::int FROM ${readFunction(tables.files)}
       WHERE title IS NOT NULL OR review_text IS NOT NULL ORDER BY row_id`,
    );
    return {
      texts: rows.map(([, text]) => String(text)),
      classes: Float32Array.from(rows, ([, , rating]) => classOf(Number(rating))),
      isRecommended: Float32Array.from(rows, ([, , , recommended]) => Number(recommended)),
      folds: Uint8Array.from(rows, ([id]) => hashFold(Number(id), FOLDS)),
    };
  } finally {
    await tables.close();
  }
}

function classOf(rating: number): number {
  if (rating <= 2) return 0;
  return rating === 3 ? 1 : 2;
}

/** Rows of the folds. */
function rowsIn({ folds }: Reviews, wanted: (fold: number) => boolean): number[] {
  return [...folds.keys()].filter((row) => wanted(folds[row]!));
}

function learnAndScore({ texts }: Reviews, labels: Float32Array, train: readonly number[], test: readonly number[], params: Partial<TextParams>) {
  const pick = (rows: readonly number[]) => rows.map((row) => texts[row]!);
  const model = fitText({ texts: pick(train), labels: Float32Array.from(train, (row) => labels[row]!) }, params, { seed: 1 });
  return predictText(model, pick(test));
}

/** The ridges with the best macro-F1 and the best AUC on fold 1, learned on the folds after it; fold 0 is not looked at. */
export function chooseRidges(reviews: Reviews, params: Partial<TextParams>, report: (line: string) => void): Ridges {
  const train = rowsIn(reviews, (fold) => fold >= 2);
  const test = rowsIn(reviews, (fold) => fold === 1);
  const classes = test.map((row) => reviews.classes[row]!);
  const isRecommended = test.map((row) => reviews.isRecommended[row]!);
  const tried = RIDGES.map((l2) => {
    const said = largestClass(learnAndScore(reviews, reviews.classes, train, test, { ...params, l2 }), 3);
    const { macroF1 } = classMetrics(said, classes, 3);
    const auc = rocAuc(learnAndScore(reviews, reviews.isRecommended, train, test, { ...params, l2 }), isRecommended);
    report(`C ${(1 / l2).toFixed(1)}: macro-F1 ${macroF1.toFixed(4)}, recommended AUC ${auc.toFixed(4)} on fold 1`);
    return { l2, macroF1, auc };
  });
  const best = (value: (one: (typeof tried)[number]) => number) => tried.reduce((a, b) => (value(b) > value(a) ? b : a)).l2;
  return { classes: best(({ macroF1 }) => macroF1), recommended: best(({ auc }) => auc) };
}

/** Each fold by a model of the others; the scores are means over the folds. */
export function evaluate(reviews: Reviews, params: Partial<TextParams>, ridges: Ridges): SentimentScores {
  const folds = Array.from({ length: FOLDS }, (_, fold) => {
    const train = rowsIn(reviews, (other) => other !== fold);
    const test = rowsIn(reviews, (other) => other === fold);
    const said = largestClass(learnAndScore(reviews, reviews.classes, train, test, { ...params, l2: ridges.classes }), 3);
    const metrics = classMetrics(
      said,
      test.map((row) => reviews.classes[row]!),
      3,
    );
    const recommended = learnAndScore(reviews, reviews.isRecommended, train, test, { ...params, l2: ridges.recommended });
    const labels = test.map((row) => reviews.isRecommended[row]!);
    return {
      ...metrics,
      recommendedAuc: rocAuc(recommended, labels),
      notRecommendedAp: averagePrecision(
        recommended.map((p) => 1 - p),
        labels.map((label) => 1 - label),
      ),
    };
  });
  const over = (value: (fold: (typeof folds)[number]) => number) => mean(folds.map(value));
  return {
    macroF1: over((fold) => fold.macroF1),
    accuracy: over((fold) => fold.accuracy),
    recall: [0, 1, 2].map((k) => over((fold) => fold.recall[k]!)),
    recommendedAuc: over((fold) => fold.recommendedAuc),
    notRecommendedAp: over((fold) => fold.notRecommendedAp),
  };
}

const VARIANTS: readonly (readonly [string, Partial<TextParams>])[] = [
  ['words and pairs + LR, balanced', { classWeights: 'balanced' }],
  ['hashed + LR, balanced', { classWeights: 'balanced', terms: 'hashed' }],
];

async function main(path: string): Promise<void> {
  if (!existsSync(path)) {
    console.log(`${path} is absent: nothing to measure.`);
    return;
  }
  const reviews = await readReviews(path);
  console.log(`${reviews.texts.length} reviews with a text`);
  const lines: string[][] = [];
  for (const [name, params] of VARIANTS) {
    const startMs = performance.now();
    const ridges = chooseRidges(reviews, params, (line) => console.log(`${name}, ${line}`));
    const scores = evaluate(reviews, params, ridges);
    const seconds = (performance.now() - startMs) / 1000;
    lines.push([name, ...[scores.macroF1, scores.recommendedAuc, scores.notRecommendedAp, scores.accuracy].map((x) => x.toFixed(4))]);
    console.log(
      `  recall ${scores.recall.map((x) => x.toFixed(3)).join(' / ')}, ${seconds.toFixed(1)} s for ${2 * RIDGES.length + 2 * FOLDS} models`,
    );
  }
  console.log('model | macro-F1 | recommended AUC | AP not recommended | accuracy');
  for (const line of [...lines, ...REFERENCES]) console.log(line.join(' | '));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2] ?? DATA);

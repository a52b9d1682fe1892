/**
 * Review sentiment on the clothing reviews: macro-F1 of three classes, and AUC of "recommended", beside the reference.
 *
 *   node dist/training/evaluation/protocols/sentiment.js [reviews.parquet]
 *
 * Class 0 is a rating of 1 or 2, class 1 of 3, class 2 of 4 or 5. Five folds by the hash of the row id. The strength of the ridge is chosen inside
 * the training part of fold 0 (learned on folds 2 to 4, judged on fold 1), for the classes and for "recommended" apart, and kept for all folds; nothing
 * is chosen by a test fold. Likewise the number of epochs of the neural text encoder, by its loss on fold 1.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fitTextEncoder, predictTextEncoder, type TextEncoderParams } from '../../learners/neural/textEncoder.ts';
import { fitText, predictText, type TextParams, type TextRows } from '../../learners/text/text.ts';
import { openTables, readFunction } from '../../sources/duckdb.ts';
import { type ClassMetrics, classMetrics, largestClass } from '../classes.ts';
import { averagePrecision, mean, rocAuc } from '../metrics.ts';
import { hashFold } from '../splits.ts';
import { countSteps } from './steps.ts';

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

/** Learns from the rows and answers for the texts: probabilities, row-major as `predictText` gives them. */
type Learner = (train: TextRows, texts: readonly string[]) => Promise<Float32Array>;

/** One learner of the three classes, one of "recommended". */
export interface Learners {
  readonly classes: Learner;
  readonly recommended: Learner;
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

function rowsOf({ texts }: Reviews, labels: Float32Array, rows: readonly number[]): TextRows {
  return { texts: rows.map((row) => texts[row]!), labels: Float32Array.from(rows, (row) => labels[row]!) };
}

function learnAndScore(reviews: Reviews, labels: Float32Array, train: readonly number[], test: readonly number[], learn: Learner) {
  return learn(
    rowsOf(reviews, labels, train),
    test.map((row) => reviews.texts[row]!),
  );
}

const linear =
  (params: Partial<TextParams>): Learner =>
  async (train, texts) =>
    predictText(fitText(train, params, { seed: 1 }), texts);

/** Linear models with the ridges chosen. */
export function linearLearners(params: Partial<TextParams>, ridges: Ridges): Learners {
  return { classes: linear({ ...params, l2: ridges.classes }), recommended: linear({ ...params, l2: ridges.recommended }) };
}

/** The neural text encoder with the number of epochs of the smallest loss on fold 1, learned on the folds after it; fold 0 is not looked at. */
export async function neuralLearners(reviews: Reviews, params: Partial<TextEncoderParams>, report: (line: string) => void): Promise<Learners> {
  const chosen = async (labels: Float32Array, name: string): Promise<Learner> => {
    const part = (wanted: (fold: number) => boolean) => rowsOf(reviews, labels, rowsIn(reviews, wanted));
    const validation = part((fold) => fold === 1);
    const { history } = await fitTextEncoder(
      part((fold) => fold >= 2),
      params,
      { ...ENCODER_OPTIONS, validation },
    );
    const { epochs } = history;
    report(`${epochs} epochs, loss ${history.validationLosses[epochs - 1]!.toFixed(4)} of ${name} on fold 1`);
    return async (train, texts) => {
      const model = await fitTextEncoder(train, { ...params, epochs }, ENCODER_OPTIONS);
      const probabilities = await predictTextEncoder(model, texts);
      // Two classes have a column each here, and one of class 1 in a linear model.
      return model.classes === 2 ? probabilities.filter((_, at) => at % 2 === 1) : probabilities;
    };
  };
  return { classes: await chosen(reviews.classes, 'the classes'), recommended: await chosen(reviews.isRecommended, '"recommended"') };
}

/** The ridges with the best macro-F1 and the best AUC on fold 1, learned on the folds after it; fold 0 is not looked at. */
export async function chooseRidges(reviews: Reviews, params: Partial<TextParams>, report: (line: string) => void): Promise<Ridges> {
  const train = rowsIn(reviews, (fold) => fold >= 2);
  const test = rowsIn(reviews, (fold) => fold === 1);
  const classes = test.map((row) => reviews.classes[row]!);
  const isRecommended = test.map((row) => reviews.isRecommended[row]!);
  const tried: { l2: number; macroF1: number; auc: number }[] = [];
  for (const l2 of RIDGES) {
    const learn = linear({ ...params, l2 });
    const { macroF1 } = classMetrics(largestClass(await learnAndScore(reviews, reviews.classes, train, test, learn), 3), classes, 3);
    const auc = rocAuc(await learnAndScore(reviews, reviews.isRecommended, train, test, learn), isRecommended);
    report(`C ${(1 / l2).toFixed(1)}: macro-F1 ${macroF1.toFixed(4)}, recommended AUC ${auc.toFixed(4)} on fold 1`);
    tried.push({ l2, macroF1, auc });
  }
  const best = (value: (one: (typeof tried)[number]) => number) => tried.reduce((a, b) => (value(b) > value(a) ? b : a)).l2;
  return { classes: best(({ macroF1 }) => macroF1), recommended: best(({ auc }) => auc) };
}

/** Each fold by a model of the others; the scores are means over the folds. */
export async function evaluate(reviews: Reviews, learners: Learners, step: () => void = () => {}): Promise<SentimentScores> {
  const folds: (ClassMetrics & Pick<SentimentScores, 'recommendedAuc' | 'notRecommendedAp'>)[] = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    const train = rowsIn(reviews, (other) => other !== fold);
    const test = rowsIn(reviews, (other) => other === fold);
    const said = largestClass(await learnAndScore(reviews, reviews.classes, train, test, learners.classes), 3);
    const metrics = classMetrics(
      said,
      test.map((row) => reviews.classes[row]!),
      3,
    );
    const recommended = await learnAndScore(reviews, reviews.isRecommended, train, test, learners.recommended);
    const labels = test.map((row) => reviews.isRecommended[row]!);
    folds.push({
      ...metrics,
      recommendedAuc: rocAuc(recommended, labels),
      notRecommendedAp: averagePrecision(
        recommended.map((p) => 1 - p),
        labels.map((label) => 1 - label),
      ),
    });
    step();
  }
  const over = (value: (fold: (typeof folds)[number]) => number) => mean(folds.map(value));
  return {
    macroF1: over((fold) => fold.macroF1),
    accuracy: over((fold) => fold.accuracy),
    recall: [0, 1, 2].map((k) => over((fold) => fold.recall[k]!)),
    recommendedAuc: over((fold) => fold.recommendedAuc),
    notRecommendedAp: over((fold) => fold.notRecommendedAp),
  };
}

type Choose = (reviews: Reviews, report: (line: string) => void) => Promise<Learners>;

const balanced =
  (params: Partial<TextParams>): Choose =>
  async (reviews, report) => {
    const given = { ...params, classWeights: 'balanced' } as const;
    return linearLearners(given, await chooseRidges(reviews, given, report));
  };
/** The learner's defaults, but no word is left out for being frequent; epochs are chosen among the first twelve. */
const ENCODER: Partial<TextEncoderParams> = { classWeights: 'balanced', maxDf: 1, epochs: 12 };
/** A step of this size gains nothing from a second thread. */
const ENCODER_OPTIONS = { seed: 1, threads: 1 } as const;

const VARIANTS: readonly (readonly [string, Choose])[] = [
  ['words and pairs + LR, balanced', balanced({})],
  ['hashed + LR, balanced', balanced({ terms: 'hashed' })],
  ['neural bag of words and pairs, balanced', (reviews, report) => neuralLearners(reviews, ENCODER, report)],
];

async function main(path: string): Promise<void> {
  if (!existsSync(path)) {
    console.log(`${path} is absent: nothing to measure.`);
    return;
  }
  const reviews = await readReviews(path);
  console.log(`${reviews.texts.length} reviews with a text`);
  const lines: string[][] = [];
  const { step, end } = countSteps('folds', VARIANTS.length * FOLDS);
  for (const [name, choose] of VARIANTS) {
    const startMs = performance.now();
    const learners = await choose(reviews, (line) => console.log(`${name}, ${line}`));
    const scores = await evaluate(reviews, learners, step);
    const seconds = (performance.now() - startMs) / 1000;
    lines.push([name, ...[scores.macroF1, scores.recommendedAuc, scores.notRecommendedAp, scores.accuracy].map((x) => x.toFixed(4))]);
    console.log(`  recall ${scores.recall.map((x) => x.toFixed(3)).join(' / ')}, ${seconds.toFixed(1)} s`);
  }
  end();
  console.log('model | macro-F1 | recommended AUC | AP not recommended | accuracy');
  for (const line of [...lines, ...REFERENCES]) console.log(line.join(' | '));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2] ?? DATA);

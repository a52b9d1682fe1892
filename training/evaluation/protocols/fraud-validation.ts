// Card fraud, Fraud Detection Handbook, on weeks before the test week: the default features and the trainer's own parameters, by the rules of protocol A.
//   node dist/training/evaluation/protocols/fraud-validation.js [data folder] [seeds]
// What is chosen for payments is chosen here; the test week, which is not read, is test/e2e/fraud.test.ts's. Each week is scored by models that learned
// from the 35 days up to seven days before it. Of the honest payments in front of a week a quarter is learned from, to be done in minutes.
import { DEFAULT_DECLARATIONS } from '../../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../../scoring/features/engine.ts';
import { FRAUD_SET } from '../../../scoring/risk/pipeline.ts';
import { fitFraudTrees } from '../../fraud.ts';
import { predict } from '../../learners/gbdt/predict.ts';
import { averagePrecision, mean, rocAuc } from '../metrics.ts';
import { cardPrecision, DELAY_DAYS, foundOut, readPayments } from './fraud-handbook.ts';
import { type PaymentVectors, vectorsOf } from './fraud-vectors.ts';
import { row, say, withData } from './openData.ts';
import { countSteps } from './steps.ts';

const FILE = 'fraud_handbook_simulated/transactions.parquet';
const WEEKS = ['2018-07-04', '2018-07-11', '2018-07-18', '2018-07-25'];
const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
const LEARN_DAYS = 35;
const HONEST_SHARE = 0.25;

type Scores = readonly [auc: number, ap: number, cards: number];

const utc = (date: string): number => Date.parse(`${date}T00:00Z`);
const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const weekMs = WEEK_DAYS * DAY_MS;

/** Learns from the span before the week and scores what protocol A leaves of the week. */
async function scoreWeek(vectors: PaymentVectors, fromMs: number, seed: number): Promise<Scores> {
  const learnToMs = fromMs - DELAY_DAYS * DAY_MS;
  const model = await fitFraudTrees(vectors.sample(learnToMs - LEARN_DAYS * DAY_MS, learnToMs, HONEST_SHARE), seed);
  const [trainFromMs, toMs] = [learnToMs - weekMs, fromMs + weekMs];
  const isGone = foundOut(vectors.payments(trainFromMs, toMs), ({ customer }) => customer, trainFromMs, learnToMs, fromMs);
  const answers = predict(model, vectors.all(fromMs, toMs).rows);
  const week = vectors.payments(fromMs, toMs);
  const kept = week.map((_, i) => i).filter((i) => !isGone(week[i]!));
  const payments = kept.map((i) => week[i]!);
  const scores = kept.map((i) => answers[i]!);
  const labels = payments.map(({ isFraud }) => (isFraud ? 1 : 0));
  return [rocAuc(scores, labels), averagePrecision(scores, labels), cardPrecision(payments, scores, fromMs, WEEK_DAYS)];
}

const means = (all: readonly Scores[]): Scores => [
  mean(all.map(([auc]) => auc)),
  mean(all.map(([, ap]) => ap)),
  mean(all.map(([, , cards]) => cards)),
];
const deviation = (values: readonly number[]): number => {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
};
const digits = (scores: readonly number[]): string[] => scores.map((value) => value.toFixed(4));

const seeds = Number(process.argv[3] ?? 3);

await withData(FILE, async (tables) => {
  const startMs = utc(WEEKS[0]!) - (LEARN_DAYS + DELAY_DAYS) * DAY_MS;
  const endMs = utc(WEEKS.at(-1)!) + weekMs;
  const all = await readPayments(tables, dateOf(startMs), dateOf(endMs));
  const vectors = vectorsOf(all, createFeatureEngine(DEFAULT_DECLARATIONS), FRAUD_SET, startMs);
  say(`${all.length} payments before ${dateOf(endMs)}; means of ${seeds} seeds`);
  say(row('week that begins on', ['AUC', 'AP', 'CP@100']));
  const { step, end } = countSteps('models', WEEKS.length * seeds);
  const byWeek: Scores[] = [];
  for (const week of WEEKS) {
    const bySeed: Scores[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      bySeed.push(await scoreWeek(vectors, utc(week), seed));
      step();
    }
    byWeek.push(means(bySeed));
    say(row(week, digits(byWeek.at(-1)!)));
  }
  end();
  say(row('mean', digits(means(byWeek))));
  say(row('standard deviation over the weeks', digits([0, 1, 2].map((column) => deviation(byWeek.map((scores) => scores[column]!))))));
});

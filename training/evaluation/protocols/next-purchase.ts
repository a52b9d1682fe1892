// Next purchase, UCI Online Retail: Recall@20, NDCG@20 and HR@20 of the recommendation learners beside reference figures.
//   node dist/training/evaluation/protocols/next-purchase.js <online_retail.parquet> [all | part of a model's name] [validation]
// Protocol: train = lines before 2011-11-09, test = what the same customers bought in the 31 days after. (a) every train item may be recommended;
// (b) what a customer had bought before neither is recommended nor counts. Of each model's candidates the best by NDCG@20 on the month before
// (cut 2011-10-09) is taken, for (a) and (b) by itself, learned again from all of train, and measured once.
import { fileURLToPath } from 'node:url';
import { GatehouseError } from '../../../contracts/errors.ts';
import { createFits, type Fits } from './next-purchase-models.ts';
import { type ListScores, measureLists, readLines, type Scorer, type Split, splitAt, type Variant } from './purchases.ts';
import { countSteps } from './steps.ts';

const TEST_CUT_MS = Date.UTC(2011, 10, 9);
const VALIDATION_CUT_MS = Date.UTC(2011, 9, 9);
const SEEDS = [0, 1, 2, 3, 4];

export interface Candidate {
  readonly label: string;
  readonly build: (fits: Fits, seed: number) => Promise<Scorer>;
}

interface Model {
  readonly name: string;
  /** Of numpy, scikit-learn and `implicit` on the same split: Recall, NDCG, HR. */
  readonly reference: Readonly<Record<Variant, string>>;
  readonly candidates: readonly Candidate[];
  /** Measured with each; one where chance plays no part. */
  readonly seeds?: readonly number[];
}

const halfLives = (days: readonly number[], make: (days: number) => Candidate['build'], label: string): Candidate[] =>
  days.map((d) => ({ label: `${label} half-life ${d} d`, build: make(d) }));

const MODELS: readonly Model[] = [
  {
    name: 'popularity, all train',
    reference: { any: '.0939 .0874 .6380', new: '.0477 .0393 .3655' },
    candidates: [
      {
        label: '',
        build:
          async ({ split }) =>
          () =>
            split.buyers,
      },
    ],
  },
  {
    name: 'popularity, 30 days',
    reference: { any: '.1375 .1364 .7376', new: '.0951 .0845 .5603' },
    candidates: [
      {
        label: '',
        build:
          async ({ split }) =>
          () =>
            split.buyersRecently,
      },
    ],
  },
  {
    name: 'item-kNN',
    reference: { any: '.2126 .2026 .7527', new: '.1075 .0903 .5355' },
    candidates: [false, true].flatMap((counts) =>
      (['cosine', 'tfidf', 'bm25'] as const).map((weighting) => ({
        label: `${weighting}${counts ? ', log1p counts' : ''}`,
        build: (fits) => fits.itemKnn({ weighting, k: 100, shrinkage: 10 }, counts),
      })),
    ),
  },
  {
    name: 'EASE',
    reference: { any: '.2767 .2629 .8423', new: '.1239 .1043 .6051' },
    candidates: [100, 200, 400].map((lambda) => ({ label: `lambda ${lambda}`, build: (fits) => fits.ease(lambda, 0) })),
  },
  {
    name: 'EASE, decayed profile',
    reference: { any: '.2869 .2776 .8423', new: '.1224 .1030 .5981' },
    candidates: [100, 200, 400].flatMap((lambda) => halfLives([30, 120], (days) => (fits) => fits.ease(lambda, days), `lambda ${lambda}`)),
  },
  {
    name: 'implicit ALS, 5 seeds',
    reference: { any: '.3015 .2952 .8698', new: '.1180 .0999 .5842' },
    candidates: [
      [64, 10],
      [128, 1],
      [128, 10],
      [128, 20],
    ].map(([factors, regularization]) => ({
      label: `f ${factors} reg ${regularization}`,
      build: (fits, seed) => fits.als({ factors: factors!, regularization: regularization!, alpha: 1, iterations: 15 }, seed),
    })),
    seeds: SEEDS,
  },
  {
    name: 'BPR',
    reference: { any: '', new: '' },
    candidates: [20, 60].map((iterations) => ({
      label: `${iterations} iterations`,
      build: (fits, seed) => fits.bpr({ factors: 64, iterations }, seed),
    })),
  },
  {
    name: 'own items by invoices',
    reference: { any: '.3542 .3502 .9176', new: '' },
    candidates: [{ label: '', build: (fits) => fits.own(Infinity) }],
  },
  {
    name: 'own items, decayed',
    reference: { any: '.3468 .3438 .9075', new: '' },
    candidates: halfLives([60, 120, 240], (days) => (fits) => fits.own(days), ''),
  },
  {
    name: 'own, EASE and popularity',
    reference: { any: '.3597 .3525 .9111', new: '.1326 .1131 .6453' },
    candidates: [100, 400].flatMap((lambda) =>
      [0.3, 0.6].map((popular) => ({
        label: `lambda ${lambda}, popularity ${popular}`,
        build: (fits) => fits.mixture({ own: [2, 240], ease: [1, lambda, 30], popular }),
      })),
    ),
  },
  {
    name: 'user-kNN, TIFU style',
    reference: { any: '.3640 .3601 .9125', new: '.1450 .1343 .6577' },
    candidates: [
      ...[15, 30].map((votes) => ({ label: `own .7, votes ${votes} d`, build: (fits: Fits) => fits.userKnn(120, votes, [0.7, 0.3, 0.1]) })),
      ...[120, 365].flatMap((days) =>
        [15, 30].map((votes) => ({ label: `neighbours ${days} d, votes ${votes} d`, build: (fits: Fits) => fits.userKnn(days, votes, [0, 1, 0]) })),
      ),
    ],
  },
  {
    name: 'user-kNN and EASE',
    reference: { any: '.3739 .3661 .9207 (re-ranker)', new: '.1625 .1494 .7040 (re-ranker)' },
    candidates: [0.15, 0.3].flatMap((ease) => [
      { label: `own .7, EASE ${ease}`, build: (fits: Fits) => fits.userKnn(120, 30, [0.7, 0.3, 0.1], [ease, 400, 30]) },
      { label: `neighbours, EASE ${ease}`, build: (fits: Fits) => fits.userKnn(365, 15, [0, 1, 0], [ease, 400, 30]) },
    ]),
  },
];

/** The candidate with the best NDCG@20. */
export async function chooseCandidate(
  fits: Fits,
  candidates: readonly Candidate[],
  variant: Variant,
  report: (line: string) => void,
): Promise<Candidate> {
  let best: { readonly candidate: Candidate; readonly ndcg: number } | undefined;
  for (const candidate of candidates.length > 1 ? candidates : []) {
    const scores = measureLists(fits.split, await candidate.build(fits, 0), variant);
    report(`    validation ${describe(scores)}  ${candidate.label}`);
    if (!best || scores.ndcg > best.ndcg) best = { candidate, ndcg: scores.ndcg };
  }
  return best?.candidate ?? candidates[0]!;
}

const decimals = (value: number) => value.toFixed(4).slice(1);
const describe = ({ recall, ndcg, hitRate }: ListScores) => `${decimals(recall)} ${decimals(ndcg)} ${decimals(hitRate)}`;

async function meanOverSeeds(fits: Fits, candidate: Candidate, variant: Variant, seeds: readonly number[]): Promise<ListScores> {
  const all: ListScores[] = [];
  for (const seed of seeds) all.push(measureLists(fits.split, await candidate.build(fits, seed), variant));
  const mean = (name: keyof ListScores) => all.reduce((sum, scores) => sum + scores[name], 0) / all.length;
  return { recall: mean('recall'), ndcg: mean('ndcg'), hitRate: mean('hitRate'), users: mean('users') };
}

async function main(path: string, part: string, isVerbose: boolean): Promise<void> {
  const lines = await readLines(path);
  const validation = createFits(splitAt(lines, VALIDATION_CUT_MS, TEST_CUT_MS));
  const test = createFits(splitAt(lines, TEST_CUT_MS, Infinity));
  const { split } = test;
  const counted = (variant: Variant, of: Split) => measureLists(of, () => of.buyers, variant).users;
  console.log(
    `${lines.codes.length} lines, ${split.users} users, ${split.items} items; (a) ${counted('any', split)} users, (b) ${counted('new', split)}`,
  );
  console.log('Recall@20, NDCG@20, HR@20');
  const models = MODELS.filter(({ name }) => part === 'all' || name.includes(part));
  const { step, end } = countSteps('models', 2 * models.length);
  for (const { name, reference, candidates, seeds } of models) {
    for (const variant of ['any', 'new'] as const) {
      step();
      if (variant === 'new' && reference.any !== '' && reference.new === '') continue;
      const chosen = await chooseCandidate(validation, candidates, variant, isVerbose ? console.log : () => {});
      const scores = await meanOverSeeds(test, chosen, variant, seeds ?? [0]);
      const row = `(${variant === 'any' ? 'a' : 'b'}) ${name}`.padEnd(30);
      console.log(`${row} ${describe(scores)}   reference ${reference[variant].padEnd(17)} ${chosen.label}`);
    }
  }
  end();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path, part, verbose] = process.argv.slice(2);
  main(path ?? 'data/uci_online_retail/online_retail.parquet', part ?? 'all', verbose === 'validation').catch((error) => {
    if (!(error instanceof GatehouseError)) throw error;
    console.error(`The data are absent: ${error.message}`);
    process.exitCode = 1;
  });
}

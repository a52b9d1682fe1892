import { APPEAL_METRIC, examinedMetric } from '../contracts/examined.ts';
import { appealWeight, withAppeal } from './appeal.ts';
import { withClicks } from './click-groups.ts';
import { type FusedModel, fitFusion, predictFused, singleSource } from './fusion.ts';
import type { Progress } from './learners/contract.ts';
import { fitAveraged } from './learners/gbdt/average.ts';
import type { GbdtModel } from './learners/gbdt/fit.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import { GBDT_DEFAULTS, type GbdtParams } from './learners/gbdt/params.ts';
import { predictMargin } from './learners/gbdt/predict.ts';
import type { ListRows } from './list-rows.ts';
import { type PlaceCurves, placeCurves } from './position-bias.ts';
import { RankerRows, type RankingMetrics, type RowScorer } from './ranker-rows.ts';

/**
 * Few questions, a dozen wanted items each: which rows and columns a model happens to draw moves NDCG@20 by .001 to .003, more than most features do.
 * The mean of three short models takes the draw out for the trees of one long one: what a request pays is the same.
 */
const MEMBERS = 3;
const PARAMS: Partial<GbdtParams> = {
  objective: 'lambdarank',
  numIterations: 40,
  learningRate: 0.2,
  numLeaves: 15,
  minDataInLeaf: 50,
  lambdaL2: 5,
  featureFraction: 0.7,
  baggingFraction: 0.8,
};
/** Of few questions large steps learn the questions: a young shop's trees ranked worse than what is popular does. */
const FEW_QUESTIONS: Partial<GbdtParams> = { ...PARAMS, learningRate: 0.05, numLeaves: 8 };
const QUESTIONS_FEW = 1_000;
/** Below so many questions with something wanted among their candidates, the blend of sources ranks better than what can be learned. */
const QUERIES_MIN = 50;

/** Rankings that are no source of their own. */
const BY_CLICKS = 'trees by clicks too';
const MIXED = ['trees', BY_CLICKS, 'fused', 'blend'];

/** What one period gave the ranker to learn from. */
export interface RankerPeriod {
  readonly rows: RankerRows;
  readonly lists: ListRows;
}

export interface FittedRanker {
  readonly model: GbdtModel | FusedModel;
  readonly params: GbdtParams & { readonly members: number };
  /** On the later period, which the measured rankers never saw: `ranker` is the one that is shipped, `trees` and `fused` are what it was chosen from. */
  readonly evaluation: Readonly<Record<string, RankingMetrics>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly queries: { readonly learned: number; readonly measured: number };
  readonly importance: readonly { readonly feature: string; readonly value: number }[];
  /** How often the places of the gateway's own lists are looked at, by placement. */
  readonly places: PlaceCurves;
}

/**
 * Measures on the later period what learned from the earlier one, then learns from both. Trees are shipped where no other order of the candidates had
 * a better NDCG there, those that learned from clicks on shown lists too where these were better; otherwise the fused score of the sources, or the best
 * source alone where that is better still. To whichever it is, appeal is added as far as clicks on the later period's lists ask for it (`appeal.ts`). A
 * string says why there is none.
 */
export async function fitRanker(
  first: RankerPeriod,
  second: RankerPeriod,
  names: readonly string[],
  seed: number,
  progress: Progress,
): Promise<FittedRanker | string> {
  const [earlier, later] = [first.rows, second.rows];
  const places = await placeCurves([...first.lists.lists, ...second.lists.lists], names.length, seed);
  const plain = rowsToLearn([first], {}, seed);
  if (!plain || plain.groups!.length < QUERIES_MIN)
    return `only ${plain?.groups?.length ?? 0} visits to learn a ranking from, ${QUERIES_MIN} are needed`;
  const clicked = rowsToLearn([first], places, seed)!;
  const params = treeParams(plain.groups!.length);
  const measured = await fitTrees(plain, params, seed, (done, total) => progress(done, 2 * total));
  const byClicks = clicked.n > plain.n ? await fitTrees(clicked, params, seed) : undefined;
  const fusionOf = (periods: readonly RankerRows[]): FusedModel =>
    fitFusion(
      periods.flatMap((period) => period.fusionQuestions()),
      names,
      bestSource(earlier.evaluate({}), names),
    );
  const fused = fusionOf([earlier]);
  const scorers: Record<string, RowScorer> = {
    trees: scorerOf(measured),
    fused: scorerOf(fused),
    ...(byClicks && { [BY_CLICKS]: scorerOf(byClicks) }),
  };
  const rankings = later.evaluate(scorers);
  const chosen = chosenOf(rankings, names);
  const judged = chosen === 'trees' ? measured : chosen === BY_CLICKS ? byClicks! : chosen === 'fused' ? fused : singleSource(names, chosen)!;
  const weight = appealWeight(second, places, names, scorerOf(judged));
  const all = rowsToLearn([first, second], chosen === BY_CLICKS ? places : {}, seed) ?? plain;
  const learned =
    chosen === 'trees' || chosen === BY_CLICKS
      ? await fitTrees(all, params, seed, (done, total) => progress(total + done, 2 * total))
      : chosen === 'fused'
        ? fusionOf([earlier, later])
        : judged;
  const model = withAppeal(learned, names, weight, all.rows);
  const shipped = later.evaluate({ ranker: scorerOf(withAppeal(judged, names, weight, plain.rows)) });
  const evaluation = { ranker: shipped['ranker']!, ...rankings };
  const metrics: Record<string, number> = { [APPEAL_METRIC]: weight };
  for (const [name, { recall, ndcg }] of Object.entries(evaluation)) {
    const key = name.replaceAll(' ', '_');
    metrics[`recommend_recall20_${key}`] = recall;
    metrics[`recommend_ndcg20_${key}`] = ndcg;
  }
  for (const [placement, { examined }] of Object.entries(places)) {
    examined.forEach((share, place) => {
      metrics[examinedMetric(placement, place)] = share;
    });
  }
  return {
    model,
    params: { ...GBDT_DEFAULTS, ...params, members: MEMBERS },
    evaluation,
    metrics,
    queries: { learned: plain.groups!.length, measured: later.queries },
    importance: 'terms' in model ? fusedImportance(model) : importanceOf(model, names),
    places,
  };
}

function scorerOf(model: GbdtModel | FusedModel): RowScorer {
  return (rows) => ('terms' in model ? predictFused(model, rows) : predictMargin(model, rows));
}

/** How the trees of a ranker are grown that learns from so many questions of one period. */
export function treeParams(questions: number): Partial<GbdtParams> {
  return questions < QUESTIONS_FEW ? FEW_QUESTIONS : PARAMS;
}

/** The trees of a ranker. */
export function fitTrees(rows: GbdtRows, params: Partial<GbdtParams>, seed: number, progress?: Progress): Promise<GbdtModel> {
  return fitAveraged(rows, params, MEMBERS, { seed, ...(progress && { progress }) });
}

/** Questions, and clicks on shown lists. */
export function rowsToLearn(periods: readonly RankerPeriod[], curves: PlaceCurves, seed: number): GbdtRows | undefined {
  const data = RankerRows.training(
    periods.map(({ rows }) => rows),
    seed,
  );
  return (
    data &&
    withClicks(
      data,
      periods.map(({ lists }) => lists),
      curves,
    )
  );
}

/** The name of the source that orders the candidates best, alone; popularity where there is none. */
function bestSource(rankings: Readonly<Record<string, RankingMetrics>>, names: readonly string[]): string {
  const sources = Object.keys(rankings).filter((name) => !MIXED.includes(name) && singleSource(names, name));
  return sources.reduce((best, name) => (rankings[name]!.ndcg > (rankings[best]?.ndcg ?? 0) ? name : best), 'popularity');
}

/** Trees where nothing beats them: what they know of prices, ages and habits carries over to pages that were not asked about. */
export function chosenOf(rankings: Readonly<Record<string, RankingMetrics>>, names: readonly string[]): string {
  const ndcg = (name: string): number => rankings[name]?.ndcg ?? 0;
  const source = bestSource(rankings, names);
  return [BY_CLICKS, 'fused', source].reduce((best, name) => (ndcg(name) > ndcg(best) ? name : best), 'trees');
}

function fusedImportance({ terms }: FusedModel): { feature: string; value: number }[] {
  const total = terms.reduce((sum, { weight }) => sum + weight, 0) || 1;
  return terms.map(({ feature, weight }) => ({ feature, value: weight / total })).sort((a, b) => b.value - a.value);
}

/** The features by the gain of their splits, the most important first. */
export function importanceOf({ gainByFeature }: GbdtModel, names: readonly string[]): { feature: string; value: number }[] {
  const total = gainByFeature.reduce((sum, gain) => sum + gain, 0) || 1;
  return names.map((feature, i) => ({ feature, value: gainByFeature[i]! / total })).sort((a, b) => b.value - a.value);
}

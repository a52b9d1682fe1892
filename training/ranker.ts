import { type FusedModel, fitFusion, predictFused, singleSource } from './fusion.ts';
import type { Progress } from './learners/contract.ts';
import { fitAveraged } from './learners/gbdt/average.ts';
import type { GbdtModel } from './learners/gbdt/fit.ts';
import { GBDT_DEFAULTS, type GbdtParams } from './learners/gbdt/params.ts';
import { predictMargin } from './learners/gbdt/predict.ts';
import { RankerRows, type RankingMetrics } from './ranker-rows.ts';

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
/** Below so many questions with something wanted among their candidates, the blend of sources ranks better than what can be learned. */
const QUERIES_MIN = 50;

/** Rankings that are no source of their own. */
const MIXED = ['trees', 'fused', 'blend'];

export interface FittedRanker {
  readonly model: GbdtModel | FusedModel;
  readonly params: GbdtParams & { readonly members: number };
  /** On the later period, which the measured rankers never saw: `ranker` is the one that is shipped, `trees` and `fused` are what it was chosen from. */
  readonly evaluation: Readonly<Record<string, RankingMetrics>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly queries: { readonly learned: number; readonly measured: number };
  readonly importance: readonly { readonly feature: string; readonly value: number }[];
}

/**
 * Measures on the later period what learned from the earlier one, then learns from both. Trees are shipped where no other order of the candidates had
 * a better NDCG there; otherwise the fused score of the sources, or the best source alone where that is better still. A string says why there is none.
 */
export async function fitRanker(
  earlier: RankerRows,
  later: RankerRows,
  names: readonly string[],
  seed: number,
  progress: Progress,
): Promise<FittedRanker | string> {
  const early = RankerRows.training([earlier], seed);
  if (!early || early.groups!.length < QUERIES_MIN)
    return `only ${early?.groups?.length ?? 0} visits to learn a ranking from, ${QUERIES_MIN} are needed`;
  const measured = await fitAveraged(early, PARAMS, MEMBERS, { seed, progress: (done, total) => progress(done, 2 * total) });
  const fusionOf = (periods: readonly RankerRows[]): FusedModel =>
    fitFusion(
      periods.flatMap((period) => period.fusionQuestions()),
      names,
      bestSource(earlier.evaluate({}), names),
    );
  const fused = fusionOf([earlier]);
  const rankings = later.evaluate({ trees: (rows) => predictMargin(measured, rows), fused: (rows) => predictFused(fused, rows) });
  const chosen = chosenOf(rankings, names);
  const all = RankerRows.training([earlier, later], seed) ?? early;
  const model =
    chosen === 'trees'
      ? await fitAveraged(all, PARAMS, MEMBERS, { seed, progress: (done, total) => progress(total + done, 2 * total) })
      : chosen === 'fused'
        ? fusionOf([earlier, later])
        : singleSource(names, chosen)!;
  const evaluation = { ranker: rankings[chosen]!, ...rankings };
  const metrics: Record<string, number> = {};
  for (const [name, { recall, ndcg }] of Object.entries(evaluation)) {
    const key = name.replaceAll(' ', '_');
    metrics[`recommend_recall20_${key}`] = recall;
    metrics[`recommend_ndcg20_${key}`] = ndcg;
  }
  return {
    model,
    params: { ...GBDT_DEFAULTS, ...PARAMS, members: MEMBERS },
    evaluation,
    metrics,
    queries: { learned: early.groups!.length, measured: later.queries },
    importance: 'terms' in model ? fusedImportance(model) : importanceOf(model, names),
  };
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
  return ['fused', source].reduce((best, name) => (ndcg(name) > ndcg(best) ? name : best), 'trees');
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

import type { Progress } from './learners/contract.ts';
import { fitGbdt, type GbdtModel } from './learners/gbdt/fit.ts';
import { GBDT_DEFAULTS, type GbdtParams } from './learners/gbdt/params.ts';
import { predictMargin } from './learners/gbdt/predict.ts';
import { RankerRows, type RankingMetrics } from './ranker-rows.ts';

const PARAMS: Partial<GbdtParams> = {
  objective: 'lambdarank',
  numIterations: 120,
  learningRate: 0.08,
  numLeaves: 15,
  minDataInLeaf: 50,
  lambdaL2: 5,
  featureFraction: 0.7,
  baggingFraction: 0.8,
};
/** Below so many questions with something wanted among their candidates, the blend of sources ranks better than what can be learned. */
const QUERIES_MIN = 50;

export interface FittedRanker {
  readonly model: GbdtModel;
  readonly params: GbdtParams;
  /** On the later period, which the measured ranker never saw. */
  readonly evaluation: Readonly<Record<string, RankingMetrics>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly queries: { readonly learned: number; readonly measured: number };
  readonly importance: readonly { readonly feature: string; readonly value: number }[];
}

/** Measures on the later period a ranker that learned from the earlier one, then learns from both. A string says why there is none. */
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
  const measured = await fitGbdt(early, PARAMS, { seed, progress: (done, total) => progress(done, 2 * total) });
  const evaluation = later.evaluate((rows) => predictMargin(measured, rows));
  const all = RankerRows.training([earlier, later], seed) ?? early;
  const model = await fitGbdt(all, PARAMS, { seed, progress: (done, total) => progress(total + done, 2 * total) });
  const metrics: Record<string, number> = {};
  for (const [name, { recall, ndcg }] of Object.entries(evaluation)) {
    const key = name.replaceAll(' ', '_');
    metrics[`recommend_recall20_${key}`] = recall;
    metrics[`recommend_ndcg20_${key}`] = ndcg;
  }
  return {
    model,
    params: { ...GBDT_DEFAULTS, ...PARAMS },
    evaluation,
    metrics,
    queries: { learned: early.groups!.length, measured: later.queries },
    importance: importanceOf(model, names),
  };
}

/** The features by the gain of their splits, the most important first. */
export function importanceOf({ gainByFeature }: GbdtModel, names: readonly string[]): { feature: string; value: number }[] {
  const total = gainByFeature.reduce((sum, gain) => sum + gain, 0) || 1;
  return names.map((feature, i) => ({ feature, value: gainByFeature[i]! / total })).sort((a, b) => b.value - a.value);
}

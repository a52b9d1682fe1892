import type { Tree } from '../../../contracts/trees.ts';
import { requireParam } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { fitGbdt, type GbdtModel, type GbdtOptions } from './fit.ts';
import type { GbdtRows } from './objective.ts';
import type { GbdtParams } from './params.ts';

/** Each member adds all its trees to what a request pays for. */
const MEMBERS_MAX = 20;

/**
 * Several boosted models on the same rows, with rows and columns drawn from seeds of their own, as one: the mean of their margins. What the draws alone
 * decided averages out (Breiman 1996), and the sum stays one ensemble of trees: one ONNX node, exact Shapley values. Throws what `fitGbdt` throws.
 */
export async function fitAveraged(
  data: GbdtRows,
  given: Partial<GbdtParams>,
  members: number,
  options: Omit<GbdtOptions, 'validation'>,
): Promise<GbdtModel> {
  requireParam(
    Number.isInteger(members) && members >= 1 && members <= MEMBERS_MAX,
    `members must be a whole number from 1 to ${MEMBERS_MAX}, not ${members}`,
  );
  const random = seededRandom(options.seed);
  const models: GbdtModel[] = [];
  for (let i = 0; i < members; i++) {
    const progress = options.progress && ((done: number, total: number) => options.progress!(i * total + done, members * total));
    models.push(await fitGbdt(data, given, { ...options, seed: random.int(2 ** 31), ...(progress && { progress }) }));
  }
  return averageOf(models);
}

function averageOf(models: readonly GbdtModel[]): GbdtModel {
  const [first] = models as [GbdtModel];
  const sumOf = (columns: readonly (readonly number[])[]) => columns[0]!.map((_, i) => columns.reduce((sum, column) => sum + column[i]!, 0));
  return {
    objective: first.objective,
    featureCount: first.featureCount,
    // Of the same rows it is the same.
    base: first.base,
    trees: models.flatMap(({ trees }) => trees.map((tree) => scaled(tree, 1 / models.length))),
    gainByFeature: sumOf(models.map(({ gainByFeature }) => gainByFeature)),
    splitsByFeature: sumOf(models.map(({ splitsByFeature }) => splitsByFeature)),
    validationLosses: [],
  };
}

function scaled(tree: Tree, by: number): Tree {
  return { ...tree, value: tree.value.map((value) => Math.fround(value * by)) };
}

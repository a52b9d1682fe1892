import type { Tree, TreeEnsemble } from '../../../contracts/trees.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { checkRows } from '../gbdt/check.ts';
import { createOwnGradients, type GbdtRows } from '../gbdt/objective.ts';
import { completeParams, type GbdtParams } from '../gbdt/params.ts';
import { type Trainer, withTrainer } from '../gbdt/trainer.ts';
import { type Random, seededRandom } from '../random.ts';

/** Rows of 0/1 labels or of finite targets, as for boosting. */
export type ForestRows = Pick<GbdtRows, 'rows' | 'n' | 'f' | 'labels' | 'weights'>;

/** Named as in scikit-learn, in camel case. */
export interface ForestParams {
  /** `probability`: labels are 0 or 1, the answer is the share of 1. `regression`: the answer is the mean. */
  objective: 'probability' | 'regression';
  nEstimators: number;
  /** Share of the features that each split chooses from; `sqrt`: the square root of their number. */
  maxFeatures: number | 'sqrt';
  /** 0: no limit. */
  maxDepth: number;
  maxLeafNodes: number;
  /** Rows on each side of a split; repeated rows of a bootstrap sample make it an estimate. */
  minSamplesLeaf: number;
  /** Each tree sees n rows drawn with replacement; false: all rows as they are. */
  bootstrap: boolean;
  categoricalFeature: readonly number[];
}

export const FOREST_DEFAULTS: ForestParams = {
  objective: 'probability',
  nEstimators: 100,
  maxFeatures: 'sqrt',
  maxDepth: 0,
  maxLeafNodes: 4096,
  minSamplesLeaf: 1,
  bootstrap: true,
  categoricalFeature: [],
};

const TREES_MAX = 10_000;

export interface ForestModel extends TreeEnsemble {
  readonly objective: ForestParams['objective'];
  readonly gainByFeature: readonly number[];
  readonly splitsByFeature: readonly number[];
}

export interface ForestOptions extends FitOptions {
  /** Threads that train; by default 2 at most, 1 for a small table. The model does not depend on it. */
  readonly threads?: number;
}

/**
 * Random forest (Breiman 2001): trees on bootstrap samples whose splits choose from random features, averaged. Splits minimise the squared error, which
 * for labels 0 and 1 is the Gini impurity. Rejects with `training_data_insufficient` for an empty table, one class, or bad labels.
 */
export async function fitForest(data: ForestRows, given: Partial<ForestParams>, options: ForestOptions): Promise<ForestModel> {
  const params = { ...FOREST_DEFAULTS, ...given };
  const growth = growthParams(params, data.f);
  checkRows(data, growth);
  if (params.objective === 'probability')
    requireData(
      data.labels.some((label) => label !== data.labels[0]),
      'all labels are of one class',
    );
  // What a row weighs in the tree at hand: its weight times how often it was drawn.
  const weights = new Float32Array(data.n);
  const settings = { weighted: false, ownGradients: true, scored: false, seed: options.seed, threads: options.threads };
  return await withTrainer(data, growth, weights, settings, (trainer) => growForest(data, params, weights, options, trainer));
}

/** A single decision tree (CART) on all rows and features: a forest of one. */
export function fitDecisionTree(
  data: ForestRows,
  given: Partial<Omit<ForestParams, 'nEstimators' | 'maxFeatures' | 'bootstrap'>>,
  options: ForestOptions,
): Promise<ForestModel> {
  return fitForest(data, { ...given, nEstimators: 1, maxFeatures: 1, bootstrap: false }, options);
}

/** The same growth in the terms of boosting: one step of full length from zero; each tree has its share of the mean. */
function growthParams(params: ForestParams, f: number): GbdtParams {
  const { nEstimators, maxFeatures, objective } = params;
  requireParam(Number.isInteger(nEstimators) && nEstimators >= 1 && nEstimators <= TREES_MAX, `nEstimators must be from 1 to ${TREES_MAX}`);
  return completeParams({
    objective: objective === 'probability' ? 'binary' : 'regression',
    learningRate: 1 / nEstimators,
    numLeaves: params.maxLeafNodes,
    maxDepth: params.maxDepth,
    minDataInLeaf: params.minSamplesLeaf,
    minSumHessianInLeaf: 0,
    featureFractionByNode: maxFeatures === 'sqrt' ? Math.max(1, Math.round(Math.sqrt(f))) / Math.max(1, f) : maxFeatures,
    categoricalFeature: params.categoricalFeature,
    // A single tree needs no protection from the order of categories beyond the smoothing.
    catL2: 0,
    minDataPerGroup: params.minSamplesLeaf,
  });
}

async function growForest(
  data: ForestRows,
  params: ForestParams,
  weights: Float32Array,
  options: ForestOptions,
  { at, shared, team, table, grower, importance }: Trainer,
): Promise<ForestModel> {
  const { n, f, labels } = data;
  const base = params.objective === 'regression' ? Math.fround(labels.reduce((sum, label) => sum + label, 0) / n) : 0;
  const random = seededRandom(options.seed);
  const own = createOwnGradients(n, at, shared, team);
  const rows = shared.u32(at.rows, n);
  const trees: Tree[] = [];
  for (let tree = 0; tree < params.nEstimators; tree++) {
    const inBag = drawRows(data, params.bootstrap, random, weights, rows);
    for (let row = 0; row < n; row++) {
      own.by.gradient[row] = weights[row]! * (base - labels[row]!);
      own.by.hessian[row] = weights[row]!;
    }
    trees.push(grower.grow(inBag, false, table.usable, own.quantise(), random, importance));
    options.progress?.(trees.length, params.nEstimators);
    await team.breathe();
  }
  const gainByFeature = Array.from(importance.gain);
  return { objective: params.objective, featureCount: f, base, trees, gainByFeature, splitsByFeature: Array.from(importance.splits) };
}

/** Sets the weights of the tree at hand, and the rows that have any to the front of the row list, ascending; answers how many. */
function drawRows(data: ForestRows, bootstrap: boolean, random: Random, weights: Float32Array, rows: Uint32Array): number {
  const { n } = data;
  if (bootstrap) {
    weights.fill(0);
    for (let draw = 0; draw < n; draw++) weights[random.int(n)]! += 1;
  } else weights.fill(1);
  let inBag = 0;
  for (let row = 0; row < n; row++) {
    if (data.weights) weights[row]! *= data.weights[row]!;
    if (weights[row]! > 0) rows[inBag++] = row;
  }
  return inBag;
}

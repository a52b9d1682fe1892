import type { Tree, TreeEnsemble } from '../../../contracts/trees.ts';
import type { FitOptions } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { checkRows } from './check.ts';
import type { GbdtRows } from './objective.ts';
import { createLoss, createObjective, effectiveWeights } from './objective.ts';
import type { GbdtObjective, GbdtParams } from './params.ts';
import { completeParams } from './params.ts';
import { addTree } from './predict.ts';
import { hasRowGradients } from './rowObjective.ts';
import { createSampler } from './sampler.ts';
import { featuresOfTree, type Trainer, withTrainer } from './trainer.ts';

export interface GbdtModel extends TreeEnsemble {
  readonly objective: GbdtObjective;
  /** Sum of the gains of each feature's splits. */
  readonly gainByFeature: readonly number[];
  /** Number of each feature's splits. */
  readonly splitsByFeature: readonly number[];
  /** Loss on the validation rows after each tree that was grown; empty without validation. */
  readonly validationLosses: readonly number[];
}

export interface GbdtOptions extends FitOptions<GbdtRows> {
  /** Threads that train; by default 2 at most, 1 for a small table. The model does not depend on it. */
  readonly threads?: number;
}

/**
 * Histogram gradient boosting (Friedman 2001; Ke et al. 2017): second order, leaf-wise, at most 255 bins a feature, a learned direction for missing
 * values, sets of categories, monotone constraints. Rejects with `training_data_insufficient` for an empty table, one class, or bad labels.
 */
export async function fitGbdt(data: GbdtRows, given: Partial<GbdtParams>, options: GbdtOptions): Promise<GbdtModel> {
  const params = completeParams(given);
  checkRows(data, params);
  if (options.validation) checkRows(options.validation, params, data.f);
  const weights = effectiveWeights(data, params);
  const needs = { weighted: weights !== undefined, ownGradients: hasRowGradients(params.objective), scored: true };
  const settings = { ...needs, seed: options.seed, threads: options.threads };
  return await withTrainer(data, params, weights, settings, (trainer) => boost(data, params, weights, options, trainer));
}

async function boost(
  data: GbdtRows,
  params: GbdtParams,
  weights: Float32Array | undefined,
  options: GbdtOptions,
  trainer: Trainer,
): Promise<GbdtModel> {
  const { at, shared, team, table, grower, importance } = trainer;
  const { n, f } = data;
  const objective = createObjective(data, params, weights, at, shared, team);
  const base = Math.fround(objective.base);
  const scores = shared.f64(at.scores, n).fill(base);
  if (data.offsets) for (let i = 0; i < n; i++) scores[i]! += data.offsets[i]!;
  const random = seededRandom(options.seed);
  // Rows are sampled alone; for ranking, whole queries are.
  const sampler = createSampler(shared.u32(at.rows, n), params.objective === 'lambdarank' ? data.groups : undefined, params.baggingFraction, random);
  const watch = options.validation ? createWatch(options.validation, params, base) : undefined;
  const trees: Tree[] = [];
  let atBest = snapshot(trainer);
  for (let round = 0; round < params.numIterations; round++) {
    const units = objective.gradients();
    const inBag = sampler.draw();
    const features = featuresOfTree(table, params.featureFraction, random);
    trees.push(grower.grow(inBag, inBag === n, features, units, random, importance, objective.leafValue));
    watch?.add(trees[round]!, f);
    if (watch?.best === trees.length) atBest = snapshot(trainer);
    options.progress?.(trees.length, params.numIterations, watch && `validation loss ${watch.losses[round]!.toFixed(6)}`);
    if (params.earlyStoppingRounds > 0 && watch && trees.length - watch.best >= params.earlyStoppingRounds) break;
    await team.breathe();
  }
  const early = watch !== undefined && params.earlyStoppingRounds > 0;
  return {
    objective: params.objective,
    featureCount: f,
    base,
    trees: early ? trees.slice(0, watch.best) : trees,
    ...(early ? atBest : snapshot(trainer)),
    validationLosses: watch?.losses ?? [],
  };
}

function snapshot({ importance }: Trainer) {
  return { gainByFeature: Array.from(importance.gain), splitsByFeature: Array.from(importance.splits) };
}

/** Follows the loss on validation rows. */
function createWatch(validation: GbdtRows, params: GbdtParams, base: number) {
  const scores = new Float64Array(validation.n).fill(base);
  const loss = createLoss(validation, params);
  const losses: number[] = [];
  const watch = {
    losses,
    /** Trees at the smallest loss so far. */
    best: 0,
    add(tree: Tree, featureCount: number): void {
      addTree(tree, validation.rows, featureCount, scores);
      losses.push(loss(scores));
      if (watch.best === 0 || losses[losses.length - 1]! < losses[watch.best - 1]!) watch.best = losses.length;
    },
  };
  return watch;
}

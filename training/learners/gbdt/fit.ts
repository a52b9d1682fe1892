import type { TreeEnsemble } from '../../../contracts/trees.ts';
import type { FitOptions } from '../contract.ts';
import { requireData, requireParam } from '../contract.ts';
import type { Random } from '../random.ts';
import { sampleSorted, seededRandom } from '../random.ts';
import type { BinnedTable } from './bins.ts';
import { binTable } from './bins.ts';
import type { GrownTree } from './grow.ts';
import { createGrower } from './grow.ts';
import type { GbdtRows } from './objective.ts';
import { createLoss, createObjective, effectiveWeights } from './objective.ts';
import type { GbdtParams } from './params.ts';
import { completeParams } from './params.ts';
import { addTree } from './predict.ts';

export interface GbdtModel extends TreeEnsemble {
  /** Sum of the gains of each feature's splits. */
  readonly gainByFeature: readonly number[];
  /** Loss on the validation rows after each tree that was grown; empty without validation. */
  readonly validationLosses: readonly number[];
}

/** Relevance grades over this would overflow 2^grade - 1 in sums; LightGBM has the same limit. */
const GRADE_MAX = 31;

/**
 * Histogram gradient boosting (Friedman 2001; Ke et al. 2017): second order, leaf-wise, at most 255 bins a feature and a
 * learned direction for missing values. Throws `training_data_insufficient` for an empty table, one class, or bad labels.
 */
export function fitGbdt(data: GbdtRows, given: Partial<GbdtParams>, options: FitOptions<GbdtRows>): GbdtModel {
  const params = completeParams(given);
  checkRows(data, params);
  if (options.validation) checkRows(options.validation, params, data.f);
  const weights = effectiveWeights(data, params);
  const objective = createObjective(data, params, weights);
  const base = Math.fround(objective.base);
  const table = binTable(data.rows, data.n, data.f, options.seed);
  const grower = createGrower(table, params, weights);
  const random = seededRandom(options.seed);
  const sampler = createSampler(data, params, random);
  const watch = options.validation ? createWatch(options.validation, params, base) : undefined;

  const scores = new Float64Array(data.n).fill(base);
  const by = { gradient: new Float64Array(data.n), hessian: new Float64Array(data.n) };
  const gainByFeature = new Float64Array(data.f);
  const gainsAtBest = new Float64Array(data.f);
  const features = usableFeatures(table);
  const featuresATree = Math.max(1, Math.round(features.length * params.featureFraction));
  const trees: GrownTree[] = [];
  for (let round = 0; round < params.numIterations; round++) {
    objective.gradients(scores, by);
    const inBag = sampler.draw();
    const chosen = featuresATree < features.length ? sampleSorted(random, features.length, featuresATree).map((i) => features[i]!) : features;
    const tree = grower.grow(sampler.rows, inBag, chosen, by, scores, gainByFeature);
    for (let i = inBag; i < data.n; i++) scores[sampler.rows[i]!]! += binnedValue(tree, table, sampler.rows[i]!);
    trees.push(tree);
    watch?.add(tree, data.f);
    if (watch?.best === trees.length) gainsAtBest.set(gainByFeature);
    options.progress?.(trees.length, params.numIterations, watch && `validation loss ${watch.losses[watch.losses.length - 1]!.toFixed(6)}`);
    if (params.earlyStoppingRounds > 0 && watch && trees.length - watch.best >= params.earlyStoppingRounds) break;
  }
  const early = watch !== undefined && params.earlyStoppingRounds > 0;
  return {
    objective: params.objective,
    featureCount: data.f,
    base,
    trees: (early ? trees.slice(0, watch.best) : trees).map(({ bin: _bin, ...tree }) => tree),
    gainByFeature: Array.from(early ? gainsAtBest : gainByFeature),
    validationLosses: watch?.losses ?? [],
  };
}

function checkRows(data: GbdtRows, params: GbdtParams, featureCount = data.f): void {
  const { n, f, labels, weights, groups } = data;
  requireData(n > 0 && f > 0, 'the table has no rows or no features');
  requireParam(f === featureCount, `validation rows have ${f} features, training rows ${featureCount}`);
  requireParam(data.rows.length === n * f, `rows must hold ${n} x ${f} values, not ${data.rows.length}`);
  requireParam(labels.length === n, `there must be ${n} labels, not ${labels.length}`);
  requireParam(weights === undefined || weights.length === n, `there must be ${n} weights`);
  for (let i = 0; i < n; i++) {
    const label = labels[i]!;
    requireData(Number.isFinite(label), `the label of row ${i} is ${label}`);
    if (params.objective === 'binary') requireData(label === 0 || label === 1, `the label of row ${i} is ${label}, not 0 or 1`);
    if (params.objective === 'lambdarank') {
      requireData(Number.isInteger(label) && label >= 0 && label <= GRADE_MAX, `the grade of row ${i} is ${label}, not a whole number of 0 to 31`);
    }
  }
  let weightSum = 0;
  for (let i = 0; weights && i < n; i++) {
    requireData(weights[i]! >= 0 && weights[i]! < Infinity, `the weight of row ${i} is ${weights[i]}`);
    weightSum += weights[i]!;
  }
  requireData(!weights || weightSum > 0, 'all weights are zero');
  if (params.objective === 'lambdarank') {
    requireParam(groups !== undefined, 'lambdarank needs groups: the sizes of the queries');
    requireParam(
      groups.reduce((sum, size) => sum + size, 0) === n && groups.every((size) => size > 0),
      `the group sizes must be positive and sum to ${n}`,
    );
  }
}

/** Features with at least two bins in use; the others can never split. */
function usableFeatures(table: BinnedTable): Int32Array {
  const usable: number[] = [];
  for (let feature = 0; feature < table.f; feature++) {
    const column = table.columns[feature]!;
    const first = column[0]!;
    if (column.some((bin) => bin !== first)) usable.push(feature);
  }
  return Int32Array.from(usable);
}

interface Sampler {
  /** In-bag rows first (ascending), then the others. */
  readonly rows: Uint32Array;
  /** Draws the next tree's rows; returns how many are in the bag. */
  draw(): number;
}

function createSampler(data: GbdtRows, params: GbdtParams, random: Random): Sampler {
  const rows = new Uint32Array(data.n);
  // Rows are sampled alone; for ranking, whole queries are, because a torn query has other pairs.
  const sizes = params.objective === 'lambdarank' ? data.groups! : undefined;
  const units = sizes?.length ?? data.n;
  const wanted = Math.max(1, Math.round(units * params.baggingFraction));
  function draw(): number {
    if (wanted === units) {
      for (let i = 0; i < data.n; i++) rows[i] = i;
      return data.n;
    }
    const chosen = sampleSorted(random, units, wanted);
    const isIn = new Uint8Array(units);
    for (const unit of chosen) isIn[unit] = 1;
    let inBag = 0;
    for (let wantIn = 1, at = 0; wantIn >= 0; wantIn--) {
      for (let unit = 0, row = 0; unit < units; unit++) {
        const size = sizes ? sizes[unit]! : 1;
        if (isIn[unit] === wantIn) for (let i = 0; i < size; i++) rows[at++] = row + i;
        row += size;
      }
      if (wantIn === 1) inBag = at;
    }
    return inBag;
  }
  return { rows, draw };
}

function binnedValue(tree: GrownTree, table: BinnedTable, row: number): number {
  let node = 0;
  let feature = tree.feature[0]!;
  while (feature >= 0) {
    const bin = table.columns[feature]![row]!;
    const toLeft = bin === 255 ? tree.missingLeft[node] === 1 : bin <= tree.bin[node]!;
    node = toLeft ? tree.left[node]! : tree.right[node]!;
    feature = tree.feature[node]!;
  }
  return tree.value[node]!;
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
    add(tree: GrownTree, featureCount: number): void {
      addTree(tree, validation.rows, featureCount, scores);
      losses.push(loss(scores));
      if (watch.best === 0 || losses[losses.length - 1]! < losses[watch.best - 1]!) watch.best = losses.length;
    },
  };
  return watch;
}

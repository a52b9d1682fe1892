import { requireParam } from '../contract.ts';
import { CATEGORIES_MAX } from './borders.ts';

export type GbdtObjective = 'binary' | 'regression' | 'quantile' | 'poisson' | 'lambdarank';

/** Named as in LightGBM, in camel case; the defaults are LightGBM's too. */
export interface GbdtParams {
  objective: GbdtObjective;
  /** Quantile only: the share of the rows that lie at or below the answer; 0.5 is the median, which minimises the absolute error (LightGBM's l1). */
  alpha: number;
  /** Trees at most; early stopping may keep fewer. */
  numIterations: number;
  learningRate: number;
  numLeaves: number;
  /** 0 or less: no limit. */
  maxDepth: number;
  /**
   * Rows on each side of a split. While searching, counts are estimated from the hessians as LightGBM does (exact for
   * unweighted regression): a third histogram sum would cost a third of the training time.
   */
  minDataInLeaf: number;
  minSumHessianInLeaf: number;
  lambdaL1: number;
  lambdaL2: number;
  minGainToSplit: number;
  /** Share of the features that each tree may use. */
  featureFraction: number;
  /**
   * Share of the tree's features that each node may use. A node that none of these splits draws again from the others, as scikit-learn's forests do:
   * deep nodes are constant in many features. Below 1 no histogram is made by subtraction.
   */
  featureFractionByNode: number;
  /** Share of the rows (queries for `lambdarank`) that each tree sees. */
  baggingFraction: number;
  /** Binary only: multiplies the weights of the positives. */
  scalePosWeight: number;
  /** Stop when the validation metric has not improved for so many trees; 0: never. Needs validation rows. */
  earlyStoppingRounds: number;
  /** Columns whose values are categories: whole numbers from 0. Missing is a category too; unseen ones go right. */
  categoricalFeature: readonly number[];
  /** A categorical feature with at most so many categories is split one against all others. */
  maxCatToOnehot: number;
  /** Categories on the left of a split at most. */
  maxCatThreshold: number;
  /** Rows that each group of categories must add to the left of a split. */
  minDataPerGroup: number;
  /** Rows of a category that count as known: it smooths the order of the categories, and rarer ones are in no set. */
  catSmooth: number;
  /** Added to lambdaL2 where categories were sorted: many orders were tried. */
  catL2: number;
  /** Per feature -1, 0 or 1: the prediction never rises, is free, or never falls with it. Empty: all are free. */
  monotoneConstraints: readonly number[];
  /**
   * Bytes of histograms kept for subtraction at most (LightGBM's histogram_pool_size). Beyond, the smallest leaf's is given up and built again when it
   * is needed: slower, the same model.
   */
  histogramPoolBytes: number;
  /** Lambdarank only: pairs count when one of them is among the first so many (LightGBM's lambdarank_truncation_level). */
  ndcgTruncation: number;
}

export const GBDT_DEFAULTS: GbdtParams = {
  objective: 'binary',
  alpha: 0.9,
  numIterations: 100,
  learningRate: 0.1,
  numLeaves: 31,
  maxDepth: 0,
  minDataInLeaf: 20,
  minSumHessianInLeaf: 1e-3,
  lambdaL1: 0,
  lambdaL2: 0,
  minGainToSplit: 0,
  featureFraction: 1,
  featureFractionByNode: 1,
  baggingFraction: 1,
  scalePosWeight: 1,
  earlyStoppingRounds: 0,
  categoricalFeature: [],
  maxCatToOnehot: 4,
  maxCatThreshold: 32,
  minDataPerGroup: 100,
  catSmooth: 10,
  catL2: 10,
  monotoneConstraints: [],
  // 4,096 leaves of 30 features fit.
  histogramPoolBytes: 512 * 1024 * 1024,
  ndcgTruncation: 30,
};

/** Leaves of a tree at most: each holds a histogram while the tree grows (123 KB at 30 features). */
const NUM_LEAVES_MAX = 4096;

export function completeParams(given: Partial<GbdtParams>): GbdtParams {
  const params = { ...GBDT_DEFAULTS, ...given };
  const integer = (name: keyof GbdtParams, low: number, high: number) => {
    const value = params[name] as number;
    requireParam(Number.isInteger(value) && value >= low && value <= high, `${name} must be a whole number from ${low} to ${high}, not ${value}`);
  };
  const share = (name: keyof GbdtParams) => {
    const value = params[name] as number;
    requireParam(value > 0 && value <= 1, `${name} must be over 0 and at most 1, not ${value}`);
  };
  const positive = (name: keyof GbdtParams, zeroToo: boolean) => {
    const value = params[name] as number;
    requireParam(
      Number.isFinite(value) && (value > 0 || (zeroToo && value === 0)),
      `${name} must be ${zeroToo ? '0 or ' : ''}positive, not ${value}`,
    );
  };
  integer('numIterations', 1, 100_000);
  integer('numLeaves', 2, NUM_LEAVES_MAX);
  integer('minDataInLeaf', 0, 1e9);
  integer('earlyStoppingRounds', 0, 100_000);
  integer('ndcgTruncation', 1, 1e6);
  integer('maxCatToOnehot', 0, CATEGORIES_MAX);
  integer('maxCatThreshold', 1, CATEGORIES_MAX);
  integer('minDataPerGroup', 0, 1e9);
  integer('histogramPoolBytes', 0, 2 ** 32);
  requireParam(params.alpha > 0 && params.alpha < 1, `alpha must be over 0 and below 1, not ${params.alpha}`);
  share('featureFraction');
  share('featureFractionByNode');
  share('baggingFraction');
  positive('learningRate', false);
  positive('scalePosWeight', false);
  positive('minSumHessianInLeaf', true);
  positive('lambdaL1', true);
  positive('lambdaL2', true);
  positive('catSmooth', true);
  positive('catL2', true);
  positive('minGainToSplit', true);
  return params;
}

/** What parameters must say of a table with `f` features. */
export function checkFeatureParams(params: GbdtParams, f: number): void {
  const { categoricalFeature, monotoneConstraints } = params;
  for (const feature of categoricalFeature) {
    requireParam(Number.isInteger(feature) && feature >= 0 && feature < f, `categoricalFeature has ${feature}, the table has ${f} features`);
    requireParam((monotoneConstraints[feature] ?? 0) === 0, `feature ${feature} is categorical and cannot be monotone`);
  }
  requireParam(monotoneConstraints.length === 0 || monotoneConstraints.length === f, `monotoneConstraints must have ${f} values`);
  requireParam(
    monotoneConstraints.every((sign) => sign === 0 || sign === 1 || sign === -1),
    'monotoneConstraints must be -1, 0 or 1',
  );
}

import type { TreeObjective } from '../../../contracts/trees.ts';
import { requireParam } from '../contract.ts';

/** Named as in LightGBM, in camel case; the defaults are LightGBM's too. */
export interface GbdtParams {
  objective: TreeObjective;
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
  lambdaL2: number;
  minGainToSplit: number;
  /** Share of the features that each tree may use. */
  featureFraction: number;
  /** Share of the rows (queries for `lambdarank`) that each tree sees. */
  baggingFraction: number;
  /** Binary only: multiplies the weights of the positives. */
  scalePosWeight: number;
  /** Stop when the validation metric has not improved for so many trees; 0: never. Needs validation rows. */
  earlyStoppingRounds: number;
  /** Lambdarank only: pairs count when one of them is among the first so many (LightGBM's lambdarank_truncation_level). */
  ndcgTruncation: number;
}

export const GBDT_DEFAULTS: GbdtParams = {
  objective: 'binary',
  numIterations: 100,
  learningRate: 0.1,
  numLeaves: 31,
  maxDepth: 0,
  minDataInLeaf: 20,
  minSumHessianInLeaf: 1e-3,
  lambdaL2: 0,
  minGainToSplit: 0,
  featureFraction: 1,
  baggingFraction: 1,
  scalePosWeight: 1,
  earlyStoppingRounds: 0,
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
  share('featureFraction');
  share('baggingFraction');
  positive('learningRate', false);
  positive('scalePosWeight', false);
  positive('minSumHessianInLeaf', true);
  positive('lambdaL2', true);
  positive('minGainToSplit', true);
  return params;
}

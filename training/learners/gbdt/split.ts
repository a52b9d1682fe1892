import type { BinnedTable } from './bins.ts';
import { MISSING_BIN } from './bins.ts';
import type { Histogram } from './histogram.ts';
import { featureOffset } from './histogram.ts';
import type { GbdtParams } from './params.ts';

export interface Split {
  readonly gain: number;
  readonly feature: number;
  /** Rows of bins 0..bin go left. The last value bin: all present values left, missing right. */
  readonly bin: number;
  readonly missingLeft: boolean;
}

export interface LeafSums {
  readonly count: number;
  readonly gradient: number;
  readonly hessian: number;
}

/**
 * The split of a leaf with the largest gain GL^2/(HL+l2) + GR^2/(HR+l2) - G^2/(H+l2), or undefined if none passes the limits.
 * Missing rows are tried on both sides; where the leaf has none, they go with the larger side.
 * Ties: the lowest feature, then the lowest bin, so that the order of work never shows.
 */
export function bestSplit(histogram: Histogram, table: BinnedTable, features: Int32Array, leaf: LeafSums, params: GbdtParams): Split | undefined {
  const l2 = params.lambdaL2;
  const rowsPerHessian = leaf.count / leaf.hessian;
  // Half a row less, because the estimate is rounded.
  const hessianMin = Math.max(params.minSumHessianInLeaf, (Math.max(1, params.minDataInLeaf) - 0.5) / rowsPerHessian);
  const parentScore = (leaf.gradient * leaf.gradient) / (leaf.hessian + l2);
  let bestGain = Math.max(params.minGainToSplit, 1e-12);
  let bestFeature = -1;
  let bestBin = 0;
  let bestMissingLeft = false;
  for (const feature of features) {
    const offset = featureOffset(feature);
    const lastBin = table.borders[feature]!.length;
    const missingG = histogram[offset + 2 * MISSING_BIN]!;
    const missingH = histogram[offset + 2 * MISSING_BIN + 1]!;
    // Below half a row there is only rounding left over from subtraction.
    const hasMissing = missingH * rowsPerHessian >= 0.5;
    let leftG = 0;
    let leftH = 0;
    for (let bin = 0; bin < lastBin; bin++) {
      const at = offset + 2 * bin;
      leftG += histogram[at]!;
      leftH += histogram[at + 1]!;
      const rightH = leaf.hessian - leftH;
      if (leftH >= hessianMin && rightH >= hessianMin) {
        const rightG = leaf.gradient - leftG;
        const gain = (leftG * leftG) / (leftH + l2) + (rightG * rightG) / (rightH + l2) - parentScore;
        if (gain > bestGain) {
          bestGain = gain;
          bestFeature = feature;
          bestBin = bin;
          bestMissingLeft = !hasMissing && leftH > rightH;
        }
      }
      if (!hasMissing) continue;
      const withH = leftH + missingH;
      const withoutH = leaf.hessian - withH;
      if (withH < hessianMin || withoutH < hessianMin) continue;
      const withG = leftG + missingG;
      const withoutG = leaf.gradient - withG;
      const gain = (withG * withG) / (withH + l2) + (withoutG * withoutG) / (withoutH + l2) - parentScore;
      if (gain > bestGain) {
        bestGain = gain;
        bestFeature = feature;
        bestBin = bin;
        bestMissingLeft = true;
      }
    }
    if (!hasMissing || table.hasInfinity[feature]!) continue;
    // Present against missing.
    const presentH = leaf.hessian - missingH;
    if (presentH < hessianMin || missingH < hessianMin) continue;
    const presentG = leaf.gradient - missingG;
    const gain = (presentG * presentG) / (presentH + l2) + (missingG * missingG) / (missingH + l2) - parentScore;
    if (gain > bestGain) {
      bestGain = gain;
      bestFeature = feature;
      bestBin = lastBin;
      bestMissingLeft = false;
    }
  }
  return bestFeature < 0 ? undefined : { gain: bestGain, feature: bestFeature, bin: bestBin, missingLeft: bestMissingLeft };
}

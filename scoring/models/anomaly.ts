import type { AnomalyScale } from '../../contracts/bundle.ts';
import { GatehouseError } from '../../contracts/errors.ts';

/**
 * From a score of the anomaly model `file` to the share of known payments that look less strange, 0 to 1: as the scale says, between its knots on straight
 * lines. Throws `bundle_corrupt` for a scale that does not ascend: a stranger payment would then look more usual.
 */
export function shareOf(file: string, { scores, shares }: AnomalyScale): (score: number) => number {
  const ascends = scores.every((score, i) => i === 0 || (score > scores[i - 1]! && shares[i]! >= shares[i - 1]!));
  const isWithin = shares.every((share) => share >= 0 && share <= 1);
  if (scores.length === 0 || scores.length !== shares.length || !scores.every(Number.isFinite) || !ascends || !isWithin)
    throw new GatehouseError('bundle_corrupt', `${file} has a scale that does not ascend from 0 to 1`);
  return (score) => {
    if (Number.isNaN(score)) return Number.NaN;
    if (score < scores[0]!) return 0;
    if (score > scores.at(-1)!) return 1;
    // The last knot that is not above the score.
    let [low, high] = [0, scores.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (scores[middle]! <= score) low = middle;
      else high = middle - 1;
    }
    if (scores[low] === score) return shares[low]!;
    const way = (score - scores[low]!) / (scores[low + 1]! - scores[low]!);
    return shares[low]! + way * (shares[low + 1]! - shares[low]!);
  };
}

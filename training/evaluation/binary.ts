import { requireParam } from '../learners/contract.ts';

/** Positions by score, the highest first. */
function byScore(scores: ArrayLike<number>, labels: ArrayLike<number>): number[] {
  requireParam(scores.length === labels.length, `${scores.length} scores for ${labels.length} labels`);
  return Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
}

/** Calls `step` for each distinct score, the highest first, with the counts of positives and of all rows at or above it. */
function forEachThreshold(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  step: (score: number, positives: number, rows: number) => void,
): { readonly positives: number; readonly negatives: number } {
  const order = byScore(scores, labels);
  let positives = 0;
  for (let i = 0; i < order.length; i++) {
    if (labels[order[i]!]! > 0) positives += 1;
    const score = scores[order[i]!]!;
    if (i + 1 === order.length || scores[order[i + 1]!] !== score) step(score, positives, i + 1);
  }
  return { positives, negatives: order.length - positives };
}

/** Area under the ROC curve: the chance that a positive scores above a negative, ties count half. NaN without both classes. */
export function rocAuc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  let area = 0;
  let [before, negativesBefore] = [0, 0];
  const { positives, negatives } = forEachThreshold(scores, labels, (_, truePositives, rows) => {
    const falsePositives = rows - truePositives;
    area += ((falsePositives - negativesBefore) * (truePositives + before)) / 2;
    [before, negativesBefore] = [truePositives, falsePositives];
  });
  return area / (positives * negatives);
}

/** Average precision: the sum over distinct scores of (recall - recall before) x precision, without interpolation. NaN without positives. */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  let sum = 0;
  let before = 0;
  const { positives } = forEachThreshold(scores, labels, (_, truePositives, rows) => {
    sum += ((truePositives - before) * truePositives) / rows;
    before = truePositives;
  });
  return sum / positives;
}

/** F1 of calling every score at or above the threshold positive. */
export function f1(scores: ArrayLike<number>, labels: ArrayLike<number>, threshold: number): number {
  requireParam(scores.length === labels.length, `${scores.length} scores for ${labels.length} labels`);
  let [truePositives, called, positives] = [0, 0, 0];
  for (let i = 0; i < scores.length; i++) {
    const isPositive = labels[i]! > 0;
    if (isPositive) positives += 1;
    if (scores[i]! < threshold) continue;
    called += 1;
    if (isPositive) truePositives += 1;
  }
  return called + positives === 0 ? 0 : (2 * truePositives) / (called + positives);
}

/** The score with the largest F1 as threshold; of equals the highest. */
export function bestF1Threshold(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const seen: [number, number, number][] = [];
  const { positives } = forEachThreshold(scores, labels, (...at) => seen.push(at));
  let [best, threshold] = [-1, Number.POSITIVE_INFINITY];
  for (const [score, truePositives, rows] of seen) {
    const value = (2 * truePositives) / (rows + positives);
    if (value > best) [best, threshold] = [value, score];
  }
  return threshold;
}

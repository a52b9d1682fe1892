/** Ranking by score, the highest first; equal scores keep their order. */
function order(scores: ArrayLike<number>): Uint32Array {
  return Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/** A point for each distinct score, from the highest down: the weight of the rows and of the positives taken so far. A row weighs 1 where not given. */
function thresholds(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  weights?: ArrayLike<number>,
): { readonly taken: number; readonly hits: number; readonly score: number }[] {
  const ranked = order(scores);
  const points: { taken: number; hits: number; score: number }[] = [];
  let [taken, hits] = [0, 0];
  for (let i = 0; i < ranked.length; i++) {
    const weight = weights?.[ranked[i]!] ?? 1;
    taken += weight;
    if (labels[ranked[i]!]! > 0) hits += weight;
    const score = scores[ranked[i]!]!;
    if (i + 1 === ranked.length || scores[ranked[i + 1]!] !== score) points.push({ taken, hits, score });
  }
  return points;
}

/** Area under the ROC curve; ties count half. NaN where there is one class only. */
export function rocAuc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  let [area, before, beforeHits] = [0, 0, 0];
  const points = thresholds(scores, labels);
  const last = points.at(-1);
  if (!last || last.hits === 0 || last.hits === last.taken) return Number.NaN;
  for (const { taken, hits } of points) {
    const misses = taken - hits - before;
    area += (misses * (hits + beforeHits)) / 2;
    before = taken - hits;
    beforeHits = hits;
  }
  return area / (last.hits * (last.taken - last.hits));
}

/**
 * Average precision: the sum over distinct thresholds of (R_i - R_i-1) P_i, without interpolation. NaN without a positive. Weights, one a row, say for
 * how many rows a row of a sample stands.
 */
export function averagePrecision(scores: ArrayLike<number>, labels: ArrayLike<number>, weights?: ArrayLike<number>): number {
  const points = thresholds(scores, labels, weights);
  const positives = points.at(-1)?.hits ?? 0;
  if (positives === 0) return Number.NaN;
  let [sum, before] = [0, 0];
  for (const { taken, hits } of points) {
    sum += ((hits - before) / positives) * (hits / taken);
    before = hits;
  }
  return sum;
}

/** F1 of calling every score at or above the threshold positive; 0 where nothing is called and nothing was there. */
export function f1(scores: ArrayLike<number>, labels: ArrayLike<number>, threshold: number): number {
  let [hits, called, positives] = [0, 0, 0];
  for (let i = 0; i < scores.length; i++) {
    const isPositive = labels[i]! > 0;
    if (isPositive) positives++;
    if (scores[i]! < threshold) continue;
    called++;
    if (isPositive) hits++;
  }
  return called + positives === 0 ? 0 : (2 * hits) / (called + positives);
}

/** The score with the largest F1 as threshold; of equals the highest. */
export function bestF1Threshold(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const points = thresholds(scores, labels);
  const positives = points.at(-1)?.hits ?? 0;
  let [best, threshold] = [-1, Number.POSITIVE_INFINITY];
  for (const { taken, hits, score } of points) {
    const value = (2 * hits) / (taken + positives);
    if (value > best) [best, threshold] = [value, score];
  }
  return threshold;
}

/** x: false positive rate, y: true positive rate; at most `pointsMax` of them. */
export function rocCurve(scores: ArrayLike<number>, labels: ArrayLike<number>, pointsMax = 200): { x: number; y: number }[] {
  const points = thresholds(scores, labels);
  const last = points.at(-1);
  if (!last) return [];
  return thin(
    [
      { x: 0, y: 0 },
      ...points.map(({ taken, hits }) => ({ x: (taken - hits) / Math.max(1, last.taken - last.hits), y: hits / Math.max(1, last.hits) })),
    ],
    pointsMax,
  );
}

/** x: recall, y: precision; at most `pointsMax` of them. */
export function precisionRecallCurve(
  scores: ArrayLike<number>,
  labels: ArrayLike<number>,
  pointsMax = 200,
  weights?: ArrayLike<number>,
): { x: number; y: number }[] {
  const points = thresholds(scores, labels, weights);
  const positives = points.at(-1)?.hits ?? 0;
  return thin(
    points.map(({ taken, hits }) => ({ x: hits / Math.max(1, positives), y: hits / taken })),
    pointsMax,
  );
}

function thin<T>(points: readonly T[], pointsMax: number): T[] {
  if (points.length <= pointsMax) return [...points];
  const step = (points.length - 1) / (pointsMax - 1);
  return Array.from({ length: pointsMax }, (_, i) => points[Math.round(i * step)]!);
}

/** Share of wanted items among the first k: hits / min(k, wanted). */
export function recallAt(k: number, ranked: readonly string[], wanted: ReadonlySet<string>): number {
  if (wanted.size === 0) return Number.NaN;
  let hits = 0;
  for (let i = 0; i < ranked.length && i < k; i++) if (wanted.has(ranked[i]!)) hits++;
  return hits / Math.min(k, wanted.size);
}

/** Normalised discounted cumulative gain with binary gains: 1 / log2(rank + 1), over what an ideal order of min(k, wanted) items gets. */
export function ndcgAt(k: number, ranked: readonly string[], wanted: ReadonlySet<string>): number {
  if (wanted.size === 0) return Number.NaN;
  let [gain, ideal] = [0, 0];
  for (let i = 0; i < ranked.length && i < k; i++) if (wanted.has(ranked[i]!)) gain += 1 / Math.log2(i + 2);
  for (let i = 0; i < Math.min(k, wanted.size); i++) ideal += 1 / Math.log2(i + 2);
  return gain / ideal;
}

export function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? Number.NaN : sum / values.length;
}

/** Equal shares of the rows by rising probability: what was predicted beside what came. */
export function calibrationBins(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  bins = 10,
  weights?: ArrayLike<number>,
): { predicted: number; observed: number; count: number }[] {
  const ranked = order(probabilities).reverse();
  const result: { predicted: number; observed: number; count: number }[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const from = Math.floor((bin * ranked.length) / bins);
    const to = Math.floor(((bin + 1) * ranked.length) / bins);
    if (to === from) continue;
    let [predicted, observed, all] = [0, 0, 0];
    for (let i = from; i < to; i++) {
      const weight = weights?.[ranked[i]!] ?? 1;
      predicted += weight * probabilities[ranked[i]!]!;
      if (labels[ranked[i]!]! > 0) observed += weight;
      all += weight;
    }
    result.push({ predicted: predicted / all, observed: observed / all, count: to - from });
  }
  return result;
}

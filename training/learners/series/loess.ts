/** Straight line or constant fitted around each point. */
export type LoessDegree = 0 | 1;

/**
 * Local regression of `values` at places 1..n (Cleveland's `est`): the fitted value at `place`, from the places `left` to `right` (1-based,
 * inclusive) with tricube weights over `window`, times `robustness` where given. NaN when all weights vanish.
 */
export function loessAt(
  values: Float64Array,
  n: number,
  window: number,
  degree: LoessDegree,
  place: number,
  left: number,
  right: number,
  weights: Float64Array,
  robustness?: Float64Array,
): number {
  let reach = Math.max(place - left, right - place);
  if (window > n) reach += Math.floor((window - n) / 2);
  const near = 0.001 * reach;
  const far = 0.999 * reach;
  let sum = 0;
  for (let j = left; j <= right; j++) {
    const distance = Math.abs(j - place);
    let weight = 0;
    if (distance <= far) {
      const ratio = distance / reach;
      const cube = 1 - ratio * ratio * ratio;
      weight = distance <= near ? 1 : cube * cube * cube;
      if (robustness) weight *= robustness[j - 1]!;
    }
    weights[j] = weight;
    sum += weight;
  }
  if (!(sum > 0)) return Number.NaN;
  for (let j = left; j <= right; j++) weights[j]! /= sum;
  if (degree === 1 && reach > 0) tilt(n, place, left, right, weights);
  let fitted = 0;
  for (let j = left; j <= right; j++) fitted += weights[j]! * values[j - 1]!;
  return fitted;
}

/** Turns the weights of a local constant into those of a local line, unless the points are too close together for a slope. */
function tilt(n: number, place: number, left: number, right: number, weights: Float64Array): void {
  let centre = 0;
  for (let j = left; j <= right; j++) centre += weights[j]! * j;
  let variance = 0;
  for (let j = left; j <= right; j++) variance += weights[j]! * (j - centre) ** 2;
  if (Math.sqrt(variance) <= 0.001 * (n - 1)) return;
  const slope = (place - centre) / variance;
  for (let j = left; j <= right; j++) weights[j]! *= slope * (j - centre) + 1;
}

/** Smooths the first n of `values` into `out`, with the `window` nearest points around each. */
export function loess(
  values: Float64Array,
  n: number,
  window: number,
  degree: LoessDegree,
  out: Float64Array,
  weights: Float64Array,
  robustness?: Float64Array,
): void {
  const half = Math.floor((window + 1) / 2);
  let left = 1;
  let right = Math.min(window, n);
  for (let place = 1; place <= n; place++) {
    if (window < n && place > half && right < n) {
      left++;
      right++;
    }
    const fitted = loessAt(values, n, window, degree, place, left, right, weights, robustness);
    out[place - 1] = Number.isNaN(fitted) ? values[place - 1]! : fitted;
  }
}

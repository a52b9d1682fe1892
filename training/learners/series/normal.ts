const { log, sqrt } = Math;

/** Quantile of the standard normal distribution (Acklam's rational approximation, relative error under 1.2e-9). */
export function normalQuantile(p: number): number {
  if (p <= 0) return -Infinity;
  if (p >= 1) return Infinity;
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = sqrt(-2 * log(p));
    const top = ((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q + 4.374664141464968) * q;
    const low = (((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1;
    return (top + 2.938163982698783) / low;
  }
  const q = p - 0.5;
  const r = q * q;
  const top = ((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r - 30.66479806614716) * r;
  const low = ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r - 13.28068155288572) * r + 1;
  return ((top + 2.506628277459239) * q) / low;
}

/** Quantile of ascending values, linear between the two around it. */
export function sortedQuantile(sorted: ArrayLike<number>, p: number): number {
  const place = p * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}

/**
 * The `rank`-th smallest (from 0) of the first `n` numbers, which are reordered: smaller or equal ones stand before its place, larger or equal ones
 * behind (Hoare's quickselect, the pivot from the middle). On average 3n steps, where sorting takes n log n; n is bounded by the caller.
 */
export function nthSmallest(numbers: Float64Array, n: number, rank: number): number {
  let low = 0;
  let high = n - 1;
  while (low < high) {
    const pivot = numbers[(low + high) >> 1]!;
    let i = low;
    let j = high;
    while (i <= j) {
      while (numbers[i]! < pivot) i++;
      while (numbers[j]! > pivot) j--;
      if (i > j) break;
      const swapped = numbers[i]!;
      numbers[i++] = numbers[j]!;
      numbers[j--] = swapped;
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return numbers[rank]!;
}

/** Fewer numbers than these are selected from at once. */
const SORTED_IN_MIN = 24;
/** About as many numbers as a list has: then a place gets one or two. */
const PLACES = 128;
const counts = new Uint16Array(PLACES + 1);
let few = new Float64Array(0);

/**
 * The median of the first `n` numbers (of an even number of them the mean of the two in the middle), which may be reordered. Where there are many, they
 * are counted by place between the smallest and the largest first, and only those of the middle places are selected from: a comparison of every number with
 * a pivot is a guess that the processor loses half of the time.
 */
export function medianOfFirst(numbers: Float64Array, n: number): number {
  const upper = n >> 1;
  const lower = (n - 1) >> 1;
  if (n < SORTED_IN_MIN) return middleOf(numbers, n, lower, upper);
  let min = numbers[0]!;
  let max = min;
  for (let i = 1; i < n; i++) {
    min = Math.min(min, numbers[i]!);
    max = Math.max(max, numbers[i]!);
  }
  if (min === max) return min;
  const scale = PLACES / (max - min);
  counts.fill(0);
  for (let i = 0; i < n; i++) {
    const place = ((numbers[i]! - min) * scale) | 0;
    counts[place] = counts[place]! + 1;
  }
  let first = 0;
  let below = 0;
  while (below + counts[first]! <= lower) below += counts[first++]!;
  let last = first;
  for (let up = below + counts[first]!; up <= upper; up += counts[last]!) last++;
  if (few.length < n) few = new Float64Array(n);
  let found = 0;
  for (let i = 0; i < n; i++) {
    const place = ((numbers[i]! - min) * scale) | 0;
    if (place >= first && place <= last) few[found++] = numbers[i]!;
  }
  return middleOf(few, found, lower - below, upper - below);
}

/** The mean of the numbers of two neighbouring ranks, or the one where they are the same. */
function middleOf(numbers: Float64Array, n: number, lower: number, upper: number): number {
  const high = nthSmallest(numbers, n, upper);
  if (lower === upper) return high;
  // The smaller ones now stand before it.
  let low = numbers[0]!;
  for (let i = 1; i < upper; i++) if (numbers[i]! > low) low = numbers[i]!;
  return (low + high) / 2;
}

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

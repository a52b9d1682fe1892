import type { SharedMemory } from '../threads/arena.ts';

/** A bin is one byte: 0..254 hold values in ascending order, 255 holds the missing ones. */
export const VALUE_BINS_MAX = 255;
export const MISSING_BIN = 255;
/** Categories with a bin of their own; bin 254 holds all others. */
export const CATEGORIES_MAX = 254;
export const OTHER_BIN = 254;

/** Room for the borders of one feature: padded with +Infinity, which no value is above. */
export const BORDER_SLOTS = 256;

/** Largest finite float32: a threshold that every finite value is below, for splits of "present against missing". */
export const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * The job `chooseBorders`: the borders of feature `first + task` from its sample, and its limit: their number, or, where `categorical` has a 1, the
 * number of categories, negated. `sizes[task]` values of the sample are present.
 */
export function chooseBorders(shared: SharedMemory, args: readonly number[], task: number): void {
  const [sample, sampleRows, sizes, first, borders, limits, categorical] = args as [number, number, number, number, number, number, number];
  const feature = first + task;
  const values = shared.f32(sample + 4 * sampleRows * task, shared.u32(sizes, task + 1)[task]!).sort();
  const isCategorical = shared.u8(categorical, feature + 1)[feature] === 1;
  const chosen = isCategorical ? categoriesOf(values) : bordersOf(values);
  const slots = shared.f32(borders + 4 * BORDER_SLOTS * feature, BORDER_SLOTS);
  slots.fill(Infinity);
  slots.set(chosen);
  shared.i32(limits, feature + 1)[feature] = isCategorical ? -chosen.length : chosen.length;
}

/** The most frequent categories, in ascending order; of equally frequent ones the smaller. */
function categoriesOf(sorted: Float32Array): number[] {
  const found: { value: number; count: number }[] = [];
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    end = runEnd(sorted, start);
    found.push({ value: sorted[start]!, count: end - start });
  }
  found.sort((a, b) => b.count - a.count || a.value - b.value);
  return found
    .slice(0, CATEGORIES_MAX)
    .map(({ value }) => value)
    .sort((a, b) => a - b);
}

/**
 * Borders between distinct values; when there are too many, so that each bin holds about the same number of rows. Midpoints, rounded to
 * float32, so that training and serving split alike.
 */
export function bordersOf(sorted: Float32Array): number[] {
  const few = hasFewValues(sorted);
  const borders: number[] = [];
  let rowsLeft = sorted.length;
  let binsLeft = VALUE_BINS_MAX;
  let inBin = 0;
  // The rows start..end have one value.
  let [start, end] = [0, runEnd(sorted, 0)];
  while (end < sorted.length && binsLeft > 1) {
    const nextEnd = runEnd(sorted, end);
    inBin += end - start;
    const target = rowsLeft / binsLeft;
    // Close the bin when it is full, or when the next value alone would overfill it by more than half.
    if (few || inBin >= target || inBin + (nextEnd - end) / 2 > target) {
      borders.push(midpoint(sorted[start]!, sorted[end]!));
      rowsLeft -= inBin;
      binsLeft -= 1;
      inBin = 0;
    }
    [start, end] = [end, nextEnd];
  }
  return borders;
}

function runEnd(sorted: Float32Array, start: number): number {
  let end = start + 1;
  while (end < sorted.length && sorted[end] === sorted[start]) end++;
  return end;
}

/** Every distinct value can have a bin. */
function hasFewValues(sorted: Float32Array): boolean {
  let distinct = 0;
  for (let start = 0; start < sorted.length && distinct <= VALUE_BINS_MAX; start = runEnd(sorted, start)) distinct++;
  return distinct <= VALUE_BINS_MAX;
}

/** A finite float32 m with low <= m < high (no float32 fits when high is the most negative one: both then share a bin). */
function midpoint(low: number, high: number): number {
  if (low === -Infinity) return -FLOAT32_MAX;
  const middle = Math.fround(low + (Math.min(high, FLOAT32_MAX) - low) / 2);
  return middle < high ? middle : low;
}

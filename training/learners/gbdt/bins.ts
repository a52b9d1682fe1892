import { seededRandom } from '../random.ts';

/** A bin is one byte: 0..254 hold values in ascending order, 255 holds the missing ones. */
export const VALUE_BINS_MAX = 255;
export const MISSING_BIN = 255;

/** Bin borders come from a sample of this many rows (as LightGBM's bin_construct_sample_cnt): borders need no more, and a full sort would dominate. */
const BORDER_SAMPLE_ROWS = 200_000;

/** Largest finite float32: a threshold that every finite value is below, for splits of "present against missing". */
export const FLOAT32_MAX = 3.4028234663852886e38;

export interface BinnedTable {
  readonly n: number;
  readonly f: number;
  /** Column-major, n bytes a feature. */
  readonly columns: readonly Uint8Array[];
  /** Per feature: ascending float32 upper borders of all value bins but the last (a row is in the first bin whose border it is <=). */
  readonly borders: readonly Float32Array[];
  /** Features with an infinite value: "present against missing" has no finite threshold there. */
  readonly hasInfinity: readonly boolean[];
}

/** Bins row-major float32 rows, NaN = missing. Borders are midpoints rounded to float32, so training and serving split alike. */
export function binTable(rows: Float32Array, n: number, f: number, seed: number): BinnedTable {
  const columns: Uint8Array[] = [];
  const borders: Float32Array[] = [];
  const hasInfinity: boolean[] = [];
  const sample = sampleRows(n, seed);
  const scratch = new Float32Array(sample.length);
  for (let feature = 0; feature < f; feature++) {
    let present = 0;
    for (const row of sample) {
      const value = rows[row * f + feature]!;
      if (!Number.isNaN(value)) scratch[present++] = value;
    }
    const border = chooseBorders(scratch.slice(0, present).sort());
    const column = new Uint8Array(n);
    let infinite = false;
    for (let row = 0; row < n; row++) {
      const value = rows[row * f + feature]!;
      column[row] = binOf(border, value);
      if (value === Infinity || value === -Infinity) infinite = true;
    }
    columns.push(column);
    borders.push(border);
    hasInfinity.push(infinite);
  }
  return { n, f, columns, borders, hasInfinity };
}

/** The bin of a float32 value: the first whose border is >= value. */
export function binOf(borders: Float32Array, value: number): number {
  if (Number.isNaN(value)) return MISSING_BIN;
  let low = 0;
  let high = borders.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= borders[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

function sampleRows(n: number, seed: number): Uint32Array {
  const sample = new Uint32Array(Math.min(n, BORDER_SAMPLE_ROWS));
  if (n <= BORDER_SAMPLE_ROWS) {
    for (let i = 0; i < n; i++) sample[i] = i;
    return sample;
  }
  // One random row of each equal stretch: spread over the whole table, no large permutation.
  const random = seededRandom(seed);
  const stretch = n / sample.length;
  for (let i = 0; i < sample.length; i++) sample[i] = Math.min(n - 1, Math.floor((i + random.next()) * stretch));
  return sample;
}

/** Borders between distinct values; when there are too many, so that each bin holds about the same number of rows. */
function chooseBorders(sorted: Float32Array): Float32Array {
  const distinct: number[] = [];
  const counts: number[] = [];
  for (const value of sorted) {
    if (distinct.length > 0 && distinct[distinct.length - 1] === value) counts[counts.length - 1]! += 1;
    else {
      distinct.push(value);
      counts.push(1);
    }
  }
  const borders: number[] = [];
  if (distinct.length <= VALUE_BINS_MAX) {
    for (let i = 0; i + 1 < distinct.length; i++) borders.push(midpoint(distinct[i]!, distinct[i + 1]!));
    return Float32Array.from(borders);
  }
  let rowsLeft = sorted.length;
  let binsLeft = VALUE_BINS_MAX;
  let inBin = 0;
  for (let i = 0; i + 1 < distinct.length && binsLeft > 1; i++) {
    inBin += counts[i]!;
    const target = rowsLeft / binsLeft;
    // Close the bin when it is full, or when the next value alone would overfill it by more than half.
    if (inBin >= target || inBin + counts[i + 1]! / 2 > target) {
      borders.push(midpoint(distinct[i]!, distinct[i + 1]!));
      rowsLeft -= inBin;
      binsLeft -= 1;
      inBin = 0;
    }
  }
  return Float32Array.from(borders);
}

/** A finite float32 m with low <= m < high (no float32 fits when high is the most negative one: both then share a bin). */
function midpoint(low: number, high: number): number {
  if (low === -Infinity) return -FLOAT32_MAX;
  const middle = Math.fround(low + (Math.min(high, FLOAT32_MAX) - low) / 2);
  return middle < high ? middle : low;
}

import { requireParam } from '../contract.ts';
import type { Random } from '../random.ts';
import { type AdamParams, type AdamStep, adamUpdate, createMoments, squaredNorm } from './adam.ts';

/** A table that would not fit one typed array is refused early; 2^31 values are 8 GB. */
const VALUES_MAX = 2 ** 31;

/**
 * A table of rows outside the graph: a step is fed the rows it needs and gives back one gradient for each row fed. Gradients of a row that was fed
 * several times are added up, and Adam moves only rows that were fed (lazy Adam): a step costs what it touches, not what the table holds.
 */
export interface Embedding {
  readonly rows: number;
  readonly width: number;
  /** Row-major rows x width. */
  readonly values: Float32Array;
  /** Copies the rows of the first `count` indices into `into`, side by side. */
  read(indices: Int32Array, count: number, into: Float32Array): void;
  /** The mean of the rows of `count` indices from `from` on, to `into` from `at` on; zeros for none. One pass: rows are not copied out first. */
  readMean(indices: Int32Array, from: number, count: number, into: Float32Array, at: number): void;
  /** Adds the gradients of the first `count` indices to what is pending. */
  add(indices: Int32Array, count: number, gradients: Float32Array): void;
  /** The way back of `readMean`: each of the `count` rows gets its share of the mean's gradient, which lies in `gradients` from `at` on. */
  addShares(indices: Int32Array, from: number, count: number, gradients: Float32Array, at: number): void;
  /** Squared length of all pending gradients. */
  pendingSquaredNorm(): number;
  /** Moves the rows with pending gradients, which are then forgotten. */
  update(scale: number, step: AdamStep, params: AdamParams): void;
}

export function createEmbedding(rows: number, width: number, random: Random, start: (random: Random) => number): Embedding {
  requireParam(rows >= 1 && width >= 1 && rows * width <= VALUES_MAX, `an embedding of ${rows} x ${width} values is empty or too large`);
  const values = new Float32Array(rows * width);
  for (let i = 0; i < values.length; i++) values[i] = start(random);
  const moments = createMoments(values.length);
  /** Place of a row among the pending ones, plus 1; 0 where it is not pending. */
  const places = new Int32Array(rows);
  let pending = new Int32Array(1024);
  let sums = new Float32Array(pending.length * width);
  const share = new Float32Array(width);
  let count = 0;

  function placeOf(row: number): number {
    const known = places[row]!;
    if (known > 0) return known - 1;
    if (count === pending.length) {
      // Never more than the table has rows, so doubling is bounded.
      pending = grown(pending, new Int32Array(2 * count));
      sums = grown(sums, new Float32Array(2 * count * width));
    }
    pending[count] = row;
    sums.fill(0, count * width, (count + 1) * width);
    places[row] = ++count;
    return count - 1;
  }

  return {
    rows,
    width,
    values,
    read(indices, length, into) {
      for (let i = 0; i < length; i++) {
        let from = indices[i]! * width;
        const to = (i + 1) * width;
        // A loop and not subarray + set: rows are short, and the views would be garbage.
        for (let at = i * width; at < to; at++) into[at] = values[from++]!;
      }
    },
    readMean(indices, from, length, into, at) {
      into.fill(0, at, at + width);
      for (let i = from; i < from + length; i++) {
        const row = indices[i]! * width;
        for (let d = 0; d < width; d++) into[at + d]! += values[row + d]!;
      }
      const scale = 1 / length;
      for (let d = at; length > 1 && d < at + width; d++) into[d]! *= scale;
    },
    add(indices, length, gradients) {
      for (let i = 0; i < length; i++) {
        let to = placeOf(indices[i]!) * width;
        const end = (i + 1) * width;
        for (let at = i * width; at < end; at++) sums[to++]! += gradients[at]!;
      }
    },
    addShares(indices, from, length, gradients, at) {
      const scale = 1 / length;
      for (let d = 0; d < width; d++) share[d] = gradients[at + d]! * scale;
      for (let i = from; i < from + length; i++) {
        const to = placeOf(indices[i]!) * width;
        for (let d = 0; d < width; d++) sums[to + d]! += share[d]!;
      }
    },
    pendingSquaredNorm: () => squaredNorm(sums, count * width),
    update(scale, step, params) {
      for (let i = 0; i < count; i++) {
        const row = pending[i]!;
        adamUpdate(values, moments, row * width, sums, i * width, width, scale, step, params);
        places[row] = 0;
      }
      count = 0;
    },
  };
}

function grown<T extends Int32Array | Float32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

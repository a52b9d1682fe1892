import type { PointRows } from '../cluster/points.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { symmetricEigen } from './jacobi.ts';
import { fitPca, type Projection, project } from './pca.ts';

export interface IcaParams {
  components: number;
  iterationsMax: number;
  /** Stops when no direction turned further: 1 - |cosine|. */
  tolerance: number;
}

export interface IcaModel extends Projection {
  /** Row-major columns x components: mixing times sources plus mean gives the rows back, where all components were kept. */
  readonly mixing: Float64Array;
  readonly iterations: number;
}

export const ICA_DEFAULTS: IcaParams = { components: 2, iterationsMax: 500, tolerance: 1e-6 };

/**
 * Independent components (FastICA, Hyvärinen 1999; all at once, log cosh): sources of unit variance in the order of how much of the rows
 * each explains, the largest entry of its mixing column positive. Throws `training_data_insufficient` as `fitPca` does, and when the
 * iteration does not settle, which Gaussian sources make it do.
 */
export function fitFastIca(rows: PointRows, given: Partial<IcaParams>, options: FitOptions): IcaModel {
  const { components: k, iterationsMax, tolerance } = { ...ICA_DEFAULTS, ...given };
  requireParam(Number.isInteger(iterationsMax) && iterationsMax >= 1, `iterationsMax must be 1 or more, not ${iterationsMax}`);
  requireParam(tolerance > 0 && tolerance < 1, `tolerance must lie in (0, 1), not ${tolerance}`);
  const white = fitPca(rows, { components: k, whiten: true }, { seed: options.seed });
  const z = project(white, rows.values);
  const random = seededRandom(options.seed);
  let turn: Float64Array = decorrelate(
    Float64Array.from({ length: k * k }, () => random.normal()),
    k,
  );
  let iterations = 0;
  for (let moved = 1; moved > tolerance; ) {
    requireData(iterations < iterationsMax, `the independent components did not settle in ${iterationsMax} iterations`);
    const next = decorrelate(contrast(z, turn, k), k);
    moved = largestTurn(next, turn, k);
    turn = next;
    iterations++;
    options.progress?.(iterations, iterationsMax);
  }
  return { ...inOrder(white, turn), iterations };
}

/** E[z g(w z)] - E[g'(w z)] w for each row w of `turn`, g = tanh. */
function contrast(z: Float64Array, turn: Float64Array, k: number): Float64Array {
  const n = z.length / k;
  const out = new Float64Array(k * k);
  const slopes = new Float64Array(k);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < k; i++) {
      let source = 0;
      for (let c = 0; c < k; c++) source += turn[i * k + c]! * z[row * k + c]!;
      const g = Math.tanh(source);
      slopes[i]! += 1 - g * g;
      for (let c = 0; c < k; c++) out[i * k + c]! += g * z[row * k + c]!;
    }
  }
  return out.map((sum, at) => (sum - slopes[Math.floor(at / k)]! * turn[at]!) / n);
}

/** (W W')^-1/2 W. */
function decorrelate(w: Float64Array, k: number): Float64Array {
  const square = new Float64Array(k * k);
  for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) for (let c = 0; c < k; c++) square[i * k + j]! += w[i * k + c]! * w[j * k + c]!;
  const { values, vectors } = symmetricEigen(square, k);
  const out = new Float64Array(k * k);
  for (let e = 0; e < k; e++) {
    const scale = 1 / Math.sqrt(Math.max(values[e]!, Number.MIN_VALUE));
    for (let c = 0; c < k; c++) {
      let along = 0;
      for (let j = 0; j < k; j++) along += vectors[e * k + j]! * w[j * k + c]!;
      for (let i = 0; i < k; i++) out[i * k + c]! += vectors[e * k + i]! * scale * along;
    }
  }
  return out;
}

function largestTurn(a: Float64Array, b: Float64Array, k: number): number {
  let most = 0;
  for (let i = 0; i < k; i++) {
    let cosine = 0;
    for (let c = 0; c < k; c++) cosine += a[i * k + c]! * b[i * k + c]!;
    most = Math.max(most, 1 - Math.abs(cosine));
  }
  return most;
}

/** Unmixing and mixing matrices, with order and signs fixed, which independence leaves open. */
function inOrder(white: ReturnType<typeof fitPca>, turn: Float64Array): Omit<IcaModel, 'iterations'> {
  const { components: k, columns, mean, explainedVariance } = white;
  const unmix = new Float64Array(k * columns);
  const mix = new Float64Array(k * columns);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < k; j++) {
      for (let c = 0; c < columns; c++) {
        const entry = white.matrix[j * columns + c]!;
        unmix[i * columns + c]! += turn[i * k + j]! * entry;
        // The whitening divided by the deviation once; undoing it multiplies twice.
        mix[i * columns + c]! += turn[i * k + j]! * entry * explainedVariance[j]!;
      }
    }
  }
  const rowOf = (matrix: Float64Array, i: number) => matrix.subarray(i * columns, (i + 1) * columns);
  const power = (i: number) => rowOf(mix, i).reduce((sum, x) => sum + x * x, 0);
  const order = Array.from({ length: k }, (_, i) => i).sort((a, b) => power(b) - power(a));
  const matrix = new Float64Array(k * columns);
  const mixing = new Float64Array(columns * k);
  order.forEach((from, to) => {
    const largest = rowOf(mix, from).reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    const sign = largest < 0 ? -1 : 1;
    for (let c = 0; c < columns; c++) {
      matrix[to * columns + c] = sign * unmix[from * columns + c]!;
      mixing[c * k + to] = sign * mix[from * columns + c]!;
    }
  });
  return { mean, matrix, components: k, columns, mixing };
}

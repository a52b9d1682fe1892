import { checkPoints, type PointRows } from '../cluster/points.ts';
import { type FitOptions, requireData, requireParam } from '../contract.ts';
import { seededRandom } from '../random.ts';
import { orthonormalRows, symmetricEigen } from './jacobi.ts';

/** A linear map of centred rows: answer = matrix (x - mean). */
export interface Projection {
  /** Length columns. */
  readonly mean: Float64Array;
  /** Row-major components x columns. */
  readonly matrix: Float64Array;
  readonly components: number;
  readonly columns: number;
}

export interface PcaParams {
  components: number;
  /** Divides each component by its standard deviation. */
  whiten: boolean;
  /** 'auto': exact up to EXACT_COLUMNS columns, randomised beyond. */
  solver: 'auto' | 'exact' | 'randomised';
  /** More directions than asked for, and rounds that sharpen them (Halko, Martinsson, Tropp 2011). */
  oversampling: number;
  powerIterations: number;
}

export interface PcaModel extends Projection {
  /** Variance (n - 1) along each component, descending. */
  readonly explainedVariance: Float64Array;
  /** Its share of the variance of all columns. */
  readonly explainedShare: Float64Array;
}

export const PCA_DEFAULTS: PcaParams = { components: 2, whiten: false, solver: 'auto', oversampling: 10, powerIterations: 5 };

/** The covariance of so many columns is decomposed in about a second. */
const EXACT_COLUMNS = 256;
const EXTRA_MAX = 1000;
/** A variance under this share of the squared mean is what subtracting the mean left of a constant. */
const ROUNDING = 1e-24;

/**
 * Principal components. Signs: the largest entry of each component is positive. Throws `training_data_insufficient` with fewer than two rows,
 * for a bad value, or when no column varies.
 */
export function fitPca(rows: PointRows, given: Partial<PcaParams>, options: FitOptions): PcaModel {
  const params = { ...PCA_DEFAULTS, ...given };
  const n = checkPoints(rows, 2);
  const { columns } = rows;
  const { components, oversampling, powerIterations } = params;
  const most = Math.min(n, columns);
  requireParam(Number.isInteger(components) && components >= 1 && components <= most, `components must be 1 to ${most}, not ${components}`);
  const fits = (value: number) => Number.isInteger(value) && value >= 0 && value <= EXTRA_MAX;
  requireParam(fits(oversampling) && fits(powerIterations), `oversampling and powerIterations must be 0 to ${EXTRA_MAX}`);
  const { centred, mean } = centre(rows);
  const total = centred.reduce((sum, x) => sum + x * x, 0) / (n - 1);
  const size = mean.reduce((sum, x) => sum + x * x, 0);
  requireData(total > ROUNDING * size, 'no column varies');
  const exact = params.solver === 'exact' || (params.solver === 'auto' && columns <= EXACT_COLUMNS);
  const found = exact ? exactDirections(centred, columns) : randomDirections(centred, columns, params, options.seed);
  options.progress?.(1, 1);
  const matrix = found.vectors.slice(0, components * columns);
  const explainedVariance = found.values.slice(0, components).map((value) => Math.max(0, value));
  for (let i = 0; i < components; i++) {
    const row = matrix.subarray(i * columns, (i + 1) * columns);
    const largest = row.reduce((best, x) => (Math.abs(x) > Math.abs(best) + 1e-12 ? x : best), 0);
    const scale = params.whiten ? 1 / Math.sqrt(explainedVariance[i]!) : 1;
    requireData(scale < Infinity, `component ${i} has no variance and cannot be whitened: ask for fewer`);
    for (let c = 0; c < columns; c++) row[c] = row[c]! * (largest < 0 ? -scale : scale);
  }
  return { mean, matrix, components, columns, explainedVariance, explainedShare: explainedVariance.map((value) => value / total) };
}

/** The projection of each row: row-major rows x components. */
export function project({ mean, matrix, components, columns }: Projection, values: ArrayLike<number>): Float64Array {
  requireParam(values.length % columns === 0, `values must hold a multiple of ${columns}, not ${values.length}`);
  const n = values.length / columns;
  const out = new Float64Array(n * components);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < components; i++) {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += matrix[i * columns + c]! * (values[row * columns + c]! - mean[c]!);
      out[row * components + i] = sum;
    }
  }
  return out;
}

function centre({ values, columns }: PointRows): { centred: Float64Array; mean: Float64Array } {
  const n = values.length / columns;
  const mean = new Float64Array(columns);
  for (let i = 0; i < values.length; i++) mean[i % columns]! += values[i]! / n;
  return { centred: Float64Array.from(values, (x, i) => x - mean[i % columns]!), mean };
}

function exactDirections(centred: Float64Array, columns: number) {
  return symmetricEigen(secondMoments(centred, columns), columns);
}

/** X'X / (n - 1). */
function secondMoments(centred: Float64Array, columns: number): Float64Array {
  const n = centred.length / columns;
  const out = new Float64Array(columns * columns);
  for (let row = 0; row < n; row++) {
    for (let i = 0, at = row * columns; i < columns; i++) {
      const x = centred[at + i]!;
      for (let j = i; j < columns; j++) out[i * columns + j]! += x * centred[at + j]!;
    }
  }
  for (let i = 0; i < columns; i++) {
    for (let j = i; j < columns; j++) out[j * columns + i] = out[i * columns + j] = out[i * columns + j]! / (n - 1);
  }
  return out;
}

/** The space of the leading directions by random projection and power iterations, then exactly inside it. */
function randomDirections(centred: Float64Array, columns: number, params: PcaParams, seed: number) {
  const n = centred.length / columns;
  const size = Math.min(n, columns, params.components + params.oversampling);
  const random = seededRandom(seed);
  let basis: Float64Array = Float64Array.from({ length: size * columns }, () => random.normal());
  for (let round = 0; round <= params.powerIterations; round++) {
    basis = applySecondMoments(centred, columns, basis);
    orthonormalRows(basis, columns);
  }
  // B = Q S Q' is small; its eigenvectors turn the basis into the components.
  const turned = applySecondMoments(centred, columns, basis);
  const small = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += basis[i * columns + c]! * turned[j * columns + c]!;
      small[i * size + j] = sum;
    }
  }
  for (let i = 0; i < size; i++)
    for (let j = 0; j < i; j++) small[i * size + j] = small[j * size + i] = (small[i * size + j]! + small[j * size + i]!) / 2;
  const { values, vectors } = symmetricEigen(small, size);
  const out = new Float64Array(size * columns);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const weight = vectors[i * size + j]!;
      for (let c = 0; c < columns; c++) out[i * columns + c]! += weight * basis[j * columns + c]!;
    }
  }
  return { values, vectors: out };
}

/** Each row r of `directions` becomes X'X r / (n - 1), row by row of X, so nothing of columns x columns is made. */
function applySecondMoments(centred: Float64Array, columns: number, directions: Float64Array): Float64Array {
  const n = centred.length / columns;
  const count = directions.length / columns;
  const out = new Float64Array(directions.length);
  for (let row = 0; row < n; row++) {
    const x = centred.subarray(row * columns, (row + 1) * columns);
    for (let i = 0; i < count; i++) {
      const at = i * columns;
      let dot = 0;
      for (let c = 0; c < columns; c++) dot += x[c]! * directions[at + c]!;
      dot /= n - 1;
      for (let c = 0; c < columns; c++) out[at + c]! += dot * x[c]!;
    }
  }
  return out;
}

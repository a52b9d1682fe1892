import { requireParam } from '../contract.ts';
import type { SparseRows } from '../sparse.ts';

/**
 * A matrix of rows x columns, seen through the two products that a linear learner needs. `outputs` weight vectors are done at once; they lie
 * column by column: weight of column j for output k is `weights[j * outputs + k]`.
 */
export interface Design {
  readonly rows: number;
  readonly columns: number;
  /** out[r * outputs + k] += sum over j of x[r, j] weights[j * outputs + k]. */
  addProduct(weights: Float64Array, outputs: number, out: Float64Array): void;
  /** out[j * outputs + k] += sum over r of x[r, j] errors[r * outputs + k]. */
  addTransposed(errors: Float64Array, outputs: number, out: Float64Array): void;
  /** The rows of these numbers, in their order. */
  take(rows: ArrayLike<number>): Design;
}

/** Row-major values, rows x columns. */
export function denseDesign(values: Float32Array, columns: number): Design {
  requireParam(columns > 0 && values.length % columns === 0, `values must hold a multiple of ${columns}, not ${values.length}`);
  const rows = values.length / columns;
  return {
    rows,
    columns,
    addProduct(weights, outputs, out) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0, at = row * columns; column < columns; column++, at++) {
          const x = values[at]!;
          for (let k = 0; k < outputs; k++) out[row * outputs + k]! += x * weights[column * outputs + k]!;
        }
      }
    },
    addTransposed(errors, outputs, out) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0, at = row * columns; column < columns; column++, at++) {
          const x = values[at]!;
          for (let k = 0; k < outputs; k++) out[column * outputs + k]! += x * errors[row * outputs + k]!;
        }
      }
    },
    take(wanted) {
      const taken = new Float32Array(wanted.length * columns);
      for (let i = 0; i < wanted.length; i++) taken.set(values.subarray(wanted[i]! * columns, (wanted[i]! + 1) * columns), i * columns);
      return denseDesign(taken, columns);
    },
  };
}

/** Rows of which most values are zero: texts, sets. */
export function sparseDesign({ indptr, indices, values }: SparseRows, columns: number): Design {
  const rows = indptr.length - 1;
  return {
    rows,
    columns,
    addProduct(weights, outputs, out) {
      for (let row = 0; row < rows; row++) {
        const to = row * outputs;
        for (let at = indptr[row]!; at < indptr[row + 1]!; at++) {
          const from = indices[at]! * outputs;
          const x = values[at]!;
          for (let k = 0; k < outputs; k++) out[to + k]! += x * weights[from + k]!;
        }
      }
    },
    addTransposed(errors, outputs, out) {
      for (let row = 0; row < rows; row++) {
        const from = row * outputs;
        for (let at = indptr[row]!; at < indptr[row + 1]!; at++) {
          const to = indices[at]! * outputs;
          const x = values[at]!;
          for (let k = 0; k < outputs; k++) out[to + k]! += x * errors[from + k]!;
        }
      }
    },
    take(wanted) {
      return sparseDesign(takeSparse({ indptr, indices, values }, wanted), columns);
    },
  };
}

/** Sparse rows of these numbers, in their order. */
export function takeSparse({ indptr, indices, values }: SparseRows, wanted: ArrayLike<number>): SparseRows {
  const ends = new Uint32Array(wanted.length + 1);
  for (let i = 0; i < wanted.length; i++) ends[i + 1] = ends[i]! + indptr[wanted[i]! + 1]! - indptr[wanted[i]!]!;
  const taken = { indptr: ends, indices: new Uint32Array(ends[wanted.length]!), values: new Float32Array(ends[wanted.length]!) };
  for (let i = 0; i < wanted.length; i++) {
    taken.indices.set(indices.subarray(indptr[wanted[i]!]!, indptr[wanted[i]! + 1]!), ends[i]!);
    taken.values.set(values.subarray(indptr[wanted[i]!]!, indptr[wanted[i]! + 1]!), ends[i]!);
  }
  return taken;
}

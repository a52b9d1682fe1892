import { requireData, requireParam } from './contract.ts';

/** Compressed sparse rows: row r holds columns `indices[indptr[r]..indptr[r + 1])`, each at most once, with `values` beside them. */
export interface SparseRows {
  /** rows + 1 ascending offsets, from 0. */
  readonly indptr: Uint32Array;
  readonly indices: Uint32Array;
  /** Finite, 0 or more. */
  readonly values: Float32Array;
}

/** Throws a RangeError where the arrays do not fit together, `training_data_insufficient` for a value that cannot be learned from or a column twice in a row. */
export function checkSparse(rows: number, columns: number, { indptr, indices, values }: SparseRows): void {
  requireParam(indptr.length === rows + 1 && indptr[0] === 0, `indptr must hold ${rows + 1} offsets from 0`);
  for (let row = 0; row < rows; row++) if (indptr[row]! > indptr[row + 1]!) throw new RangeError(`indptr falls at row ${row}`);
  requireParam(indices.length === indptr[rows] && values.length === indices.length, `there must be ${indptr[rows]} indices and values`);
  for (let at = 0; at < indices.length; at++) {
    // Tested before the text is made: there may be hundreds of millions.
    if (indices[at]! >= columns) throw new RangeError(`index ${indices[at]} is not below ${columns}`);
    if (!(values[at]! >= 0 && values[at]! < Infinity)) requireData(false, `value ${at} is ${values[at]}`);
  }
  for (let row = 0; row < rows; row++) checkOnce(row, indices.subarray(indptr[row]!, indptr[row + 1]!));
}

/** A pair that comes twice would count twice in one learner and once in another: whoever makes the rows has to add them up. Ascending rows cost no set. */
function checkOnce(row: number, columns: Uint32Array): void {
  let ascending = true;
  for (let i = 1; i < columns.length && ascending; i++) ascending = columns[i - 1]! < columns[i]!;
  if (!ascending && new Set(columns).size < columns.length) requireData(false, `row ${row} holds a column twice`);
}

/** Numbers of one table of factors or embeddings: 2 GiB of float32, about what a process may hold beside its rows. */
export const TABLE_VALUES_MAX = 2 ** 29;

/** Throws `training_data_too_large` where a table of factors would be over the limit: an id space of millions needs fewer factors or denser numbers. */
export function requireTable(rows: number, width: number, what: string): void {
  const detail = `${rows} ${what} of ${width} factors are over the limit of ${TABLE_VALUES_MAX} values: take fewer factors, or number only what was met`;
  requireData(rows * width <= TABLE_VALUES_MAX, detail, 'training_data_too_large');
}

/** The same values by column, rows ascending. */
export function transpose(rows: number, columns: number, matrix: SparseRows): SparseRows {
  const count = matrix.indices.length;
  const turned = { indptr: new Uint32Array(columns + 1), indices: new Uint32Array(count), values: new Float32Array(count) };
  transposeInto(turned, rows, columns, matrix);
  return turned;
}

/** `transpose` into arrays of the right lengths; those of `turned.indptr` hold zeros. */
export function transposeInto(turned: SparseRows, rows: number, columns: number, { indptr, indices, values }: SparseRows): void {
  for (const column of indices) turned.indptr[column + 1]! += 1;
  for (let column = 0; column < columns; column++) turned.indptr[column + 1]! += turned.indptr[column]!;
  const next = turned.indptr.slice();
  for (let row = 0; row < rows; row++) {
    for (let at = indptr[row]!; at < indptr[row + 1]!; at++) {
      const place = next[indices[at]!]!++;
      turned.indices[place] = row;
      turned.values[place] = values[at]!;
    }
  }
}

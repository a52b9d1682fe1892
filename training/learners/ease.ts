import { type FitOptions, requireData, requireParam } from './contract.ts';
import { invertSymmetric, type LowerTriangle } from './ease/inverse.ts';
import type { ItemKnnModel } from './itemKnn.ts';
import { checkSparse, type SparseRows, transpose } from './sparse.ts';
import { createTop } from './top.ts';

export interface EaseRows extends SparseRows {
  readonly users: number;
  readonly items: number;
}

export interface EaseParams {
  /** L2 regularisation of the weights. */
  lambda: number;
}

/** A user's score for item j is the sum of value_i weights[i * items + j] over the user's items i. */
export interface EaseModel {
  readonly items: number;
  /** Row-major items x items, zeros on the diagonal. */
  readonly weights: Float32Array;
}

export interface EaseOptions extends FitOptions {
  /** Threads that solve, this one included; 2 by default, one on small data. Any number gives the same weights, bit for bit. */
  readonly threads?: number;
}

export const EASE_DEFAULTS: EaseParams = { lambda: 200 };

/** The matrix takes 800 MB and its weights 400 MB; beyond, `als` or `itemKnn` does the work. */
export const EASE_ITEMS_MAX = 10_000;

/**
 * EASE^R (Steck 2019): the linear model of items by all other items that has the least squared error, in closed form:
 * B = I - P / diag(P), where P is the inverse of X'X + lambda. Throws `training_data_insufficient` without a meeting or with a bad value,
 * `training_data_too_large` beyond `EASE_ITEMS_MAX` items.
 */
export async function fitEase(rows: EaseRows, given: Partial<EaseParams>, options: EaseOptions): Promise<EaseModel> {
  const { lambda } = { ...EASE_DEFAULTS, ...given };
  requireParam(Number.isFinite(lambda) && lambda > 0, `lambda must be positive, not ${lambda}`);
  const { users, items } = rows;
  requireData(items <= EASE_ITEMS_MAX, `${items} items are over the limit of ${EASE_ITEMS_MAX}`, 'training_data_too_large');
  checkSparse(users, items, rows);
  requireData(rows.indices.length > 0, 'no user met an item');
  const fill = (lower: LowerTriangle) => fillGram(rows, lambda, lower);
  const { matrix, stride } = await invertSymmetric(items, fill, (done, total) => options.progress?.(done, total), options.threads);
  const weights = new Float32Array(items * items);
  for (let i = 0; i < items; i++) {
    for (let j = 0; j < i; j++) {
      const value = matrix[i * stride + j]!;
      weights[i * items + j] = -value / matrix[j * stride + j]!;
      weights[j * items + i] = -value / matrix[i * stride + i]!;
    }
  }
  return { items, weights };
}

/** The k largest positive weights of each item, as a table that is served like any item-to-item neighbours. */
export function easeNeighbours({ items, weights }: EaseModel, k: number): ItemKnnModel {
  requireParam(Number.isInteger(k) && k >= 1, `k must be 1 or more, not ${k}`);
  const top = createTop(Math.min(k, items));
  const indptr = new Uint32Array(items + 1);
  const lists = Array.from({ length: items }, (_, item) => {
    for (let other = 0; other < items; other++) if (weights[item * items + other]! > 0) top.offer(other, weights[item * items + other]!);
    const list = top.take();
    indptr[item + 1] = indptr[item]! + list.items.length;
    return list;
  });
  const neighbours = new Uint32Array(indptr[items]!);
  const similarities = new Float32Array(indptr[items]!);
  lists.forEach((list, item) => {
    neighbours.set(list.items, indptr[item]!);
    similarities.set(list.scores, indptr[item]!);
  });
  return { indptr, neighbours, similarities };
}

/** X'X + lambda, its lower triangle: row i sums what its users hold beside it. */
function fillGram(rows: EaseRows, lambda: number, { stride, matrix }: LowerTriangle): void {
  const { indptr, indices, values, users, items } = rows;
  const byItem = transpose(users, items, rows);
  for (let item = 0; item < items; item++) {
    for (let place = byItem.indptr[item]!; place < byItem.indptr[item + 1]!; place++) {
      const user = byItem.indices[place]!;
      const own = byItem.values[place]!;
      for (let at = indptr[user]!; at < indptr[user + 1]!; at++) {
        const other = indices[at]!;
        if (other <= item) matrix[item * stride + other]! += own * values[at]!;
      }
    }
    matrix[item * stride + item]! += lambda;
  }
}

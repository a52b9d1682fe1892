import { type FitOptions, requireData, requireParam } from './contract.ts';
import { checkSparse, type SparseRows, transpose } from './sparse.ts';

/** What users bought, a row for each user; a value is a decayed sum of purchases. */
export interface UserKnnRows extends SparseRows {
  readonly users: number;
  readonly items: number;
  /** What a user says as somebody's neighbour, usually decayed faster than what users are compared by. Absent: the same values. */
  readonly votes?: SparseRows;
}

export interface UserKnnParams {
  /** Neighbours that are asked. */
  k: number;
}

export interface UserKnnModel {
  readonly users: number;
  readonly items: number;
  readonly k: number;
  /** By item: the users who hold it, each with the root of the value over the length of the user's vector of roots. */
  readonly holders: SparseRows;
  /** By user: min(1, value). */
  readonly votes: SparseRows;
}

export const USER_KNN_DEFAULTS: UserKnnParams = { k: 300 };

const K_MAX = 100_000;

/**
 * User neighbours in the style of TIFU-kNN (Hu et al. 2020): users are alike by the cosine of the roots of their decayed sums. Nothing is
 * estimated; the model is the users by item. Throws `training_data_insufficient` without a value or with a bad one.
 */
export function fitUserKnn(rows: UserKnnRows, given: Partial<UserKnnParams>, options: FitOptions): UserKnnModel {
  const { k } = { ...USER_KNN_DEFAULTS, ...given };
  requireParam(Number.isInteger(k) && k >= 1 && k <= K_MAX, `k must be 1 to ${K_MAX}, not ${k}`);
  const { users, items } = rows;
  const said = rows.votes ?? rows;
  checkSparse(users, items, rows);
  checkSparse(users, items, said);
  requireData(rows.indices.length > 0, 'no user holds an item');
  const roots = rows.values.map(Math.sqrt);
  for (let user = 0; user < users; user++) {
    const [from, to] = [rows.indptr[user]!, rows.indptr[user + 1]!];
    let square = 0;
    for (let at = from; at < to; at++) square += rows.values[at]!;
    const length = Math.sqrt(square);
    for (let at = from; at < to; at++) roots[at] = length > 0 ? roots[at]! / length : 0;
  }
  options.progress?.(1, 1);
  return {
    users,
    items,
    k,
    holders: transpose(users, items, { ...rows, values: roots }),
    votes: { indptr: said.indptr.slice(), indices: said.indices.slice(), values: said.values.map((value) => Math.min(1, value)) },
  };
}

/** Scores every item for whoever holds what is given: the mean of the neighbours' votes, weighted by similarity. `self` is left out. */
export function userKnnScores(model: UserKnnModel, indices: ArrayLike<number>, values: ArrayLike<number>, self = -1): Float64Array {
  const { holders, votes } = model;
  const similarity = new Float64Array(model.users);
  // The length of the vector that is asked for would divide all similarities alike.
  for (let i = 0; i < indices.length; i++) {
    const item = indices[i]!;
    const root = Math.sqrt(values[i]!);
    for (let at = holders.indptr[item]!; at < holders.indptr[item + 1]!; at++) similarity[holders.indices[at]!]! += root * holders.values[at]!;
  }
  if (self >= 0) similarity[self] = 0;
  const alike: number[] = [];
  for (let user = 0; user < model.users; user++) if (similarity[user]! > 0) alike.push(user);
  alike.sort((a, b) => similarity[b]! - similarity[a]! || a - b);
  const scores = new Float64Array(model.items);
  let total = 0;
  for (const user of alike.slice(0, model.k)) {
    total += similarity[user]!;
    for (let at = votes.indptr[user]!; at < votes.indptr[user + 1]!; at++) scores[votes.indices[at]!]! += similarity[user]! * votes.values[at]!;
  }
  return total > 0 ? scores.map((score) => score / total) : scores;
}

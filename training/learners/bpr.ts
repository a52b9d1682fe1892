import { type FitOptions, requireData, requireParam } from './contract.ts';
import { type Random, seededRandom } from './random.ts';
import { checkSparse, requireTable, type SparseRows } from './sparse.ts';

/** What users met; values only say whether: 0 is not met. Items of a row ascend. */
export interface BprRows extends SparseRows {
  readonly users: number;
  readonly items: number;
}

/** Named as in the `implicit` library. */
export interface BprParams {
  factors: number;
  learningRate: number;
  regularization: number;
  /** Each draws as many pairs as there are meetings. */
  iterations: number;
}

/** A user's score for an item is the inner product of their factors plus the item's bias. */
export interface BprModel {
  /** Row-major users x factors. */
  readonly userFactors: Float32Array;
  /** Row-major items x factors. */
  readonly itemFactors: Float32Array;
  readonly itemBiases: Float32Array;
  readonly factors: number;
}

export const BPR_DEFAULTS: BprParams = { factors: 64, learningRate: 0.05, regularization: 0.01, iterations: 100 };

const FACTORS_MAX = 1024;
/** A user who met nearly all items leaves none to compare with: after so many draws the pair is passed over. */
const DRAWS_MAX = 20;

/**
 * Bayesian personalised ranking (Rendle et al. 2009): stochastic gradient steps on pairs of an item that a user met and one that the user did not,
 * drawn by chance. One thread, one order: the same seed gives the same factors. Throws `training_data_insufficient` without a meeting, with a
 * bad value, or when steps so large were taken that a factor is no number any more;
 * `training_data_too_large` where a table of factors would hold over `TABLE_VALUES_MAX` values.
 */
export function fitBpr(rows: BprRows, given: Partial<BprParams>, options: FitOptions): BprModel {
  const params = completeParams(given);
  const { users, items, indptr, indices, values } = rows;
  checkSparse(users, items, rows);
  for (let user = 0; user < users; user++) {
    for (let at = indptr[user]! + 1; at < indptr[user + 1]!; at++)
      requireParam(indices[at - 1]! < indices[at]!, `the items of user ${user} do not ascend`);
  }
  const { factors, iterations } = params;
  requireTable(users, factors, 'users');
  requireTable(items, factors, 'items');
  const random = seededRandom(options.seed);
  const userOf = new Uint32Array(indices.length);
  for (let user = 0; user < users; user++) userOf.fill(user, indptr[user]!, indptr[user + 1]!);
  const met = Uint32Array.from(indices.keys()).filter((at) => values[at]! > 0);
  requireData(met.length > 0, 'no user met an item');
  const start = (count: number) => Float32Array.from({ length: count * factors }, () => (random.next() - 0.5) / factors);
  const model: BprModel = { userFactors: start(users), itemFactors: start(items), itemBiases: new Float32Array(items), factors };
  for (let iteration = 0; iteration < iterations; iteration++) {
    for (let step = 0; step < met.length; step++) {
      const at = met[random.int(met.length)]!;
      const user = userOf[at]!;
      const other = drawOther(rows, user, random);
      if (other >= 0) stepPair(model, user, indices[at]!, other, params);
    }
    options.progress?.(iteration + 1, iterations);
  }
  const isSound = (factor: number) => Number.isFinite(factor);
  requireData(
    model.userFactors.every(isSound) && model.itemFactors.every(isSound),
    `factors overflow: a learning rate of ${params.learningRate} is too high`,
  );
  return model;
}

/** An item that the user did not meet, or -1. */
function drawOther({ items, indptr, indices, values }: BprRows, user: number, random: Random): number {
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const item = random.int(items);
    let [low, high] = [indptr[user]!, indptr[user + 1]!];
    const end = high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (indices[middle]! < item) low = middle + 1;
      else high = middle;
    }
    if (low === end || indices[low] !== item || values[low] === 0) return item;
  }
  return -1;
}

/** One gradient step: the met item above the other one. */
function stepPair({ userFactors, itemFactors, itemBiases, factors }: BprModel, user: number, met: number, other: number, params: BprParams): void {
  const { learningRate, regularization } = params;
  const [u, i, j] = [user * factors, met * factors, other * factors];
  let margin = itemBiases[met]! - itemBiases[other]!;
  for (let f = 0; f < factors; f++) margin += userFactors[u + f]! * (itemFactors[i + f]! - itemFactors[j + f]!);
  const pull = 1 / (1 + Math.exp(margin));
  for (let f = 0; f < factors; f++) {
    const [x, a, b] = [userFactors[u + f]!, itemFactors[i + f]!, itemFactors[j + f]!];
    userFactors[u + f] = x + learningRate * (pull * (a - b) - regularization * x);
    itemFactors[i + f] = a + learningRate * (pull * x - regularization * a);
    itemFactors[j + f] = b + learningRate * (-pull * x - regularization * b);
  }
  itemBiases[met]! += learningRate * (pull - regularization * itemBiases[met]!);
  itemBiases[other]! += learningRate * (-pull - regularization * itemBiases[other]!);
}

function completeParams(given: Partial<BprParams>): BprParams {
  const params = { ...BPR_DEFAULTS, ...given };
  const { factors, learningRate, regularization, iterations } = params;
  requireParam(Number.isInteger(factors) && factors >= 1 && factors <= FACTORS_MAX, `factors must be 1 to ${FACTORS_MAX}, not ${factors}`);
  requireParam(Number.isFinite(learningRate) && learningRate > 0, `learningRate must be positive, not ${learningRate}`);
  requireParam(Number.isFinite(regularization) && regularization >= 0, `regularization must be 0 or more, not ${regularization}`);
  requireParam(Number.isInteger(iterations) && iterations >= 1, `iterations must be 1 or more, not ${iterations}`);
  return params;
}

import { type AlsParams, fitAls } from '../../learners/als.ts';
import { type BprParams, fitBpr } from '../../learners/bpr.ts';
import { type EaseModel, fitEase } from '../../learners/ease.ts';
import { fitItemKnn, type ItemKnnParams } from '../../learners/itemKnn.ts';
import type { SparseRows } from '../../learners/sparse.ts';
import { fitUserKnn, userKnnScores } from '../../learners/userKnn.ts';
import { decayedSums, type Scorer, type Split } from './purchases.ts';

/** An item that fewer users hold has no weights of its own in EASE. */
const EASE_USERS_MIN = 5;
/** Beyond so many purchases of an item a user is no more of a buyer. */
const OWN_MAX = 5;
const NEIGHBOURS = 300;
const SEED = 1;

/** Weight, lambda, half-life of the profile in days. */
type EasePart = readonly [weight: number, lambda: number, halfLifeDays: number];

/** Scorers learned from one split. Fitted once for each setting. */
export interface Fits {
  readonly split: Split;
  own(halfLifeDays: number): Promise<Scorer>;
  itemKnn(params: Partial<ItemKnnParams>, counts: boolean): Promise<Scorer>;
  /** A half-life of 0: the profile is ones. */
  ease(lambda: number, halfLifeDays: number): Promise<Scorer>;
  als(params: Partial<AlsParams>, seed: number): Promise<Scorer>;
  bpr(params: Partial<BprParams>, seed: number): Promise<Scorer>;
  /** Neighbours by sums of one half-life who vote with those of another; weights of own items, of neighbours, of popularity. */
  userKnn(halfLifeDays: number, voteDays: number, weights: readonly [number, number, number], ease?: EasePart): Promise<Scorer>;
  /** Each part divided by its 99.9th percentile over items. */
  mixture(parts: {
    readonly own: readonly [weight: number, halfLifeDays: number];
    readonly ease: EasePart;
    readonly popular: number;
  }): Promise<Scorer>;
}

export function createFits(split: Split): Fits {
  const { users, items, held } = split;
  const sums = remember((halfLifeDays: number) => decayedSums(split, halfLifeDays));
  const log1p = (rows: SparseRows): SparseRows => ({ ...rows, values: rows.values.map(Math.log1p) });
  const easeModels = remember(async (lambda: number) => {
    const kept = split.buyers.map((buyers) => (buyers >= EASE_USERS_MIN ? 1 : 0));
    return { ...(await fitEase({ users, items, ...keepItems(users, held, kept) }, { lambda }, { seed: SEED })) };
  });
  const userKnnModels = remember((key: string) => {
    const [days, voteDays] = key.split(' ').map(Number);
    return fitUserKnn({ users, items, ...sums(days!), votes: sums(voteDays!) }, { k: NEIGHBOURS }, { seed: SEED });
  });

  const fits: Fits = {
    split,
    async own(halfLifeDays) {
      const rows = sums(halfLifeDays);
      return (user) => denseRow(rows, user, items);
    },
    async itemKnn(params, counts) {
      const rows = counts ? log1p(sums(Infinity)) : held;
      const model = fitItemKnn({ rows: users, items, ...rows }, { rowItemsMax: items, ...params }, { seed: SEED });
      return (user) => {
        const profile = denseRow(rows, user, items);
        return profile.map((_, item) => {
          let score = 0;
          for (let at = model.indptr[item]!; at < model.indptr[item + 1]!; at++) score += profile[model.neighbours[at]!]! * model.similarities[at]!;
          return score;
        });
      };
    },
    async ease(lambda, halfLifeDays) {
      const model = await easeModels(lambda);
      const rows = sums(halfLifeDays);
      return (user) => easeScores(model, rows, user);
    },
    async als(params, seed) {
      const model = await fitAls({ users, items, ...log1p(sums(Infinity)) }, params, { seed });
      return (user) => products(model.userFactors, user, model.itemFactors, model.factors, items);
    },
    async bpr(params, seed) {
      const model = fitBpr({ users, items, ...held }, params, { seed });
      return (user) =>
        products(model.userFactors, user, model.itemFactors, model.factors, items).map((score, item) => score + model.itemBiases[item]!);
    },
    async userKnn(halfLifeDays, voteDays, [own, neighbours, popular], ease) {
      const model = userKnnModels(`${halfLifeDays} ${voteDays}`);
      const rows = sums(halfLifeDays);
      const other = ease && (await fits.ease(ease[1], ease[2]));
      return (user) => {
        const [from, to] = [rows.indptr[user]!, rows.indptr[user + 1]!];
        const votes = userKnnScores(model, rows.indices.subarray(from, to), rows.values.subarray(from, to), user);
        const mine = denseRow(rows, user, items).map((value) => Math.min(OWN_MAX, value));
        const total = new Float64Array(items);
        addPart(total, mine, own / largest(mine));
        addPart(total, votes, neighbours / largest(votes));
        addPart(total, split.buyersRecently, popular / largest(split.buyersRecently));
        if (other) addPart(total, other(user), ease[0] / percentile(other(user)));
        return total;
      };
    },
    async mixture({ own, ease, popular }) {
      const mine = await fits.own(own[1]);
      const other = await fits.ease(ease[1], ease[2]);
      return (user) => {
        const total = new Float64Array(items);
        for (const [weight, scores] of [
          [own[0], mine(user)],
          [ease[0], other(user)],
          [popular, split.buyersRecently],
        ] as const) {
          addPart(total, scores, weight / percentile(scores));
        }
        return total;
      };
    },
  };
  return fits;
}

function remember<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const made = new Map<Key, Value>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
}

function keepItems(users: number, { indptr, indices, values }: SparseRows, kept: ArrayLike<number>): SparseRows {
  const ends = new Uint32Array(users + 1);
  const keeps = (at: number) => kept[indices[at]!] === 1;
  for (let user = 0; user < users; user++) {
    ends[user + 1] = ends[user]!;
    for (let at = indptr[user]!; at < indptr[user + 1]!; at++) if (keeps(at)) ends[user + 1]! += 1;
  }
  return { indptr: ends, indices: indices.filter((_, at) => keeps(at)), values: values.filter((_, at) => keeps(at)) };
}

function denseRow({ indptr, indices, values }: SparseRows, row: number, columns: number): Float64Array {
  const dense = new Float64Array(columns);
  for (let at = indptr[row]!; at < indptr[row + 1]!; at++) dense[indices[at]!] = values[at]!;
  return dense;
}

function easeScores({ items, weights }: EaseModel, { indptr, indices, values }: SparseRows, user: number): Float64Array {
  const scores = new Float64Array(items);
  for (let at = indptr[user]!; at < indptr[user + 1]!; at++) {
    const from = indices[at]! * items;
    const value = values[at]!;
    for (let item = 0; item < items; item++) scores[item]! += value * weights[from + item]!;
  }
  return scores;
}

function products(userFactors: Float32Array, user: number, itemFactors: Float32Array, factors: number, items: number): Float64Array {
  const scores = new Float64Array(items);
  const own = user * factors;
  for (let item = 0; item < items; item++) {
    const from = item * factors;
    let sum = 0;
    for (let f = 0; f < factors; f++) sum += userFactors[own + f]! * itemFactors[from + f]!;
    scores[item] = sum;
  }
  return scores;
}

function addPart(total: Float64Array, part: ArrayLike<number>, scale: number): void {
  for (let i = 0; i < total.length; i++) total[i]! += scale * part[i]!;
}

/** 1 where nothing is above zero, so that nothing is divided by zero. */
function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, values[i]!);
  return most > 0 ? most : 1;
}

function percentile(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  const place = 0.999 * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const value = below + (place - Math.floor(place)) * (sorted[Math.ceil(place)]! - below);
  return value > 0 ? value : 1;
}

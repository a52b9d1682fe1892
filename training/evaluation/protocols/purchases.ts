import type { SparseRows } from '../../learners/sparse.ts';
import { type Cell, openTables, readFunction } from '../../sources/duckdb.ts';

export const DAY_MS = 86_400_000;
/** Length of a recommendation list. */
export const LIST_LENGTH = 20;
/** Popularity that breaks ties is that of so many days. */
const RECENT_DAYS = 30;

/** Invoice lines of customers, in file order. */
export interface Lines {
  readonly customers: readonly number[];
  readonly invoices: readonly string[];
  readonly codes: readonly string[];
  readonly atMs: readonly number[];
}

/** One item on one invoice, once. */
interface Purchase {
  readonly user: number;
  readonly item: number;
  readonly ageDays: number;
}

/** What is known before a time, and what was bought from then on. */
export interface Split {
  /** Stock codes in byte order. */
  readonly codes: readonly string[];
  readonly users: number;
  readonly items: number;
  /** By user, then by item. */
  readonly purchases: readonly Purchase[];
  /** Distinct items that the user buys after the cut; numbers from `items` on are of items that nobody had bought before. */
  readonly bought: ReadonlyMap<number, readonly number[]>;
  /** Distinct buyers before the cut: ever, and within the last 30 days. */
  readonly buyers: Float64Array;
  readonly buyersRecently: Float64Array;
  /** Ones where a user bought an item; the frame of all `decayedSums`. */
  readonly held: SparseRows;
}

/**
 * Clean retail lines: with a customer, no cancellation, above zero in quantity and price, and with a product code. Rejects with `input_unreadable`
 * when there is no such file.
 */
export async function readLines(path: string): Promise<Lines> {
  const tables = await openTables(path);
  try {
    const sql = `SELECT customer_id, invoice_no, stock_code, epoch_ms(invoice_date) FROM ${readFunction(tables.files)}
      WHERE customer_id IS NOT NULL AND invoice_no NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0
        AND regexp_full_match(stock_code, '[0-9]{5}[A-Za-z]*')`;
    const columns: Cell[][] = [[], [], [], []];
    for await (const chunk of tables.stream(sql)) {
      chunk.forEach((cells, i) => {
        for (const cell of cells) columns[i]!.push(cell);
      });
    }
    const [customers, invoices, codes, atMs] = columns;
    return { customers: customers!.map(Number), invoices: invoices!.map(String), codes: codes!.map(String), atMs: atMs!.map(Number) };
  } finally {
    await tables.close();
  }
}

/** Users are customers with a line before `cutMs`. */
export function splitAt(lines: Lines, cutMs: number, untilMs: number): Split {
  const before: number[] = [];
  const after: number[] = [];
  lines.atMs.forEach((at, line) => {
    if (at < cutMs) before.push(line);
    else if (at < untilMs) after.push(line);
  });
  const codes = [...new Set(before.map((line) => lines.codes[line]!))].sort();
  const items = new Map(codes.map((code, item) => [code, item]));
  const customers = [...new Set(before.map((line) => lines.customers[line]!))].sort((a, b) => a - b);
  const users = new Map(customers.map((customer, user) => [customer, user]));

  const seen = new Set<string>();
  const purchases: Purchase[] = [];
  for (const line of before) {
    const key = `${lines.invoices[line]} ${lines.codes[line]}`;
    if (seen.has(key)) continue;
    seen.add(key);
    purchases.push({
      user: users.get(lines.customers[line]!)!,
      item: items.get(lines.codes[line]!)!,
      ageDays: (cutMs - lines.atMs[line]!) / DAY_MS,
    });
  }
  purchases.sort((a, b) => a.user - b.user || a.item - b.item || b.ageDays - a.ageDays);

  const unseen = new Map<string, number>();
  const bought = new Map<number, Set<number>>();
  for (const line of after) {
    const user = users.get(lines.customers[line]!);
    if (user === undefined) continue;
    const code = lines.codes[line]!;
    if (!items.has(code) && !unseen.has(code)) unseen.set(code, codes.length + unseen.size);
    const basket = bought.get(user) ?? new Set();
    bought.set(user, basket.add(items.get(code) ?? unseen.get(code)!));
  }
  const held = decayedSums({ users: users.size, purchases }, 0);
  const split = {
    codes,
    users: users.size,
    items: codes.length,
    purchases,
    bought: new Map([...bought].map(([user, basket]) => [user, [...basket]])),
  };
  return { ...split, held, buyers: buyersOf(split, Infinity), buyersRecently: buyersOf(split, RECENT_DAYS) };
}

function buyersOf({ items, purchases }: Pick<Split, 'items' | 'purchases'>, days: number): Float64Array {
  const buyers = new Float64Array(items);
  let last = -1;
  for (const { user, item, ageDays } of purchases) {
    const pair = user * items + item;
    if (pair === last || ageDays > days) continue;
    last = pair;
    buyers[item]! += 1;
  }
  return buyers;
}

/** Of each user and item the sum of 0.5 ^ (age / half-life) over its invoices. A half-life of Infinity counts invoices, 0 gives ones. */
export function decayedSums({ users, purchases }: Pick<Split, 'users' | 'purchases'>, halfLifeDays: number): SparseRows {
  const indptr = new Uint32Array(users + 1);
  const indices: number[] = [];
  const values: number[] = [];
  let [lastUser, lastItem] = [-1, -1];
  for (const { user, item, ageDays } of purchases) {
    if (user !== lastUser || item !== lastItem) {
      indices.push(item);
      values.push(0);
      indptr[user + 1]! += 1;
      [lastUser, lastItem] = [user, item];
    }
    if (halfLifeDays === 0) values[values.length - 1] = 1;
    else values[values.length - 1]! += 0.5 ** (ageDays / halfLifeDays);
  }
  for (let user = 0; user < users; user++) indptr[user + 1]! += indptr[user]!;
  return { indptr, indices: Uint32Array.from(indices), values: Float32Array.from(values) };
}

/** `any`: every item may be recommended. `new`: what the user bought before neither is recommended nor counts. */
export type Variant = 'any' | 'new';
/** A score for each item. */
export type Scorer = (user: number) => ArrayLike<number>;

export interface ListScores {
  readonly recall: number;
  readonly ndcg: number;
  readonly hitRate: number;
  readonly users: number;
}

/** Means over the users who buy something that counts. Equal scores: the more recent buyers first, then the lower code. */
export function measureLists(split: Split, scorer: Scorer, variant: Variant): ListScores {
  const { held, buyersRecently, items } = split;
  let [recall, ndcg, hitRate, users] = [0, 0, 0, 0];
  const owned = new Uint8Array(items);
  for (const [user, basket] of split.bought) {
    owned.fill(0);
    if (variant === 'new') for (let at = held.indptr[user]!; at < held.indptr[user + 1]!; at++) owned[held.indices[at]!] = 1;
    const relevant = new Set(basket.filter((item) => item >= items || owned[item] === 0));
    if (relevant.size === 0) continue;
    users++;
    const scores = scorer(user);
    const ranked: number[] = [];
    for (let item = 0; item < items; item++) if (owned[item] === 0) ranked.push(item);
    ranked.sort((a, b) => scores[b]! - scores[a]! || buyersRecently[b]! - buyersRecently[a]! || a - b);
    const most = Math.min(LIST_LENGTH, relevant.size);
    let [hits, gain, ideal] = [0, 0, 0];
    ranked.slice(0, LIST_LENGTH).forEach((item, rank) => {
      if (!relevant.has(item)) return;
      hits++;
      gain += 1 / Math.log2(rank + 2);
    });
    for (let rank = 0; rank < most; rank++) ideal += 1 / Math.log2(rank + 2);
    recall += hits / most;
    ndcg += gain / ideal;
    hitRate += hits > 0 ? 1 : 0;
  }
  return { recall: recall / users, ndcg: ndcg / users, hitRate: hitRate / users, users };
}

import type { Progress } from './learners/contract.ts';
import { type EaseModel, fitEase } from './learners/ease.ts';
import type { SparseRows } from './learners/sparse.ts';

/** An item that fewer people met has no weights of its own. */
const PEOPLE_MIN = 5;
/** Items with weights, the most met: the solution takes time with their third power, some ten seconds for so many. */
const ITEMS_MAX = 4_000;
/** Weights kept of an item, the strongest of either sign. */
const WEIGHTS_PER_ITEM = 200;
const LAMBDA = 400;

export interface ItemTable {
  readonly indptr: Uint32Array;
  readonly neighbours: Uint32Array;
  readonly similarities: Float32Array;
}

/** EASE over the most met items as a table of weights; undefined where too few items are met often enough. */
export async function linearItems(rows: SparseRows, people: number, items: number, seed: number, progress: Progress): Promise<ItemTable | undefined> {
  const met = new Uint32Array(items);
  for (const item of rows.indices) met[item]! += 1;
  const chosen = Array.from({ length: items }, (_, item) => item).filter((item) => met[item]! >= PEOPLE_MIN);
  chosen.sort((a, b) => met[b]! - met[a]! || a - b);
  const kept = chosen.slice(0, ITEMS_MAX).sort((a, b) => a - b);
  if (kept.length < 2) return undefined;
  const place = new Int32Array(items).fill(-1);
  kept.forEach((item, i) => {
    place[item] = i;
  });
  const model = await fitEase({ users: people, items: kept.length, ...only(rows, people, place) }, { lambda: LAMBDA }, { seed, progress });
  return strongest(model, kept, items);
}

function only({ indptr, indices }: SparseRows, people: number, place: Int32Array): SparseRows {
  const ends = new Uint32Array(people + 1);
  const kept: number[] = [];
  for (let person = 0; person < people; person++) {
    for (let at = indptr[person]!; at < indptr[person + 1]!; at++) if (place[indices[at]!]! >= 0) kept.push(place[indices[at]!]!);
    ends[person + 1] = kept.length;
  }
  return { indptr: ends, indices: Uint32Array.from(kept), values: new Float32Array(kept.length).fill(1) };
}

function strongest({ items: count, weights }: EaseModel, kept: readonly number[], items: number): ItemTable {
  const indptr = new Uint32Array(items + 1);
  const lists = new Map<number, number[]>();
  kept.forEach((item, i) => {
    const own = weights.subarray(i * count, (i + 1) * count);
    const order = Array.from({ length: count }, (_, other) => other).filter((other) => own[other] !== 0);
    order.sort((a, b) => Math.abs(own[b]!) - Math.abs(own[a]!) || a - b);
    lists.set(item, order.slice(0, WEIGHTS_PER_ITEM));
    indptr[item + 1] = Math.min(order.length, WEIGHTS_PER_ITEM);
  });
  for (let item = 0; item < items; item++) indptr[item + 1]! += indptr[item]!;
  const neighbours = new Uint32Array(indptr[items]!);
  const similarities = new Float32Array(indptr[items]!);
  kept.forEach((item, i) => {
    lists.get(item)!.forEach((other, rank) => {
      neighbours[indptr[item]! + rank] = kept[other]!;
      similarities[indptr[item]! + rank] = weights[i * count + other]!;
    });
  });
  return { indptr, neighbours, similarities };
}

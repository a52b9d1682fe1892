import { type FitOptions, requireData, requireParam } from './contract.ts';
import { sampleSorted, seededRandom } from './random.ts';
import { checkSparse, type SparseRows, transpose } from './sparse.ts';
import { createTop } from './top.ts';
import { BM25_DEFAULTS, type Bm25Params, type Weighting, weighRows } from './weighting.ts';

/** What lay together: a row is a basket, a session or a user. */
export interface ItemKnnRows extends SparseRows {
  readonly rows: number;
  readonly items: number;
}

export interface ItemKnnParams extends Bm25Params {
  /** How values are weighed before items are compared. */
  weighting: Weighting;
  /** Neighbours kept for each item, at most. */
  k: number;
  /** Added to the product of the norms: what few rows have in common counts less. */
  shrinkage: number;
  /** A longer row is sampled down to so many items: pairs grow with the square, and who holds thousands of items says little of any two. */
  rowItemsMax: number;
}

/** Item i has neighbours `neighbours[indptr[i]..indptr[i + 1])`, the closest first, the lower number first where equally close. */
export interface ItemKnnModel {
  readonly indptr: Uint32Array;
  readonly neighbours: Uint32Array;
  readonly similarities: Float32Array;
}

export const ITEM_KNN_DEFAULTS: ItemKnnParams = { k: 100, shrinkage: 10, rowItemsMax: 500, weighting: 'cosine', ...BM25_DEFAULTS };

/** An answer needs far fewer; more only makes the table large. */
const K_MAX = 10_000;
/** Reports about once a percent on a small catalogue, and rarely enough on a large one. */
const PROGRESS_ITEMS = 500;

/**
 * Item-to-item neighbours by cosine with shrinkage: sum of v_ri v_rj over the rows r, divided by |i| |j| + shrinkage, where the values v may be
 * weighed by TF-IDF or BM25 first (`implicit` leaves the division out for BM25, which favours what is popular). Items are done one
 * after another with one sum per item, so memory is that of the rows and the answer, never items x items.
 * Throws `training_data_insufficient` without a value or with a bad one.
 */
export function fitItemKnn(data: ItemKnnRows, given: Partial<ItemKnnParams>, options: FitOptions): ItemKnnModel {
  const params = completeParams(given);
  checkSparse(data.rows, data.items, data);
  requireData(data.indices.length > 0, 'no row holds an item');
  const weighted = weighRows(data.rows, data.items, data, params.weighting, params);
  const rows = shorten({ ...data, ...weighted }, params.rowItemsMax, options.seed);
  const { indptr, indices, values } = rows;
  const byItem = transpose(data.rows, data.items, rows);
  const norms = new Float64Array(data.items);
  for (let at = 0; at < indices.length; at++) norms[indices[at]!]! += values[at]! * values[at]!;
  for (let item = 0; item < data.items; item++) norms[item] = Math.sqrt(norms[item]!);

  const sums = new Float64Array(data.items);
  const met = new Uint32Array(data.items);
  const top = createTop(params.k);
  const ends = new Uint32Array(data.items + 1);
  // By item, those without a neighbour left out: of ten million numbers most may never have been met.
  const neighbours = new Map<number, Uint32Array>();
  const similarities = new Map<number, Float32Array>();
  for (let item = 0; item < data.items; item++) {
    let count = 0;
    for (let place = byItem.indptr[item]!; place < byItem.indptr[item + 1]!; place++) {
      const row = byItem.indices[place]!;
      const own = byItem.values[place]!;
      for (let at = indptr[row]!; at < indptr[row + 1]!; at++) {
        const other = indices[at]!;
        const common = own * values[at]!;
        // Only positive parts are added, so a sum of zero means that the item was not met yet.
        if (common <= 0) continue;
        if (sums[other] === 0) met[count++] = other;
        sums[other]! += common;
      }
    }
    for (let i = 0; i < count; i++) {
      const other = met[i]!;
      if (other !== item) top.offer(other, sums[other]! / (norms[item]! * norms[other]! + params.shrinkage));
      sums[other] = 0;
    }
    const found = top.take();
    if (found.items.length > 0) {
      neighbours.set(item, found.items);
      similarities.set(item, found.scores);
    }
    ends[item + 1] = ends[item]! + found.items.length;
    if ((item + 1) % PROGRESS_ITEMS === 0 || item + 1 === data.items) options.progress?.(item + 1, data.items);
  }
  const all = { indptr: ends, neighbours: new Uint32Array(ends[data.items]!), similarities: new Float32Array(ends[data.items]!) };
  neighbours.forEach((list, item) => {
    all.neighbours.set(list, ends[item]!);
    all.similarities.set(similarities.get(item)!, ends[item]!);
  });
  return all;
}

function shorten(data: ItemKnnRows, rowItemsMax: number, seed: number): ItemKnnRows {
  let long = false;
  for (let row = 0; row < data.rows; row++) long ||= data.indptr[row + 1]! - data.indptr[row]! > rowItemsMax;
  if (!long) return data;
  const random = seededRandom(seed);
  const indptr = new Uint32Array(data.rows + 1);
  const indices = new Uint32Array(data.indices.length);
  const values = new Float32Array(data.indices.length);
  let end = 0;
  for (let row = 0; row < data.rows; row++) {
    const from = data.indptr[row]!;
    const length = data.indptr[row + 1]! - from;
    const kept = length > rowItemsMax ? sampleSorted(random, length, rowItemsMax) : undefined;
    const count = kept ? kept.length : length;
    for (let i = 0; i < count; i++, end++) {
      indices[end] = data.indices[from + (kept ? kept[i]! : i)]!;
      values[end] = data.values[from + (kept ? kept[i]! : i)]!;
    }
    indptr[row + 1] = end;
  }
  return { rows: data.rows, items: data.items, indptr, indices: indices.subarray(0, end), values: values.subarray(0, end) };
}

function completeParams(given: Partial<ItemKnnParams>): ItemKnnParams {
  const params = { ...ITEM_KNN_DEFAULTS, ...given };
  const { k, shrinkage, rowItemsMax, weighting, k1, b } = params;
  requireParam(Number.isInteger(k) && k >= 1 && k <= K_MAX, `k must be 1 to ${K_MAX}, not ${k}`);
  requireParam(Number.isFinite(shrinkage) && shrinkage >= 0, `shrinkage must be 0 or more, not ${shrinkage}`);
  requireParam(Number.isInteger(rowItemsMax) && rowItemsMax >= 2, `rowItemsMax must be 2 or more, not ${rowItemsMax}`);
  requireParam(['cosine', 'tfidf', 'bm25'].includes(weighting), `weighting must be cosine, tfidf or bm25, not ${weighting}`);
  requireParam(Number.isFinite(k1) && k1 >= 0, `k1 must be 0 or more, not ${k1}`);
  requireParam(b >= 0 && b <= 1, `b must be 0 to 1, not ${b}`);
  return params;
}

import { createTermCounter, type Ngrams, type Terms, termCount, termsOf } from '../../../scoring/text/terms.ts';
import { Column } from '../../columns.ts';
import { requireData, requireParam } from '../contract.ts';
import type { SparseRows } from '../sparse.ts';

export interface VocabularyParams {
  /** A list of the terms met, or buckets that need no list: smaller to serve, a little less exact. */
  terms: 'vocabulary' | 'hashed';
  ngrams: Ngrams;
  /** A term (or bucket) that is used came in at least so many texts ... */
  minDf: number;
  /** ... and in at most this share of them: what is everywhere says nothing. */
  maxDf: number;
  buckets: number;
}

export const VOCABULARY_DEFAULTS: VocabularyParams = { terms: 'vocabulary', ngrams: 2, minDf: 3, maxDf: 0.9, buckets: 2 ** 18 };

/** A Map holds 2^24 entries; texts with more different terms are for buckets. */
const DISTINCT_MAX = 16_000_000;

export interface CountedTexts {
  readonly terms: Terms;
  /** How often each term came in each text. */
  readonly counts: SparseRows;
  /** Texts that each term came in; 0 for a bucket that is not used. */
  readonly documents: Uint32Array;
}

/** Chooses the terms and counts them. Throws `training_data_insufficient` where no term is left. */
export function countTexts(texts: readonly string[], params: VocabularyParams): CountedTexts {
  const { minDf, maxDf } = params;
  requireParam(Number.isInteger(minDf) && minDf >= 1, `minDf must be 1 or more, not ${minDf}`);
  requireParam(maxDf > 0 && maxDf <= 1, `maxDf must be over 0 and at most 1, not ${maxDf}`);
  requireParam(params.ngrams === 1 || params.ngrams === 2, `ngrams must be 1 or 2, not ${params.ngrams}`);
  const counted = params.terms === 'hashed' ? hashed(texts, params) : listed(texts, params);
  requireData(counted.counts.indices.length > 0, 'no text holds a term that could be learned from');
  return counted;
}

function hashed(texts: readonly string[], { ngrams, buckets, minDf, maxDf }: VocabularyParams): CountedTexts {
  const terms: Terms = { kind: 'hashed', ngrams, buckets };
  const counter = createTermCounter(terms);
  const rows = new RowsOfCounts();
  for (const text of texts) {
    const { ids, counts } = counter(text);
    rows.add(ids, counts);
  }
  const all = rows.finish();
  const isKept = keeper(texts.length, minDf, maxDf);
  const place = Int32Array.from(documentsOf(all, termCount(terms)), (count, id) => (isKept(count) ? id : -1));
  const counts = renumber(all, place);
  return { terms, counts, documents: documentsOf(counts, termCount(terms)) };
}

function keeper(texts: number, minDf: number, maxDf: number): (documents: number) => boolean {
  return (documents) => documents >= minDf && documents <= maxDf * texts;
}

/** Every term gets a number when it is first met; the numbers of those that stay are then replaced by places in the sorted list. */
function listed(texts: readonly string[], { ngrams, minDf, maxDf }: VocabularyParams): CountedTexts {
  const numbers = new Map<string, number>();
  const rows = new RowsOfCounts();
  for (const text of texts) {
    const counts = new Map<number, number>();
    for (const term of termsOf(text, ngrams)) {
      let number = numbers.get(term);
      if (number === undefined) {
        number = numbers.size;
        requireData(number < DISTINCT_MAX, `there are more than ${DISTINCT_MAX} different terms: hash them`);
        numbers.set(term, number);
      }
      counts.set(number, (counts.get(number) ?? 0) + 1);
    }
    rows.add(Uint32Array.from(counts.keys()), Float32Array.from(counts.values()));
  }
  const all = rows.finish();
  const documents = documentsOf(all, numbers.size);
  const isKept = keeper(texts.length, minDf, maxDf);
  // By code units, which every machine sorts alike.
  const terms = [...numbers].flatMap(([term, number]) => (isKept(documents[number]!) ? [term] : [])).sort();
  const place = new Int32Array(numbers.size).fill(-1);
  terms.forEach((term, id) => {
    place[numbers.get(term)!] = id;
  });
  const counts = renumber(all, place);
  return { terms: { kind: 'vocabulary', ngrams, terms }, counts, documents: documentsOf(counts, terms.length) };
}

/** Keeps the columns that have a place, ascending in each row. */
function renumber({ indptr, indices, values }: SparseRows, place: Int32Array): SparseRows {
  const rows = new RowsOfCounts();
  for (let row = 0; row + 1 < indptr.length; row++) {
    const kept: [number, number][] = [];
    for (let at = indptr[row]!; at < indptr[row + 1]!; at++) if (place[indices[at]!]! >= 0) kept.push([place[indices[at]!]!, values[at]!]);
    kept.sort(([a], [b]) => a - b);
    rows.add(
      Uint32Array.from(kept, ([id]) => id),
      Float32Array.from(kept, ([, count]) => count),
    );
  }
  return rows.finish();
}

function documentsOf({ indices }: SparseRows, terms: number): Uint32Array {
  const documents = new Uint32Array(terms);
  for (const id of indices) documents[id]! += 1;
  return documents;
}

class RowsOfCounts {
  readonly #ends = new Column((length) => new Uint32Array(length));
  readonly #ids = new Column((length) => new Uint32Array(length), 1 << 16);
  readonly #counts = new Column((length) => new Float32Array(length), 1 << 16);

  constructor() {
    this.#ends.push(0);
  }

  add(ids: Uint32Array, counts: Float32Array): void {
    this.#ids.append(ids);
    this.#counts.append(counts);
    this.#ends.push(this.#ids.length);
  }

  finish(): SparseRows {
    return { indptr: this.#ends.view().slice(), indices: this.#ids.view().slice(), values: this.#counts.view().slice() };
  }
}

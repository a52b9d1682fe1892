import type { ProfileSearch, ScoredItems } from './contract.ts';
import { keepBest } from './sessions.ts';

/** People by what they hold: person p holds `items[indptr[p]..indptr[p + 1])`, no item twice. */
export interface ProfileTable {
  /** People + 1 ascending offsets, from 0. */
  readonly indptr: Uint32Array;
  /** Numbers of items: places in `ids`. */
  readonly items: Uint32Array;
  /** How much of the item the person holds, above 0: what people are compared by. */
  readonly values: Float32Array;
  /** What the person says for the item as somebody's neighbour, 0 to 1. */
  readonly votes: Float32Array;
  /** The id of each item; no id twice. */
  readonly ids: readonly string[];
}

/** Items that a person may hold: more make neighbours of everybody, and an answer's time unbounded. */
export const PROFILE_ITEMS_MAX = 512;
/** Of each item so many holders are looked at, the last of the table: a best-seller's list would otherwise bound an answer's time. */
export const HOLDERS_PER_ITEM_MAX = 2_000;
/** Holders looked at for one answer, shared out evenly over the visitor’s items. With their votes an answer took 0.4 ms on a wholesaler’s 54 items a person. */
const HOLDERS_MAX = 40_000;
/** People a table may hold: their similarity takes 8 bytes each beside what they hold. */
export const PROFILES_MAX = 20_000_000;

/** Neighbours that are asked, as in published TIFU-kNN settings for baskets; an answer's time grows with them. */
const NEIGHBOURS = 300;

/**
 * Look-alike people in the style of TIFU-kNN (Hu et al. 2020), inverted: who holds the visitor's items is found by item, so an answer touches the
 * holders of a few items and what the k most similar hold. Similarity is the cosine of the roots of what is held. Knows no names of people.
 * Immutable but for its scratch arrays: one search runs at a time.
 */
export class ProfileIndex implements ProfileSearch {
  readonly table: ProfileTable;
  /** Item i is held by `#holders[#starts[i]..#starts[i + 1])`, each with its root over the length of the holder's vector. */
  readonly #starts: Uint32Array;
  readonly #holders: Uint32Array;
  readonly #roots: Float32Array;
  readonly #similarity: Float64Array;
  readonly #found: Uint32Array;
  readonly #scores: Float64Array;
  readonly #ever: Float64Array;
  readonly #scored: Uint32Array;

  /** Throws a RangeError where the table is not as `ProfileTable` says, or over a limit. */
  constructor(table: ProfileTable) {
    checkProfiles(table);
    this.table = table;
    const { indptr, items, values, ids } = table;
    const people = indptr.length - 1;
    const held = new Uint32Array(ids.length);
    for (const item of items) held[item]! += 1;
    this.#starts = new Uint32Array(ids.length + 1);
    for (let item = 0; item < ids.length; item++) this.#starts[item + 1] = this.#starts[item]! + Math.min(held[item]!, HOLDERS_PER_ITEM_MAX);
    this.#holders = new Uint32Array(this.#starts[ids.length]!);
    this.#roots = new Float32Array(this.#starts[ids.length]!);
    const next = this.#starts.slice(0, ids.length);
    for (let person = people - 1; person >= 0; person--) {
      let square = 0;
      for (let at = indptr[person]!; at < indptr[person + 1]!; at++) square += values[at]!;
      const length = Math.sqrt(square);
      for (let at = indptr[person]!; at < indptr[person + 1]!; at++) {
        const item = items[at]!;
        if (next[item] === this.#starts[item + 1]) continue;
        this.#holders[next[item]!] = person;
        this.#roots[next[item]!++] = Math.sqrt(values[at]!) / length;
      }
    }
    this.#similarity = new Float64Array(people);
    this.#found = new Uint32Array(people);
    this.#scores = new Float64Array(ids.length);
    this.#ever = new Float64Array(ids.length);
    this.#scored = new Uint32Array(ids.length);
  }

  get people(): number {
    return this.table.indptr.length - 1;
  }

  get ids(): readonly string[] {
    return this.table.ids;
  }

  /**
   * Scores items for whoever holds `values` of the items with `numbers`: the mean of the votes of the most similar people, weighted by similarity, and
   * of what they hold, at most 1 each; in no particular order. The visitor's own row, where the table has it, is one of them: it speaks for what they hold already.
   */
  alike(numbers: ArrayLike<number>, values: ArrayLike<number>): ScoredItems & { readonly ever: Float64Array } {
    const similarity = this.#similarity;
    const found = this.#findPeople(numbers, values);
    const kept = keepBest(this.#found, found, NEIGHBOURS, (a, b) => similarity[a]! - similarity[b]! || a - b);
    const scored = this.#countVotes(kept);
    for (let i = 0; i < found; i++) similarity[this.#found[i]!] = 0;
    const items = this.#scored.slice(0, scored);
    const scores = new Float64Array(scored);
    const ever = new Float64Array(scored);
    for (let i = 0; i < scored; i++) {
      scores[i] = this.#scores[items[i]!]!;
      ever[i] = this.#ever[items[i]!]!;
      this.#scores[items[i]!] = 0;
      this.#ever[items[i]!] = 0;
    }
    return { items, scores, ever };
  }

  /** Adds up the votes of the first `count` of `#found`; how many items got any. */
  #countVotes(count: number): number {
    const { indptr, items, values, votes } = this.table;
    const scores = this.#scores;
    const ever = this.#ever;
    let total = 0;
    for (let i = 0; i < count; i++) total += this.#similarity[this.#found[i]!]!;
    let scored = 0;
    for (let i = 0; i < count; i++) {
      const person = this.#found[i]!;
      const weight = this.#similarity[person]! / total;
      for (let at = indptr[person]!; at < indptr[person + 1]!; at++) {
        const item = items[at]!;
        if (ever[item] === 0) this.#scored[scored++] = item;
        scores[item]! += weight * votes[at]!;
        ever[item]! += weight * Math.min(1, values[at]!);
      }
    }
    return scored;
  }

  /** Similarities of everybody who holds one of the items; they are the first of `#found`, and how many is returned. */
  #findPeople(numbers: ArrayLike<number>, values: ArrayLike<number>): number {
    const similarity = this.#similarity;
    let square = 0;
    for (let i = 0; i < values.length; i++) square += values[i]!;
    const length = Math.sqrt(square);
    const each = Math.ceil(HOLDERS_MAX / numbers.length);
    let found = 0;
    for (let i = 0; i < numbers.length; i++) {
      const root = Math.sqrt(values[i]!) / length;
      if (!(root > 0)) continue;
      const from = this.#starts[numbers[i]!]!;
      const to = Math.min(this.#starts[numbers[i]! + 1]!, from + each);
      for (let at = from; at < to; at++) {
        const person = this.#holders[at]!;
        if (similarity[person] === 0) this.#found[found++] = person;
        similarity[person]! += root * this.#roots[at]!;
      }
    }
    return found;
  }
}

/** Throws a RangeError that says what is wrong. */
export function checkProfiles({ indptr, items, values, votes, ids }: ProfileTable): void {
  const people = indptr.length - 1;
  if (people < 0 || indptr[0] !== 0) throw new RangeError('the offsets must start at 0');
  if (people > PROFILES_MAX) throw new RangeError(`${people} people are over the limit of ${PROFILES_MAX}`);
  for (let person = 0; person < people; person++) {
    const held = indptr[person + 1]! - indptr[person]!;
    if (!(held >= 1 && held <= PROFILE_ITEMS_MAX)) throw new RangeError(`person ${person} holds ${held} items, not 1 to ${PROFILE_ITEMS_MAX}`);
  }
  const count = indptr[people]!;
  if (new Set(ids).size !== ids.length) throw new RangeError('an id stands twice');
  if (items.length !== count || values.length !== count || votes.length !== count) throw new RangeError(`the columns are not ${count} long`);
  for (const item of items) if (item >= ids.length) throw new RangeError(`item ${item} is not below ${ids.length}`);
  for (const value of values) if (!(value > 0 && Number.isFinite(value))) throw new RangeError('what is held must be above 0');
  for (const vote of votes) if (!(vote >= 0 && vote <= 1)) throw new RangeError('a vote must be 0 to 1');
}

import type { Neighbour, ScoredItems } from './contract.ts';

/** Past sessions, the oldest first: session s clicked `items[indptr[s]..indptr[s + 1])`, in that order, repeats included. */
export interface SessionTable {
  /** Sessions + 1 ascending offsets, from 0. */
  readonly indptr: Uint32Array;
  /** Numbers of items: places in `ids`. */
  readonly items: Uint32Array;
  /** The id of each item; no id twice. */
  readonly ids: readonly string[];
}

/** How neighbours are found and what they say. Presets: `S_KNN`, `VMIS_KNN`, `V_STAN`, `FOLLOWERS`. */
export interface SessionSearchParams {
  /** Distinct items of the running session that are looked at, the last ones. */
  readonly lastItems: number;
  /** Weight of the i-th last of n such items: 1, (n - i) / n, exp(-i / 2), or exp(-3 i). */
  readonly itemWeight: 'equal' | 'linear' | 'exponential' | 'steep';
  /** Of each item its newest sessions, so many (m). */
  readonly sessionsPerItem: number;
  /** Of all found sessions the newest, so many. */
  readonly sessionsMax: number;
  /** Divide a session's similarity by the root of its length. */
  readonly lengthNorm: boolean;
  /** Multiply it by exp(-age), where the oldest session of the table has age 1. */
  readonly recency: boolean;
  /** Of the remaining the most similar, so many (k); of equally similar ones the newest. */
  readonly k: number;
  /**
   * What a neighbour gives its items beside its similarity. `equal`: 1 to each of them. `match`: 1 - 0.1 i to each, where its latest item in common
   * is the i-th last of the running session (from 1). `distance`: exp(-d / 4) for each click, d clicks from that item. `after`: exp(-d) for each click, d clicks
   * behind the next one after that item; every click on the item counts.
   */
  readonly clickWeight: 'equal' | 'match' | 'distance' | 'after';
  /** Share of it that the latest item in common itself gets, but with `after`. Above 0 where visitors come back to what they saw; papers differ, mostly silently. */
  readonly matchShare: number;
  /** Multiply by ln(sessions / sessions with the item). */
  readonly idf: boolean;
}

/** Jannach and Ludewig 2017. */
export const S_KNN: SessionSearchParams = {
  lastItems: 50,
  itemWeight: 'equal',
  sessionsPerItem: 5_000,
  sessionsMax: 100_000,
  lengthNorm: true,
  recency: false,
  k: 100,
  clickWeight: 'equal',
  matchShare: 1,
  idf: false,
};

/** Serenade (Kersbergen, Sprangers, Schelter 2022), with the settings that its authors tuned. */
export const VMIS_KNN: SessionSearchParams = {
  lastItems: 9,
  itemWeight: 'linear',
  sessionsPerItem: 250,
  sessionsMax: 250,
  lengthNorm: false,
  recency: false,
  k: 1_500,
  clickWeight: 'match',
  matchShare: 1,
  idf: true,
};

/** After V-STAN (Ludewig, Mauro, Latifi, Jannach 2021). */
export const V_STAN: SessionSearchParams = {
  lastItems: 5,
  itemWeight: 'exponential',
  sessionsPerItem: 5_000,
  sessionsMax: 100_000,
  lengthNorm: true,
  recency: true,
  k: 2_000,
  clickWeight: 'distance',
  matchShare: 1,
  idf: true,
};

/** What came after the last item, whatever the rest of the visit was like: a Markov chain with some sight. For shops whose pages lead from item to item. */
export const FOLLOWERS: SessionSearchParams = {
  lastItems: 3,
  itemWeight: 'steep',
  sessionsPerItem: 5_000,
  sessionsMax: 100_000,
  lengthNorm: false,
  recency: false,
  k: 5_000,
  clickWeight: 'after',
  matchShare: 1,
  idf: false,
};

/** Longest session: what a visitor did 200 clicks ago says nothing, and a crawler's session would be a neighbour of all. */
export const SESSION_CLICKS_MAX = 200;
/** Of each item so many newest sessions are kept: more never helped, and a best-seller's list would otherwise bound an answer's time. */
export const SESSIONS_PER_ITEM_MAX = 5_000;
/** Sessions a table may hold: 20 bytes each beside their clicks. */
export const SESSIONS_MAX = 50_000_000;
/** A click weighs so much less for each click between. */
const CLICK_DISTANCE = 4;
/** The weight of an item halves about every 1.4 steps back. */
const STEPS_BACK = 2;
/** Where what comes next hangs on the last item: each one back weighs a twentieth of the one after it, and mostly decides where that says nothing. */
const STEEP = 3;
/** What a click gives to those that come after it, a click further on. */
const FOLLOWER_DECAY = Math.exp(-1);
/** A match so far back, or further, says nothing. */
const MATCH_STEPS = 10;

/**
 * Sessions by the items that they clicked: what others did next in sessions like the running one. An answer takes some microseconds: it touches
 * the newest sessions of a few items, and the clicks of the k best. Immutable; scratch arrays are its own, so one search runs at a time.
 */
export class SessionIndex {
  readonly table: SessionTable;
  readonly #numbers: Map<string, number>;
  /** Item i is in sessions `#postings[#starts[i]..#starts[i + 1])`, the newest first. */
  readonly #starts: Uint32Array;
  readonly #postings: Uint32Array;
  readonly #idf: Float64Array;
  readonly #lengthNorm: Float32Array;
  readonly #similarity: Float64Array;
  readonly #matched: Uint8Array;
  readonly #found: Uint32Array;
  readonly #scores: Float64Array;
  readonly #scored: Uint32Array;
  readonly #stamps: Uint32Array;
  #stamp = 0;
  readonly #query = new Uint32Array(SESSION_CLICKS_MAX);

  /** Throws a RangeError where the table is not as `SessionTable` says, or over a limit. */
  constructor(table: SessionTable) {
    checkSessions(table);
    this.table = table;
    const { indptr, items, ids } = table;
    const sessions = indptr.length - 1;
    this.#numbers = new Map(ids.map((id, number) => [id, number]));
    if (this.#numbers.size !== ids.length) throw new RangeError('an id stands twice');
    const held = new Uint32Array(ids.length);
    const latest = new Uint32Array(ids.length);
    for (let session = 0; session < sessions; session++) {
      for (let at = indptr[session]!; at < indptr[session + 1]!; at++) {
        const item = items[at]!;
        if (latest[item] === session + 1) continue;
        latest[item] = session + 1;
        held[item]! += 1;
      }
    }
    this.#idf = Float64Array.from(held, (count) => (count === 0 ? 0 : Math.log(sessions / count)));
    this.#starts = new Uint32Array(ids.length + 1);
    for (let item = 0; item < ids.length; item++) this.#starts[item + 1] = this.#starts[item]! + Math.min(held[item]!, SESSIONS_PER_ITEM_MAX);
    this.#postings = new Uint32Array(this.#starts[ids.length]!);
    const next = this.#starts.slice(0, ids.length);
    latest.fill(0);
    for (let session = sessions - 1; session >= 0; session--) {
      for (let at = indptr[session]!; at < indptr[session + 1]!; at++) {
        const item = items[at]!;
        if (latest[item] === session + 1 || next[item] === this.#starts[item + 1]) continue;
        latest[item] = session + 1;
        this.#postings[next[item]!++] = session;
      }
    }
    this.#lengthNorm = new Float32Array(sessions);
    for (let session = 0; session < sessions; session++) this.#lengthNorm[session] = 1 / Math.sqrt(indptr[session + 1]! - indptr[session]!);
    this.#similarity = new Float64Array(sessions);
    this.#matched = new Uint8Array(sessions);
    this.#found = new Uint32Array(sessions);
    this.#scores = new Float64Array(ids.length);
    this.#scored = new Uint32Array(ids.length);
    this.#stamps = new Uint32Array(ids.length);
  }

  get sessions(): number {
    return this.table.indptr.length - 1;
  }

  /** The best items after a running session, the last click last. Ids that the table has not are passed over. */
  search(clicked: readonly string[], count: number, params: SessionSearchParams): Neighbour[] {
    const numbers: number[] = [];
    for (const id of clicked) {
      const number = this.#numbers.get(id);
      if (number !== undefined) numbers.push(number);
    }
    const { items, scores } = this.searchNumbers(numbers, count, params);
    return Array.from(items, (item, i) => ({ id: this.table.ids[item]!, similarity: scores[i]! }));
  }

  /** `search` by numbers of items, which must be the table's. Items that the session clicked are ranked like all others. */
  searchNumbers(clicked: ArrayLike<number>, count: number, params: SessionSearchParams): ScoredItems {
    const length = this.#lastDistinct(clicked, Math.min(params.lastItems, SESSION_CLICKS_MAX));
    const found = this.#findSessions(length, params);
    const newest = keepBest(this.#found, found, params.sessionsMax, (a, b) => a - b);
    for (let i = newest; i < found; i++) this.#similarity[this.#found[i]!] = 0;
    this.#weighSessions(newest, params);
    const similarity = this.#similarity;
    const kept = keepBest(this.#found, newest, params.k, (a, b) => similarity[a]! - similarity[b]! || a - b);
    const scored = this.#scoreItems(kept, params);
    for (let i = 0; i < newest; i++) similarity[this.#found[i]!] = 0;
    return this.#takeBest(scored, count);
  }

  /** The last distinct items, the latest first, in `#query`; how many. */
  #lastDistinct(clicked: ArrayLike<number>, most: number): number {
    let length = 0;
    for (let at = clicked.length - 1; at >= 0 && length < most; at--) {
      const item = clicked[at]!;
      let known = false;
      for (let i = 0; i < length; i++) known ||= this.#query[i] === item;
      if (!known) this.#query[length++] = item;
    }
    return length;
  }

  #findSessions(length: number, { itemWeight, sessionsPerItem }: SessionSearchParams): number {
    let found = 0;
    for (let i = 0; i < length; i++) {
      const weight = weightOf(itemWeight, i, length);
      const from = this.#starts[this.#query[i]!]!;
      const to = Math.min(this.#starts[this.#query[i]! + 1]!, from + sessionsPerItem);
      for (let at = from; at < to; at++) {
        const session = this.#postings[at]!;
        if (this.#similarity[session] === 0) {
          this.#found[found++] = session;
          this.#matched[session] = i;
        }
        this.#similarity[session]! += weight;
      }
    }
    return found;
  }

  #weighSessions(count: number, { lengthNorm, recency }: SessionSearchParams): void {
    if (!lengthNorm && !recency) return;
    const sessions = this.sessions;
    for (let i = 0; i < count; i++) {
      const session = this.#found[i]!;
      const norm = lengthNorm ? this.#lengthNorm[session]! : 1;
      this.#similarity[session]! *= recency ? norm * Math.exp((session - sessions) / sessions) : norm;
    }
  }

  #scoreItems(neighbours: number, { clickWeight, matchShare, idf }: SessionSearchParams): number {
    const { indptr, items } = this.table;
    let scored = 0;
    for (let i = 0; i < neighbours; i++) {
      const session = this.#found[i]!;
      const from = indptr[session]!;
      const to = indptr[session + 1]!;
      const steps = this.#matched[session]! + 1;
      const weight = this.#similarity[session]! * (clickWeight === 'match' ? Math.max(0, 1 - steps / MATCH_STEPS) : 1);
      if (clickWeight === 'after') {
        scored = this.#scoreFollowers(from, to, this.#query[steps - 1]!, weight, idf, scored);
        continue;
      }
      let match = to - 1;
      while (items[match] !== this.#query[steps - 1]) match--;
      const stamp = this.#nextStamp();
      for (let at = from; at < to; at++) {
        const item = items[at]!;
        let share = at === match ? weight * matchShare : weight;
        if (share === 0) continue;
        if (clickWeight === 'distance') {
          share *= DISTANCE_WEIGHTS[Math.abs(at - match)]!;
        } else {
          if (this.#stamps[item] === stamp) continue;
          this.#stamps[item] = stamp;
        }
        if (idf) share *= this.#idf[item]!;
        scored = this.#add(item, share, scored);
      }
    }
    return scored;
  }

  /** Scores what the clicks of a session came after: `carried` is what all clicks on the matched item so far give to the one that comes now. */
  #scoreFollowers(from: number, to: number, matched: number, weight: number, idf: boolean, scoredBefore: number): number {
    const { items } = this.table;
    let scored = scoredBefore;
    let carried = 0;
    for (let at = from; at < to; at++) {
      const item = items[at]!;
      if (carried > 0) scored = this.#add(item, idf ? carried * this.#idf[item]! : carried, scored);
      carried = carried * FOLLOWER_DECAY + (item === matched ? weight : 0);
    }
    return scored;
  }

  /** Adds to an item's score; returns how many items have one. */
  #add(item: number, share: number, scored: number): number {
    if (share === 0) return scored;
    const isNew = this.#scores[item] === 0;
    if (isNew) this.#scored[scored] = item;
    this.#scores[item]! += share;
    return isNew ? scored + 1 : scored;
  }

  #nextStamp(): number {
    if (this.#stamp === 0xffffffff) {
      this.#stamps.fill(0);
      this.#stamp = 0;
    }
    return ++this.#stamp;
  }

  #takeBest(scored: number, count: number): ScoredItems {
    const scores = this.#scores;
    const better = (a: number, b: number): number => scores[a]! - scores[b]! || b - a;
    const items = this.#scored.slice(0, keepBest(this.#scored, scored, count, better)).sort((a, b) => better(b, a));
    const out = { items, scores: Float64Array.from(items, (item) => scores[item]!) };
    for (let i = 0; i < scored; i++) scores[this.#scored[i]!] = 0;
    return out;
  }
}

/** Weight of the i-th last of n items, from 0. */
function weightOf(itemWeight: SessionSearchParams['itemWeight'], i: number, n: number): number {
  if (itemWeight === 'equal') return 1;
  return itemWeight === 'linear' ? (n - i) / n : Math.exp(itemWeight === 'steep' ? -STEEP * i : -i / STEPS_BACK);
}

const DISTANCE_WEIGHTS = Float64Array.from({ length: SESSION_CLICKS_MAX }, (_, distance) => Math.exp(-distance / CLICK_DISTANCE));

/** Throws a RangeError that says what is wrong. */
export function checkSessions({ indptr, items, ids }: SessionTable): void {
  const sessions = indptr.length - 1;
  if (sessions < 0 || indptr[0] !== 0) throw new RangeError('the offsets must start at 0');
  if (sessions > SESSIONS_MAX) throw new RangeError(`${sessions} sessions are over the limit of ${SESSIONS_MAX}`);
  for (let session = 0; session < sessions; session++) {
    const clicks = indptr[session + 1]! - indptr[session]!;
    if (!(clicks >= 1 && clicks <= SESSION_CLICKS_MAX))
      throw new RangeError(`session ${session} has ${clicks} clicks, not 1 to ${SESSION_CLICKS_MAX}`);
  }
  if (items.length !== indptr[sessions]) throw new RangeError(`there are ${items.length} clicks, the offsets say ${indptr[sessions]}`);
  for (const item of items) if (item >= ids.length) throw new RangeError(`item ${item} is not below ${ids.length}`);
}

/**
 * Moves the `most` best of the first `length` values to the front, in any order, and answers how many those are: Hoare's quickselect, in
 * expected linear time. `compare` is above 0 where its first argument is better; no two values may be equal.
 */
export function keepBest(values: Uint32Array, length: number, most: number, compare: (a: number, b: number) => number): number {
  if (length <= most) return length;
  let [low, high] = [0, length - 1];
  while (low < high) {
    const pivot = values[(low + high) >>> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (compare(values[i]!, pivot) > 0) i++;
      while (compare(pivot, values[j]!) > 0) j--;
      if (i > j) break;
      const swapped = values[i]!;
      values[i++] = values[j]!;
      values[j--] = swapped;
    }
    if (most - 1 <= j) high = j;
    else if (most - 1 >= i) low = i;
    else break;
  }
  return most;
}

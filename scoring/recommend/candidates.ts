import type { Item } from '../../contracts/item.ts';
import { CANDIDATE_SOURCES, type CandidateSource } from '../../contracts/recommend.ts';
import type { VectorIndex } from '../../index/contract.ts';
import type { EntityState, FeatureEngine, HistoryEntry } from '../features/contract.ts';
import type { Catalogue } from './catalogue.ts';
import { historyWeights, type RetrievalModels } from './retrieval.ts';
import type { Trending } from './trending.ts';
import { isFew, nearestWithin, newestWithin, popularWithin } from './within.ts';

const DAY_MS = 86_400_000;
/** Item-to-item starts from the newest acts of the session first; older ones of the user fill up. More seeds add time and little recall. */
const SEEDS_MAX = 12;
/** Each step back in the session counts this much of the one after it. */
const SEED_DECAY = 0.8;
/** The item on the page says more about what the visitor wants now than anything before. */
const CONTEXT_ITEM_WEIGHT = 1.5;
/** Neighbours read per seed. */
const NEIGHBOURS_PER_SEED_MAX = 60;
/** A repurchase becomes half as likely after this many days without one; only the order of own items hangs on it. */
const BUY_AGAIN_HALF_LIFE_DAYS = 120;

/** How many candidates each source may give. 0 switches a source off. */
export type SourceCaps = Readonly<Record<Exclude<CandidateSource, 'fallback'>, number>>;

export interface CandidateRequest {
  readonly nowMs: number;
  readonly user: EntityState | undefined;
  readonly session: EntityState | undefined;
  /** The item on the page. */
  readonly itemId?: string | undefined;
  readonly caps: SourceCaps;
  /** Candidates in all. The sources are cut in their order, but for new items, which come first and take at most half. */
  readonly candidatesMax: number;
  /** Which items may be shown: sellable, not excluded, not suppressed. */
  readonly allow: (itemId: string) => boolean;
  /** Where `allow` takes none but these. When they are few, the sources go through them instead of the whole catalogue. */
  readonly within?: ReadonlySet<string> | undefined;
}

export interface CandidateDeps {
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly models: RetrievalModels;
}

/** One candidate with what its sources said. */
export interface CandidateItem {
  readonly id: string;
  /** Bits by position in CANDIDATE_SOURCES. */
  sources: number;
  /** The session or history item that points here most strongly, for the reason. */
  seed: string | undefined;
  /** Similarity to the user's vector; NaN without one. */
  userVector: number;
  itemToItem: number;
  popular: number;
  /** Own purchases: how many, and days since the last; NaN when never bought. */
  ownCount: number;
  ownDays: number;
  /** Rank-free decayed strength of the wish to buy again, 0..; 0 when never bought. */
  buyAgain: number;
}

export interface CandidateSet {
  readonly items: CandidateItem[];
  /** Sources that should have answered but had no model or failed. */
  readonly missing: readonly CandidateSource[];
}

const BIT = Object.fromEntries(CANDIDATE_SOURCES.map((source, i) => [source, 1 << i])) as Readonly<Record<CandidateSource, number>>;

/** The names of the set bits. */
export function sourceNames(bits: number): CandidateSource[] {
  return CANDIDATE_SOURCES.filter((source) => (bits & BIT[source]) !== 0);
}

/** What a candidate hands to the feature engine as context, by key. */
const CONTEXT: Readonly<Record<string, (item: CandidateItem) => number>> = {
  user_vector: (item) => item.userVector,
  item_to_item: (item) => item.itemToItem,
  popular: (item) => item.popular,
  buy_again: (item) => item.buyAgain,
  own_count: (item) => item.ownCount,
  own_days: (item) => item.ownDays,
};

/** Compiles the context keys of a feature set into a row reader. Throws on a key that no source gives. */
export function contextReader(keys: readonly string[]): (item: CandidateItem) => readonly number[] {
  const readers = keys.map((key) => {
    const reader = CONTEXT[key];
    if (!reader) throw new Error(`no candidate source gives the context value ${key}`);
    return reader;
  });
  return (item) => {
    // Not a typed array: making one costs more than the handful of numbers in it.
    const row: number[] = [];
    for (let i = 0; i < readers.length; i++) row.push(readers[i]!(item));
    return row;
  };
}

/**
 * Gathers candidates from every source and scores each candidate by every source, so that the ranker sees the same columns whichever source found
 * it. Used by the gateway and, at past times, by the trainer: the rows that the ranker learns from are the rows that it will see.
 */
export async function gatherCandidates(deps: CandidateDeps, request: CandidateRequest): Promise<CandidateSet> {
  const { engine, catalogue, trending, models } = deps;
  const { nowMs, caps, allow } = request;
  const interactions = engine.history(request.user, 'interactions');
  const purchases = engine.history(request.user, 'purchases');
  const sessionActs = engine.history(request.session, 'interactions');
  const pool = new Map<string, CandidateItem>();
  const missing: CandidateSource[] = [];

  const within = request.within && isFew(request.within, catalogue) ? [...request.within].filter(allow) : undefined;

  const add = (id: string, source: CandidateSource): void => {
    const known = pool.get(id);
    if (known) known.sources |= BIT[source];
    else if (pool.size < request.candidatesMax) pool.set(id, newCandidate(id, BIT[source]));
  };
  const take = (ids: Iterable<string>, source: CandidateSource, count: number): number => {
    let taken = 0;
    for (const id of ids) {
      if (taken >= count) break;
      if (!allow(id) || ((pool.get(id)?.sources ?? 0) & BIT[source]) !== 0) continue;
      add(id, source);
      taken++;
    }
    return taken;
  };

  // ---- new, first of all: the other sources can fill every place, and nobody would ever see a new item
  const places = Math.min(caps.new, Math.ceil(request.candidatesMax / 2));
  if (places > 0) take(within ? newestWithin(within, places, catalogue) : idsOf(catalogue.newest()), 'new', places);

  // ---- item to item
  const related = relate(models, seedsOf(request.itemId, sessionActs, interactions, purchases));
  if (caps.item_to_item > 0) {
    if (!models.neighbours) missing.push('item_to_item');
    const best = [...related].filter(([id]) => id !== request.itemId && allow(id));
    best.sort((a, b) => b[1].score - a[1].score || (a[0] < b[0] ? -1 : 1));
    for (let i = 0; i < best.length && i < caps.item_to_item; i++) add(best[i]![0], 'item_to_item');
  }

  // ---- user vector
  const nearest = (index: VectorIndex, user: Float32Array): string[] =>
    within ? nearestWithin(within, caps.user_vector, index, user) : index.search(user, caps.user_vector, { filter: allow }).map(({ id }) => id);
  const weights = historyWeights(interactions, sessionActs, purchases);
  let userVector: Float32Array | undefined;
  if (!models.userTower || !models.itemIndex) {
    if (caps.user_vector > 0) missing.push('user_vector');
  } else if (weights.size > 0) {
    try {
      userVector = await models.userTower.fold(weights);
      if (userVector && caps.user_vector > 0) for (const id of nearest(models.itemIndex, userVector)) add(id, 'user_vector');
    } catch {
      // The other sources answer; the caller counts the missing one.
      userVector = undefined;
      missing.push('user_vector');
    }
  }

  // ---- own purchases
  const own = new Map<string, HistoryEntry>();
  for (const entry of purchases) own.set(entry.item_id, entry);
  if (caps.buy_again > 0) {
    const again = purchases.filter((entry) => allow(entry.item_id));
    again.sort((a, b) => buyAgainScore(b, nowMs) - buyAgainScore(a, nowMs) || (a.item_id < b.item_id ? -1 : 1));
    for (let i = 0; i < again.length && i < caps.buy_again; i++) add(again[i]!.item_id, 'buy_again');
  }

  // ---- popular: live demand first, the trained table behind it, so that a fresh gateway and a quiet one both have an answer
  // Asked for even where the source is off: the ranker sees the score of each candidate.
  const trendingIds = trending.top(nowMs);
  if (caps.popular > 0) {
    if (within) take(popularWithin(within, caps.popular, trending, models.popularity), 'popular', caps.popular);
    else {
      const taken = take(trendingIds, 'popular', caps.popular);
      take(models.popularity?.ids ?? [], 'popular', caps.popular - taken);
    }
  }

  const items = [...pool.values()];
  const matches =
    userVector &&
    models.itemIndex?.similarities(
      userVector,
      items.map((item) => item.id),
    );
  for (const [i, item] of items.entries()) {
    const relation = related.get(item.id);
    if (relation) {
      item.itemToItem = relation.score;
      item.seed = relation.seed;
    }
    if (matches) item.userVector = matches[i]!;
    item.popular = Math.max(trending.score(item.id), models.popularity?.score(item.id) ?? 0);
    const bought = own.get(item.id);
    if (bought) {
      item.ownCount = bought.count;
      item.ownDays = Math.max(0, nowMs - bought.lastMs) / DAY_MS;
      item.buyAgain = buyAgainScore(bought, nowMs);
    }
  }
  return { items, missing };
}

function newCandidate(id: string, sources: number): CandidateItem {
  return { id, sources, seed: undefined, userVector: Number.NaN, itemToItem: 0, popular: 0, ownCount: Number.NaN, ownDays: Number.NaN, buyAgain: 0 };
}

function seedsOf(
  contextItem: string | undefined,
  session: readonly HistoryEntry[],
  interactions: readonly HistoryEntry[],
  purchases: readonly HistoryEntry[],
): Map<string, number> {
  const seeds = new Map<string, number>();
  if (contextItem !== undefined) seeds.set(contextItem, CONTEXT_ITEM_WEIGHT);
  let weight = 1;
  for (const history of [session, interactions, purchases]) {
    for (const { item_id } of history) {
      if (seeds.size >= SEEDS_MAX) return seeds;
      if (!seeds.has(item_id)) {
        seeds.set(item_id, weight);
        weight *= SEED_DECAY;
      }
    }
  }
  return seeds;
}

interface Relation {
  score: number;
  seed: string;
  strongest: number;
}

function relate(models: RetrievalModels, seeds: ReadonlyMap<string, number>): Map<string, Relation> {
  const related = new Map<string, Relation>();
  const table = models.neighbours;
  if (!table) return related;
  for (const [seed, weight] of seeds) {
    table.each(seed, NEIGHBOURS_PER_SEED_MAX, (id, similarity) => {
      const push = weight * similarity;
      const relation = related.get(id);
      if (!relation) {
        related.set(id, { score: push, seed, strongest: push });
        return;
      }
      relation.score += push;
      if (push > relation.strongest) {
        relation.strongest = push;
        relation.seed = seed;
      }
    });
  }
  return related;
}

function buyAgainScore(entry: HistoryEntry, nowMs: number): number {
  const days = Math.max(0, nowMs - entry.lastMs) / DAY_MS;
  return entry.count * 2 ** (-days / BUY_AGAIN_HALF_LIFE_DAYS);
}

/** Ids one by one: a list of all would be as long as the catalogue. */
export function* idsOf(items: Iterable<Item>): Generator<string> {
  for (const { item_id } of items) yield item_id;
}

import type { ProfileTable } from '../index/profiles.ts';
import { type ContentModel, contentTokens, contentVector } from '../scoring/recommend/content-vector.ts';
import type { ItemFoldInModel } from '../scoring/recommend/item-fold-in-model.ts';
import { historyWeight } from '../scoring/recommend/retrieval.ts';
import { type Acts, BOUGHT, type ShopLog } from './collect.ts';
import { type AlsModel, type AlsParams, fitAls, gram } from './learners/als.ts';
import { fitContentMap } from './learners/contentMap.ts';
import type { Progress } from './learners/contract.ts';
import { fitItemKnn, type ItemKnnParams } from './learners/itemKnn.ts';
import type { SparseRows } from './learners/sparse.ts';
import { type ItemTable, linearItems } from './linear-items.ts';
import { profileTable } from './profiles.ts';
import { type LearnedSessions, learnSessions, SESSION_DEFAULTS, type SessionParams } from './session-models.ts';

export interface RetrievalParams {
  readonly als: Partial<AlsParams>;
  readonly knn: Partial<ItemKnnParams>;
  /** Days after which an act says half as much about what is popular. */
  readonly popularityHalfLifeDays: number;
  readonly sessions: SessionParams;
}

export const RETRIEVAL_DEFAULTS: RetrievalParams = {
  als: { factors: 64, regularization: 5, alpha: 1, iterations: 12 },
  knn: { k: 100, shrinkage: 10 },
  popularityHalfLifeDays: 14,
  sessions: SESSION_DEFAULTS,
};

const DAY_MS = 86_400_000;
/** What each grade of act says about demand, as live popularity weighs it (scoring/recommend/trending.ts). */
const DEMAND = [0, 1, 3, 6] as const;
/** How much a visit says that two items go together, by the strongest act on each. */
const TOGETHER = [0, 1, 2, 3] as const;
/** Below this share of acts within sessions, a user's whole history is the basket: a wholesaler sends invoices, not clicks. */
const SESSION_SHARE_MIN = 0.5;
/** Anonymous visits are people only where more than this share of the acts is theirs. */
const ANONYMOUS_SHARE_MIN = 0.5;

/** What retrieval learned from everything before a time: plain data and typed arrays. */
export interface LearnedRetrieval extends LearnedSessions {
  readonly untilMs: number;
  /** Items with at least one act, in the order of `itemFactors` and of `neighbours`. */
  readonly itemIds: readonly string[];
  readonly itemFactors: Float32Array;
  /** Users in the order of the first rows of `userFactors`; anonymous visits, which come behind them, have no name. */
  readonly userIds: readonly string[];
  readonly userFactors: Float32Array;
  readonly factors: number;
  readonly regularization: number;
  readonly alpha: number;
  readonly itemFoldIn: ItemFoldInModel;
  readonly neighbours: { readonly indptr: Uint32Array; readonly neighbours: Uint32Array; readonly similarities: Float32Array };
  readonly profiles: ProfileTable;
  /** Absent where too few items are met often enough. */
  readonly linear?: ItemTable;
  /** The most popular first; scores scaled so that the first is 1. */
  readonly popularity: { readonly ids: readonly string[]; readonly scores: Float32Array };
}

/**
 * Fits factors, neighbours and popularity on acts before `untilMs`; null when there are none. `content` gives the items' vectors by what they are. What
 * takes longest goes on from what was learned `earlier`.
 */
export async function learnRetrieval(
  log: ShopLog,
  untilMs: number,
  params: RetrievalParams,
  content: ContentModel | undefined,
  seed: number,
  progress: (label: string) => Progress,
  earlier?: LearnedRetrieval,
): Promise<LearnedRetrieval | null> {
  const { acts } = log;
  const known = knownItems(acts, log.items.size, untilMs);
  if (known.ids.length === 0) return null;
  const itemIds = known.ids.map((item) => log.items.name(item));

  const people = rowsOfPeople(log, untilMs);
  const preferences = countMatrix(acts, untilMs, people.rowOf, people.count, known, (looks, buys) => historyWeight(looks, buys));
  const als = await fitAls({ ...preferences, users: people.count, items: itemIds.length }, params.als, { seed, progress: progress('factors') });
  const { regularization = RETRIEVAL_DEFAULTS.als.regularization!, alpha = 1 } = params.als;

  const itemFoldIn: ItemFoldInModel = {
    factors: als.factors,
    regularization,
    alpha,
    acts: acts.atMs.reduce((count, atMs) => count + (atMs < untilMs ? 1 : 0), 0),
    userGram: gram(als.userFactors, als.factors),
    ...mapOf(log, content, itemIds, als, seed),
  };

  const bySession = isBySession(log, untilMs);
  const baskets = bySession ? { count: log.visits.length, rowOf: (act: number) => acts.visit[act]! } : people;
  const together = countMatrix(acts, untilMs, baskets.rowOf, baskets.count, known, (_looks, _buys, grade) => TOGETHER[grade]!);
  const neighbours = await fitItemKnn({ ...together, rows: baskets.count, items: itemIds.length }, params.knn, {
    seed,
    progress: progress('neighbours'),
  });
  const profiles = profileTable(log, untilMs, people, { position: known.position, ids: itemIds });
  const linear = await linearItems(together, baskets.count, itemIds.length, seed, progress('linear'));
  const sessions = await learnSessions(log, untilMs, params.sessions, seed, progress, earlier);
  const popularity = decayedPopularity(log, untilMs, params.popularityHalfLifeDays);

  return {
    untilMs,
    itemIds,
    itemFactors: als.itemFactors,
    userIds: people.userRows.map((row) => log.users.name(row)),
    userFactors: als.userFactors,
    factors: als.factors,
    regularization,
    alpha,
    itemFoldIn,
    neighbours,
    profiles,
    ...(linear && { linear }),
    ...sessions,
    popularity,
  };
}

/** What the content of items says about their factors; nothing where that is nothing. */
function mapOf(
  { catalogue }: ShopLog,
  content: ContentModel | undefined,
  itemIds: readonly string[],
  { itemFactors, factors }: AlsModel,
  seed: number,
): Pick<ItemFoldInModel, 'contentMap'> {
  if (!content) return {};
  const vectors = itemIds.map((id) => {
    const item = catalogue.get(id);
    const tokens = item && contentTokens(item);
    return tokens && tokens.size > 0 ? contentVector(content, tokens) : undefined;
  });
  const contentMap = fitContentMap({ vectors, dimensions: content.dimensions, factors: itemFactors, width: factors }, { seed });
  return contentMap ? { contentMap } : {};
}

interface KnownItems {
  /** Items of the log that have an act, ascending. */
  readonly ids: readonly number[];
  /** Position in `ids` of each item of the log; only meaningful for known ones. */
  readonly position: Uint32Array;
}

function knownItems(acts: Acts, items: number, untilMs: number): KnownItems {
  const seen = new Uint8Array(items);
  for (let act = 0; act < acts.length; act++) if (acts.atMs[act]! < untilMs) seen[acts.item[act]!] = 1;
  const position = new Uint32Array(items);
  const ids: number[] = [];
  for (let item = 0; item < items; item++) if (seen[item] === 1) position[item] = ids.push(item) - 1;
  return { ids, position };
}

/**
 * A row for each user with an act. Where most acts are nobody's, each anonymous visit is a person of its own as well; where they are few, they
 * would make most of the rows and add next to nothing.
 */
function rowsOfPeople({ acts, users, visits }: ShopLog, untilMs: number) {
  const rowOfUser = new Int32Array(users.size).fill(-1);
  const rowOfVisit = new Int32Array(visits.length).fill(-1);
  const userRows: number[] = [];
  let [anonymous, all] = [0, 0];
  for (let act = 0; act < acts.length; act++) {
    if (acts.atMs[act]! >= untilMs) continue;
    all++;
    const user = acts.user[act]!;
    if (user < 0) anonymous++;
    else if (rowOfUser[user]! < 0) rowOfUser[user] = userRows.push(user) - 1;
  }
  let count = userRows.length;
  for (let act = 0; act < acts.length && anonymous / all > ANONYMOUS_SHARE_MIN; act++) {
    if (acts.user[act]! < 0 && acts.atMs[act]! < untilMs && rowOfVisit[acts.visit[act]!]! < 0) rowOfVisit[acts.visit[act]!] = count++;
  }
  return {
    count,
    /** Users in the order of their rows, which come first. */
    userRows,
    /** -1 for an act of nobody who counts. */
    rowOf: (act: number) => (acts.user[act]! < 0 ? rowOfVisit[acts.visit[act]!]! : rowOfUser[acts.user[act]!]!),
  };
}

function isBySession({ acts, visits }: ShopLog, untilMs: number): boolean {
  let [inSession, all] = [0, 0];
  for (let act = 0; act < acts.length; act++) {
    if (acts.atMs[act]! >= untilMs) continue;
    all++;
    if (visits[acts.visit[act]!] !== undefined) inSession++;
  }
  return all > 0 && inSession / all >= SESSION_SHARE_MIN;
}

/** One value for each (row, item) that met, items ascending within a row. */
function countMatrix(
  acts: Acts,
  untilMs: number,
  rowOf: (act: number) => number,
  rows: number,
  known: KnownItems,
  value: (looks: number, buys: number, strongest: number) => number,
): SparseRows {
  const starts = new Uint32Array(rows + 1);
  const counts = (act: number): boolean => acts.atMs[act]! < untilMs && rowOf(act) >= 0;
  for (let act = 0; act < acts.length; act++) if (counts(act)) starts[rowOf(act) + 1]! += 1;
  for (let row = 0; row < rows; row++) starts[row + 1]! += starts[row]!;
  const next = starts.slice();
  const byRow = new Uint32Array(starts[rows]!);
  for (let act = 0; act < acts.length; act++) if (counts(act)) byRow[next[rowOf(act)]!++] = act;

  const indptr = new Uint32Array(rows + 1);
  const indices = new Uint32Array(byRow.length);
  const values = new Float32Array(byRow.length);
  const looks = new Uint32Array(known.ids.length);
  const buys = new Uint32Array(known.ids.length);
  const strongest = new Uint8Array(known.ids.length);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const met: number[] = [];
    for (let place = starts[row]!; place < starts[row + 1]!; place++) {
      const act = byRow[place]!;
      const item = known.position[acts.item[act]!]!;
      if (looks[item] === 0) met.push(item);
      looks[item]! += 1;
      const grade = acts.grade[act]!;
      if (grade === BOUGHT) buys[item]! += 1;
      if (grade > strongest[item]!) strongest[item] = grade;
    }
    met.sort((a, b) => a - b);
    for (const item of met) {
      indices[at] = item;
      values[at++] = value(looks[item]!, buys[item]!, strongest[item]!);
      looks[item] = 0;
      buys[item] = 0;
      strongest[item] = 0;
    }
    indptr[row + 1] = at;
  }
  return { indptr, indices: indices.slice(0, at), values: values.slice(0, at) };
}

function decayedPopularity(log: ShopLog, untilMs: number, halfLifeDays: number): LearnedRetrieval['popularity'] {
  const { acts, items } = log;
  const sums = new Float64Array(items.size);
  for (let act = 0; act < acts.length; act++) {
    const ageMs = untilMs - acts.atMs[act]!;
    if (ageMs > 0) sums[acts.item[act]!]! += DEMAND[acts.grade[act]!]! * 2 ** (-ageMs / (halfLifeDays * DAY_MS));
  }
  const ranked = Array.from({ length: items.size }, (_, item) => item).filter((item) => sums[item]! > 0);
  ranked.sort((a, b) => sums[b]! - sums[a]! || (items.name(a) < items.name(b) ? -1 : 1));
  const best = sums[ranked[0]!] ?? 1;
  return { ids: ranked.map((item) => items.name(item)), scores: Float32Array.from(ranked, (item) => sums[item]! / best) };
}

import type { ExplorationLog } from '../../contracts/exploration.ts';
import type { RecommendedItem, RecommendRequest } from '../../contracts/recommend.ts';
import type { EntityRef, Store } from '../../store/contract.ts';
import { inTime } from '../deadline.ts';
import type { Candidate, EntityState, FeatureEngine } from '../features/contract.ts';
import { type CandidateItem, type CandidateSet, contextReader, gatherCandidates, idsOf, sourceNames } from './candidates.ts';
import type { Catalogue } from './catalogue.ts';
import type { ClickCounts } from './explore/click-counts.ts';
import { chooseSlate, type RankedCandidates, type Slate, type SlateRequest } from './explore/slate.ts';
import type { Placement } from './placements.ts';
import type { RetrievalModels } from './retrieval.ts';
import type { Trending } from './trending.ts';
import { isFew, newestWithin, popularWithin } from './within.ts';

const DAY_MS = 86_400_000;
export const RANK_SET = 'rank';

/** Scores rows of the `rank` feature set: `rows` is n x features, the answer has n scores. */
export interface Ranker {
  rank(rows: Float32Array, n: number): Promise<Float32Array>;
}

export interface RecommendModels extends RetrievalModels {
  readonly ranker?: Ranker | undefined;
}

export interface RecommendDeps {
  readonly store: Pick<Store<EntityState>, 'states'>;
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  readonly clicks: Pick<ClickCounts, 'belief'>;
  readonly candidatesMax: number;
  /** Called with each stage's milliseconds. */
  readonly onStage: (stage: RecommendStage, ms: number) => void;
  readonly now: () => number;
}

export const RECOMMEND_STAGES = ['state', 'candidates', 'features', 'rank', 'select'] as const;
export type RecommendStage = (typeof RECOMMEND_STAGES)[number];

export interface Recommendation {
  readonly items: RecommendedItem[];
  /** Why the answer is not what it could be; empty for a whole one. */
  readonly degradedBy: readonly string[];
  /** How what was tried out was chosen; undefined where nothing was left to chance. */
  readonly exploration: ExplorationLog | undefined;
}

/** Compiles the parts that hang on the feature set once; the function it returns answers requests. */
export function createRecommender(deps: RecommendDeps) {
  const { engine, catalogue, store, onStage, now } = deps;
  const context = contextReader(engine.contextKeys(RANK_SET));
  const width = engine.names(RANK_SET).length;

  /**
   * Answers one request at `nowMs`. `deadline` (of `now`) is when ranking has to have begun: past it the blend of source scores stands in.
   * Never empty while any item may be sold. `recommendationId` is the seed of what is left to chance.
   */
  return async function recommend(
    request: RecommendRequest,
    placement: Placement,
    models: RecommendModels | undefined,
    nowMs: number,
    deadline: number,
    recommendationId: string,
  ): Promise<Recommendation> {
    const degradedBy: string[] = [];
    if (!models) degradedBy.push('bundle_missing');
    let t = now();
    const lap = (stage: RecommendStage): void => {
      const at = now();
      onStage(stage, at - t);
      t = at;
    };

    const refs: EntityRef[] = [];
    if (request.user_id !== undefined) refs.push({ kind: 'user', id: request.user_id });
    if (request.session_id !== undefined) refs.push({ kind: 'session', id: request.session_id });
    let user: EntityState | undefined;
    let session: EntityState | undefined;
    try {
      const states = await inTime(store.states(refs), Math.max(1, deadline - now()), 'the store');
      if (request.user_id !== undefined) user = states[0];
      if (request.session_id !== undefined) session = states[refs.length - 1];
    } catch {
      // The visitor is treated as a new one: the answer says so and the caller counts it.
      degradedBy.push('state_unavailable');
    }
    lap('state');

    const allow = allowance(request, placement, engine, catalogue, user, nowMs);
    const limit = request.limit ?? placement.limit;
    const set = await gatherCandidates(
      { engine, catalogue, trending: deps.trending, models: models ?? {} },
      {
        nowMs,
        user,
        session,
        itemId: request.item_id,
        caps: placement.sources,
        candidatesMax: deps.candidatesMax,
        allow,
        within: categoryOf(request),
      },
    );
    if (models) for (const source of set.missing) degradedBy.push(`source_${source}`);
    lap('candidates');

    const scores = await score(set, models?.ranker, user, session, nowMs, deadline, degradedBy, lap);
    const { shown, log } = slate(set, scores, { placement, limit, nowMs, seed: recommendationId });
    const items = shown.map((i) => shownItem(set.items[i]!, scores[i]!));
    if (items.length < limit) fill(items, limit, request, allow, nowMs);
    lap('select');
    return { items, degradedBy, exploration: log };
  };

  async function score(
    set: CandidateSet,
    ranker: Ranker | undefined,
    user: EntityState | undefined,
    session: EntityState | undefined,
    nowMs: number,
    deadline: number,
    degradedBy: string[],
    lap: (stage: RecommendStage) => void,
  ): Promise<ArrayLike<number>> {
    const n = set.items.length;
    if (n === 0) return [];
    if (!ranker) return blend(set.items);
    if (now() > deadline) {
      degradedBy.push('deadline');
      return blend(set.items);
    }
    let states: (EntityState | undefined)[];
    try {
      const refs = set.items.map((item): EntityRef => ({ kind: 'item', id: item.id }));
      states = await inTime(store.states(refs), Math.max(1, deadline - now()), 'the store');
    } catch {
      degradedBy.push('item_state_unavailable');
      return blend(set.items);
    }
    const candidates: Candidate[] = set.items.map((item, i) => ({ item: catalogue.get(item.id), state: states[i], context: context(item) }));
    const rows = new Float32Array(n * width);
    engine.vectors(RANK_SET, { nowMs, states: { user, session } }, candidates, rows);
    lap('features');
    if (now() > deadline) {
      degradedBy.push('deadline');
      return blend(set.items);
    }
    try {
      const ranked = await ranker.rank(rows, n);
      // One NaN would leave the order to chance.
      if (ranked.length !== n || !ranked.every(Number.isFinite)) throw new Error('the ranker gave scores that are no numbers');
      return ranked;
    } catch {
      degradedBy.push('ranker_failed');
      return blend(set.items);
    } finally {
      lap('rank');
    }
  }

  function slate(set: CandidateSet, scores: ArrayLike<number>, request: Omit<SlateRequest, 'belief'>): Slate {
    const order = set.items.map((_, i) => i);
    order.sort((a, b) => scores[b]! - scores[a]! || (set.items[a]!.id < set.items[b]!.id ? -1 : 1));
    const id = (i: number): string => set.items[i]!.id;
    const ranked: RankedCandidates = {
      order,
      id,
      score: (i) => scores[i]!,
      floor: order.length > 0 ? scores[order.at(-1)!]! : 0,
      category: (i) => catalogue.get(id(i))?.category,
      createdMs: (i) => catalogue.get(id(i))?.created_ms ?? 0,
    };
    return chooseSlate(ranked, { ...request, belief: (itemId) => deps.clicks.belief(request.placement.id, itemId, request.nowMs) });
  }

  function shownItem(item: CandidateItem, score: number): RecommendedItem {
    return { item_id: item.id, score, sources: sourceNames(item.sources), reason: reason(item) };
  }

  /** The last resort behind all sources: whatever may be sold, popular first. What is suppressed comes back only when nothing else is left. */
  function fill(items: RecommendedItem[], limit: number, request: RecommendRequest, allow: (id: string) => boolean, nowMs: number): void {
    const taken = new Set(items.map((item) => item.item_id));
    const excluded = new Set(request.exclude);
    const floor = items.length > 0 ? items[items.length - 1]!.score : 0;
    const take = (id: string): void => {
      taken.add(id);
      items.push({ item_id: id, score: floor, sources: ['fallback'], reason: 'Popular in this shop' });
    };
    const sellable = (id: string): boolean =>
      !excluded.has(id) &&
      id !== request.item_id &&
      catalogue.sellable(id) &&
      (request.category === undefined || catalogue.get(id)?.category === request.category);
    const category = categoryOf(request);
    const few = category && isFew(category, catalogue) ? [...category] : undefined;
    for (const fits of [allow, sellable]) {
      const popular = few ? popularWithin(few, few.length, deps.trending, undefined) : deps.trending.top(nowMs);
      const newest = few ? newestWithin(few, few.length, catalogue) : idsOf(catalogue.newest());
      for (const source of [popular, newest]) {
        for (const id of source) {
          if (items.length >= limit) return;
          if (!taken.has(id) && fits(id)) take(id);
        }
      }
    }
  }

  function categoryOf({ category }: RecommendRequest): ReadonlySet<string> | undefined {
    return category === undefined ? undefined : catalogue.category(category);
  }

  function reason(item: CandidateItem): string {
    const names = sourceNames(item.sources);
    if (item.ownCount > 0 && names.includes('buy_again')) return 'Because you bought it before';
    if (item.seed !== undefined) return `Because of your interest in ${catalogue.get(item.seed)?.title ?? item.seed}`;
    if (names.includes('user_vector')) return 'Picked for you';
    if (names.includes('new')) return 'New in this shop';
    return 'Popular right now';
  }
}

/** Which items this request may see. */
function allowance(
  request: RecommendRequest,
  placement: Placement,
  engine: FeatureEngine,
  catalogue: Catalogue,
  user: EntityState | undefined,
  nowMs: number,
) {
  const barred = new Set(request.exclude);
  if (request.item_id !== undefined) barred.add(request.item_id);
  if (placement.suppress_purchased_days > 0) {
    const sinceMs = nowMs - placement.suppress_purchased_days * DAY_MS;
    for (const entry of engine.history(user, 'purchases')) if (entry.lastMs >= sinceMs) barred.add(entry.item_id);
  }
  const category = request.category;
  return (id: string): boolean => catalogue.sellable(id) && !barred.has(id) && (category === undefined || catalogue.get(id)?.category === category);
}

/** The declared fallback for the ranker: each source's score scaled to its best, summed with fixed weights. */
export function blend(items: readonly CandidateItem[]): Float64Array {
  let userVector = 0;
  let itemToItem = 0;
  let buyAgain = 0;
  for (const item of items) {
    if (item.userVector > userVector) userVector = item.userVector;
    if (item.itemToItem > itemToItem) itemToItem = item.itemToItem;
    if (item.buyAgain > buyAgain) buyAgain = item.buyAgain;
  }
  const scores = new Float64Array(items.length);
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    let value = 0.3 * item.popular;
    if (userVector > 0 && item.userVector > 0) value += item.userVector / userVector;
    if (itemToItem > 0) value += item.itemToItem / itemToItem;
    if (buyAgain > 0) value += item.buyAgain / buyAgain;
    scores[i] = value;
  }
  return scores;
}

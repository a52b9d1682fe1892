import type { ExplorationLog } from '../../contracts/exploration.ts';
import { NO_HANDLE } from '../../contracts/handles.ts';
import type { RecommendedItem, RecommendRequest } from '../../contracts/recommend.ts';
import { TopK } from '../../contracts/topk.ts';
import type { EntityRef, Store } from '../../store/contract.ts';
import { inTime } from '../deadline.ts';
import type { EntityState, FeatureEngine, Subject } from '../features/contract.ts';
import { blend, Gathering } from './candidates/gather.ts';
import { popularOf } from './candidates/popular.ts';
import type { CandidateSet } from './candidates/set.ts';
import type { Catalogue } from './catalogue.ts';
import type { ClickCounts } from './explore/click-counts.ts';
import { chooseSlate, type RankedCandidates, type Slate, type SlateRequest } from './explore/slate.ts';
import type { HandleMap } from './handle-map.ts';
import { ItemFilter } from './item-filter.ts';
import type { ItemNumbersTable } from './item-numbers.ts';
import type { Placement } from './placements.ts';
import { rankOrder } from './rank-order.ts';
import type { RetrievalModels } from './retrieval.ts';
import type { Trending } from './trending.ts';

const DAY_MS = 86_400_000;
export const RANK_SET = 'rank';
/** Working memory kept for the next requests, some 100 KB each: as many as are in work at once on a busy gateway. */
const IDLE_MAX = 64;

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
  /** Of the `rank` set. */
  readonly itemNumbers: ItemNumbersTable;
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

/** What one request works on; kept for the next one. */
class Work {
  readonly gathering: Gathering;
  readonly rows: Float32Array;
  readonly context: readonly Float64Array[];
  /** Positions of the candidates, the best first. */
  readonly order: Int32Array;
  readonly keys: Float64Array;
  readonly filter: ItemFilter;

  constructor(deps: RecommendDeps) {
    this.gathering = new Gathering(deps);
    this.rows = new Float32Array(deps.candidatesMax * deps.engine.names(RANK_SET).length);
    this.context = deps.engine.contextKeys(RANK_SET).map((key) => this.gathering.set.column(key));
    this.order = new Int32Array(deps.candidatesMax);
    this.keys = new Float64Array(deps.candidatesMax);
    this.filter = new ItemFilter(deps.catalogue);
  }
}

/** Compiles the parts that hang on the feature set once; the function it returns answers requests. */
export function createRecommender(deps: RecommendDeps) {
  const { engine, catalogue, trending, itemNumbers, store, onStage, now } = deps;
  const { handles } = catalogue;
  const width = engine.names(RANK_SET).length;
  const idle: Work[] = [new Work(deps)];
  const top = new TopK();

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
    const work = idle.pop() ?? new Work(deps);
    try {
      return await answer(work, request, placement, models, nowMs, deadline, recommendationId);
    } finally {
      if (idle.length < IDLE_MAX) idle.push(work);
    }
  };

  async function answer(
    work: Work,
    request: RecommendRequest,
    placement: Placement,
    models: RecommendModels | undefined,
    nowMs: number,
    deadline: number,
    recommendationId: string,
  ): Promise<Recommendation> {
    const { gathering } = work;
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
    gathering.begin(user, session);
    lap('state');

    const shown = showable(request, placement, work, nowMs);
    const limit = request.limit ?? placement.limit;
    const missing = await gathering.gather(
      {
        nowMs,
        item: request.item_id === undefined ? NO_HANDLE : handles.find(request.item_id),
        caps: placement.sources,
        allow: shown.allow,
        few: shown.few?.filter(shown.allow),
        exact: shown.exact,
      },
      models ?? {},
    );
    if (models) for (const source of missing) degradedBy.push(`source_${source}`);
    lap('candidates');

    const scores = await score(work, models?.ranker, { nowMs, states: { user, session } }, deadline, degradedBy, lap);
    const { set } = gathering;
    const slate = choose(work, scores, { placement, limit, nowMs, seed: recommendationId });
    const items = slate.shown.map(
      (i): RecommendedItem => ({ item_id: handles.idOf(set.handles[i]!), score: scores[i]!, sources: set.sources(i), reason: reason(set, i) }),
    );
    if (items.length < limit) fill(items, limit, shown, nowMs);
    lap('select');
    return { items, degradedBy, exploration: slate.log };
  }

  /** A score a candidate: the ranker's, or the blend where there is none, or it is late, or fails. */
  async function score(
    { gathering: { set }, context, rows }: Work,
    ranker: Ranker | undefined,
    subject: Subject,
    deadline: number,
    degradedBy: string[],
    lap: (stage: RecommendStage) => void,
  ): Promise<ArrayLike<number>> {
    const { count } = set;
    const { nowMs } = subject;
    if (count === 0 || !ranker) return blend(set);
    if (now() > deadline) {
      degradedBy.push('deadline');
      return blend(set);
    }
    if (!itemNumbers.isFresh(set.handles, count, nowMs)) {
      try {
        await itemNumbers.refresh(store, set.handles, count, nowMs, Math.max(1, deadline - now()));
      } catch {
        degradedBy.push('item_state_unavailable');
        return blend(set);
      }
    }
    engine.rows(RANK_SET, subject, { count, handles: set.handles, items: catalogue, context, itemNumbers: itemNumbers.values }, rows);
    lap('features');
    if (now() > deadline) {
      degradedBy.push('deadline');
      return blend(set);
    }
    try {
      const ranked = await ranker.rank(rows.subarray(0, count * width), count);
      // One NaN would leave the order to chance.
      if (ranked.length !== count || !ranked.every(Number.isFinite)) throw new Error('the ranker gave scores that are no numbers');
      return ranked;
    } catch {
      degradedBy.push('ranker_failed');
      return blend(set);
    } finally {
      lap('rank');
    }
  }

  function choose({ gathering: { set }, order, keys }: Work, scores: ArrayLike<number>, request: Omit<SlateRequest, 'belief'>): Slate {
    const ordered = order.subarray(0, set.count);
    rankOrder(scores, ordered, keys, (a, b) => handles.compare(set.handles[a]!, set.handles[b]!));
    const ranked: RankedCandidates = {
      order: ordered,
      scores,
      id: (i) => handles.idOf(set.handles[i]!),
      floor: set.count > 0 ? scores[ordered[set.count - 1]!]! : 0,
      category: (i) => catalogue.category(set.handles[i]!),
      createdMs: (i) => catalogue.createdMs(set.handles[i]!) || 0,
    };
    return chooseSlate(ranked, { ...request, belief: (itemId) => deps.clicks.belief(request.placement.id, itemId, request.nowMs) });
  }

  /** The last resort behind all sources: whatever may be sold, popular first. What is suppressed comes back only when nothing else is left. */
  function fill(items: RecommendedItem[], limit: number, { allow, allowSuppressed, few }: Showable, nowMs: number): void {
    const taken = new Set(items.map((item) => item.item_id));
    const floor = items.length > 0 ? items[items.length - 1]!.score : 0;
    for (const fits of [allow, allowSuppressed]) {
      const take = (handle: number): boolean => {
        const id = handles.idOf(handle);
        if (items.length < limit && fits(handle) && !taken.has(id)) {
          taken.add(id);
          items.push({ item_id: id, score: floor, sources: ['fallback'], reason: 'Popular in this shop' });
        }
        return items.length < limit;
      };
      if (few) {
        const found = new Int32Array(few.length);
        for (const handle of found.subarray(0, popularOf(few, few.length, { top, catalogue, trending, models: {} }, found))) take(handle);
        for (const handle of few.toSorted((a, b) => catalogue.compareAge(a, b))) take(handle);
      } else {
        for (const handle of trending.top(nowMs)) if (!take(handle)) return;
        catalogue.eachNewest(take);
      }
    }
  }

  function reason(set: CandidateSet, i: number): string {
    if (set.isFrom(i, 'buy_again')) return 'Because you bought it before';
    const seed = set.seeds[i]!;
    if (seed !== NO_HANDLE) return `Because of your interest in ${catalogue.at(seed)?.title ?? handles.idOf(seed)}`;
    if (set.isFrom(i, 'user_vector')) return 'Picked for you';
    if (set.isFrom(i, 'look_alike')) return 'Shoppers like you want it';
    if (set.isFrom(i, 'linear')) return 'Goes with what you chose before';
    if (set.isFrom(i, 'session_neighbours') || set.isFrom(i, 'next_item')) return 'Often looked at next';
    if (set.isFrom(i, 'new')) return 'New in this shop';
    return 'Popular right now';
  }

  /** Which items this request may see. */
  function showable(request: RecommendRequest, placement: Placement, { gathering, filter }: Work, nowMs: number): Showable {
    const barred = gathering.map();
    const suppressed = gathering.map();
    for (const id of request.exclude ?? []) bar(barred, id);
    if (request.item_id !== undefined) bar(barred, request.item_id);
    if (placement.suppress_purchased_days > 0) {
      const sinceMs = nowMs - placement.suppress_purchased_days * DAY_MS;
      const { handles: bought, lastMs, length } = gathering.purchases;
      for (let i = 0; i < length; i++) if (lastMs[i]! >= sinceMs) suppressed.add(bought[i]!);
    }
    const filters = [placement.filter ?? [], request.filter ?? []];
    if (request.category !== undefined) filters.push([{ field: 'category', in: [request.category] }]);
    const { fits, few, exact } = filter.evaluate(filters, placement.when);
    const allowSuppressed = (handle: number): boolean => fits(handle) && !barred.has(handle);
    return { allow: (handle) => allowSuppressed(handle) && !suppressed.has(handle), allowSuppressed, few, exact };
  }

  function bar(barred: HandleMap, id: string): void {
    const handle = handles.find(id);
    if (handle !== NO_HANDLE) barred.add(handle);
  }
}

interface Showable {
  readonly allow: (handle: number) => boolean;
  /** With what was bought lately. */
  readonly allowSuppressed: (handle: number) => boolean;
  /** Where both take none but a few: these. */
  readonly few: Int32Array | undefined;
  readonly exact: Int32Array | undefined;
}

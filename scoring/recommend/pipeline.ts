import type { ExplorationLog } from '../../contracts/exploration.ts';
import { NO_HANDLE } from '../../contracts/handles.ts';
import type { RecommendedItem, RecommendRequest } from '../../contracts/recommend.ts';
import { TopK } from '../../contracts/topk.ts';
import type { EntityRef, Store } from '../../store/contract.ts';
import { inTime } from '../deadline.ts';
import type { EntityState, FeatureEngine, Subject } from '../features/contract.ts';
import { blend, Gathering, type SourceOutcome, type SourceWatch } from './candidates/gather.ts';
import { popularOf } from './candidates/popular.ts';
import type { CandidateSet } from './candidates/set.ts';
import type { Catalogue } from './catalogue.ts';
import { createExplainer, type RankShap, reasonOf, type Scorer } from './explain.ts';
import type { ClickCounts } from './explore/click-counts.ts';
import { chooseSlate, type RankedCandidates, type Slate, type SlateRequest } from './explore/slate.ts';
import type { ItemNumbersTable } from './item-numbers.ts';
import { capsOf, objectivesOf, pinsAt, sumOf, type Weighable } from './merchandise.ts';
import type { Placement } from './placements.ts';
import { rankOrder } from './rank-order.ts';
import type { RetrievalModels } from './retrieval.ts';
import { type Showable, Showing } from './showable.ts';
import type { Trace } from './trace.ts';
import type { Trending } from './trending.ts';
import type { VisitorCountries } from './visitor-countries.ts';

export const RANK_SET = 'rank';
const NOBODY = new Int32Array(0);
const NO_LIMITS = {};
/** Working memory kept for the next requests, some 100 KB each: as many as are in work at once on a busy gateway. */
const IDLE_MAX = 64;

/** Scores candidates by the `rank` feature set. */
export interface Ranker {
  /** Feature f of candidate c of n stands at f * n + c. The scores are valid until the next call. */
  rank(columns: Float32Array, n: number): Promise<Float32Array>;
  /** Absent: nothing can tell what a feature added to a score. */
  readonly shap?: RankShap | undefined;
}

/** What editors chose for a placement, at a time. */
export interface EditorialPicks {
  /** Item ids in their order; synchronous, as every answer asks. */
  picks(placement: string, nowMs: number): readonly string[];
}

export interface RecommendModels extends RetrievalModels {
  readonly ranker?: Ranker | undefined;
  /** What the logarithm of an item's appeal weighs in the ranker's scores; 0 where it was not told apart. */
  readonly appealWeight?: number | undefined;
}

export interface RecommendDeps {
  readonly store: Pick<Store<EntityState>, 'states'>;
  readonly engine: FeatureEngine;
  readonly catalogue: Catalogue;
  readonly trending: Trending;
  /** Of the `rank` set. */
  readonly itemNumbers: ItemNumbersTable;
  readonly clicks: Pick<ClickCounts, 'belief'>;
  readonly editorial: EditorialPicks;
  /** Where visitors are whose request does not say it. */
  readonly countries?: Pick<VisitorCountries, 'of'>;
  /** What a shop without a bundle answers from, beside what is popular and new. */
  readonly untrained?: RetrievalModels | undefined;
  readonly candidatesMax: number;
  /** Called with each stage's milliseconds. */
  readonly onStage: (stage: RecommendStage, ms: number) => void;
  /** Called with what each source did and its milliseconds. */
  readonly onSource: (source: keyof Placement['sources'], outcome: SourceOutcome, ms: number) => void;
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
  /** What the ranker sees: a column a feature. */
  readonly columns: Float32Array;
  readonly row: Float32Array;
  readonly context: readonly Float64Array[];
  /** Positions of the candidates, the best first. */
  readonly order: Int32Array;
  readonly showing: Showing;
  /** Scores by the placement's objectives and boosts. */
  readonly weighed: Float64Array;

  constructor(deps: RecommendDeps) {
    this.gathering = new Gathering(deps);
    this.columns = new Float32Array(deps.candidatesMax * deps.engine.names(RANK_SET).length);
    this.row = new Float32Array(deps.engine.names(RANK_SET).length);
    this.context = deps.engine.contextKeys(RANK_SET).map((key) => this.gathering.set.column(key));
    this.order = new Int32Array(deps.candidatesMax);
    this.showing = new Showing(deps);
    this.weighed = new Float64Array(deps.candidatesMax);
  }
}

/** Compiles the parts that hang on the feature set once; the function it returns answers requests. */
export function createRecommender(deps: RecommendDeps) {
  const { engine, catalogue, trending, itemNumbers, store, onStage, now } = deps;
  const { handles } = catalogue;
  const width = engine.names(RANK_SET).length;
  const idle: Work[] = [new Work(deps)];
  const top = new TopK();
  const explain = createExplainer(engine, RANK_SET);

  /**
   * Answers one request at `nowMs`. `deadline` (of `now`) is when ranking has to have begun: past it the blend of source scores stands in.
   * Never empty while any item may be sold. `recommendationId` is the seed of what is left to chance. A `trace` is told what every stage did.
   */
  return async function recommend(
    request: RecommendRequest,
    placement: Placement,
    models: RecommendModels | undefined,
    nowMs: number,
    deadline: number,
    recommendationId: string,
    trace?: Trace,
  ): Promise<Recommendation> {
    const work = idle.pop() ?? new Work(deps);
    try {
      return await answer(work, request, placement, models, nowMs, deadline, recommendationId, trace);
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
    trace: Trace | undefined,
  ): Promise<Recommendation> {
    const { gathering } = work;
    const degradedBy: string[] = [];
    if (!models) degradedBy.push('bundle_missing');
    let t = now();
    const lap = (stage: RecommendStage): void => {
      const at = now();
      onStage(stage, at - t);
      trace?.stages.push({ stage, ms: at - t });
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

    const evaluated = work.showing.evaluate(request, placement, { user, session }, gathering, nowMs);
    const shown = trace?.watching(evaluated) ?? evaluated;
    const limit = request.limit ?? placement.limit;
    const item = request.item_id === undefined ? NO_HANDLE : handles.find(request.item_id);
    const missing = await gathering.gather(
      {
        nowMs,
        item,
        category: request.category,
        country: request.country ?? deps.countries?.of(request),
        caps: placement.sources,
        allow: shown.allow,
        few: shown.few?.filter(evaluated.allow),
        exact: shown.exact,
        pins: placement.pins === undefined ? [] : known([...pinsAt(placement, nowMs).values()]),
        editorial: placement.sources.editorial ? Int32Array.from(known(deps.editorial.picks(placement.id, nowMs))) : NOBODY,
        watch: watchOf(placement, deadline, trace),
      },
      models ?? deps.untrained ?? {},
    );
    if (models) for (const source of missing) degradedBy.push(`source_${source}`);
    lap('candidates');

    const scorer: Scorer = { by: 'blend', shap: models?.ranker?.shap, row: (i) => rowOf(work, i) };
    const ranked = await rank(work, models?.ranker, { nowMs, states: { user, session } }, deadline, degradedBy, lap);
    const { set } = gathering;
    const model = ranked ?? blend(set);
    const adjust = objectivesOf(placement, weighable(set, model), nowMs);
    const scores = adjust ? work.weighed : model;
    if (adjust) for (let i = 0; i < set.count; i++) work.weighed[i] = sumOf(adjust.of(i));
    const appealWeight = ranked && (models?.appealWeight ?? 0) * (adjust?.perScore ?? 1);
    const slate = choose(work, scores, { placement, limit, nowMs, seed: recommendationId }, models, appealWeight, trace);
    const by = ranked ? 'ranker' : 'blend';
    const items = slate.shown.map(
      (i): RecommendedItem => ({
        item_id: handles.idOf(set.handles[i]!),
        score: scores[i]!,
        sources: set.sources(i),
        reason: reasonOf(catalogue, gathering, i, item),
        ...(request.explain && { explanation: explain(set, i, model[i]!, { ...scorer, by }, adjust?.of(i)) }),
      }),
    );
    if (trace) {
      trace.scoredBy = by;
      trace.ranked(catalogue, set, { order: work.order.subarray(0, set.count), model, scores, shown: slate.shown });
    }
    if (items.length < limit) fill(items, limit, placement, evaluated, nowMs);
    lap('select');
    return { items, degradedBy, exploration: slate.log };
  }

  /** What the ranker saw of a candidate; valid until the next call. */
  function rowOf({ gathering, columns, row }: Work, position: number): Float32Array {
    for (let f = 0; f < width; f++) row[f] = columns[f * gathering.set.count + position]!;
    return row;
  }

  /** Handles of the ids that the catalogue knows. */
  function known(ids: readonly string[]): number[] {
    return ids.map((id) => handles.find(id)).filter((handle) => handle !== NO_HANDLE);
  }

  function watchOf(placement: Placement, deadline: number, trace: Trace | undefined): SourceWatch {
    const limitsMs = placement.source_deadlines_ms ?? NO_LIMITS;
    if (!trace) return { now, deadline, limitsMs, onDone: deps.onSource };
    return {
      now,
      deadline,
      limitsMs,
      onFound: (source, found) => trace.found(source, found),
      onDone(source, outcome, ms) {
        deps.onSource(source, outcome, ms);
        trace.done(source, outcome, ms, placement.sources[source] ?? 0);
      },
    };
  }

  function weighable(set: CandidateSet, scores: ArrayLike<number>): Weighable {
    const popular = set.column('popular');
    return {
      count: set.count,
      scores,
      item: (i) => catalogue.at(set.handles[i]!),
      createdMs: (i) => catalogue.createdMs(set.handles[i]!) || 0,
      popularity: (i) => Math.min(1, Math.max(0, popular[i]!)),
    };
  }

  /** The ranker's score a candidate; undefined where there is none, or it is late, or fails: the blend stands in. */
  async function rank(
    { gathering: { set }, context, columns }: Work,
    ranker: Ranker | undefined,
    subject: Subject,
    deadline: number,
    degradedBy: string[],
    lap: (stage: RecommendStage) => void,
  ): Promise<ArrayLike<number> | undefined> {
    const { count } = set;
    const { nowMs } = subject;
    if (count === 0 || !ranker) return undefined;
    if (now() > deadline) {
      degradedBy.push('deadline');
      return undefined;
    }
    if (!itemNumbers.isFresh(set.handles, count, nowMs)) {
      try {
        await itemNumbers.refresh(store, set.handles, count, nowMs, Math.max(1, deadline - now()));
      } catch {
        degradedBy.push('item_state_unavailable');
        return undefined;
      }
    }
    engine.columns(RANK_SET, subject, { count, handles: set.handles, items: catalogue, context, itemNumbers: itemNumbers.values }, columns);
    lap('features');
    if (now() > deadline) {
      degradedBy.push('deadline');
      return undefined;
    }
    try {
      const ranked = await ranker.rank(columns.subarray(0, count * width), count);
      // One NaN would leave the order to chance.
      if (ranked.length !== count || !ranked.every(Number.isFinite)) throw new Error('the ranker gave scores that are no numbers');
      return ranked;
    } catch {
      degradedBy.push('ranker_failed');
      return undefined;
    } finally {
      lap('rank');
    }
  }

  function choose(
    { gathering: { set }, order }: Work,
    scores: ArrayLike<number>,
    request: Omit<SlateRequest, 'belief'>,
    models: RecommendModels | undefined,
    appealWeight: number | undefined,
    trace: Trace | undefined,
  ): Slate {
    const ordered = order.subarray(0, set.count);
    rankOrder(scores, ordered, (a, b) => handles.compare(set.handles[a]!, set.handles[b]!));
    const index = models?.itemIndex;
    const ranked: RankedCandidates = {
      order: ordered,
      scores,
      id: (i) => handles.idOf(set.handles[i]!),
      appealWeight,
      floor: set.count > 0 ? scores[ordered[set.count - 1]!]! : 0,
      item: (i) => catalogue.at(set.handles[i]!),
      isFrom: (i, source) => set.isFrom(i, source),
      category: (i) => catalogue.category(set.handles[i]!),
      createdMs: (i) => catalogue.createdMs(set.handles[i]!) || 0,
      vectors: index && { dimensions: index.dimensions, copy: (i, out) => index.copyTo(set.handles[i]!, out, 0) },
      onDrop: trace && ((position, reason) => trace.drop(position, reason)),
    };
    return chooseSlate(ranked, { ...request, belief: (itemId) => deps.clicks.belief(request.placement.id, itemId, request.nowMs) });
  }

  /** The last resort behind all sources: whatever may be sold, popular first. What is suppressed comes back only when nothing else is left. */
  function fill(items: RecommendedItem[], limit: number, placement: Placement, { allow, allowSuppressed, few }: Showable, nowMs: number): void {
    const caps = capsOf(placement);
    for (const { item_id } of items) caps.take(catalogue.get(item_id));
    const taken = new Set(items.map((item) => item.item_id));
    const floor = items.length > 0 ? items[items.length - 1]!.score : 0;
    for (const fits of [allow, allowSuppressed]) {
      const take = (handle: number): boolean => {
        const id = handles.idOf(handle);
        if (items.length < limit && fits(handle) && !taken.has(id) && caps.full(catalogue.at(handle)) === undefined) {
          taken.add(id);
          caps.take(catalogue.at(handle));
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
}

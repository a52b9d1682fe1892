import type { Fact } from '../../contracts/fact.ts';
import { Handles } from '../../contracts/handles.ts';
import { DEFAULT_DECLARATIONS } from '../../scoring/features/defaults.ts';
import { createFeatureEngine } from '../../scoring/features/engine.ts';
import { drawOf } from '../../scoring/recommend/explore/draw.ts';
import { RANK_SET } from '../../scoring/recommend/pipeline.ts';
import { type Audience, actOut, type Shop } from '../../simulator/index.ts';
import { assembleRetrieval } from '../../training/assemble.ts';
import { collect } from '../../training/collect.ts';
import type { FactSource } from '../../training/facts.ts';
import { predictMargin } from '../../training/learners/gbdt/predict.ts';
import { type PlaceCurves, placeCurves } from '../../training/position-bias.ts';
import { silentProgress } from '../../training/progress.ts';
import { planQueries } from '../../training/queries.ts';
import { fitTrees, rowsToLearn, treeParams } from '../../training/ranker.ts';
import { learnRetrieval, RETRIEVAL_DEFAULTS } from '../../training/retrieval.ts';
import { periodOf, replayAll } from '../../training/train.ts';
import { RETRIEVAL } from './gate.ts';

/** What a ranker makes of clicks on lists: nothing, learns from them as they were seen, or with what their places did for them. */
export const USES = ['unused', 'as_seen', 'corrected'] as const;
export type ClickUse = (typeof USES)[number];
/** As many as the shop's pages show. */
export const PLACES = 8;
const PLACEMENT = 'home';
/** More than such a shop shows in a third of its time. */
const LISTS_MAX = 10_000;
/** How much luck there is in the order of popular items, in logarithms of their clicks: without any, a place would be an item. */
const LUCK = 0.2;

export interface BiasResult {
  readonly lists: number;
  /** How often what is wanted at each place is looked at, beside the first: as it was learned from the log, and as the simulator has it. */
  readonly learned: readonly number[];
  readonly truth: readonly number[];
  /** Share of the best possible reward that each ranker's best candidates have. */
  readonly shares: Readonly<Record<ClickUse, number>>;
}

export interface BiasParams {
  /** Questions a period that the rankers learn from, and that they are asked. */
  readonly queriesMax: number;
}

/**
 * One course of a shop that shows everybody what is popular, and rankers of its log by the trainer's own code, which make more or less of the clicks. They
 * learn from the second third of the time, with retrieval of the first, and are asked in the last.
 */
export async function measurePositionBias(shop: Shop, { queriesMax }: BiasParams): Promise<BiasResult> {
  const { seed, startMs, endMs } = shop.settings;
  const engine = createFeatureEngine(DEFAULT_DECLARATIONS);
  const course = new Course(shop);
  await actOut(shop.world, course);
  const facts: FactSource = {
    count: course.facts.length,
    async *read() {
      for (const [offset, fact] of course.facts.entries()) yield { offset, fact };
    },
  };
  const log = await collect(facts, { outcomesUntilMs: endMs, progress: silentProgress.task(''), check: () => {} });
  const [a, b] = [startMs + (endMs - startMs) / 3, startMs + (2 * (endMs - startMs)) / 3];
  const handles = new Handles();
  const retrievalAt = async (untilMs: number) =>
    assembleRetrieval(
      (await learnRetrieval(log, untilMs, { ...RETRIEVAL_DEFAULTS, ...RETRIEVAL }, undefined, seed, () => () => {}))!,
      undefined,
      seed,
      handles,
    );
  const [early, late] = [await retrievalAt(a), await retrievalAt(b)];
  try {
    const learnedFrom = periodOf(early, planQueries(log, a, b, queriesMax, seed), log.impressions.between(a, b, LISTS_MAX));
    const asked = periodOf(late, planQueries(log, b, endMs, queriesMax, seed + 1), []);
    await replayAll(facts, engine, handles, [learnedFrom, asked], [], undefined, () => {});
    const curves = await placeCurves(learnedFrom.lists.lists, engine.names(RANK_SET).length, seed);
    const shares = new Map<ClickUse, number>();
    const params = treeParams(rowsToLearn([learnedFrom], {}, seed)!.groups!.length);
    for (const use of USES) {
      const rows = rowsToLearn([learnedFrom], curvesFor(use, curves), seed)!;
      const model = await fitTrees(rows, params, seed);
      shares.set(
        use,
        shareOf(shop, asked.rows, (candidates) => predictMargin(model, candidates)),
      );
    }
    return {
      lists: learnedFrom.lists.lists.length,
      learned: curves[PLACEMENT]?.examined ?? [],
      truth: course.truth(),
      shares: Object.fromEntries(shares) as Record<ClickUse, number>,
    };
  } finally {
    for (const retrieval of [early, late]) await retrieval.release();
  }
}

function curvesFor(use: ClickUse, places: PlaceCurves): PlaceCurves {
  if (use === 'corrected') return places;
  if (use === 'unused') return {};
  return Object.fromEntries(Object.entries(places).map(([name, curve]) => [name, { ...curve, examined: curve.examined.map(() => 1) }]));
}

/** The people of the shop before lists of what is popular. */
export class Course implements Audience {
  readonly facts: Fact[];
  readonly #shop: Shop;
  readonly #clicks = new Map<string, number>();
  readonly #wanted = new Float64Array(PLACES);
  readonly #found = new Float64Array(PLACES);
  #lists = 0;

  constructor(shop: Shop) {
    this.#shop = shop;
    this.facts = shop.items().map((item) => ({ kind: 'item_put', at_ms: shop.settings.startMs, item }));
  }

  happened(event: Parameters<Audience['happened']>[0]): void {
    this.facts.push({ kind: 'event', at_ms: event.timestamp_ms, event });
    if (event.name !== 'select_item' && event.name !== 'view_item') return;
    for (const { item_id } of event.items ?? []) this.#clicks.set(item_id, (this.#clicks.get(item_id) ?? 0) + 1);
  }

  async listed({ placement, userId, sessionId }: Parameters<Audience['listed']>[0], atMs: number) {
    if (placement !== PLACEMENT || userId === undefined) return undefined;
    const draw = drawOf(`${this.#shop.settings.seed} ${this.#lists}`);
    const itemIds = [...this.#clicks]
      .map(([id, clicks]) => ({ id, score: Math.log(clicks) - LUCK * Math.log(-Math.log(1 - draw.next())) }))
      .sort((x, y) => y.score - x.score)
      .slice(0, PLACES)
      .map(({ id }) => id);
    if (itemIds.length < PLACES) return undefined;
    const recommendationId = `r${this.#lists++}`;
    const items = itemIds.map((item_id) => ({ item_id, score: 0, sources: [], reason: '' }));
    this.facts.push({
      kind: 'recommendation',
      at_ms: atMs,
      request: { placement, user_id: userId, session_id: sessionId },
      response: { recommendation_id: recommendationId, placement, items, bundle: null, degraded: false },
    });
    for (const [place, looks] of this.#shop.examination(userId, itemIds, atMs).entries()) {
      const want = this.#shop.affinity(userId, itemIds[place]!, atMs);
      this.#wanted[place]! += want;
      this.#found[place]! += looks * want;
    }
    return { itemIds, recommendationId };
  }

  judged(): undefined {
    return undefined;
  }

  dayEnded(): void {}

  /** Of what was wanted at each place, how much was looked at, beside the first. */
  truth(): number[] {
    const shares = Array.from(this.#found, (sum, place) => sum / this.#wanted[place]!);
    return shares.map((share) => share / shares[0]!);
  }
}

/** True want of the best ranked candidates of each question, over that of the items wanted most. */
function shareOf(shop: Shop, questions: ReturnType<typeof periodOf>['rows'], scoresOf: (rows: Float32Array) => ArrayLike<number>): number {
  const ids = shop.items().filter(({ stock }) => stock !== 0);
  let got = 0;
  let best = 0;
  for (const { query, ids: candidates, rows, isSuppressed } of questions.stored().answered) {
    const { userId, atMs } = query;
    if (userId === undefined || isSuppressed) continue;
    const scores = scoresOf(rows);
    const ranked = candidates.map((id, n) => ({ id, score: scores[n]! })).sort((x, y) => y.score - x.score);
    for (const { id } of ranked.slice(0, PLACES)) got += shop.affinity(userId, id, atMs);
    const wants = ids.filter(({ created_ms = 0 }) => created_ms <= atMs).map(({ item_id }) => shop.affinity(userId, item_id, atMs));
    for (const want of wants.sort((x, y) => y - x).slice(0, PLACES)) best += want;
  }
  return got / best;
}

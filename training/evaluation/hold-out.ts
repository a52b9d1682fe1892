import { join } from 'node:path';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import { Handles, NO_HANDLE } from '../../contracts/handles.ts';
import type { Item } from '../../contracts/item.ts';
import { indexReaders } from '../../index/readers.ts';
import type { FeatureEngine } from '../../scoring/features/contract.ts';
import { loadBundle } from '../../scoring/models/bundle.ts';
import { readManifest } from '../../scoring/models/verify.ts';
import { Gathering } from '../../scoring/recommend/candidates/gather.ts';
import { ClickCounts } from '../../scoring/recommend/explore/click-counts.ts';
import { createRecommender, type RecommendModels } from '../../scoring/recommend/pipeline.ts';
import { DEFAULT_PLACEMENTS, type Placement } from '../../scoring/recommend/placements.ts';
import { collect, PROGRESS_RECORDS } from '../collect.ts';
import type { FactSource } from '../facts.ts';
import type { ProgressReporter } from '../progress.ts';
import { baselinesOf, CUT } from '../ranker-rows.ts';
import { Replay } from '../replay.ts';
import { type TrainParams, train } from '../train.ts';
import { type HeldOutQuestion, planHeldOut, TASKS, type Task } from './held-out-questions.ts';
import { type Means, RankingScores } from './ranking-scores.ts';

/** Where nothing else is said, the newest sixth of the history is held out, a month at the most: as much as the trainer itself measures on. */
const HELD_OUT_SHARE = 1 / 6;
const HELD_OUT_MS_MAX = 30 * 86_400_000;
/** Questions a task: their mean is sure to about one point of Recall. */
const QUESTIONS_MAX = 2_000;
/** As many candidates as a gateway gathers by default. */
const CANDIDATES_MAX = 250;
const BUDGET_MS = 60_000;

export interface HoldOutOptions {
  readonly facts: FactSource;
  readonly engine: FeatureEngine;
  /** Gets the bundle that is measured. */
  readonly outDir: string;
  /** Measures this bundle, and trains none. It must have been trained before `fromMs`, or it has seen the answers. */
  readonly bundleDir?: string;
  /** What happened from this time on is held out. */
  readonly fromMs?: number;
  readonly seed: number;
  readonly questionsMax?: number;
  readonly params?: TrainParams;
  readonly progress: ProgressReporter;
  readonly now: () => number;
  readonly signal?: AbortSignal;
}

export interface TaskResult {
  readonly task: Task;
  readonly questions: number;
  /** By ranking: the whole pipeline, and the candidates in the order of each source alone. */
  readonly rankings: Readonly<Record<string, Means>>;
}

export interface HoldOutResult {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly version: string;
  readonly tasks: readonly TaskResult[];
  /** Models that the data were not enough for, with the reason. */
  readonly skipped: Readonly<Record<string, string>>;
}

/**
 * How good recommendations would have been: trains on what happened before `fromMs`, then lets the shop go on and asks the real pipeline, with the
 * bundle as the gateway loads it, what it would have shown.
 *
 *   events ─────────────────────────────────►  time
 *          [ train                | asked     ]
 *                              fromMs
 *
 * Throws `training_data_insufficient` where nothing is left to learn from or to ask, `config_invalid` where a given bundle has seen the answers.
 */
export async function evaluateHeldOut(options: HoldOutOptions): Promise<HoldOutResult> {
  const { facts, engine, outDir, seed, progress } = options;
  const bar = progress.task('reading all', 'records');
  const log = await collect(facts, { outcomesUntilMs: Number.POSITIVE_INFINITY, progress: bar, check: () => options.signal?.throwIfAborted() });
  bar.end();
  const given = options.bundleDir === undefined ? undefined : await readManifest(options.bundleDir);
  const fromMs = options.fromMs ?? (given ? given.trained.to_ms + 1 : log.toMs - Math.min(HELD_OUT_MS_MAX, (log.toMs - log.fromMs) * HELD_OUT_SHARE));
  if (given && given.trained.to_ms >= fromMs)
    throw new GatehouseError('config_invalid', `the bundle was trained on what happened until ${new Date(given.trained.to_ms).toISOString()}`);
  const questions = planHeldOut(log, fromMs, options.questionsMax ?? QUESTIONS_MAX, seed);
  if (questions.length === 0) throw new GatehouseError('training_data_insufficient', 'nothing happened in the held-out time that could be asked for');

  const { version, skipped } = given
    ? { version: given.version, skipped: {} }
    : await train({ ...options, facts: before(facts, fromMs), params: options.params ?? {} });
  const handles = new Handles();
  const bundle = await loadBundle(options.bundleDir ?? join(outDir, version), { engine, ...indexReaders, handles });
  try {
    const scores = await ask(facts, new Replay(engine, handles), bundle.recommend, questions, progress, options.signal);
    const tasks = TASKS.map((task) => ({
      task,
      questions: questions.filter((question) => question.task === task).length,
      rankings: scores.get(task)?.means() ?? {},
    }));
    return { fromMs, untilMs: log.toMs, version, tasks: tasks.filter((task) => task.questions > 0), skipped };
  } finally {
    await bundle.release();
  }
}

/** What the shop knew before a time: items that it began to sell later are not there. */
function before(facts: FactSource, untilMs: number): FactSource {
  const known = (fact: Fact): boolean => {
    if (fact.kind === 'event') return fact.event.timestamp_ms < untilMs;
    return fact.kind !== 'item_put' || (fact.item.created_ms ?? 0) < untilMs;
  };
  return {
    count: facts.count,
    async *read() {
      for await (const record of facts.read()) if (known(record.fact)) yield record;
    },
  };
}

async function ask(
  facts: FactSource,
  replay: Replay,
  models: RecommendModels,
  questions: readonly HeldOutQuestion[],
  progress: ProgressReporter,
  signal: AbortSignal | undefined,
): Promise<Map<Task, RankingScores>> {
  const bar = progress.task('asking', 'records');
  const later = new LaterItems(replay);
  const { foldIn } = models;
  foldIn?.follow(replay.catalogue);
  const asker = createAsker(replay, models);
  const scores = new Map<Task, RankingScores>();
  let [record, next] = [0, 0];
  for await (const { fact } of facts.read()) {
    for (; questions[next]?.record === record; next++) {
      const question = questions[next]!;
      later.until(question.atMs);
      const ofTask = scores.get(question.task) ?? new RankingScores(CUT);
      scores.set(question.task, ofTask);
      for (const [name, ranked] of await asker(question)) ofTask.add(name, ranked, question.wanted);
    }
    if (fact.kind !== 'item_put' || !later.hold(fact.item)) replay.apply(fact);
    if (foldIn) await replay.foldIn(foldIn, fact);
    if (++record % PROGRESS_RECORDS === 0) {
      signal?.throwIfAborted();
      bar.update(record, facts.count);
    }
  }
  bar.end();
  return scores;
}

/** An import writes the whole catalogue first; an item may be shown from the day on which the shop began to sell it. */
class LaterItems {
  readonly #replay: Replay;
  #held: Item[] = [];
  #untilMs = 0;

  constructor(replay: Replay) {
    this.#replay = replay;
  }

  hold(item: Item): boolean {
    if (item.created_ms === undefined || item.created_ms < this.#untilMs) return false;
    this.#held.push(item);
    return true;
  }

  until(atMs: number): void {
    if (atMs <= this.#untilMs) return;
    this.#untilMs = atMs;
    // Not at that moment itself: where a log has no catalogue, an item begins with its first act, which is what is asked for.
    const due = this.#held.filter((item) => (item.created_ms ?? 0) < atMs);
    if (due.length === 0) return;
    this.#held = this.#held.filter((item) => (item.created_ms ?? 0) >= atMs);
    for (const item of due) this.#replay.apply({ kind: 'item_put', at_ms: atMs, item });
  }
}

const AGAIN = DEFAULT_PLACEMENTS.find(({ id }) => id === 'again')!;
const PRODUCT = DEFAULT_PLACEMENTS.find(({ id }) => id === 'product')!;
const PLACEMENTS: Readonly<Record<Task, Placement>> = {
  'next purchase': { ...AGAIN, limit: CUT },
  'next purchase, new items': { ...AGAIN, limit: CUT, suppress_purchased_days: 3650 },
  'next in the visit': { ...AGAIN, limit: CUT },
  'first of a later visit': { ...AGAIN, limit: CUT },
  'next on a product page': { ...PRODUCT, limit: CUT, suppress_purchased_days: 0 },
  'items newer than the training': { ...AGAIN, limit: CUT },
};

/** Asks the pipeline, and each source for the order that it alone would give its candidates. */
function createAsker(replay: Replay, models: RecommendModels) {
  const { engine, catalogue, trending, itemNumbers } = replay;
  const { handles } = catalogue;
  const gathering = new Gathering({ engine, catalogue, trending, candidatesMax: CANDIDATES_MAX });
  const recommend = createRecommender({
    store: { states: async (refs) => refs.map(({ kind, id }) => replay.state(kind, id)) },
    engine,
    catalogue,
    trending,
    itemNumbers,
    // Nothing is tried here: the placement explores nothing.
    clicks: new ClickCounts([]),
    candidatesMax: CANDIDATES_MAX,
    onStage: () => {},
    onSource: () => {},
    editorial: { picks: () => [] },
    now: () => 0,
  });
  return async ({ task, atMs, userId, sessionId, itemId, barred }: HeldOutQuestion): Promise<[string, string[]][]> => {
    const placement = PLACEMENTS[task];
    const request = {
      ...(userId !== undefined && { user_id: userId }),
      ...(sessionId !== undefined && { session_id: sessionId }),
      ...(itemId !== undefined && { item_id: itemId }),
    };
    const { items } = await recommend(request, placement, models, atMs, BUDGET_MS, `${task} ${atMs}`);
    gathering.begin(replay.state('user', userId), replay.state('session', sessionId));
    const allow = (item: number): boolean => catalogue.sellable(item) && !barred.has(handles.idOf(item));
    const item = itemId === undefined ? NO_HANDLE : handles.find(itemId);
    await gathering.gather({ nowMs: atMs, item, caps: placement.sources, allow }, models);
    const { set } = gathering;
    const bySource = Object.entries(baselinesOf(set)).map(([name, scores]): [string, string[]] => {
      const order = Array.from({ length: set.count }, (_, i) => i).filter((i) => scores[i]! > 0);
      order.sort((a, b) => scores[b]! - scores[a]! || handles.compare(set.handles[a]!, set.handles[b]!));
      return [name, order.slice(0, CUT).map((i) => handles.idOf(set.handles[i]!))];
    });
    return [['pipeline', items.map(({ item_id }) => item_id)], ...bySource];
  };
}

import type { BundleManifest } from '../contracts/bundle.ts';
import { GatehouseError } from '../contracts/errors.ts';
import { Handles } from '../contracts/handles.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { type ContentModel, contentTokens } from '../scoring/recommend/content-vector.ts';
import type { ItemFoldIn } from '../scoring/recommend/item-fold-in.ts';
import { RANK_SET } from '../scoring/recommend/pipeline.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import { type FittedAnomaly, fitAnomaly } from './anomaly.ts';
import { assembleRetrieval, type FittedRetrieval } from './assemble.ts';
import { type BundleParts, writeBundle } from './bundle/write.ts';
import { Checkpoint, identityOf } from './checkpoint.ts';
import { collect, PROGRESS_RECORDS, type ShopLog } from './collect.ts';
import type { FactSource } from './facts.ts';
import { type FittedFraud, fitFraud, type RiskPolicy } from './fraud.ts';
import { FraudRows, type FraudWindowParams, fraudWindowOf } from './fraud-rows.ts';
import type { Impression } from './impressions.ts';
import { fitContent } from './learners/content.ts';
import type { Progress } from './learners/contract.ts';
import { ListRows } from './list-rows.ts';
import type { ProgressReporter } from './progress.ts';
import { planNextActs, planQueries, type Query } from './queries.ts';
import { type FittedRanker, fitRanker } from './ranker.ts';
import { RankerRows } from './ranker-rows.ts';
import { Replay } from './replay.ts';
import { reportOf } from './report-input.ts';
import { learnRetrieval, RETRIEVAL_DEFAULTS, type RetrievalParams } from './retrieval.ts';
import { isNextActLog } from './session-log.ts';

const DAY_MS = 86_400_000;
/** The ranker learns from one period and is measured on the next; each is this share of the history, a month at the most. */
const PERIOD_SHARE = 1 / 6;
const PERIOD_MS_MAX = 30 * DAY_MS;
/** Where next acts are asked for there is a question in every one: a short period has enough of them, and the newest ones are most like what will be asked. */
const NEXT_ACT_PERIOD_SHARE = 1 / 20;

export interface TrainParams extends FraudWindowParams {
  readonly retrieval?: Partial<RetrievalParams>;
  readonly risk?: RiskPolicy;
  /** Questions a period; each brings up to 250 candidates. */
  readonly queriesMax?: number;
}

const QUERIES_MAX = 2_500;
/** Shown lists a period: each takes as long as a question, and the places of a few placements need no more. */
const LISTS_MAX = 4_000;
/** One item is wanted of a question about the next act, a dozen of another. */
const NEXT_ACT_QUERIES_MAX = 7_500;

export interface TrainOptions {
  readonly facts: FactSource;
  readonly engine: FeatureEngine;
  readonly outDir: string;
  readonly seed: number;
  readonly params?: TrainParams;
  readonly progress: ProgressReporter;
  readonly now: () => number;
  readonly signal?: AbortSignal;
  /** Go on with the run that was stopped: its finished stages are taken as they are. `facts` must be those that it read (`resumableOffset`). */
  readonly resume?: boolean;
}

export interface TrainResult {
  readonly version: string;
  readonly manifest: BundleManifest;
  /** Models that the data were not enough for, with the reason. */
  readonly skipped: Readonly<Record<string, string>>;
}

/** Seconds that each stage took, for the report. */
class Stages {
  readonly list: { name: string; seconds: number }[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  async time<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const startMs = this.#now();
    try {
      return await work();
    } finally {
      this.list.push({ name, seconds: (this.#now() - startMs) / 1000 });
    }
  }
}

/**
 * The journal becomes a bundle. Two passes: one collects who did what with which item; one replays the shop through the serving feature engine,
 * asks the questions that a storefront would have asked, and takes the vector of each payment. The same facts, parameters and seed give the same
 * models, byte for byte.
 *
 *   events ───────────────────────────────────────────►  time
 *          [ factors A learn here   | rows A  | rows B  ]
 *          [ factors B learn here             |         ]     measured: ranker of rows A on rows B, with factors B
 *          [ factors C learn here                       ]     shipped: factors C, ranker of rows A and B
 *
 * Where the next act is all that is asked for (session-log.ts) the periods are short, and factors A stand for factors B: they are hardly older, and fitting takes the longest.
 *
 * Throws `training_data_insufficient` when not one model can be made, `cancelled` on abort. No half-written bundle is left behind; finished stages
 * are (checkpoint.ts), so that the run can be resumed, and the next run that is not removes them.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { facts, engine, seed, params = {}, progress, now, signal } = options;
  const check = (): void => {
    if (signal?.aborted) throw new GatehouseError('cancelled', 'the training was stopped; no bundle was written');
  };
  const stages = new Stages(now);
  const task = <T>(label: string, unit: string, work: (update: Progress) => Promise<T> | T): Promise<T> =>
    stages.time(label, async () => {
      const bar = progress.task(label, unit);
      const result = await work((done, total, note) => {
        check();
        bar.update(done, total, note);
      });
      bar.end();
      return result;
    });

  const createdMs = now();
  const log = await task('reading', 'records', (update) =>
    collect(facts, { outcomesUntilMs: params.labelsUntilMs ?? Number.POSITIVE_INFINITY, progress: { update, end: () => {} }, check }),
  );
  if (log.events === 0) throw new GatehouseError('training_data_insufficient', 'the journal holds no events');
  const skipped: Record<string, string> = {};
  const checkpoint = await Checkpoint.open(options.outDir, identityOf(seed, settingsOf(engine, params)), log.lastOffset, options.resume ?? false);

  const content = await task('content', 'items', (update) => contentOf(log, seed, update));
  if (!content) skipped['content'] = 'no item has a title, category, brand or attribute';

  // ---- retrieval, as of the end of each period
  const isNextActs = isNextActLog(log);
  const retrieval = { ...RETRIEVAL_DEFAULTS, ...params.retrieval };
  const periodMs = Math.min(PERIOD_MS_MAX, (log.toMs - log.fromMs) * (isNextActs ? NEXT_ACT_PERIOD_SHARE : PERIOD_SHARE));
  const ends = { a: log.toMs - 2 * periodMs, b: log.toMs - periodMs, c: log.toMs + 1 };
  const handles = new Handles();
  const fitted: FittedRetrieval[] = [];
  const fitAt = (name: string, stage: string, untilMs: number, earlier?: FittedRetrieval): Promise<FittedRetrieval | undefined> =>
    stages.time(name, async () => {
      const bar = progress.task(name, 'steps');
      const learned = await checkpoint.stage(stage, () =>
        learnRetrieval(
          log,
          untilMs,
          retrieval,
          content,
          seed,
          (part) => (done, total) => {
            check();
            bar.update(done, total, part);
          },
          earlier,
        ),
      );
      bar.end();
      if (!learned) return undefined;
      const assembled = await assembleRetrieval(learned, content, seed, handles);
      fitted.push(assembled);
      return assembled;
    });
  try {
    const a = await fitAt('retrieval, to measure', 'retrieval-a', ends.a);
    const b = isNextActs ? a : await fitAt('retrieval, to check', 'retrieval-b', ends.b, a);
    const c = await fitAt('retrieval', 'retrieval-c', ends.c, b);
    if (!c) skipped['retrieval'] = 'no user did anything with an item';

    // ---- replay: rows of the ranker and of the fraud model
    const queriesMax = params.queriesMax ?? (isNextActs ? NEXT_ACT_QUERIES_MAX : QUERIES_MAX);
    const plan = isNextActs ? planNextActs : planQueries;
    const periods = [
      ...(a ? [periodOf(a, plan(log, ends.a, ends.b, queriesMax, seed), log.impressions.between(ends.a, ends.b, LISTS_MAX))] : []),
      ...(b ? [periodOf(b, plan(log, ends.b, ends.c, queriesMax, seed + 1), log.impressions.between(ends.b, ends.c, LISTS_MAX))] : []),
    ];
    const fraudRows = new FraudRows(engine.names(FRAUD_SET).length, fraudWindowOf(log, params), log);
    const rows = await task('replay', 'records', (update) =>
      checkpoint.stage('rows', async () => {
        await replayAll(
          facts,
          engine,
          handles,
          periods,
          [...new Set([a, b])].flatMap((part) => part?.models.foldIn ?? []),
          fraudRows,
          update,
        );
        return { periods: periods.map(({ rows, lists }) => ({ rows: rows.stored(), lists: lists.stored() })), fraud: fraudRows.stored() };
      }),
    );
    if (fraudRows.count === 0) fraudRows.restore(rows.fraud);
    for (const [i, period] of periods.entries()) {
      if (period.rows.queries === 0) period.rows.restore(rows.periods[i]!.rows);
      if (period.lists.lists.length === 0) period.lists.restore(rows.periods[i]!.lists);
    }

    // ---- models
    const ranker: FittedRanker | string =
      a && b
        ? await task('ranker', 'trees', (update) =>
            checkpoint.stage('ranker', () => fitRanker(periods[0]!, periods[1]!, engine.names(RANK_SET), seed, update)),
          )
        : 'too little history';
    if (typeof ranker === 'string') skipped['ranker'] = ranker;
    const fraud: FittedFraud | string = await task('fraud model', 'trees', (update) =>
      checkpoint.stage('fraud', () => fitFraud(fraudRows, engine.names(FRAUD_SET), params.risk ?? {}, seed, update)),
    );
    if (typeof fraud === 'string') skipped['fraud'] = fraud;
    const anomaly: FittedAnomaly | string = await task('anomaly model', 'trees', (update) =>
      checkpoint.stage('anomaly', async () => fitAnomaly(fraudRows, seed, update)),
    );
    if (typeof anomaly === 'string') skipped['anomaly'] = anomaly;
    if (!c && typeof fraud === 'string') {
      throw new GatehouseError('training_data_insufficient', `no model can be made: ${Object.values(skipped).join('; ')}`);
    }
    check();

    // ---- bundle
    const version = versionOf(createdMs, seed);
    const parts = partsOf(
      version,
      createdMs,
      seed,
      log,
      engine,
      c,
      typeof ranker === 'string' ? undefined : ranker,
      typeof fraud === 'string' ? undefined : fraud,
      typeof anomaly === 'string' ? undefined : anomaly,
    );
    const manifest = await stages.time('bundle', () =>
      writeBundle(
        options.outDir,
        {
          ...parts,
          ...(content && { content }),
          report: reportOf({ version, createdMs, log, engine, retrieval: c, ranker, fraud, anomaly, fraudRows, skipped, stages: stages.list, ends }),
        },
        signal ? { signal } : {},
      ),
    );
    await checkpoint.remove();
    return { version, manifest, skipped };
  } catch (cause) {
    // Only a run that was stopped, or that the machine failed, has anything to go on with.
    if (cause instanceof GatehouseError && cause.code === 'training_data_insufficient') await checkpoint.remove();
    throw cause;
  } finally {
    for (const part of fitted) await part.release();
  }
}

/** Everything but the journal and the seed that decides what a run gives. */
function settingsOf(engine: FeatureEngine, params: TrainParams): unknown {
  return { params, sets: [FRAUD_SET, RANK_SET].map((set) => engine.hash(set)) };
}

/** The newest journal record of the run that was stopped, for `resume`; undefined when there is none. Throws `config_invalid` when it was another run. */
export function resumableOffset(outDir: string, engine: FeatureEngine, seed: number, params: TrainParams): Promise<number | undefined> {
  return Checkpoint.stoppedAt(outDir, identityOf(seed, settingsOf(engine, params)));
}

export interface Period {
  readonly rows: RankerRows;
  readonly queries: readonly Query[];
  readonly lists: ListRows;
  readonly seen: readonly Impression[];
}

export function periodOf({ models }: FittedRetrieval, queries: readonly Query[], seen: readonly Impression[]): Period {
  return { rows: new RankerRows(models), queries, lists: new ListRows(models), seen };
}

export async function replayAll(
  facts: FactSource,
  engine: FeatureEngine,
  handles: Handles,
  periods: readonly Period[],
  foldIns: readonly ItemFoldIn[],
  fraud: FraudRows | undefined,
  update: Progress,
): Promise<void> {
  const replay = new Replay(engine, handles);
  for (const foldIn of foldIns) foldIn.follow(replay.catalogue);
  const next = periods.map(() => 0);
  const nextSeen = periods.map(() => 0);
  let record = 0;
  for await (const { fact } of facts.read()) {
    for (const [i, { rows, queries, lists, seen }] of periods.entries()) {
      for (let query = queries[next[i]!]; query?.record === record; query = queries[++next[i]!]) await rows.ask(replay, query);
      if (seen[nextSeen[i]!]?.record === record) await lists.ask(replay, seen[nextSeen[i]!++]!);
    }
    replay.apply(fact);
    // Side by side, as each runs a model; one after the other for the next fact.
    const learning = foldIns.flatMap((foldIn) => replay.foldIn(foldIn, fact) ?? []);
    if (learning.length > 0) await Promise.all(learning);
    if (fraud && fact.kind === 'event' && fact.event.name === 'payment_attempt') fraud.take(replay, fact.event);
    if (++record % PROGRESS_RECORDS === 0) update(record, facts.count);
  }
}

/** How much each word of the catalogue tells; undefined where it has none. */
function contentOf({ catalogue }: ShopLog, seed: number, progress: Progress): ContentModel | undefined {
  const items = [...catalogue.values()];
  return items.some((item) => contentTokens(item).size > 0) ? fitContent(items, {}, { seed, progress }) : undefined;
}

/** Sorts by time and tells runs of one second with other seeds apart. */
function versionOf(createdMs: number, seed: number): string {
  return `${new Date(createdMs).toISOString().replace(/[-:]/g, '').replace('.', '-').replace('Z', '')}-s${seed}`;
}

function partsOf(
  version: string,
  createdMs: number,
  seed: number,
  log: ShopLog,
  engine: FeatureEngine,
  retrieval: FittedRetrieval | undefined,
  ranker: FittedRanker | undefined,
  fraud: FittedFraud | undefined,
  anomaly: FittedAnomaly | undefined,
): BundleParts {
  return {
    version,
    created_ms: createdMs,
    trained: {
      from_ms: log.fromMs,
      to_ms: log.toMs,
      events: log.events,
      users: log.users.size,
      items: log.items.size,
      seed,
      journal_offset: log.lastOffset,
    },
    // A metric without a value (one class only) is left out: JSON has no NaN.
    metrics: Object.fromEntries(
      Object.entries({ ...ranker?.metrics, ...fraud?.metrics, ...anomaly?.metrics }).filter(([, value]) => Number.isFinite(value)),
    ),
    ...(retrieval && {
      userTower: {
        itemFactors: retrieval.itemFactors,
        factors: retrieval.factors,
        regularization: retrieval.regularization,
        alpha: retrieval.alpha,
        history: 'interactions',
      },
      itemIndex: retrieval.itemIndex,
      itemFoldIn: retrieval.itemFoldIn,
      userIndex: retrieval.userIndex,
      neighbours: { ids: retrieval.itemIds, ...retrieval.neighbours },
      popularity: retrieval.popularity,
      profiles: retrieval.profileIndex,
      ...(retrieval.linear && { linear: { ids: retrieval.itemIds, ...retrieval.linear } }),
      ...(retrieval.sessionSearch && { sessionSearch: retrieval.sessionSearch }),
      ...(retrieval.sessionIndex && { sessions: retrieval.sessionIndex }),
      ...(retrieval.nextItem && retrieval.nextItemIndex && { nextItem: { ...retrieval.nextItem, index: retrieval.nextItemIndex } }),
    }),
    ...(ranker && { ranker: { model: ranker.model, set: RANK_SET, hash: engine.hash(RANK_SET) } }),
    ...(fraud && {
      fraud: {
        model: fraud.model,
        set: FRAUD_SET,
        hash: engine.hash(FRAUD_SET),
        calibration: fraud.calibration,
        thresholds: fraud.thresholds,
        reference: fraud.reference,
      },
    }),
    ...(anomaly && { anomaly: { model: anomaly.model, set: FRAUD_SET, hash: engine.hash(FRAUD_SET), scale: anomaly.scale } }),
  };
}

import { setImmediate } from 'node:timers/promises';
import { GatehouseError } from '../../contracts/errors.ts';
import type {
  Comparison,
  CreateExperimentRequest,
  Experiment,
  ExperimentResult,
  ExperimentsResponse,
  Guardrails,
} from '../../contracts/experiment.ts';
import type { Alert } from '../../contracts/push.ts';
import { type Placement, placementWith } from '../../scoring/recommend/placements.ts';
import type { JournalRecord, Store } from '../../store/contract.ts';
import type { Audit } from '../audit.ts';
import { isConflict } from '../serial.ts';
import { assign } from './assign.ts';
import { Tally } from './tally.ts';

export const EXPERIMENTS_COLLECTION = 'experiments';
/** A shop that has run this many can delete none yet: some years of them, a few megabytes. */
const EXPERIMENTS_MAX = 500;
/** How often the journal is read on. Results are a second old; a guardrail needs no faster eye. */
export const FOLLOW_EVERY_MS = 1_000;
/** Records read at once: decoding them holds the event loop for a millisecond or two. */
const PAGE = 250;
const DEFAULTS = { alpha: 0.05, window_hours: 24, visitors_planned: 10_000 };
const GUARDRAILS: Guardrails = { degraded_share_rise: 0.02, latency_ms_rise: 20, revenue_drop: 0.05 };

/** What a visitor gets in place of the placement. */
export interface Trial {
  readonly experiment_id: string;
  readonly variant: string;
  readonly placement: Placement;
}

export interface Experiments {
  /** The visitor's variant of the experiment that runs on the placement; synchronous, as every recommendation asks. */
  trialOf(placement: string, visitor: string | undefined): Trial | undefined;
  /** Throws `experiment_conflict` where an experiment runs on the placement and a variant does not go with what it is to become; undefined: gone. */
  requireFits(placementId: string, placement: Placement | undefined): void;
  list(): ExperimentsResponse;
  /** Rejects with `invalid_request`, `experiment_conflict`, `experiments_full` and the store's errors. */
  create(request: CreateExperimentRequest, actor: string): Promise<Experiment>;
  /** Rejects with `not_found`, `experiment_conflict` and the store's errors. */
  start(experimentId: string, actor: string): Promise<Experiment>;
  /** Its result stays as it is from then on. Rejects with `not_found`, `experiment_conflict` and the store's errors. */
  stop(experimentId: string, reason: string, actor: string): Promise<ExperimentResult>;
  /** Rejects with `not_found`. */
  result(experimentId: string): Promise<ExperimentResult>;
  /** Counts what the journal has got since, and stops what has crossed a guardrail. Call it every FOLLOW_EVERY_MS. */
  follow(): Promise<void>;
  close(): Promise<void>;
}

export interface ExperimentsOptions {
  readonly store: Pick<Store<never>, 'docs' | 'doc' | 'onForeignFact' | 'read' | 'bounds'>;
  readonly audit: Audit;
  /** As they are in force at the moment. */
  readonly placements: PlacementsInForce;
  readonly raise: (alert: Alert) => Promise<void>;
  readonly now: () => number;
  /** Told of a failure in the background. */
  readonly onError: (error: unknown) => void;
}

interface PlacementsInForce {
  get(id: string): Placement | undefined;
}

/** The document of an experiment; `result` once it was stopped. */
interface Entry {
  readonly experiment: Experiment;
  readonly result?: ExperimentResult;
}

interface Running {
  readonly tally: Tally;
  trials: readonly Trial[];
  /** What the trials are variants of: they are made anew when the placement is changed. */
  base: Placement | undefined;
  readonly weights: readonly number[];
  /** False where the journal had lost the beginning. */
  readonly whole: boolean;
  /** Journal offset up to which it has counted. */
  until: number;
}

/** Experiments on placements: declared and stopped here, shown by `/v1/recommend`, counted from the journal. */
export async function openExperiments(options: ExperimentsOptions): Promise<Experiments> {
  const { store, audit, placements, now, onError } = options;
  const entries = new Map<string, Entry>();
  const running = new Map<string, Running>();
  const byPlacement = new Map<string, string>();
  let closed = false;
  let reading: Promise<void> = Promise.resolve();
  let changing: Promise<unknown> = Promise.resolve();

  const run = async (experiment: Experiment): Promise<void> => {
    const base = placements.get(experiment.placement);
    const trials = trialsOf(experiment, base);
    const { first } = await store.bounds();
    const from = experiment.started_offset ?? 0;
    running.set(experiment.experiment_id, {
      tally: new Tally(experiment),
      trials,
      base,
      weights: experiment.variants.map(({ weight }) => weight),
      whole: first <= from + 1,
      until: from,
    });
    byPlacement.set(experiment.placement, experiment.experiment_id);
  };
  const halt = ({ experiment_id, placement }: Experiment): void => {
    running.delete(experiment_id);
    if (byPlacement.get(placement) === experiment_id) byPlacement.delete(placement);
  };
  const set = async (entry: Entry): Promise<void> => {
    const { experiment } = entry;
    entries.set(experiment.experiment_id, entry);
    if (experiment.state === 'running' && !running.has(experiment.experiment_id)) await run(experiment);
    if (experiment.state === 'stopped') halt(experiment);
  };

  for await (const { value } of store.docs(EXPERIMENTS_COLLECTION)) {
    // A placement that is gone, or is another one now, ends no start of a gateway.
    await set(value as Entry).catch(onError);
  }
  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin' || !fact.action.startsWith('experiment.')) return;
    store
      .doc(EXPERIMENTS_COLLECTION, String(fact.detail['experiment_id']))
      .then((value) => (value === undefined ? undefined : set(value as Entry)))
      .catch(onError);
  });

  /** Another process may change a placement to one that a variant does not go with: the visitors then keep what they had. */
  const rebase = (one: Running, experiment: Experiment, base: Placement | undefined): void => {
    one.base = base;
    try {
      one.trials = trialsOf(experiment, base);
    } catch (error) {
      onError(error);
    }
  };

  const entryOf = (experimentId: string): Entry => {
    const found = entries.get(experimentId);
    if (found === undefined) throw new GatehouseError('not_found', `there is no experiment ${experimentId}`);
    return found;
  };
  const record = async (entry: Entry, actor: string, action: string, detail: Record<string, unknown> = {}): Promise<void> => {
    const { experiment_id, placement } = entry.experiment;
    const change = { collection: EXPERIMENTS_COLLECTION, id: experiment_id, value: entry, expected: { value: entries.get(experiment_id) } };
    try {
      await audit.record({ actor, action, detail: { experiment_id, placement, ...detail } }, [change]);
    } catch (cause) {
      if (!isConflict(cause)) throw cause;
      const written = await store.doc(EXPERIMENTS_COLLECTION, experiment_id);
      if (written !== undefined) await set(written as Entry);
      throw new GatehouseError('experiment_conflict', `another gateway changed ${experiment_id} at the same moment`, { cause });
    }
    await set(entry);
  };
  const count = ({ offset, fact }: JournalRecord): void => {
    for (const one of running.values()) {
      if (offset <= one.until) continue;
      one.tally.take(fact);
      one.until = offset;
    }
  };
  const readOn = async (): Promise<void> => {
    while (running.size > 0 && !closed) {
      const records = await store.read(Math.min(...[...running.values()].map(({ until }) => until)), PAGE);
      records.forEach(count);
      if (records.length < PAGE) return;
      await setImmediate();
    }
  };
  /** One at a time, so that nothing is counted twice. */
  const follow = (): Promise<void> => {
    const next = reading.then(readOn);
    reading = next.catch(() => undefined);
    return next;
  };
  const resultOf = ({ experiment, result }: Entry): ExperimentResult => {
    if (result !== undefined) return result;
    const one = running.get(experiment.experiment_id);
    if (one === undefined) return new Tally(experiment).result(experiment, experiment.state === 'draft');
    return one.tally.result(experiment, one.whole);
  };
  const create = async (request: CreateExperimentRequest, actor: string): Promise<Experiment> => {
    if (entries.has(request.experiment_id)) throw new GatehouseError('experiment_conflict', `there is an experiment ${request.experiment_id}`);
    if (entries.size >= EXPERIMENTS_MAX) throw new GatehouseError('experiments_full', `there are ${EXPERIMENTS_MAX} experiments already`);
    const experiment: Experiment = {
      ...DEFAULTS,
      ...request,
      guardrails: { ...GUARDRAILS, ...request.guardrails },
      state: 'draft',
      created_ms: now(),
      started_ms: null,
      started_offset: null,
      stopped_ms: null,
      stop_reason: null,
    };
    if (new Set(experiment.variants.map(({ name }) => name)).size < experiment.variants.length)
      throw new GatehouseError('invalid_request', 'two variants have the same name');
    trialsOf(experiment, placements.get(experiment.placement));
    await record({ experiment }, actor, 'experiment.create');
    return experiment;
  };
  const start = async (experimentId: string, actor: string): Promise<Experiment> => {
    const { experiment } = entryOf(experimentId);
    const other = byPlacement.get(experiment.placement);
    if (experiment.state !== 'draft') throw new GatehouseError('experiment_conflict', `${experimentId} was started before`);
    if (other !== undefined) throw new GatehouseError('experiment_conflict', `${other} runs on the placement ${experiment.placement}`);
    trialsOf(experiment, placements.get(experiment.placement));
    const { last } = await store.bounds();
    const started: Experiment = { ...experiment, state: 'running', started_ms: now(), started_offset: Math.max(0, last) };
    await record({ experiment: started }, actor, 'experiment.start');
    return started;
  };
  /** One change at a time: two starts at once would both find the placement free. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = changing.then(work);
    changing = next.catch(() => undefined);
    return next;
  };
  const stop = async (experimentId: string, reason: string, actor: string): Promise<ExperimentResult> => {
    await follow();
    const entry = entryOf(experimentId);
    if (entry.experiment.state !== 'running') throw new GatehouseError('experiment_conflict', `${experimentId} is not running`);
    const experiment: Experiment = { ...entry.experiment, state: 'stopped', stopped_ms: now(), stop_reason: reason };
    const result = { ...resultOf(entry), experiment };
    await record({ experiment, result }, actor, 'experiment.stop', { reason });
    return result;
  };
  const guard = async (): Promise<void> => {
    for (const id of [...running.keys()]) {
      const crossed = crossedBy(resultOf(entryOf(id)));
      if (crossed === undefined) continue;
      try {
        await inTurn(() => stop(id, crossed, 'gatehouse'));
      } catch (error) {
        // Another gateway, or a person, was first: whoever stopped it has said so.
        if (error instanceof GatehouseError && error.code === 'experiment_conflict') continue;
        throw error;
      }
      const atMs = now();
      const title = `The experiment ${id} was stopped`;
      await options.raise({ alert_id: `experiment.${id}.${atMs}`, kind: 'system', severity: 'high', at_ms: atMs, title, reasons: [crossed] });
    }
  };

  return {
    trialOf(placement, visitor) {
      const id = visitor === undefined ? undefined : byPlacement.get(placement);
      const one = id === undefined ? undefined : running.get(id);
      if (one === undefined) return undefined;
      const base = placements.get(placement);
      if (base !== one.base) rebase(one, entryOf(id!).experiment, base);
      return one.trials[assign(id!, visitor!, one.weights)];
    },
    requireFits(placementId, placement) {
      const id = byPlacement.get(placementId);
      if (id === undefined) return;
      try {
        trialsOf(entryOf(id).experiment, placement);
      } catch (cause) {
        if (!(cause instanceof GatehouseError)) throw cause;
        throw new GatehouseError('experiment_conflict', `the experiment ${id} runs on the placement: ${cause.detail}`, { cause });
      }
    },
    list: () => ({ experiments: [...entries.values()].map(({ experiment }) => experiment).sort((a, b) => b.created_ms - a.created_ms) }),
    create: (request, actor) => inTurn(() => create(request, actor)),
    start: (experimentId, actor) => inTurn(() => start(experimentId, actor)),
    stop: (experimentId, reason, actor) => inTurn(() => stop(experimentId, reason, actor)),
    async result(experimentId) {
      await follow();
      return resultOf(entryOf(experimentId));
    },
    async follow() {
      await follow();
      await guard();
    },
    async close() {
      closed = true;
      unsubscribe();
      await reading;
    },
  };
}

/** Throws `invalid_request` for a placement that is not there, or that a variant makes into none. */
function trialsOf({ experiment_id, placement, variants }: Experiment, base: Placement | undefined): Trial[] {
  if (base === undefined) throw new GatehouseError('invalid_request', `there is no placement ${placement}`);
  return variants.map(({ name, overrides }) => {
    try {
      return { experiment_id, variant: name, placement: placementWith(base, overrides) };
    } catch (cause) {
      if (!(cause instanceof GatehouseError)) throw cause;
      throw new GatehouseError('invalid_request', `the variant ${name} is no placement: ${cause.detail}`, { cause });
    }
  });
}

/** The sentence that stops an experiment, or undefined. */
function crossedBy({ experiment, variants, comparisons, sample_ratio }: ExperimentResult): string | undefined {
  // It harms nobody, but whatever else it would show is worth nothing.
  if (sample_ratio.mismatch)
    return `the visitors are not divided as declared: ${variants.map(({ name, visitors }) => `${name} ${visitors}`).join(', ')}`;
  const { degraded_share_rise, latency_ms_rise, revenue_drop } = experiment.guardrails;
  const revenue = variants[0]?.means.revenue_per_visitor ?? 0;
  const crossed = (one: Comparison): boolean => {
    if (one.low === null || one.high === null) return false;
    if (one.metric === 'degraded_share') return one.low > degraded_share_rise;
    if (one.metric === 'latency_ms') return one.low > latency_ms_rise;
    return one.metric === 'revenue_per_visitor' && one.high < -revenue_drop * revenue;
  };
  const worst = comparisons.find(crossed);
  if (worst === undefined) return undefined;
  const [low, high] = [worst.low!, worst.high!].map((end) => end.toPrecision(3));
  return `${worst.metric} of ${worst.variant} differs from the control by ${low} to ${high}, over the guardrail`;
}

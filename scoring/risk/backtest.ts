import type { TimedEvent } from '../../contracts/event.ts';
import type { Fact } from '../../contracts/fact.ts';
import { BACKTEST_TRANSACTIONS_DEFAULT, type BacktestRequest, type BacktestResult, type Rule } from '../../contracts/rules.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import type { Store } from '../../store/contract.ts';
import { EntityReplay } from '../entity-replay.ts';
import type { FeatureEngine } from '../features/contract.ts';
import { hash53 } from '../features/hash.ts';
import { BacktestLog } from './backtest-log.ts';
import { FRAUD_SET } from './pipeline.ts';
import type { ListLookup } from './rule-language.ts';
import { RuleBook, type RuleInput } from './rules.ts';

/** Records read at once. Of more, with their vectors, the collector keeps what it could have dropped. */
const PAGE = 500;
/** States that the replay holds: at two kilobytes each two gigabytes. A journal of more entities is judged by its decisions alone. */
const ENTITIES_MAX = 1_000_000;

export interface BacktestInput {
  readonly store: Pick<Store<never>, 'bounds' | 'read'>;
  readonly engine: FeatureEngine;
  /** What to run, whatever state it is in. */
  readonly rules: readonly Rule[];
  readonly lists: ListLookup;
  readonly request: Omit<BacktestRequest, 'rules'>;
  /** Milliseconds of some clock, for the duration and for lists as they are now. */
  readonly now: () => number;
  /** Records of the journal read, of so many. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Asked now and then. */
  readonly cancelled?: () => boolean;
  readonly entitiesMax?: number;
}

/**
 * Runs rules over the journal through the engine that decides. A payment with a decision is judged on that decision's own vector and what models said of it. Where there
 * are payments without one (history that was imported), the journal is read a second time: a replay of it gives their features, without a score.
 * Undefined when it was cancelled.
 */
export async function runBacktest(input: BacktestInput): Promise<BacktestResult | undefined> {
  const startedMs = input.now();
  const run = new BacktestRun(input);
  const mayReplay = input.request.replay !== 'never';
  if (!(await readJournal(input, 0, mayReplay ? 2 : 1, (fact) => run.take(fact)))) return undefined;
  if (mayReplay && run.undecided > 0) {
    if (!(await readJournal(input, 1, 2, (fact) => run.replay(fact)))) return undefined;
  } else if (mayReplay) input.onProgress?.(1, 1);
  return run.result(input.now() - startedMs);
}

/** From the oldest record to the newest of now; false when it was cancelled. It is reading number `reading` of `readings`, for the progress. */
async function readJournal(
  { store, onProgress, cancelled }: BacktestInput,
  reading: number,
  readings: number,
  take: (fact: Fact) => void,
): Promise<boolean> {
  const { first, last } = await store.bounds();
  const total = last - first + 1;
  for (let after = first - 1; after < last; ) {
    const records = await store.read(after, Math.min(PAGE, last - after));
    const newest = records.at(-1);
    if (!newest) return true;
    for (const { fact } of records) take(fact);
    after = newest.offset;
    if (cancelled?.()) return false;
    onProgress?.(reading * total + after - first + 1, readings * total);
  }
  return true;
}

/** What models said of a payment. */
type ModelOutputs = Pick<RuleInput, 'score' | 'probability' | 'anomaly'>;
const NO_MODEL: ModelOutputs = { score: Number.NaN, probability: Number.NaN, anomaly: Number.NaN };

class BacktestRun {
  readonly #input: BacktestInput;
  readonly #book: RuleBook;
  readonly #log: BacktestLog;
  readonly #ruleAt: ReadonlyMap<string, number>;
  readonly #failed: number[];
  readonly #hash: string;
  readonly #vector: Float32Array;
  readonly #labels = new Map<number, boolean>();
  /** Payments in the window whose decision has not been seen, each with the rate at which its amount was counted. */
  readonly #undecided = new Map<number, number>();
  readonly #states: EntityReplay;
  readonly #counts = { journalled: 0, replayed: 0, foreign: 0, withoutModel: 0 };

  constructor(input: BacktestInput) {
    const { engine, rules, lists, request, now } = input;
    this.#input = input;
    const startedMs = now();
    const asked: ListLookup =
      request.lists === 'now'
        ? { kind: (name) => lists.kind(name), names: () => lists.names(), has: (name, value) => lists.has(name, value, startedMs) }
        : lists;
    // Evaluated and recorded, as shadow rules are.
    this.#book = new RuleBook(
      rules.map((rule) => ({ ...rule, state: 'shadow' })),
      engine.names(FRAUD_SET),
      asked,
    );
    this.#ruleAt = new Map(rules.map(({ id, version }, i) => [`${id}@${version}`, i]));
    this.#failed = rules.map(() => 0);
    this.#log = new BacktestLog(request.transactions_max ?? BACKTEST_TRANSACTIONS_DEFAULT);
    this.#hash = engine.hash(FRAUD_SET);
    this.#vector = new Float32Array(engine.names(FRAUD_SET).length);
    this.#states = new EntityReplay(engine);
  }

  get undecided(): number {
    return this.#undecided.size;
  }

  /** The first reading: decisions, labels, and which payments have no decision. */
  take(fact: Fact): void {
    if (fact.kind === 'decision') this.#takeDecision(fact);
    else if (fact.kind === 'event') this.#takeEvent(fact.event);
  }

  /** The second reading: states move forward, and payments without a decision are judged on them. */
  replay(fact: Fact): void {
    if (this.#states.entities > (this.#input.entitiesMax ?? ENTITIES_MAX)) return;
    this.#states.apply(fact);
    if (fact.kind !== 'event' || fact.event.name !== 'payment_attempt') return;
    const { event } = fact;
    // Decisions come first where there is not room for all: the newest payments have one.
    if (this.#counts.journalled > 0 && this.#log.full) return;
    if (!this.#undecided.delete(hash53(event.event_id))) return;
    this.#input.engine.vector(FRAUD_SET, this.#states.paymentSubject(event), [], this.#vector, 0);
    this.#counts.replayed++;
    this.#counts.withoutModel++;
    this.#judge(requestOf(event), event.rate ?? 1, this.#vector, NO_MODEL, fact.at_ms);
  }

  result(durationMs: number): BacktestResult {
    const { journalled, replayed, foreign, withoutModel } = this.#counts;
    return {
      ...this.#log.figures(this.#input.rules, this.#failed, (transaction) => this.#labels.get(transaction) === true),
      journalled,
      replayed,
      left_out: foreign + this.#undecided.size + this.#log.taken - this.#log.kept,
      without_model: withoutModel,
      duration_ms: durationMs,
    };
  }

  #takeEvent(event: TimedEvent): void {
    if (event.name === 'payment_attempt') {
      if (this.#inWindow(event.timestamp_ms)) this.#undecided.set(hash53(event.event_id), event.rate ?? 1);
    } else if (event.transaction_id === undefined) return;
    // As training reads outcomes: the last word counts, an analyst may overrule a first guess.
    else if (event.name === 'chargeback') this.#labels.set(hash53(event.transaction_id), event.is_fraud ?? true);
    else if (event.name === 'label') this.#labels.set(hash53(event.transaction_id), event.is_fraud === true);
  }

  #takeDecision({ at_ms, request, response, vector, feature_hash }: Fact & { kind: 'decision' }): void {
    if (!this.#inWindow(request.timestamp_ms)) return;
    const id = hash53(request.transaction_id);
    const rate = this.#undecided.get(id) ?? 1;
    this.#undecided.delete(id);
    if (vector === null || feature_hash !== this.#hash) {
      this.#counts.foreign++;
      return;
    }
    for (let i = 0; i < vector.length; i++) this.#vector[i] = vector[i]!;
    this.#counts.journalled++;
    if (response.score === null) this.#counts.withoutModel++;
    const { score, probability, anomaly } = response;
    this.#judge(
      request,
      rate,
      this.#vector,
      { score: score ?? Number.NaN, probability: probability ?? Number.NaN, anomaly: anomaly ?? Number.NaN },
      at_ms,
    );
  }

  #inWindow(timestampMs: number): boolean {
    const { from_ms = 0, to_ms = Number.POSITIVE_INFINITY } = this.#input.request;
    return timestampMs >= from_ms && timestampMs < to_ms;
  }

  /** Rules read the amount as it was sent, figures add it up at its rate. */
  #judge(request: ScoreRequest & { readonly timestamp_ms: number }, rate: number, vector: Float32Array, models: ModelOutputs, nowMs: number): void {
    const { shadow, failed } = this.#book.evaluate({ request, vector, ...models, nowMs });
    for (const hit of failed) this.#failed[this.#indexOf(hit)]!++;
    this.#log.take({
      transaction: hash53(request.transaction_id),
      user: hash53(request.user_id),
      amount: request.amount * rate,
      atMs: request.timestamp_ms,
      hits: shadow.map((hit) => this.#indexOf(hit)).sort((a, b) => a - b),
    });
  }

  #indexOf({ rule, version }: { readonly rule: string; readonly version: number }): number {
    return this.#ruleAt.get(`${rule}@${version}`)!;
  }
}

/** A payment attempt that came as an event, as rules read it. Field by field as `paymentEvent` made it. */
function requestOf(event: TimedEvent): ScoreRequest & { timestamp_ms: number } {
  const { event_id, name: _, value, transaction_id, user_id, timestamp_ms, ...rest } = event;
  return { ...rest, transaction_id: transaction_id ?? event_id, user_id: user_id ?? '', amount: value ?? 0, timestamp_ms } as ScoreRequest & {
    timestamp_ms: number;
  };
}

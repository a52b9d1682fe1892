import type { TimedEvent } from '../../contracts/event.ts';
import type { Fact } from '../../contracts/fact.ts';
import { BACKTEST_TRANSACTIONS_DEFAULT, type BacktestRequest, type BacktestResult, type Rule } from '../../contracts/rules.ts';
import type { ScoreRequest } from '../../contracts/score.ts';
import type { JournalRecord, Store } from '../../store/contract.ts';
import { EntityReplay } from '../entity-replay.ts';
import type { FeatureEngine } from '../features/contract.ts';
import { hash53 } from '../features/hash.ts';
import { BacktestLog } from './backtest-log.ts';
import { FRAUD_SET } from './pipeline.ts';
import type { ListLookup } from './rule-language.ts';
import { RuleBook } from './rules.ts';

/** Records read at once, and how far a decision may stand behind its payment: between the two there is what other requests wrote meanwhile. */
const PAGE = 5_000;
/** States that the replay holds: at half a kilobyte each a gigabyte. A journal of more entities is judged by its decisions alone. */
const ENTITIES_MAX = 2_000_000;

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
  /** Asked after every page. */
  readonly cancelled?: () => boolean;
  readonly entitiesMax?: number;
}

/**
 * Runs rules over the journal through the engine that decides, once and front to back. A payment with a decision is judged on that decision's own vector, score
 * and probability; one without (history that was imported) on features that a replay of the journal gives, without a score. Undefined when
 * it was cancelled.
 */
export async function runBacktest(input: BacktestInput): Promise<BacktestResult | undefined> {
  const startedMs = input.now();
  const run = new BacktestRun(input);
  const { first, last } = await input.store.bounds();
  let page = await input.store.read(first - 1, PAGE);
  while (page.length > 0) {
    const end = page.at(-1)!.offset;
    const next = end >= last ? [] : await input.store.read(end, Math.min(PAGE, last - end));
    run.take(page, next);
    if (input.cancelled?.()) return undefined;
    input.onProgress?.(end - first + 1, last - first + 1);
    page = next;
  }
  return run.result(input.now() - startedMs);
}

class BacktestRun {
  readonly #input: BacktestInput;
  readonly #book: RuleBook;
  readonly #log: BacktestLog;
  readonly #ruleAt: ReadonlyMap<string, number>;
  readonly #failed: number[];
  readonly #hash: string;
  readonly #vector: Float32Array;
  readonly #labels = new Map<number, boolean>();
  readonly #replayed = new Set<number>();
  #replay: EntityReplay | undefined;
  readonly #counts = { journalled: 0, replayed: 0, leftOut: 0, withoutModel: 0 };

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
    this.#replay = request.replay === 'never' ? undefined : new EntityReplay(engine);
  }

  /** One page, with the next one to look for decisions in. */
  take(page: readonly JournalRecord[], next: readonly JournalRecord[]): void {
    const decided = new Set<string>();
    for (const records of [page, next]) for (const { fact } of records) if (fact.kind === 'decision') decided.add(fact.request.transaction_id);
    for (const { fact } of page) {
      this.#apply(fact);
      if (fact.kind === 'decision') this.#takeDecision(fact);
      else if (fact.kind === 'event') this.#takeEvent(fact.event, decided, fact.at_ms);
    }
  }

  #apply(fact: Fact): void {
    this.#replay?.apply(fact);
    // The states would grow with every entity that the journal has seen.
    if (this.#replay && this.#replay.entities > (this.#input.entitiesMax ?? ENTITIES_MAX)) this.#replay = undefined;
  }

  result(durationMs: number): BacktestResult {
    const { journalled, replayed, leftOut, withoutModel } = this.#counts;
    return {
      ...this.#log.figures(this.#input.rules, this.#failed, (transaction) => this.#labels.get(transaction) === true),
      journalled,
      replayed,
      left_out: leftOut + this.#log.taken - this.#log.kept,
      without_model: withoutModel,
      duration_ms: durationMs,
    };
  }

  #takeEvent(event: TimedEvent, decided: ReadonlySet<string>, atMs: number): void {
    // As training reads outcomes: the last word counts, an analyst may overrule a first guess.
    if (event.transaction_id !== undefined && event.name === 'chargeback') this.#labels.set(hash53(event.transaction_id), event.is_fraud ?? true);
    else if (event.transaction_id !== undefined && event.name === 'label') this.#labels.set(hash53(event.transaction_id), event.is_fraud === true);
    if (event.name !== 'payment_attempt' || !this.#inWindow(event.timestamp_ms) || decided.has(event.event_id)) return;
    if (!this.#replay) {
      this.#counts.leftOut++;
      return;
    }
    this.#input.engine.vector(FRAUD_SET, this.#replay.paymentSubject(event), [], this.#vector, 0);
    const request = requestOf(event);
    this.#replayed.add(hash53(request.transaction_id));
    this.#counts.replayed++;
    this.#counts.withoutModel++;
    this.#judge(request, this.#vector, Number.NaN, Number.NaN, atMs);
  }

  #takeDecision({ at_ms, request, response, vector, feature_hash }: Fact & { kind: 'decision' }): void {
    if (!this.#inWindow(request.timestamp_ms)) return;
    // A decision so far behind its payment that the payment was taken for one without: it counts once.
    if (this.#replayed.has(hash53(request.transaction_id))) return;
    if (vector === null || feature_hash !== this.#hash) {
      this.#counts.leftOut++;
      return;
    }
    for (let i = 0; i < vector.length; i++) this.#vector[i] = vector[i]!;
    this.#counts.journalled++;
    if (response.score === null) this.#counts.withoutModel++;
    this.#judge(request, this.#vector, response.score ?? Number.NaN, response.probability ?? Number.NaN, at_ms);
  }

  #inWindow(timestampMs: number): boolean {
    const { from_ms = 0, to_ms = Number.POSITIVE_INFINITY } = this.#input.request;
    return timestampMs >= from_ms && timestampMs < to_ms;
  }

  #judge(request: ScoreRequest & { readonly timestamp_ms: number }, vector: Float32Array, score: number, probability: number, nowMs: number): void {
    const { shadow, failed } = this.#book.evaluate({ request, vector, score, probability, nowMs });
    for (const hit of failed) this.#failed[this.#indexOf(hit)]!++;
    this.#log.take({
      transaction: hash53(request.transaction_id),
      user: hash53(request.user_id),
      amount: request.amount,
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

import { randomBytes } from 'node:crypto';
import { GatehouseError } from '../../contracts/errors.ts';
import type { BacktestJob, BacktestRequest, BacktestResult, Rule } from '../../contracts/rules.ts';
import type { Log } from '../audit.ts';
import type { BacktestOrder, BacktestProcess } from './backtest-process.ts';
import type { JournalSettings } from './journal.ts';
import type { RuleStore } from './rule-store.ts';
import { inForce } from './stored.ts';

/** Finished jobs that are remembered; what a rule's own last backtest found stays with the rule. */
const JOBS_KEPT_MAX = 10;

export interface BacktestsOptions {
  readonly rules: Pick<RuleStore, 'list' | 'get' | 'backtested'>;
  readonly journal: JournalSettings;
  readonly featuresFile: string | undefined;
  readonly run: (order: BacktestOrder, onProgress: (share: number) => void) => BacktestProcess;
  readonly log: Log;
  readonly now: () => number;
}

/** The backtests of this gateway, one at a time: two would read the same disk and take the processor from the payments. */
export class Backtests {
  readonly #options: BacktestsOptions;
  readonly #jobs: BacktestJob[] = [];
  #running: { readonly id: string; readonly process: BacktestProcess; readonly ended: Promise<void> } | undefined;

  constructor(options: BacktestsOptions) {
    this.#options = options;
  }

  /** The newest first. */
  list(): BacktestJob[] {
    return [...this.#jobs];
  }

  /** Throws `backtest_not_found`. */
  get(id: string): BacktestJob {
    const job = this.#jobs.find((known) => known.id === id);
    if (!job) throw new GatehouseError('backtest_not_found', `there is no backtest ${id}`);
    return job;
  }

  /** Throws `backtest_busy` or `rule_not_found`. */
  start({ rules: asked, ...request }: BacktestRequest, actor: string): BacktestJob {
    if (this.#running) throw new GatehouseError('backtest_busy', `backtest ${this.#running.id} is running`);
    const rules = this.#rulesOf(asked);
    const id = `bt_${randomBytes(6).toString('hex')}`;
    const job: BacktestJob = {
      id,
      state: 'running',
      author: actor,
      started_ms: this.#options.now(),
      progress: 0,
      rules: rules.map(({ id: rule, version }) => ({ id: rule, version })),
    };
    this.#jobs.unshift(job);
    this.#jobs.splice(JOBS_KEPT_MAX);
    const process = this.#options.run({ journal: this.#options.journal, featuresFile: this.#options.featuresFile, rules, request }, (progress) =>
      this.#change(id, { progress: Math.min(1, progress) }),
    );
    this.#running = { id, process, ended: this.#follow(id, process.done, actor) };
    return job;
  }

  /** Throws `backtest_not_found`. What is done stays as it is. */
  async cancel(id: string): Promise<BacktestJob> {
    this.get(id);
    if (this.#running?.id === id) {
      const { process, ended } = this.#running;
      process.cancel();
      await ended;
    }
    return this.get(id);
  }

  async close(): Promise<void> {
    if (this.#running) await this.cancel(this.#running.id);
  }

  async #follow(id: string, done: Promise<BacktestResult | undefined>, actor: string): Promise<void> {
    try {
      const result = await done;
      if (result) await this.#options.rules.backtested(result, actor);
      this.#change(id, result ? { state: 'done', progress: 1, result } : { state: 'cancelled' });
    } catch (err) {
      this.#options.log.error({ err, backtest: id }, 'a backtest failed');
      this.#change(id, { state: 'failed', problem: err instanceof GatehouseError ? err.detail : 'the gateway failed: see its log' });
    } finally {
      this.#running = undefined;
    }
  }

  #change(id: string, change: Partial<BacktestJob>): void {
    const at = this.#jobs.findIndex((job) => job.id === id);
    if (at >= 0) this.#jobs[at] = { ...this.#jobs[at]!, ...change };
  }

  /** What was asked for, and the live rules beside it. */
  #rulesOf(asked: BacktestRequest['rules']): Rule[] {
    const all = this.#options.rules.list().rules;
    const newest = all.filter(
      ({ id, state }, i) => state !== 'retired' && all.findIndex((other) => other.id === id && other.state !== 'retired') === i,
    );
    const wanted = asked?.map(({ id, version }) => this.#options.rules.get(id, version)) ?? newest;
    return [...new Set([...wanted, ...all.filter(({ state }) => state === 'live')])].map(inForce);
  }
}

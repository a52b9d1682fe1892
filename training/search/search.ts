import { GatehouseError } from '../../contracts/errors.ts';
import { type Progress, requireData, requireParam } from '../learners/contract.ts';
import { seededRandom } from '../learners/random.ts';
import { checkSpace, type Space, sampleUniform, type Values } from './space.ts';
import { suggest } from './tpe.ts';
import { fileLog, memoryLog, type Trial, type TrialLog } from './trials.ts';

export type Strategy =
  | { readonly kind: 'random' }
  | { readonly kind: 'tpe' }
  /** Many with a small resource, the best `1 / eta` of them with `eta` times more, until the whole (Jamieson, Talwalkar 2016). */
  | { readonly kind: 'halving'; readonly eta: number; readonly resourceMin: number };

/**
 * Measures values: smaller is better. `resource` is the share of rows or trees to spend, `seed` that of this trial. A `GatehouseError` or a value
 * that is no number is a failed trial, which is kept and counted; any other error ends the search.
 */
export type Evaluate = (values: Values, context: { readonly resource: number; readonly seed: number }) => number | Promise<number>;

export interface SearchOptions {
  readonly space: Space;
  readonly strategy: Strategy;
  readonly seed: number;
  /** Different values tried at most. */
  readonly trialsMax: number;
  /** No trial is begun after so long, this run alone counted; the one that runs is not cut off. */
  readonly budgetS: number;
  /** A monotonic clock in milliseconds. */
  readonly nowMs: () => number;
  /** Where trials are kept: a later search with the same settings goes on behind them, as if it had never stopped. */
  readonly file?: string;
  readonly progress?: Progress;
}

export interface SearchResult {
  /** The best trial with the whole resource. */
  readonly best: Trial & { readonly value: number };
  readonly trials: readonly Trial[];
  readonly failed: number;
  /** False when time ran out first. */
  readonly complete: boolean;
}

/** A search keeps its trials in memory and TPE looks at all of them each time. */
const TRIALS_MAX = 10_000;

/**
 * Searches the space one trial after another. The same settings give the same trials, however often the search is broken off and taken up again;
 * time decides only how many. Throws `training_data_insufficient` when no trial with the whole resource succeeded.
 */
export async function search(evaluate: Evaluate, options: SearchOptions): Promise<SearchResult> {
  checkOptions(options);
  const { space, strategy, seed, trialsMax, file } = options;
  const log = file === undefined ? memoryLog() : fileLog(file, { space, strategy, seed, trialsMax });
  const runner = createRunner(evaluate, log, options);
  const complete = strategy.kind === 'halving' ? await halve(runner, strategy, options) : await sample(runner, strategy.kind, options);
  const whole = runner.trials.filter(isWhole);
  requireData(whole.length > 0, `none of ${runner.trials.length} trials gave a value with the whole resource`);
  const best = whole.reduce((a, b) => (b.value < a.value ? b : a));
  return { best, trials: runner.trials, failed: runner.trials.filter(({ value }) => value === undefined).length, complete };
}

function isWhole(trial: Trial): trial is Trial & { readonly value: number } {
  return trial.value !== undefined && trial.resource === 1;
}

async function sample(runner: Runner, kind: 'random' | 'tpe', { space, seed, trialsMax }: SearchOptions): Promise<boolean> {
  for (let number = 0; number < trialsMax; number++) {
    const random = seededRandom(seedOf(seed, number));
    const scored = runner.trials.map(({ values, value = Number.POSITIVE_INFINITY }) => ({ values, value }));
    const values = kind === 'random' ? sampleUniform(space, random) : suggest(space, scored, random);
    if (!(await runner.run(values, 1))) return false;
  }
  return true;
}

async function halve(runner: Runner, { eta, resourceMin }: Extract<Strategy, { kind: 'halving' }>, options: SearchOptions): Promise<boolean> {
  const { space, seed, trialsMax } = options;
  let rung = Array.from({ length: trialsMax }, (_, i) => sampleUniform(space, seededRandom(seedOf(seed, i))));
  for (let resource = Math.min(1, resourceMin); ; resource = nextResource(resource, eta)) {
    const results: { values: Values; value: number }[] = [];
    for (const values of rung) {
      const trial = await runner.run(values, resource);
      if (!trial) return false;
      if (trial.value !== undefined) results.push({ values, value: trial.value });
    }
    if (resource === 1 || results.length === 0) return true;
    // The sort is stable: of equals the earlier goes on.
    rung = results
      .sort((a, b) => a.value - b.value)
      .slice(0, Math.max(1, Math.floor(rung.length / eta)))
      .map(({ values }) => values);
  }
}

/** The last step is the whole, without a rung a hair below it. */
function nextResource(resource: number, eta: number): number {
  return resource * eta >= 1 - 1e-9 ? 1 : resource * eta;
}

interface Runner {
  readonly trials: readonly Trial[];
  /** The trial, or undefined when time has run out. */
  run(values: Values, resource: number): Promise<Trial | undefined>;
}

function createRunner(evaluate: Evaluate, log: TrialLog, { seed, budgetS, nowMs, trialsMax, progress }: SearchOptions): Runner {
  const startMs = nowMs();
  const trials: Trial[] = [];
  return {
    trials,
    async run(values, resource) {
      const number = trials.length;
      const earlier = log.done[number];
      if (earlier) {
        // Other values here mean that the file was edited or the sampler has changed: going on would mix two searches.
        if (JSON.stringify(earlier.values) !== JSON.stringify(values) || earlier.resource !== resource) {
          throw new GatehouseError('input_unreadable', `trial ${number} of the file is not the one that this search makes`);
        }
        trials.push(earlier);
        return earlier;
      }
      if (nowMs() - startMs >= 1000 * budgetS) return undefined;
      const trial: Trial = { number, values, resource, ...(await outcomeOf(evaluate, values, { resource, seed: seedOf(seed, number) })) };
      log.append(trial);
      trials.push(trial);
      progress?.(trials.length, trialsMax, trial.value === undefined ? `failed: ${trial.error}` : `value ${trial.value.toFixed(6)}`);
      return trial;
    },
  };
}

async function outcomeOf(evaluate: Evaluate, values: Values, context: Parameters<Evaluate>[1]): Promise<{ value: number } | { error: string }> {
  try {
    const value = await evaluate(values, context);
    return Number.isFinite(value) ? { value } : { error: `the value is ${value}` };
  } catch (error) {
    // Values that the data do not bear are an answer; anything else is a fault of the program.
    if (error instanceof GatehouseError) return { error: error.message };
    throw error;
  }
}

/** Seeds of neighbouring trials must not look alike; the factor is Knuth's. */
function seedOf(seed: number, number: number): number {
  return (Math.imul(seed, 0x9e3779b1) + number) >>> 0;
}

function checkOptions({ space, strategy, trialsMax, budgetS }: SearchOptions): void {
  checkSpace(space);
  requireParam(Number.isInteger(trialsMax) && trialsMax >= 1 && trialsMax <= TRIALS_MAX, `trialsMax must be 1 to ${TRIALS_MAX}, not ${trialsMax}`);
  requireParam(budgetS > 0, `budgetS must be positive, not ${budgetS}`);
  if (strategy.kind !== 'halving') return;
  requireParam(strategy.eta > 1, `eta must be over 1, not ${strategy.eta}`);
  requireParam(strategy.resourceMin > 0 && strategy.resourceMin <= 1, `resourceMin must be over 0 and at most 1, not ${strategy.resourceMin}`);
}

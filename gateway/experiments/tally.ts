import type { TimedEvent } from '../../contracts/event.ts';
import {
  type Comparison,
  EXPERIMENT_METRICS,
  type Experiment,
  type ExperimentMetric,
  type ExperimentResult,
  type VariantResult,
} from '../../contracts/experiment.ts';
import type { Fact } from '../../contracts/fact.ts';
import { ATTRIBUTION_MS } from '../../contracts/recommend.ts';
import { visitorOf } from './assign.ts';
import { compareMeans, Moments, sampleRatioPValue } from './sequential.ts';

const HOUR_MS = 3_600_000;
/** Visitors of one experiment: some 30 MB of ids. By then differences of a percent are told apart. Later ones are shown their variant and not counted. */
const VISITORS_MAX = 200_000;
/** Of them, those whose window is open: what each was shown is held, in all some 40 MB for a page or two, 200 MB where everybody browses all day. */
export const WAITING_MAX = 50_000;
/** Items and answers remembered of a visitor whose window is open; the oldest go. A long evening's browsing. */
const SHOWN_ITEMS_MAX = 50;
const ANSWERS_MAX = 20;
/** A mismatch is a verdict on the experiment's plumbing: it should hardly ever be said of a sound one. */
const MISMATCH_P = 0.001;

interface Visitor {
  readonly variant: number;
  readonly sinceMs: number;
  clicked: boolean;
  basket: boolean;
  bought: boolean;
  revenue: number;
  /** When each item was shown last. */
  readonly items: Map<string, number>;
  readonly answers: string[];
}

/**
 * What became of the visitors of one experiment, from the journal alone, in its order: the same facts give the same figures after a restart. A
 * visitor is one observation, made when the window closes, so that what is compared are independent draws.
 */
export class Tally {
  readonly #experiment: Experiment;
  readonly #moments: readonly Readonly<Record<ExperimentMetric, Moments>>[];
  readonly #seen: number[];
  /** Whose window is open, those that came first first. */
  readonly #waiting = new Map<string, Visitor>();
  readonly #counted = new Set<string>();
  /** Whose answer it was, while the window is open. */
  readonly #answers = new Map<string, string>();
  #over = 0;

  constructor(experiment: Experiment) {
    this.#experiment = experiment;
    this.#seen = experiment.variants.map(() => 0);
    this.#moments = experiment.variants.map(
      () => Object.fromEntries(EXPERIMENT_METRICS.map((metric) => [metric, new Moments()])) as Record<ExperimentMetric, Moments>,
    );
  }

  /** The next fact of the journal. */
  take(fact: Fact): void {
    if (fact.kind !== 'event' && fact.kind !== 'recommendation') return;
    this.#close(fact.at_ms);
    if (fact.kind === 'event') this.#act(fact.event, fact.at_ms);
    else if (fact.response.experiment?.experiment_id === this.#experiment.experiment_id) this.#show(fact);
  }

  #show({ request, response, at_ms, took_ms }: Extract<Fact, { kind: 'recommendation' }>): void {
    const key = visitorOf(request);
    const variant = this.#experiment.variants.findIndex(({ name }) => name === response.experiment?.variant);
    if (key === undefined || variant < 0 || this.#counted.has(key)) return;
    let visitor = this.#waiting.get(key);
    if (visitor === undefined) {
      if (this.#waiting.size >= WAITING_MAX || this.#waiting.size + this.#counted.size >= VISITORS_MAX) {
        this.#over++;
        return;
      }
      visitor = { variant, sinceMs: at_ms, clicked: false, basket: false, bought: false, revenue: 0, items: new Map(), answers: [] };
      this.#waiting.set(key, visitor);
      this.#seen[variant]!++;
      // Of the first answer alone and at once: an accident is to be seen before a window closes.
      const moments = this.#moments[variant]!;
      moments.degraded_share.add(response.degraded ? 1 : 0);
      if (took_ms !== undefined) moments.latency_ms.add(took_ms);
    }
    for (const { item_id } of response.items) {
      visitor.items.delete(item_id);
      visitor.items.set(item_id, at_ms);
    }
    for (const id of visitor.items.keys()) {
      if (visitor.items.size <= SHOWN_ITEMS_MAX) break;
      visitor.items.delete(id);
    }
    visitor.answers.push(response.recommendation_id);
    this.#answers.set(response.recommendation_id, key);
    if (visitor.answers.length > ANSWERS_MAX) this.#answers.delete(visitor.answers.shift()!);
  }

  #act(event: TimedEvent, atMs: number): void {
    const named = event.recommendation_id === undefined ? undefined : this.#answers.get(event.recommendation_id);
    const visitor = this.#visitor(event, named);
    // What was done before the first answer, and is told late, is none of its doing.
    if (visitor === undefined || event.timestamp_ms < visitor.sinceMs) return;
    if (event.name === 'purchase') visitor.revenue += event.value ?? worthOf(event);
    // A click that names another list is that one's.
    const elsewhere = event.recommendation_id !== undefined || (event.placement !== undefined && event.placement !== this.#experiment.placement);
    const credited = named !== undefined || (!elsewhere && this.#wasShown(visitor, event, atMs));
    if (!credited) return;
    if (event.name === 'select_item') visitor.clicked = true;
    else if (event.name === 'add_to_cart') visitor.basket = true;
    else if (event.name === 'purchase') visitor.bought = true;
  }

  #visitor(event: TimedEvent, named: string | undefined): Visitor | undefined {
    if (named !== undefined) return this.#waiting.get(named);
    const user = event.user_id === undefined ? undefined : this.#waiting.get(`u${event.user_id}`);
    return user ?? (event.session_id === undefined ? undefined : this.#waiting.get(`s${event.session_id}`));
  }

  #wasShown({ items }: Visitor, event: TimedEvent, atMs: number): boolean {
    return (event.items ?? []).some(({ item_id }) => atMs - (items.get(item_id) ?? Number.NEGATIVE_INFINITY) <= ATTRIBUTION_MS);
  }

  /** Counts those whose window is over. */
  #close(nowMs: number): void {
    const windowMs = this.#experiment.window_hours * HOUR_MS;
    for (const [key, visitor] of this.#waiting) {
      if (visitor.sinceMs + windowMs > nowMs) break;
      this.#waiting.delete(key);
      this.#counted.add(key);
      for (const answer of visitor.answers) this.#answers.delete(answer);
      const moments = this.#moments[visitor.variant]!;
      moments.click_rate.add(visitor.clicked ? 1 : 0);
      moments.basket_rate.add(visitor.basket ? 1 : 0);
      moments.purchase_rate.add(visitor.bought ? 1 : 0);
      moments.revenue_per_visitor.add(visitor.revenue);
    }
  }

  result(experiment: Experiment, complete: boolean): ExperimentResult {
    const { variants } = experiment;
    const pValue = sampleRatioPValue(
      this.#seen,
      variants.map(({ weight }) => weight),
    );
    return {
      experiment,
      variants: variants.map(({ name }, n) => this.#variant(name, n)),
      comparisons: variants.slice(1).flatMap(({ name }, n) => EXPERIMENT_METRICS.map((metric) => this.#compare(name, n + 1, metric))),
      sample_ratio: { p_value: pValue, mismatch: pValue < MISMATCH_P },
      answers_over: this.#over,
      complete,
    };
  }

  #variant(name: string, n: number): VariantResult {
    const moments = this.#moments[n]!;
    const means = Object.fromEntries(EXPERIMENT_METRICS.map((metric) => [metric, moments[metric].n === 0 ? null : moments[metric].mean]));
    return { name, visitors: this.#seen[n]!, counted: moments.click_rate.n, means: means as VariantResult['means'] };
  }

  #compare(variant: string, n: number, metric: ExperimentMetric): Comparison {
    const { alpha, variants, visitors_planned } = this.#experiment;
    const level = alpha / (variants.length - 1);
    const found = compareMeans(this.#moments[0]![metric], this.#moments[n]![metric], level, visitors_planned);
    if (found === undefined) return { variant, metric, difference: null, low: null, high: null, p_value: null, significant: false };
    const { difference, low, high, pValue } = found;
    return { variant, metric, difference, low, high, p_value: pValue, significant: pValue < level };
  }
}

function worthOf({ items = [] }: TimedEvent): number {
  return items.reduce((sum, { price = 0, quantity = 1 }) => sum + price * quantity, 0);
}

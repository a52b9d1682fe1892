import type { RouteTraffic, TrafficResponse, TrafficSecond } from '../../contracts/control.ts';
import { quantileOf } from '../histogram.ts';
import type { Metrics } from '../metrics.ts';

const SECOND_MS = 1000;
/** A minute of seconds: enough for a person to see what changed, and small to send each second. */
const SECONDS_MAX = 60;
/** Routes whose latency a shopper feels. */
const ANSWERING: ReadonlySet<string> = new Set(['recommend', 'recommend_get', 'recommend_page', 'score']);

interface RouteCounts {
  readonly counts: Float64Array;
  errors: number;
}
/** Totals since the start, as they were at `atMs`. */
interface Sample {
  readonly atMs: number;
  readonly routes: ReadonlyMap<string, RouteCounts>;
  readonly decisions: ReadonlyMap<string, number>;
  readonly degraded: ReadonlyMap<string, number>;
}

/**
 * The dashboard's numbers. Once a second the metrics' totals are copied into a ring of a minute; a rate is the difference of two copies, so the
 * hot path pays nothing for it.
 */
export class Traffic {
  readonly #metrics: Pick<Metrics, 'latencyCells' | 'counterValues' | 'eventLoopDelay'>;
  readonly #now: () => number;
  readonly #samples: Sample[] = [];
  readonly #startMs: number;

  constructor(metrics: Pick<Metrics, 'latencyCells' | 'counterValues' | 'eventLoopDelay'>, now: () => number) {
    this.#metrics = metrics;
    this.#now = now;
    this.#startMs = now();
  }

  /** Take a sample. Call it once a second (`start`). */
  async tick(): Promise<void> {
    const routes = new Map<string, RouteCounts>();
    for (const cell of this.#metrics.latencyCells('requests')) {
      const [route = '', status = ''] = cell.labels;
      const entry = routes.get(route) ?? { counts: new Float64Array(cell.counts.length), errors: 0 };
      routes.set(route, entry);
      for (const [at, count] of cell.counts.entries()) {
        entry.counts[at]! += count;
        if (status === '5xx') entry.errors += count;
      }
    }
    const decisions = await this.#totals('decisions', 'decision');
    const degraded = await this.#totals('degraded', 'reason');
    this.#samples.push({ atMs: this.#now(), routes, decisions, degraded });
    if (this.#samples.length > SECONDS_MAX + 1) this.#samples.shift();
  }

  /** Sample each second until the returned function is called. */
  start(onError: (error: unknown) => void): () => void {
    const sample = (): void => void this.tick().catch(onError);
    sample();
    const timer = setInterval(sample, SECOND_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  snapshot(): TrafficResponse {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    const loop = this.#metrics.eventLoopDelay;
    const windowS = first && last ? (last.atMs - first.atMs) / SECOND_MS : 0;
    const measured = first !== undefined && last !== undefined && windowS > 0;
    return {
      at_ms: this.#now(),
      window_s: windowS,
      routes: measured ? routesBetween(first, last, windowS) : [],
      seconds: this.#samples.slice(1).map((sample, at) => secondBetween(this.#samples[at]!, sample)),
      decisions: measured ? difference(first.decisions, last.decisions) : {},
      degraded: measured ? difference(first.degraded, last.degraded) : {},
      event_loop: { p50_ms: loop.p50S * SECOND_MS, p99_ms: loop.p99S * SECOND_MS, max_ms: loop.maxS * SECOND_MS },
      memory_bytes: process.memoryUsage.rss(),
      uptime_s: (this.#now() - this.#startMs) / SECOND_MS,
    };
  }

  async #totals(key: 'decisions' | 'degraded', label: string): Promise<ReadonlyMap<string, number>> {
    const totals = new Map<string, number>();
    for (const { labels, value } of await this.#metrics.counterValues(key)) {
      const name = String(labels[label] ?? '');
      totals.set(name, (totals.get(name) ?? 0) + value);
    }
    return totals;
  }
}

/** What was counted for a route between two samples. */
function countsBetween(before: Sample, after: Sample, route: string): RouteCounts {
  const to = after.routes.get(route);
  if (to === undefined) return { counts: new Float64Array(0), errors: 0 };
  const from = before.routes.get(route);
  return { counts: to.counts.map((count, at) => count - (from?.counts[at] ?? 0)), errors: to.errors - (from?.errors ?? 0) };
}

function sum(counts: Float64Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

function quantileMs(counts: Float64Array, q: number): number | null {
  const seconds = quantileOf(counts, q);
  return seconds === undefined ? null : seconds * SECOND_MS;
}

function routesBetween(before: Sample, after: Sample, windowS: number): RouteTraffic[] {
  return [...after.routes.keys()].sort().map((route) => {
    const { counts, errors } = countsBetween(before, after, route);
    return {
      route,
      per_s: sum(counts) / windowS,
      errors_per_s: errors / windowS,
      p50_ms: quantileMs(counts, 0.5),
      p95_ms: quantileMs(counts, 0.95),
      p99_ms: quantileMs(counts, 0.99),
    };
  });
}

function secondBetween(before: Sample, after: Sample): TrafficSecond {
  const seconds = (after.atMs - before.atMs) / SECOND_MS;
  const requests: Record<string, number> = {};
  let answers = new Float64Array(0);
  for (const route of after.routes.keys()) {
    const { counts } = countsBetween(before, after, route);
    const total = sum(counts);
    // A sample may come late on a busy loop: what it holds is spread over the time that it stands for.
    if (total > 0 && seconds > 0) requests[route] = total / seconds;
    if (ANSWERING.has(route)) answers = answers.length === 0 ? counts.slice() : answers.map((count, at) => count + counts[at]!);
  }
  return { at_ms: after.atMs, requests, p50_ms: quantileMs(answers, 0.5), p99_ms: quantileMs(answers, 0.99) };
}

function difference(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
}

import type { TrafficResponse } from '../contracts/control.ts';
import { bars, Chart, type Series } from './charts.ts';
import { byId, html, setText } from './dom.ts';
import { formatAge, formatBytes, formatCount, formatMs, formatName, formatRate, formatShare } from './format.ts';

/** In the order of the stack; a route that is not named here is not drawn, but stands in the table. */
const LAYERS: readonly { readonly name: string; readonly tone: string; readonly routes: readonly string[] }[] = [
  { name: 'events', tone: 'tone-events', routes: ['events'] },
  { name: 'recommend', tone: 'tone-recommend', routes: ['recommend', 'recommend_get', 'recommend_page'] },
  { name: 'score', tone: 'tone-score', routes: ['score'] },
];
const DECISION_ORDER = ['approve', 'review', 'challenge', 'restrict_payment_method', 'decline', 'suspend'] as const;
/** Decisions by which a payment does not simply go through. */
const STOPPED: ReadonlySet<string> = new Set(['restrict_payment_method', 'decline', 'suspend']);

/** A share of failures that someone should look at: a tenth of a per cent. */
const WARN_SHARE = 0.001;

const sumOf = (values: Readonly<Record<string, number>>): number => Object.values(values).reduce((total, value) => total + value, 0);

/** Figures, charts and tables of the last minute. */
export class TrafficView {
  readonly #rates = new Chart({ label: 'Requests a second', stacked: true, format: formatRate });
  readonly #latency = new Chart({ label: 'Latency of answers', stacked: false, format: formatMs });
  readonly #decisions = byId('decisions', HTMLElement);
  readonly #degraded = byId('degraded', HTMLElement);
  readonly #routes = byId('route-rows', HTMLTableSectionElement);

  constructor() {
    byId('chart-traffic', HTMLElement).append(this.#rates.element);
    byId('chart-latency', HTMLElement).append(this.#latency.element);
  }

  update(traffic: TrafficResponse): void {
    const { seconds } = traffic;
    this.#rates.update(
      LAYERS.map(
        ({ name, tone, routes }): Series => ({
          name,
          tone,
          values: seconds.map(({ requests }) => routes.reduce((total, route) => total + (requests[route] ?? 0), 0)),
        }),
      ),
    );
    this.#latency.update([
      { name: 'p50', tone: 'tone-p50', values: seconds.map((second) => second.p50_ms) },
      { name: 'p99', tone: 'tone-p99', values: seconds.map((second) => second.p99_ms) },
    ]);
    this.#figures(traffic);
    this.#drawDecisions(traffic);
    this.#drawRoutes(traffic);
  }

  #figures(traffic: TrafficResponse): void {
    const last = traffic.seconds.at(-1);
    const decided = sumOf(traffic.decisions);
    const stopped = Object.entries(traffic.decisions).reduce((total, [name, count]) => total + (STOPPED.has(name) ? count : 0), 0);
    const answers = traffic.routes
      .filter(({ route }) => route === 'score' || route.startsWith('recommend'))
      .reduce((total, { per_s }) => total + per_s * traffic.window_s, 0);
    const errors = traffic.routes.reduce((total, { errors_per_s }) => total + errors_per_s, 0);
    const requests = traffic.routes.reduce((total, { per_s }) => total + per_s, 0);
    figure(
      'requests',
      formatRate(last ? sumOf(last.requests) : 0),
      `${formatShare(errors, requests)} errors in the last minute`,
      errors >= requests * WARN_SHARE && errors > 0 ? 'warn' : '',
    );
    figure('latency', formatMs(last?.p99_ms), `p50 ${formatMs(last?.p50_ms)}`, '');
    figure('decided', formatCount(decided), 'decisions in the last minute', '');
    figure('stopped', formatShare(stopped, decided), `${formatCount(stopped)} declined, restricted or suspended`, '');
    const degraded = sumOf(traffic.degraded);
    figure(
      'degraded',
      formatShare(degraded, answers),
      degraded === 0 ? 'every answer by its model' : `${formatCount(degraded)} answers by a fallback`,
      degraded >= answers * WARN_SHARE && degraded > 0 ? 'warn' : 'good',
    );
    setText(
      byId('process', HTMLElement),
      `up ${formatAge(0, traffic.uptime_s * 1000)} · ${formatBytes(traffic.memory_bytes)} resident · event loop p99 ${formatMs(traffic.event_loop.p99_ms)}`,
    );
  }

  #drawDecisions({ decisions, degraded }: TrafficResponse): void {
    const total = sumOf(decisions);
    bars(
      this.#decisions,
      DECISION_ORDER.map((name) => {
        const value = decisions[name] ?? 0;
        return {
          name: formatName(name),
          tone: `decision ${name}`,
          value,
          text: total === 0 ? '0' : `${formatCount(value)} · ${formatShare(value, total)}`,
        };
      }),
    );
    const reasons = Object.entries(degraded).filter(([, count]) => count > 0);
    this.#degraded.hidden = reasons.length === 0;
    setText(this.#degraded, `Degraded: ${reasons.map(([reason, count]) => `${formatName(reason)} ${formatCount(count)}`).join(', ')}`);
  }

  #drawRoutes({ routes }: TrafficResponse): void {
    this.#routes.replaceChildren(
      ...routes.map(({ route, per_s, errors_per_s, p50_ms, p95_ms, p99_ms }) =>
        html(
          'tr',
          {},
          html('th', { scope: 'row' }, formatName(route)),
          ...[formatRate(per_s), formatMs(p50_ms), formatMs(p95_ms), formatMs(p99_ms)].map((text) => html('td', { class: 'number' }, text)),
          html('td', { class: errors_per_s > 0 ? 'number warn' : 'number' }, formatRate(errors_per_s)),
        ),
      ),
    );
  }
}

function figure(name: string, value: string, note: string, tone: '' | 'warn' | 'good'): void {
  const tile = byId(`figure-${name}`, HTMLElement);
  tile.className = `figure ${tone}`.trim();
  setText(tile.querySelector('b')!, value);
  setText(tile.querySelector('small')!, note);
}

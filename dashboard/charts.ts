import { html, setText, svg } from './dom.ts';

/** A named line or layer; null where there was nothing to measure. */
export interface Series {
  readonly name: string;
  /** A class of style.css that colours it. */
  readonly tone: string;
  readonly values: readonly (number | null)[];
}

export interface ChartOptions {
  readonly label: string;
  readonly stacked: boolean;
  readonly format: (value: number) => string;
}

export const CHART = { width: 400, height: 120, seconds: 60 } as const;
/** As many as style.css has places for their labels. */
const GRID_LINES = 2;

/** The next round number above, whose half is round as well, so that grid lines have readable values and the scale does not tremble. */
export function niceMax(value: number): number {
  if (!(value > 0)) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 3, 4, 6, 8].find((step) => step * magnitude >= value) ?? 10) * magnitude;
}

/** The newest value stands at the right edge, whatever the number of values. */
function x(at: number, count: number): number {
  return CHART.width - ((count - 1 - at) * CHART.width) / (CHART.seconds - 1);
}
const y = (value: number, max: number): number => CHART.height - (Math.min(value, max) / max) * (CHART.height - 6);

/** A line that is broken where there is no value. */
export function linePath(values: readonly (number | null)[], max: number): string {
  let path = '';
  let drawing = false;
  for (const [at, value] of values.entries()) {
    if (value === null) {
      drawing = false;
      continue;
    }
    path += `${drawing ? 'L' : 'M'}${x(at, values.length).toFixed(1)} ${y(value, max).toFixed(1)}`;
    drawing = true;
  }
  return path;
}

/** The band between two edges of a stack. */
export function bandPath(lower: readonly number[], upper: readonly number[], max: number): string {
  if (upper.length === 0) return '';
  const forth = upper.map((value, at) => `${x(at, upper.length).toFixed(1)} ${y(value, max).toFixed(1)}`);
  const back = lower.map((value, at) => `${x(at, lower.length).toFixed(1)} ${y(value, max).toFixed(1)}`).reverse();
  return `M${[...forth, ...back].join('L')}Z`;
}

/** Upper edge of each layer: the sum of it and those below. */
export function stack(series: readonly Series[]): number[][] {
  const edges: number[][] = [];
  for (const { values } of series) {
    const below = edges.at(-1);
    edges.push(values.map((value, at) => (value ?? 0) + (below?.[at] ?? 0)));
  }
  return edges;
}

/** A chart of the last minute with a legend that shows the newest values, or those under the pointer. */
export class Chart {
  readonly element = html('figure', { class: 'chart' });
  readonly #options: ChartOptions;
  readonly #plot = svg('svg', { viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: 'none', role: 'img' });
  readonly #scale = html('div', { class: 'scale', 'aria-hidden': 'true' });
  readonly #legend = html('figcaption', { class: 'legend' });
  #series: readonly Series[] = [];
  #hovered: number | undefined;

  constructor(options: ChartOptions) {
    this.#options = options;
    this.element.append(html('div', { class: 'plot' }, this.#plot, this.#scale), this.#legend);
    this.#plot.addEventListener('pointermove', (event) => {
      const box = this.#plot.getBoundingClientRect();
      const count = this.#series[0]?.values.length ?? 0;
      const fromRight = Math.round(((box.right - event.clientX) / box.width) * (CHART.seconds - 1));
      this.#hovered = count - 1 - fromRight;
      this.#draw();
    });
    this.#plot.addEventListener('pointerleave', () => {
      this.#hovered = undefined;
      this.#draw();
    });
  }

  update(series: readonly Series[]): void {
    this.#series = series;
    this.#draw();
  }

  #draw(): void {
    const { stacked, format, label } = this.#options;
    const edges = stacked ? stack(this.#series) : [];
    const shown = stacked ? (edges.at(-1) ?? []) : this.#series.flatMap(({ values }) => values.filter((value) => value !== null));
    const max = niceMax(Math.max(0, ...shown));
    const marks: SVGElement[] = [];
    const rules = Array.from({ length: GRID_LINES }, (_, at) => (max * (at + 1)) / GRID_LINES);
    for (const value of rules) {
      const at = y(value, max).toFixed(1);
      marks.push(svg('line', { class: 'grid', x1: '0', x2: String(CHART.width), y1: at, y2: at }));
    }
    for (const [at, { tone, values }] of this.#series.entries()) {
      if (stacked) {
        const upper = edges[at] ?? [];
        marks.push(svg('path', { class: `band ${tone}`, d: bandPath(edges[at - 1] ?? upper.map(() => 0), upper, max) }));
        marks.push(svg('path', { class: `line ${tone}`, d: linePath(upper, max) }));
      } else {
        marks.push(svg('path', { class: `line ${tone}`, d: linePath(values, max) }));
      }
    }
    const count = this.#series[0]?.values.length ?? 0;
    const hovered = this.#hovered !== undefined && this.#hovered >= 0 && this.#hovered < count ? this.#hovered : undefined;
    if (hovered !== undefined) {
      const at = x(hovered, count).toFixed(1);
      marks.push(svg('line', { class: 'cursor', x1: at, x2: at, y1: '0', y2: String(CHART.height) }));
    }
    this.#plot.replaceChildren(...marks);
    this.#scale.replaceChildren(...[...rules].reverse().map((value) => html('span', {}, format(value))), html('span', {}, '0'));
    const at = hovered ?? count - 1;
    const items = this.#series.map(({ name, tone, values }) => {
      const value = values[at];
      return { name, tone, text: value === null || value === undefined ? '–' : format(value) };
    });
    this.#legend.replaceChildren(
      ...items.map(({ name, tone, text }) => html('span', { class: `key ${tone}` }, html('i'), `${name} `, html('b', {}, text))),
      html('span', { class: 'when' }, hovered === undefined ? 'now' : `${count - 1 - hovered} s ago`),
    );
    this.#plot.setAttribute('aria-label', `${label}: ${items.map(({ name, text }) => `${name} ${text}`).join(', ')}`);
  }
}

/** Horizontal bars, the values in the given order. */
export function bars(
  element: HTMLElement,
  rows: readonly { readonly name: string; readonly tone: string; readonly value: number; readonly text: string }[],
): void {
  const max = Math.max(1, ...rows.map(({ value }) => value));
  const known = new Map([...element.querySelectorAll<HTMLElement>('[data-bar]')].map((row) => [row.dataset['bar'], row]));
  element.replaceChildren(
    ...rows.map(({ name, tone, value, text }) => {
      const row =
        known.get(name) ??
        html('div', { class: `bar ${tone}`, 'data-bar': name }, html('span', {}, name), html('div', { class: 'track' }, html('i')), html('b'));
      // Kept from draw to draw, so that the bar glides to its new length.
      row.querySelector<HTMLElement>('.track i')?.style.setProperty('width', `${(value / max) * 100}%`);
      const figure = row.querySelector('b');
      if (figure) setText(figure, text);
      return row;
    }),
  );
}

import { formatNumber, html, type Markup } from './html.ts';
import { niceRange, niceTicks, type Range, rangeOf, tickLabel } from './scale.ts';

/** Charts as inline SVG: pure functions of their numbers. Colours are classes, so the page's style decides them, light or dark. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  /** `baseline` is drawn thin and dashed, in a muted colour. */
  readonly kind?: 'main' | 'baseline';
  /** Mark each point; for few points. */
  readonly markers?: boolean;
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  readonly xRange?: Range;
  readonly yRange?: Range;
  /** x in powers of ten; points at x <= 0 are left out. */
  readonly xLog?: boolean;
  /** A vertical mark, as at the best iteration. */
  readonly mark?: { readonly x: number; readonly label: string };
  /** A thin line of reference, as y = x. */
  readonly reference?: { readonly from: Point; readonly to: Point; readonly label: string };
}

const WIDTH = 520;
const HEIGHT = 300;
const LEFT = 56;
const RIGHT = 18;
const TOP = 12;
const BOTTOM = 44;
/** More series than colours would repeat one. */
export const COLOURS = 6;
const TICKS_X = 6;
const TICKS_Y = 5;
/** Points drawn per line: more than pixels can show only makes the file big. */
const POINTS_MAX = 600;
const BAR_HEIGHT = 18;
const BAR_GAP = 7;

function fixed(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** At most POINTS_MAX points, the first and the last among them. */
function thin(points: readonly Point[]): readonly Point[] {
  if (points.length <= POINTS_MAX) return points;
  return Array.from({ length: POINTS_MAX }, (_, i) => points[Math.round((i * (points.length - 1)) / (POINTS_MAX - 1))]!);
}

function project([min, max]: Range, from: number, to: number): (value: number) => number {
  return (value) => from + ((Math.min(max, Math.max(min, value)) - min) / (max - min)) * (to - from);
}

function colourClass(index: number): string {
  return `c${index % COLOURS}`;
}

interface Frame {
  readonly xRange: Range;
  readonly yRange: Range;
  readonly xTicks: readonly { readonly at: number; readonly label: string }[];
  readonly xLabel: string;
  readonly yLabel: string;
}

/** Grid lines, tick labels and axis names. */
function axes({ xRange, yRange, xTicks, xLabel, yLabel }: Frame): Markup {
  const x = project(xRange, LEFT, WIDTH - RIGHT);
  const y = project(yRange, HEIGHT - BOTTOM, TOP);
  return html`${niceTicks(yRange, TICKS_Y).map(
    (tick) =>
      html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}"/><text class="tick end" x="${LEFT - 8}" y="${fixed(y(tick) + 4)}">${tickLabel(tick)}</text>`,
  )}${xTicks.map(
    ({ at, label }) =>
      html`<line class="axis" x1="${fixed(x(at))}" x2="${fixed(x(at))}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM + 4}"/><text class="tick middle" x="${fixed(x(at))}" y="${HEIGHT - BOTTOM + 18}">${label}</text>`,
  )}<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM}"/>
<text class="name middle" x="${fixed((LEFT + WIDTH - RIGHT) / 2)}" y="${HEIGHT - 6}">${xLabel}</text>
<text class="name middle" transform="translate(13 ${fixed((TOP + HEIGHT - BOTTOM) / 2)}) rotate(-90)">${yLabel}</text>`;
}

function figure(title: string, legend: readonly { readonly name: string; readonly style: string }[], height: number, body: Markup): Markup {
  return html`<figure><figcaption>${title}</figcaption>${
    legend.length > 1 && html`<ul class="legend">${legend.map(({ name, style }) => html`<li><span class="key ${style}"></span>${name}</li>`)}</ul>`
  }<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">${body}</svg></figure>`;
}

function emptyFigure(title: string): Markup {
  return html`<figure><figcaption>${title}</figcaption><p class="empty">No points to draw.</p></figure>`;
}

/** Lines over two axes. Points that are not finite are left out. */
export function lineChart(chart: LineChart): Markup {
  const { title, xLabel, yLabel, xLog = false, mark, reference } = chart;
  const place = (x: number): number => (xLog ? Math.log10(x) : x);
  const series = chart.series.map((one) => ({
    ...one,
    points: one.points.map(({ x, y }) => ({ x: place(x), y })).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)),
  }));
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return emptyFigure(title);
  const xRange = chart.xRange ? ([place(chart.xRange[0]), place(chart.xRange[1])] as const) : rangeOf(points.map(({ x }) => x));
  const yRange = chart.yRange ?? niceRange(rangeOf(points.map(({ y }) => y)), TICKS_Y);
  const x = project(xRange, LEFT, WIDTH - RIGHT);
  const y = project(yRange, HEIGHT - BOTTOM, TOP);
  const logTicks = [...new Set(points.map((point) => point.x))].sort((a, b) => a - b);
  const xTicks = xLog
    ? logTicks
        .filter((_, i) => logTicks.length <= 2 * TICKS_X || i % Math.ceil(logTicks.length / TICKS_X) === 0)
        .map((at) => ({ at, label: tickLabel(10 ** at) }))
    : niceTicks(xRange, TICKS_X).map((at) => ({ at, label: tickLabel(at) }));
  let mains = 0;
  const styled = series.map((one) => ({ ...one, style: one.kind === 'baseline' ? `base ${colourClass(mains++)}` : colourClass(mains++) }));
  const lines = styled.map(({ name, points: own, style, markers }) => {
    const path = thin(own).map((point, i) => `${i === 0 ? 'M' : 'L'}${fixed(x(point.x))} ${fixed(y(point.y))}`);
    const dots = markers ? own : [];
    return html`<path class="line ${style}" d="${path.join('')}"><title>${name}</title></path>${dots.map(
      (point) =>
        html`<circle class="dot ${style}" cx="${fixed(x(point.x))}" cy="${fixed(y(point.y))}" r="3.5"><title>${name}: ${formatNumber(xLog ? 10 ** point.x : point.x)}, ${formatNumber(point.y)}</title></circle>`,
    )}`;
  });
  const markX = mark && Number.isFinite(place(mark.x)) ? x(place(mark.x)) : undefined;
  const markEnds = markX !== undefined && markX > WIDTH / 2;
  return figure(
    title,
    reference ? [...styled, { name: reference.label, style: 'ref' }] : styled,
    HEIGHT,
    html`${axes({ xRange, yRange, xTicks, xLabel, yLabel })}${
      reference &&
      html`<line class="reference" x1="${fixed(x(place(reference.from.x)))}" y1="${fixed(y(reference.from.y))}" x2="${fixed(x(place(reference.to.x)))}" y2="${fixed(y(reference.to.y))}"><title>${reference.label}</title></line>`
    }${lines}${
      mark &&
      markX !== undefined &&
      html`<line class="mark" x1="${fixed(markX)}" x2="${fixed(markX)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text class="tick ${markEnds ? 'end' : ''}" x="${fixed(markX + (markEnds ? -6 : 6))}" y="${TOP + 10}">${mark.label}</text>`
    }`,
  );
}

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Shown at the bar's end instead of the plain number. */
  readonly text?: string;
}

/** Horizontal bars from 0, in the order given. Values that are not finite or negative get no bar. */
export function barChart({ title, bars }: { readonly title: string; readonly bars: readonly Bar[] }): Markup {
  if (bars.length === 0) return emptyFigure(title);
  const labelWidth = Math.min(220, 14 + 6.6 * Math.max(...bars.map(({ label }) => label.length)));
  const charactersMax = Math.floor((labelWidth - 14) / 6.6);
  const most = Math.max(...bars.map(({ value }) => (Number.isFinite(value) ? value : 0)), Number.MIN_VALUE);
  const room = WIDTH - labelWidth - 84;
  const height = bars.length * (BAR_HEIGHT + BAR_GAP) + BAR_GAP;
  const rows = bars.map(({ label, value, text }, i) => {
    const top = BAR_GAP + i * (BAR_HEIGHT + BAR_GAP);
    const width = Number.isFinite(value) && value > 0 ? Math.max(1, (value / most) * room) : 0;
    const short = label.length > charactersMax ? `${label.slice(0, charactersMax - 1)}…` : label;
    return html`<g><title>${label}: ${text ?? formatNumber(value)}</title><text class="label end" x="${fixed(labelWidth - 8)}" y="${top + 13}">${short}</text><rect class="bar c0" x="${fixed(labelWidth)}" y="${top}" width="${fixed(width)}" height="${BAR_HEIGHT}" rx="2"/><text class="tick" x="${fixed(labelWidth + width + 6)}" y="${top + 13}">${text ?? formatNumber(value)}</text></g>`;
  });
  return figure(title, [], height, html`${rows}`);
}

export interface HistogramChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Bin edges, one more than the values of each series. */
  readonly edges: readonly number[];
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
}

/** Overlaid translucent columns over shared bins. */
export function histogram({ title, xLabel, yLabel, edges, series }: HistogramChart): Markup {
  const values = series.flatMap((one) => one.values).filter(Number.isFinite);
  if (edges.length < 2 || values.length === 0) return emptyFigure(title);
  const xRange = rangeOf(edges);
  const yRange = niceRange([0, Math.max(...values, Number.MIN_VALUE)], TICKS_Y);
  const x = project(xRange, LEFT, WIDTH - RIGHT);
  const y = project(yRange, HEIGHT - BOTTOM, TOP);
  const columns = series.map(({ name, values: own }, index) =>
    own.slice(0, edges.length - 1).map((value, i) => {
      const [from, to] = [edges[i]!, edges[i + 1]!];
      const height = Number.isFinite(value) ? y(0) - y(value) : 0;
      return html`<rect class="column ${colourClass(index)}" x="${fixed(x(from) + 0.5)}" y="${fixed(y(0) - height)}" width="${fixed(Math.max(1, x(to) - x(from) - 1))}" height="${fixed(height)}"><title>${name}, ${formatNumber(from)} to ${formatNumber(to)}: ${formatNumber(value)}</title></rect>`;
    }),
  );
  const xTicks = niceTicks(xRange, TICKS_X).map((at) => ({ at, label: tickLabel(at) }));
  return figure(
    title,
    series.map(({ name }, i) => ({ name, style: `fill ${colourClass(i)}` })),
    HEIGHT,
    html`${axes({ xRange, yRange, xTicks, xLabel, yLabel })}${columns}`,
  );
}

import { formatNumber, html, type Markup } from './html.ts';
import type { MetricRow, ModelReport } from './input.ts';
import { barChart, histogram, lineChart } from './svg.ts';

/** Features shown; the rest matter little and would make the chart unreadable. */
const IMPORTANCES_MAX = 20;

interface Comparison {
  readonly name: string;
  /** Relative, positive where the model is better. */
  readonly gain: number;
}

/** The model against the baseline that does best on a metric; undefined without one to compare with. */
export function bestBaseline({ value, baselines, lowerIsBetter = false }: MetricRow): Comparison | undefined {
  const sign = lowerIsBetter ? -1 : 1;
  let best: { name: string; value: number } | undefined;
  for (const [name, other] of Object.entries(baselines)) {
    if (Number.isFinite(other) && (best === undefined || sign * (other - best.value) > 0)) best = { name, value: other };
  }
  if (best === undefined || best.value === 0 || !Number.isFinite(value)) return undefined;
  return { name: best.name, gain: (sign * (value - best.value)) / Math.abs(best.value) };
}

/** The gain as `▲ 12.3% over popularity`; a sign and a word, not colour alone. */
export function gainText(row: MetricRow): Markup | undefined {
  const comparison = bestBaseline(row);
  if (comparison === undefined) return undefined;
  const { name, gain } = comparison;
  const percent = `${Number(Math.abs(100 * gain).toPrecision(3)).toLocaleString('en-US')}%`;
  if (gain === 0) return html`equal to ${name}`;
  return gain > 0 ? html`<span class="up">▲ ${percent}</span> better than ${name}` : html`<span class="down">▼ ${percent}</span> worse than ${name}`;
}

function metricsTable(rows: readonly MetricRow[]): Markup {
  const names = [...new Set(rows.flatMap(({ baselines }) => Object.keys(baselines)))];
  const cells = (row: MetricRow): Markup[] => {
    const best = bestBaseline(row);
    const modelWins = best === undefined || best.gain >= 0;
    return [
      html`<td class="num ${modelWins ? 'best' : ''}">${formatNumber(row.value)}</td>`,
      ...names.map(
        (name) =>
          html`<td class="num ${!modelWins && best?.name === name ? 'best' : ''}">${Object.hasOwn(row.baselines, name) ? formatNumber(row.baselines[name]!) : ''}</td>`,
      ),
    ];
  };
  return html`<div class="card"><table><thead><tr><th>Metric</th><th class="num">This model</th>${names.map((name) => html`<th class="num">${name}</th>`)}<th class="num">Against the best baseline</th></tr></thead><tbody>${rows.map(
    (row) =>
      html`<tr><td>${row.metric}${row.lowerIsBetter && html` <span class="soft">(lower is better)</span>`}</td>${cells(row)}<td class="num">${gainText(row)}</td></tr>`,
  )}</tbody></table></div>`;
}

function charts(model: ModelReport): Markup[] {
  const { trainingCurve, roc, precisionRecall, calibration, scores, importance, recallAtK } = model;
  const unit = [0, 1] as const;
  const out: Markup[] = [];
  if (trainingCurve) {
    const { lossName, stepName, train, validation, bestStep } = trainingCurve;
    out.push(
      lineChart({
        title: 'Training curve',
        xLabel: stepName,
        yLabel: lossName,
        series: [
          { name: 'train', points: train },
          { name: 'validation', points: validation },
        ],
        ...(bestStep === undefined ? {} : { mark: { x: bestStep, label: `best: ${formatNumber(bestStep)}` } }),
      }),
    );
  }
  if (recallAtK) {
    const { model: own, baselines } = recallAtK;
    const series = [
      { name: model.name, points: own, markers: true },
      ...baselines.map(({ name, points }) => ({ name, points, markers: true, kind: 'baseline' as const })),
    ];
    out.push(lineChart({ title: 'Recall at k', xLabel: 'k (logarithmic)', yLabel: 'recall', series, xLog: true }));
  }
  if (roc) {
    const reference = { from: { x: 0, y: 0 }, to: { x: 1, y: 1 }, label: 'random order' };
    out.push(
      lineChart({
        title: 'ROC curve',
        xLabel: 'false positive rate',
        yLabel: 'true positive rate',
        series: [{ name: model.name, points: roc }],
        xRange: unit,
        yRange: unit,
        reference,
      }),
    );
  }
  if (precisionRecall) {
    const { points, positiveShare } = precisionRecall;
    const reference = { from: { x: 0, y: positiveShare }, to: { x: 1, y: positiveShare }, label: `random order: ${formatNumber(positiveShare)}` };
    out.push(
      lineChart({
        title: 'Precision and recall',
        xLabel: 'recall',
        yLabel: 'precision',
        series: [{ name: model.name, points }],
        xRange: unit,
        yRange: unit,
        reference,
      }),
    );
  }
  if (calibration) {
    const points = calibration.filter(({ count }) => count > 0).map(({ predicted, observed }) => ({ x: predicted, y: observed }));
    const most = Math.min(1, 1.05 * Math.max(1e-6, ...points.flatMap(({ x, y }) => [x, y]).filter(Number.isFinite)));
    out.push(
      lineChart({
        title: 'Calibration',
        xLabel: 'predicted probability (mean of bin)',
        yLabel: 'observed share',
        series: [{ name: model.name, points, markers: true }],
        xRange: [0, most],
        yRange: [0, most],
        reference: { from: { x: 0, y: 0 }, to: { x: most, y: most }, label: 'perfect calibration' },
      }),
    );
  }
  if (scores) {
    // Shares, not counts: with one positive in a thousand the positives' counts would be invisible.
    const share = (counts: readonly number[]): number[] => {
      const total = counts.reduce((sum, count) => sum + count, 0);
      return counts.map((count) => (total === 0 ? 0 : count / total));
    };
    out.push(
      histogram({
        title: 'Scores by class',
        xLabel: 'score',
        yLabel: 'share of the class',
        edges: scores.edges,
        series: [
          { name: 'negatives', values: share(scores.negatives) },
          { name: 'positives', values: share(scores.positives) },
        ],
      }),
    );
  }
  if (importance) {
    const shown = importance.slice(0, IMPORTANCES_MAX).map(({ feature, value }) => ({ label: feature, value }));
    const rest = importance.length - shown.length;
    out.push(barChart({ title: rest > 0 ? `Feature importance (${shown.length} of ${importance.length})` : 'Feature importance', bars: shown }));
  }
  return out;
}

/** One model: how it was made, its metrics against baselines, its plots. */
export function modelSection(model: ModelReport, anchor: string): Markup {
  const params = Object.entries(model.params);
  return html`<section id="${anchor}"><h2>${model.name} <span class="soft">${model.kind}</span></h2>${
    params.length > 0 &&
    html`<div class="card"><dl class="params">${params.map(
      ([name, value]) => html`<div><dt>${name}</dt><dd><code>${typeof value === 'number' ? String(value) : `${value}`}</code></dd></div>`,
    )}</dl></div>`
  }${model.metrics.length > 0 && metricsTable(model.metrics)}<div class="charts">${charts(model)}</div></section>`;
}

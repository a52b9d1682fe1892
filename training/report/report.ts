import { formatNumber, formatSeconds, formatTime, html, Markup } from './html.ts';
import type { DataSummary, ModelReport, QualityCheck, ReportInput, TrainingEnvironment } from './input.ts';
import { gainText, modelSection } from './model-section.ts';
import { STYLE } from './style.ts';
import { barChart } from './svg.ts';

export type { MetricRow, ModelReport, QualityCheck, ReportInput } from './input.ts';

/** Our own constant: the one text that goes into the page as it is. */
const STYLE_MARKUP = new Markup(STYLE);
const STATUS = { pass: '✓ pass', warn: '! warning', fail: '✗ fail' } as const;

function tile(value: string, label: string, delta?: Markup): Markup {
  return html`<div class="tile"><b>${value}</b><span>${label}</span>${delta && html`<span class="delta">${delta}</span>`}</div>`;
}

function counted(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** What a reader looks for first: each model's first metric, and whether the data was sound. */
function glance(models: readonly ModelReport[], checks: readonly QualityCheck[]): Markup {
  const failed = checks.filter(({ status }) => status === 'fail').length;
  const warned = checks.filter(({ status }) => status === 'warn').length;
  return html`<div class="tiles">${models.flatMap((model) => {
    const first = model.metrics[0];
    return first ? [tile(formatNumber(first.value), `${model.name}: ${first.metric}`, gainText(first))] : [];
  })}${
    checks.length > 0 &&
    tile(
      `${checks.length - failed - warned} of ${checks.length}`,
      'data checks passed',
      failed + warned === 0
        ? undefined
        : html`<span class="${failed > 0 ? 'down' : 'soft'}">${counted(failed, 'failure')}, ${counted(warned, 'warning')}</span>`,
    )
  }</div>`;
}

function dataSection({ facts, users, items, fromMs, toMs, splits }: DataSummary): Markup {
  const rows = splits.reduce((sum, split) => sum + split.rows, 0);
  const percent = (part: number): string => (rows === 0 ? '' : `${((100 * part) / rows).toFixed(1)}%`);
  return html`<section id="data"><h2>Data</h2><div class="tiles">${[
    tile(formatNumber(facts), 'facts'),
    tile(formatNumber(users), 'users'),
    tile(formatNumber(items), 'items'),
    tile(`${formatNumber(Math.max(0, (toMs - fromMs) / 86_400_000))} days`, `${formatTime(fromMs)} to ${formatTime(toMs)}`),
  ]}</div>${
    splits.length > 0 &&
    html`<div class="card"><table><thead><tr><th>Split</th><th class="num">Rows</th><th class="num">Share</th><th>From</th><th>To</th></tr></thead><tbody>${splits.map(
      (split) =>
        html`<tr><td>${split.name}</td><td class="num">${formatNumber(split.rows)}</td><td class="num">${percent(split.rows)}</td><td>${formatTime(split.fromMs)}</td><td>${formatTime(split.toMs)}</td></tr>`,
    )}</tbody></table></div>`
  }</section>`;
}

function checksSection(checks: readonly QualityCheck[]): Markup {
  return html`<section id="checks"><h2>Data quality</h2>${
    checks.length === 0
      ? html`<p class="empty">No checks were made.</p>`
      : html`<div class="card"><table><thead><tr><th>Status</th><th>Check</th><th>Detail</th></tr></thead><tbody>${checks.map(
          ({ status, name, detail }) =>
            html`<tr><td><span class="badge ${status}">${STATUS[status]}</span></td><td>${name}</td><td>${detail}</td></tr>`,
        )}</tbody></table></div>`
  }</section>`;
}

function environmentSection({ nodeVersion, threads, stages }: TrainingEnvironment): Markup {
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  return html`<section id="environment"><h2>Environment</h2><div class="tiles">${[
    tile(nodeVersion, 'Node.js'),
    tile(formatNumber(threads), 'threads'),
    tile(formatSeconds(total), 'in all stages'),
  ]}</div>${
    stages.length > 0 &&
    html`<div class="charts">${barChart({
      title: 'Time per stage',
      bars: stages.map(({ name, seconds }) => ({ label: name, value: seconds, text: formatSeconds(seconds) })),
    })}</div>`
  }</section>`;
}

/**
 * The training report: one HTML page without scripts or anything to fetch, which its own content security policy enforces. Every text
 * is escaped: names of features, models and checks come from data and mappings.
 */
export function renderReport(input: ReportInput): string {
  const { title, bundleVersion, createdMs, featureSetHash, models } = input;
  const anchor = (i: number): string => `model-${i + 1}`;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title><style>${STYLE_MARKUP}</style></head><body><main>
<header><h1>${title}</h1><p class="soft">Bundle <code>${bundleVersion}</code>, made ${formatTime(createdMs)}, feature set <code>${featureSetHash}</code></p>
<nav>${models.map((model, i) => html`<a href="#${anchor(i)}">${model.name}</a>`)}<a href="#data">Data</a><a href="#checks">Data quality</a><a href="#environment">Environment</a></nav></header>
<section><h2>At a glance</h2>${glance(models, input.checks)}</section>
${models.map((model, i) => modelSection(model, anchor(i)))}
${dataSection(input.data)}${checksSection(input.checks)}${environmentSection(input.environment)}
</main></body></html>
`;
  return page.text;
}

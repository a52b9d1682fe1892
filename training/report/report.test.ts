import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { escapeText, formatNumber, formatSeconds, formatTime, html } from './html.ts';
import { bestBaseline } from './model-section.ts';
import { type ReportInput, renderReport } from './report.ts';

const DAY_MS = 86_400_000;
const FROM_MS = Date.UTC(2026, 0, 1);

function curve(count: number, y: (x: number) => number, step = 1 / (count - 1)) {
  return Array.from({ length: count }, (_, i) => ({ x: i * step, y: y(i * step) }));
}

/** A report with every part; shapes are those of real models, the numbers are made up by formulas. */
function sampleInput(): ReportInput {
  const bell = (at: number, middle: number, width: number) => Math.exp(-(((at - middle) / width) ** 2));
  const edges = Array.from({ length: 31 }, (_, i) => i / 30);
  const features = ['card.amount_sum.1h', 'tx.amount', 'card.count.10m', 'device.distinct_cards.7d', 'ip.count.1h', 'user.age_days', 'tx.hour'];
  const windows = ['card.count.1d', 'merchant.fraud_share.30d', 'user.chargebacks.90d', 'address.distinct_users.30d', 'tx.country_mismatch'];
  const more = ['session.events', 'item.price', 'user.purchases.30d', 'device.age_days', 'ip.distinct_users.1d', 'tx.is_weekend'];
  return {
    title: 'Training report: shop',
    bundleVersion: '2026-03-31T04-00-12Z-7f3a9c',
    createdMs: FROM_MS + 90 * DAY_MS,
    featureSetHash: 'sha256:2b61f0c4a8d2',
    data: {
      facts: 4_812_339,
      users: 183_204,
      items: 41_877,
      fromMs: FROM_MS,
      toMs: FROM_MS + 90 * DAY_MS,
      splits: [
        { name: 'train', rows: 3_849_871, fromMs: FROM_MS, toMs: FROM_MS + 72 * DAY_MS },
        { name: 'validation', rows: 481_233, fromMs: FROM_MS + 72 * DAY_MS, toMs: FROM_MS + 81 * DAY_MS },
        { name: 'test', rows: 481_235, fromMs: FROM_MS + 81 * DAY_MS, toMs: FROM_MS + 90 * DAY_MS },
      ],
    },
    models: [
      {
        name: 'risk',
        kind: 'gbdt',
        params: { num_leaves: 63, learning_rate: 0.1, iterations: 240, min_data_in_leaf: 50, early_stopping: true, objective: 'binary' },
        trainingCurve: {
          lossName: 'log loss',
          stepName: 'iteration',
          train: curve(240, (x) => 0.09 + 0.25 * Math.exp(-x / 30), 1),
          validation: curve(240, (x) => 0.125 + 0.22 * Math.exp(-x / 28) + 0.0000004 * x * x, 1),
          bestStep: 122,
        },
        metrics: [
          { metric: 'average precision', value: 0.6841, baselines: { rules: 0.4127, 'amount only': 0.1932 } },
          { metric: 'ROC AUC', value: 0.9713, baselines: { rules: 0.8802, 'amount only': 0.7411 } },
          { metric: 'log loss', value: 0.1251, baselines: { 'base rate': 0.1911 }, lowerIsBetter: true },
          { metric: 'recall at 1% alerts', value: 0.7214, baselines: { rules: 0.7402, 'amount only': 0.2101 } },
        ],
        roc: curve(200, (x) => x ** 0.12),
        precisionRecall: { points: curve(200, (x) => Math.max(0.031, 0.98 - 0.2 * x - 0.75 * x ** 7)), positiveShare: 0.031 },
        calibration: Array.from({ length: 10 }, (_, i) => ({
          predicted: 0.05 + 0.09 * i,
          observed: 0.04 + 0.092 * i + 0.012 * Math.sin(i),
          count: 400 - 30 * i,
        })),
        scores: {
          edges,
          negatives: edges.slice(1).map((at) => Math.round(60_000 * bell(at, 0.06, 0.13) + 600 * bell(at, 0.4, 0.3))),
          positives: edges.slice(1).map((at) => Math.round(900 * bell(at, 0.85, 0.16) + 200 * bell(at, 0.35, 0.22))),
        },
        importance: [...features, ...windows, ...more].map((feature, i) => ({ feature, value: 41_000 * 0.8 ** i })),
      },
      {
        name: 'retrieval',
        kind: 'two-tower',
        params: { dimensions: 64, epochs: 12, batch_size: 512, temperature: 0.07, loss: 'in-batch softmax, log-Q corrected' },
        trainingCurve: {
          lossName: 'in-batch softmax loss',
          stepName: 'epoch',
          train: curve(12, (x) => 3.1 + 2.6 * Math.exp(-x / 3), 1),
          validation: curve(12, (x) => 3.5 + 2.3 * Math.exp(-x / 2.6) + 0.004 * x, 1),
          bestStep: 9,
        },
        metrics: [
          { metric: 'recall@100', value: 0.3127, baselines: { popularity: 0.1143, 'item-kNN': 0.2754, ALS: 0.2688 } },
          { metric: 'NDCG@10', value: 0.0874, baselines: { popularity: 0.0301, 'item-kNN': 0.0912, ALS: 0.0702 } },
          { metric: 'catalogue coverage@100', value: 0.6213, baselines: { popularity: 0.0024, 'item-kNN': 0.5531, ALS: 0.4217 } },
        ],
        recallAtK: {
          model: [5, 10, 20, 50, 100, 200].map((k) => ({ x: k, y: 0.068 * k ** 0.333 })),
          baselines: [
            { name: 'item-kNN', points: [5, 10, 20, 50, 100, 200].map((k) => ({ x: k, y: 0.064 * k ** 0.317 })) },
            { name: 'ALS', points: [5, 10, 20, 50, 100, 200].map((k) => ({ x: k, y: 0.05 * k ** 0.365 })) },
            { name: 'popularity', points: [5, 10, 20, 50, 100, 200].map((k) => ({ x: k, y: 0.018 * k ** 0.4 })) },
          ],
        },
      },
    ],
    checks: [
      { name: 'timestamps in order', status: 'pass', detail: 'All 4,812,339 facts lie between the first and the last day.' },
      { name: 'duplicate event ids', status: 'pass', detail: 'None.' },
      { name: 'items without a price', status: 'warn', detail: '412 of 41,877 items (1.0%): price features are missing for them.' },
      { name: 'label delay', status: 'fail', detail: 'The last 14 days have 61% fewer chargebacks than the mean: labels are not complete yet.' },
    ],
    environment: {
      nodeVersion: 'v20.20.2',
      threads: 2,
      stages: [
        { name: 'import', seconds: 21.4 },
        { name: 'quality checks', seconds: 3.2 },
        { name: 'replay', seconds: 6.1 },
        { name: 'train risk', seconds: 38.7 },
        { name: 'train retrieval', seconds: 214 },
        { name: 'evaluate', seconds: 17.9 },
        { name: 'export', seconds: 0.84 },
      ],
    },
  };
}

const HOSTILE = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>&amp;\u0000`;

/** The same input with every string replaced, keys of records too. */
function poison(value: unknown): unknown {
  if (typeof value === 'string') return ['pass', 'warn', 'fail'].includes(value) ? value : HOSTILE;
  if (Array.isArray(value)) return value.map(poison);
  if (typeof value !== 'object' || value === null) return value;
  const shape = new Set(['params', 'baselines']);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (!shape.has(key) || Array.isArray(inner)) return [key, poison(inner)];
      return [key, Object.fromEntries(Object.entries(inner as object).map(([name, one]) => [`${HOSTILE}${name}`, poison(one)]))];
    }),
  );
}

/** Tags of the page in order, to see that it is well formed. */
function unbalancedTags(page: string): string[] {
  const voids = new Set(['meta', '!doctype', 'br', 'img']);
  const open: string[] = [];
  const wrong: string[] = [];
  const body = page.replace(/<style>[\s\S]*?<\/style>/, '');
  for (const [, slash, name, rest] of body.matchAll(/<(\/?)([a-z!][a-z0-9]*)([^>]*)>/gi)) {
    if (voids.has(name!.toLowerCase()) || rest!.endsWith('/')) continue;
    if (!slash) open.push(name!);
    else if (open.pop() !== name) wrong.push(name!);
  }
  return [...wrong, ...open];
}

describe('renderReport', () => {
  test('shows every part of its input', () => {
    const page = renderReport(sampleInput());
    const sampleFile = process.env['GATEHOUSE_REPORT_SAMPLE'];
    if (sampleFile) writeFileSync(sampleFile, page);
    for (const text of [
      '2026-03-31T04-00-12Z-7f3a9c',
      'sha256:2b61f0c4a8d2',
      '4,812,339',
      '183,204',
      'num_leaves',
      'in-batch softmax loss',
      '0.6841',
    ]) {
      expect(page).toContain(text);
    }
    const captions = [...page.matchAll(/<figcaption>([^<]*)/g)].map((match) => match[1]);
    expect(captions).toEqual([
      'Training curve',
      'ROC curve',
      'Precision and recall',
      'Calibration',
      'Scores by class',
      'Feature importance',
      'Training curve',
      'Recall at k',
      'Time per stage',
    ]);
    expect(page).toContain('2 of 4');
    expect(page).toContain('1 failure, 1 warning<');
    expect(page).toMatch(/▲ 65\.8%<\/span> better than rules/);
    expect(page).toMatch(/▼ 2\.54%<\/span> worse than rules/);
    expect(unbalancedTags(page)).toEqual([]);
  });

  test('fetches nothing and runs nothing', () => {
    const page = renderReport(sampleInput());
    expect(page).not.toMatch(/<script|<link|<img|<iframe|<object|javascript:|url\(|@import|https?:\/\//i);
    expect(page).not.toMatch(/\son[a-z]+\s*=/i);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(page).toContain('prefers-color-scheme: dark');
  });

  test('escapes hostile text everywhere', () => {
    const page = renderReport(poison(sampleInput()) as ReportInput);
    expect(page).not.toMatch(/<script|<img/i);
    expect(page).not.toContain('\u0000');
    expect(page.split('&lt;script&gt;').length).toBeGreaterThan(50);
    expect(unbalancedTags(page)).toEqual([]);
    for (const [, attributes] of page.matchAll(/<[a-z][a-z0-9]*((?:\s[^<>]*)?)>/gi))
      expect(attributes).toMatch(/^(\s+[a-zA-Z0-9-]+(="[^"<>]*")?)*\s*\/?$/);
  });

  test('draws no NaN and survives empty and broken numbers', () => {
    const input = sampleInput();
    const broken: ReportInput = {
      ...input,
      createdMs: Number.NaN,
      data: { facts: 0, users: 0, items: 0, fromMs: Number.NaN, toMs: Number.NaN, splits: [{ name: 'train', rows: 0, fromMs: 0, toMs: 0 }] },
      models: [
        {
          name: 'empty',
          kind: 'gbdt',
          params: {},
          metrics: [{ metric: 'AUC', value: Number.NaN, baselines: { other: Number.NaN } }],
          trainingCurve: { lossName: 'loss', stepName: 'epoch', train: [], validation: [{ x: 1, y: Number.NaN }] },
          roc: [{ x: 0.5, y: 0.5 }],
          precisionRecall: { points: [], positiveShare: Number.NaN },
          calibration: [{ predicted: Number.NaN, observed: 0, count: 1 }],
          scores: { edges: [0, 1], negatives: [0], positives: [Number.NaN] },
          importance: [{ feature: 'x', value: Number.NaN }],
          recallAtK: { model: [{ x: 0, y: 1 }], baselines: [] },
        },
      ],
      checks: [],
      environment: { nodeVersion: 'v20', threads: 1, stages: [] },
    };
    const page = renderReport(broken);
    expect(page.replace(/<style>[\s\S]*?<\/style>/, '')).not.toMatch(/NaN|Infinity|undefined/);
    expect(page).toContain('No points to draw.');
    expect(unbalancedTags(page)).toEqual([]);
    expect(renderReport({ ...broken, models: [] })).toContain('Environment');
  });
});

test('bestBaseline takes the best by the direction of the metric', () => {
  expect(bestBaseline({ metric: 'm', value: 0.6, baselines: { a: 0.3, b: 0.5 } })).toEqual({ name: 'b', gain: expect.closeTo(0.2) });
  expect(bestBaseline({ metric: 'm', value: 0.6, baselines: { a: 0.3, b: 0.5 }, lowerIsBetter: true })).toEqual({
    name: 'a',
    gain: expect.closeTo(-1),
  });
  expect(bestBaseline({ metric: 'm', value: 0.6, baselines: {} })).toBeUndefined();
  expect(bestBaseline({ metric: 'm', value: 0.6, baselines: { a: 0 } })).toBeUndefined();
});

test('html escapes values, joins lists and leaves out nothing-values', () => {
  expect(escapeText(`<a href="x">'&`)).toBe('&lt;a href=&quot;x&quot;&gt;&#39;&amp;');
  expect(html`<p>${'<b>'}${html`<i>${1}</i>`}${[html`a`, '&']}${false}${undefined}</p>`.text).toBe('<p>&lt;b&gt;<i>1</i>a&amp;</p>');
});

test('numbers, times and durations read well', () => {
  expect([0, 12, 1234567, 1234.5, 0.68412345, 0.0000123, Number.NaN].map(formatNumber)).toEqual([
    '0',
    '12',
    '1,234,567',
    '1,235',
    '0.6841',
    '1.23e-5',
    '–',
  ]);
  expect(formatTime(FROM_MS)).toBe('2026-01-01 00:00 UTC');
  expect(formatTime(Number.NaN)).toBe('–');
  expect([0.84, 38.4, 214, 3_661, -1].map(formatSeconds)).toEqual(['0.84 s', '38 s', '3 min 34 s', '1 h 01 min', '–']);
});

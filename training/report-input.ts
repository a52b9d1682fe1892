import { availableParallelism } from 'node:os';
import { EXAMINED_MIN } from '../contracts/examined.ts';
import type { FeatureEngine } from '../scoring/features/contract.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import type { FittedAnomaly } from './anomaly.ts';
import type { FittedRetrieval } from './assemble.ts';
import type { ShopLog } from './collect.ts';
import type { FittedFraud } from './fraud.ts';
import type { FraudRows } from './fraud-rows.ts';
import type { FittedRanker } from './ranker.ts';
import { CUT } from './ranker-rows.ts';
import type { ModelReport, QualityCheck, ReportInput, TrainingEnvironment } from './report/input.ts';
import { renderReport } from './report/report.ts';

/** Shares above which a check warns: a little of each is normal, more says that something feeds the journal wrongly. */
const OUT_OF_ORDER_SHARE_MAX = 0.01;
const UNKNOWN_ITEMS_SHARE_MAX = 0.05;

export interface ReportParts {
  readonly version: string;
  readonly createdMs: number;
  readonly log: ShopLog;
  readonly engine: FeatureEngine;
  readonly retrieval: FittedRetrieval | undefined;
  /** A string says why there is no such model. */
  readonly ranker: FittedRanker | string;
  readonly fraud: FittedFraud | string;
  readonly anomaly: FittedAnomaly | string;
  readonly fraudRows: FraudRows;
  readonly skipped: Readonly<Record<string, string>>;
  readonly stages: TrainingEnvironment['stages'];
  /** Ends of the periods that retrieval was fitted for. */
  readonly ends: { readonly a: number; readonly b: number; readonly c: number };
}

/** The report of a training run as an HTML page. */
export function reportOf(parts: ReportParts): string {
  const { log, engine, ranker, fraud, anomaly, ends, fraudRows } = parts;
  const input: ReportInput = {
    title: 'Gatehouse training report',
    bundleVersion: parts.version,
    createdMs: parts.createdMs,
    featureSetHash: engine.hash(FRAUD_SET),
    data: {
      facts: log.records,
      users: log.users.size,
      items: log.items.size,
      fromMs: log.fromMs,
      toMs: log.toMs,
      splits: [
        ...(typeof ranker === 'string'
          ? []
          : [
              { name: 'ranker, learned from', rows: ranker.queries.learned, fromMs: ends.a, toMs: ends.b },
              { name: 'ranker, measured on', rows: ranker.queries.measured, fromMs: ends.b, toMs: ends.c },
            ]),
        ...(typeof fraud === 'string' ? [] : fraudSplits(fraud, fraudRows)),
      ],
    },
    models: [
      ...(typeof ranker === 'string' ? [] : [rankerReport(ranker)]),
      ...(typeof fraud === 'string' ? [] : [fraudReport(fraud)]),
      ...(typeof anomaly === 'string' ? [] : [anomalyReport(anomaly, fraud)]),
      ...(parts.retrieval ? [retrievalReport(parts.retrieval, ranker)] : []),
    ],
    checks: checksOf(parts),
    environment: { nodeVersion: process.version, threads: availableParallelism(), stages: parts.stages },
  };
  return renderReport(input);
}

function rankerReport({ model, evaluation, params, importance, places }: FittedRanker): ModelReport {
  const { ranker, ...baselines } = evaluation;
  const row = (metric: string, of: 'recall' | 'ndcg') => ({
    metric,
    value: ranker![of],
    baselines: Object.fromEntries(Object.entries(baselines).map(([name, values]) => [name, values[of]])),
  });
  return {
    name: 'Ranker',
    kind: 'terms' in model ? 'weighted sum of sources: better than trees on the later period' : 'gbdt, lambdarank',
    params: {
      ...('terms' in model ? Object.fromEntries(model.terms.map(({ feature, weight }) => [feature, weight.toPrecision(3)])) : shown(params)),
      ...placesShown(places),
    },
    metrics: [row(`NDCG@${CUT}`, 'ndcg'), row(`recall@${CUT}`, 'recall')],
    importance,
    recallAtK: {
      model: ranker!.recallByCut,
      baselines: Object.entries(baselines).map(([name, { recallByCut }]) => ({ name, points: recallByCut })),
    },
  };
}

/** How often the places of the gateway's own lists are looked at; nothing of a log without them. */
function placesShown(places: FittedRanker['places']): ModelReport['params'] {
  const curves = Object.entries(places).map(([placement, { lists, clicks, examined }]): [string, string] => [
    `places of ${placement} looked at, of ${lists} lists with ${clicks} clicks`,
    examined.map((share) => share.toFixed(2)).join(', '),
  ]);
  return curves.length === 0 ? {} : { ...Object.fromEntries(curves), 'a place counts as looked at, at least': EXAMINED_MIN };
}

function fraudSplits({ rows, cutMs, blocks }: FittedFraud, all: FraudRows): ReportInput['data']['splits'] {
  const [fromMs, toMs] = [all.atMs(0), all.atMs(all.count - 1)];
  if (blocks !== undefined) return [{ name: `fraud, each of ${blocks} blocks of time measured by the others`, rows: rows.measured, fromMs, toMs }];
  return [
    { name: 'fraud, learned from', rows: rows.learned, fromMs, toMs: cutMs },
    { name: 'fraud, measured on', rows: rows.measured, fromMs: cutMs, toMs },
  ];
}

function fraudReport({ metrics, params, charts }: FittedFraud): ModelReport {
  const of = (name: string): Record<string, number> => ({
    'random order': name === 'auc' ? 0.5 : metrics['fraud_share']!,
    amount: metrics[`fraud_${name}_amount`]!,
    'merchant fraud rate': metrics[`fraud_${name}_merchant_fraud_rate`]!,
  });
  return {
    name: 'Fraud model',
    kind: 'gbdt, binary',
    params: shown(params),
    metrics: [
      { metric: 'average precision', value: metrics['fraud_average_precision']!, baselines: of('average_precision') },
      { metric: 'ROC AUC', value: metrics['fraud_auc']!, baselines: of('auc') },
    ],
    ...charts,
  };
}

function anomalyReport({ metrics, params }: FittedAnomaly, fraud: FittedFraud | string): ModelReport {
  const auc = metrics['anomaly_auc']!;
  const baselines = { 'random order': 0.5, ...(typeof fraud !== 'string' && { amount: fraud.metrics['fraud_auc_amount']! }) };
  return {
    name: 'Anomaly model',
    kind: 'isolation forest, learned without outcomes',
    params: shown(params),
    // Of one class alone there is no AUC.
    metrics: Number.isFinite(auc) ? [{ metric: 'ROC AUC of fraud', value: auc, baselines }] : [],
  };
}

/** Lists as text; empty ones say nothing. */
function shown(params: object): ModelReport['params'] {
  const entries = Object.entries(params).filter(([, value]) => !(Array.isArray(value) && value.length === 0));
  return Object.fromEntries(entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value as string | number | boolean)]));
}

function retrievalReport(
  { factors, regularization, alpha, itemIds, userIndex, itemFoldIn }: FittedRetrieval,
  ranker: FittedRanker | string,
): ModelReport {
  const measured = typeof ranker === 'string' ? {} : ranker.evaluation;
  return {
    name: 'Retrieval',
    kind: 'implicit ALS and item-to-item neighbours',
    params: { factors, regularization, alpha, items: itemIds.length, users: userIndex.size },
    metrics: [
      ...['user vector', 'item to item'].flatMap((name) =>
        measured[name]
          ? [{ metric: `recall@${CUT}, ${name} alone`, value: measured[name].recall, baselines: { popularity: measured['popularity']!.recall } }]
          : [],
      ),
      { metric: 'R² of held-out items’ factors by their content', value: itemFoldIn.contentMap?.r2 ?? 0, baselines: { 'their mean': 0 } },
    ],
  };
}

function checksOf({ log, skipped, fraud, fraudRows }: ReportParts): QualityCheck[] {
  const { checks, acts, events, outcomes } = log;
  const payments = log.paymentsMs.length;
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;
  const check = (name: string, isFine: boolean, detail: string): QualityCheck => ({ name, status: isFine ? 'pass' : 'warn', detail });
  const late = share(checks.outOfOrder, events);
  const unknown = share(checks.unknownItems, acts.length);
  return [
    check('Events come in order of time', late <= OUT_OF_ORDER_SHARE_MAX, `${percent(late)} are older than one before them`),
    check(
      'Items are in the catalogue when something happens to them',
      unknown <= UNKNOWN_ITEMS_SHARE_MAX,
      `${percent(unknown)} of the acts are on unknown items`,
    ),
    check(
      'No outcome comes before its payment',
      checks.outcomesTooEarly === 0,
      `${checks.outcomesTooEarly} do and were left out: a label from the future teaches what cannot be known`,
    ),
    check(
      'Outcomes have their payment',
      checks.outcomesAlone === 0,
      `${checks.outcomesAlone} of ${outcomes.size} name a payment that is not in the journal`,
    ),
    check(
      'Payments have outcomes',
      payments === 0 || outcomes.size > 0,
      `${outcomes.size} of ${payments}; ${fraudRows.frauds()} frauds among ${fraudRows.count} payments learned from`,
    ),
    ...(typeof fraud === 'string' || fraud === undefined
      ? []
      : [
          check(
            'The fraud model saves something beside the shipped rules',
            fraud.automatic,
            `at least ${fraud.metrics['fraud_saving_a_day_at_least']!.toFixed(2)} a day${fraud.automatic ? '' : ': it asks for reviews alone, and challenges and declines nobody'}`,
          ),
        ]),
    ...Object.entries(skipped).map(([model, reason]): QualityCheck => ({ name: `${model} model`, status: 'warn', detail: `left out: ${reason}` })),
  ];
}

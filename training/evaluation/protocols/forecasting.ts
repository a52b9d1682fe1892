/**
 * Forecasts of monthly turnover, weekly sales and daily revenue, beside statsforecast 2.1.1. The mixtures are learned from rolling origins
 * inside the training part; the test part is looked at once.
 *
 *   npm run build && node dist/training/evaluation/protocols/forecasting.js [data folder]
 */
import { monthlyTerms } from '../../learners/series/calendar.ts';
import { combineForecasts, learnWeights, type RollingOrigin, rollingOrigins } from '../../learners/series/combine.ts';
import { completeOptions, type Forecaster, type SeriesForecast } from '../../learners/series/contract.ts';
import { SERIES_MODELS } from '../../learners/series/fitSeries.ts';
import { ets, theta } from '../../learners/series/forecasters.ts';
import { mstlEts } from '../../learners/series/mstl.ts';
import { adjusted } from '../../learners/series/regression.ts';
import { meanOf, medianOf, seasonalNaive } from '../../learners/series/simple.ts';
import { logarithm } from '../../learners/series/transform.ts';
import { readFunction, type Tables } from '../../sources/duckdb.ts';
import { type ForecastErrors, forecastErrors, summarise } from '../forecasts.ts';
import { row, say, withData } from './openData.ts';
import { countSteps } from './steps.ts';

interface Series {
  readonly values: Float64Array;
  /** First month as YYYY-MM, where the calendar matters. */
  readonly first: string;
}

/** A model for one series: what the calendar says depends on where the series starts. */
type Member = (series: Series) => Forecaster;

interface Task {
  readonly period: number;
  readonly horizon: number;
  readonly members: Readonly<Record<string, Member>>;
  /** Members of the learned mixture. */
  readonly mixed: readonly string[];
  /** MASE, RMSSE, WAPE of the reference with the same name. */
  readonly reference: Readonly<Record<string, readonly [mase: number, rmsse: number, wape: number]>>;
  readonly origins: number;
  /** A past start leaves so many values at least. */
  readonly trainMin: number;
}

const MIXTURE = 'mixture, weights from rolling origins';
const plain =
  (forecaster: Forecaster): Member =>
  () =>
    forecaster;

/** On logarithms, with the effect of trading days taken out before and put back after. */
function tradingDays(inner: Forecaster): Member {
  return ({ first, values }) => {
    const [year = 0, month = 1] = first.split('-').map(Number);
    // As long as any origin of this series needs.
    const terms = monthlyTerms({ firstYear: year, firstMonth: month - 1, length: values.length, month: false });
    return logarithm(adjusted(terms, inner));
  };
}

async function listed(tables: Tables, sql: string): Promise<Series[]> {
  const rows = await tables.all(sql);
  return rows.map(([list, first]) => ({ values: Float64Array.from(list as number[]), first: String(first) }));
}

/** Scale of the errors of one past start: the mean seasonal change before it. */
function scaleOf(values: Float64Array, period: number): number {
  let sum = 0;
  for (let t = period; t < values.length; t++) sum += Math.abs(values[t]! - values[t - period]!);
  return sum / (values.length - period);
}

/** Weights that all series share, learned where the past starts of all of them are put together. */
function pooledWeights(all: readonly Series[], task: Task): Float64Array {
  const { period, horizon, origins, trainMin } = task;
  const found: RollingOrigin[] = [];
  const scales: number[] = [];
  for (const series of all) {
    const train = series.values.slice(0, -horizon);
    const members = task.mixed.map((name) => task.members[name]!(series));
    for (const origin of rollingOrigins(train, members, completeOptions({ period, horizon }), { origins, step: horizon, trainMin })) {
      const scale = scaleOf(train.subarray(0, origin.at), period);
      if (!(scale > 0)) continue;
      found.push(origin);
      scales.push(scale);
    }
  }
  return learnWeights(found, task.mixed.length, scales);
}

/** Share of the test values between the bounds, which claim 0.9. */
function coverage(all: readonly Series[], told: readonly SeriesForecast[]): number {
  let [inside, count] = [0, 0];
  all.forEach(({ values }, i) => {
    const { lower, upper } = told[i]!;
    for (let h = 0; h < lower.length; h++) {
      const value = values[values.length - lower.length + h]!;
      if (value >= lower[h]! && value <= upper[h]!) inside++;
      count++;
    }
  });
  return inside / count;
}

function run(title: string, all: readonly Series[], task: Task): Map<string, ForecastErrors[]> {
  const { period, horizon } = task;
  say(`\n${title}: ${all.length} series, horizon ${horizon}, period ${period}`);
  // covered: share of the test values inside intervals of 90 %.
  say(row('', ['MASE', 'reference', 'RMSSE', 'reference', 'WAPE', 'reference', 'covered', 'seconds']));
  const options = completeOptions({ period, horizon });
  const errors = new Map<string, ForecastErrors[]>();
  const forecasts = new Map<string, SeriesForecast[]>();
  const show = (name: string, told: readonly SeriesForecast[], seconds: number): void => {
    const own = all.map(({ values }, i) => forecastErrors(values.slice(0, -horizon), values.slice(-horizon), told[i]!.mean, period));
    errors.set(name, own);
    const { mase, rmsse, wape } = summarise(own);
    const known = task.reference[name];
    const beside = (value: number, at: 0 | 1 | 2) => [value.toFixed(4), known ? known[at].toFixed(4) : '-'];
    say(row(name, [...beside(mase, 0), ...beside(rmsse, 1), ...beside(wape, 2), coverage(all, told).toFixed(3), seconds.toFixed(1)]));
  };
  const timed = <T>(work: () => T): [T, number] => {
    const started = process.cpuUsage();
    const result = work();
    return [result, process.cpuUsage(started).user / 1e6];
  };
  const { step, end } = countSteps('models', Object.keys(task.members).length);
  let total = 0;
  for (const [name, member] of Object.entries(task.members)) {
    const [told, seconds] = timed(() => all.map((series) => member(series)(series.values.slice(0, -horizon), options)));
    forecasts.set(name, told);
    total += seconds;
    show(name, told, seconds);
    step();
  }
  end();
  const [weights, seconds] = timed(() => pooledWeights(all, task));
  const mixed = all.map((_, i) =>
    combineForecasts(
      task.mixed.map((name) => forecasts.get(name)![i]!),
      weights,
    ),
  );
  show(MIXTURE, mixed, seconds);
  say(`  weights: ${task.mixed.map((name, i) => `${name} ${weights[i]!.toFixed(3)}`).join(', ')}`);
  say(`  all models once: ${total.toFixed(1)} s of processor time`);
  return errors;
}

const MONTHLY: Task = {
  period: 12,
  horizon: 12,
  origins: 3,
  trainMin: 24,
  members: {
    naive: plain(SERIES_MODELS.naive),
    'seasonal naive': plain(seasonalNaive),
    theta: plain(theta()),
    'dynamic optimised theta': plain(theta({ kind: 'dynamicOptimised' })),
    ETS: plain(ets()),
    'MSTL + ETS': plain(mstlEts()),
    'theta on log': plain(logarithm(theta())),
    'MSTL + ETS on log': plain(logarithm(mstlEts())),
    'ETS(ZZA) on log': plain(logarithm(ets({ season: 'A' }))),
    'MSTL + ETS on log, trading days': tradingDays(mstlEts()),
    'ETS(ZZA) on log, trading days': tradingDays(ets({ season: 'A' })),
  },
  mixed: [
    'seasonal naive',
    'ETS',
    'MSTL + ETS',
    'theta on log',
    'MSTL + ETS on log',
    'ETS(ZZA) on log',
    'MSTL + ETS on log, trading days',
    'ETS(ZZA) on log, trading days',
  ],
  reference: {
    naive: [7.2014, 5.641, 0.2475],
    'seasonal naive': [1.1627, 0.9964, 0.0423],
    theta: [1.2535, 1.0757, 0.0359],
    'dynamic optimised theta': [1.2524, 1.0738, 0.0359],
    ETS: [0.9763, 0.871, 0.0306],
    'MSTL + ETS': [1.0032, 0.8608, 0.029],
    'theta on log': [1.4784, 1.2653, 0.0436],
    'MSTL + ETS on log': [1.0006, 0.8825, 0.0302],
    'ETS(ZZA) on log': [0.9264, 0.8097, 0.0277],
    [MIXTURE]: [0.8975, 0.7928, 0.0262],
  },
};

const WEEKLY: Task = {
  period: 1,
  horizon: 4,
  origins: 4,
  trainMin: 20,
  members: {
    naive: plain(SERIES_MODELS.naive),
    'mean of all weeks': plain(meanOf()),
    'mean of the last 8': plain(meanOf(8)),
    'median of the last 13': plain(medianOf(13)),
    SES: plain(SERIES_MODELS.ses),
    Croston: plain(SERIES_MODELS.croston),
    'TSB 0.2/0.2': plain(SERIES_MODELS.tsb),
    theta: plain(theta()),
    ETS: plain(ets()),
  },
  mixed: ['mean of all weeks', 'mean of the last 8', 'median of the last 13', 'SES', 'Croston', 'TSB 0.2/0.2', 'theta', 'ETS'],
  reference: {
    naive: [1.3766, 1.087, 0.3496],
    'mean of all weeks': [1.2544, 0.9567, 0.3029],
    'mean of the last 8': [1.2586, 0.9464, 0.2971],
    'median of the last 13': [1.2118, 0.9902, 0.3001],
    SES: [1.2339, 0.9431, 0.2932],
    Croston: [1.2642, 0.9442, 0.2935],
    'TSB 0.2/0.2': [1.2531, 0.9437, 0.295],
    theta: [1.262, 0.9487, 0.2931],
    ETS: [1.2602, 0.9551, 0.298],
    [MIXTURE]: [1.2422, 0.9438, 0.2932],
  },
};

const DAILY: Task = {
  period: 7,
  horizon: 28,
  origins: 4,
  trainMin: 70,
  members: {
    naive: plain(SERIES_MODELS.naive),
    'seasonal naive': plain(seasonalNaive),
    ETS: plain(ets()),
    theta: plain(theta()),
    'MSTL + ETS': plain(mstlEts()),
  },
  mixed: ['seasonal naive', 'ETS', 'theta', 'MSTL + ETS'],
  reference: {
    naive: [1.9792, 1.8371, 0.417],
    'seasonal naive': [1.0803, 0.9681, 0.2276],
    ETS: [1.2348, 1.1042, 0.2602],
    theta: [1.3789, 1.2485, 0.2905],
    'MSTL + ETS': [1.173, 1.0318, 0.2472],
    [MIXTURE]: [1.2136, 1.1034, 0.2557],
  },
};

/** Published goals, judged on what was chosen without the test part, to the digits that they are given with. */
function verdict(goal: string, value: number, most: number): void {
  say(`  ${goal}: ${value.toFixed(4)} of at most ${most}: ${Number(value.toFixed(4)) <= most ? 'met' : 'missed'}`);
}

await withData('abs_aus_retail/monthly_turnover.parquet', async (tables) => {
  const all = await listed(
    tables,
    `SELECT list(turnover_aud_million::DOUBLE ORDER BY month), strftime(min(month), '%Y-%m')
     FROM ${readFunction(tables.files)} GROUP BY series_id ORDER BY series_id`,
  );
  const errors = run('(a) monthly retail turnover', all, MONTHLY);
  verdict('MASE of the mixture', summarise(errors.get(MIXTURE)!).mase, 0.8975);
});

await withData('uci_sales_transactions_weekly/weekly_sales.parquet', async (tables) => {
  const all = await listed(
    tables,
    `SELECT list(quantity::DOUBLE ORDER BY week), '' FROM ${readFunction(tables.files)} GROUP BY product_code ORDER BY product_code`,
  );
  const errors = run('(b) weekly sales of products', all, WEEKLY);
  verdict('RMSSE of simple smoothing', summarise(errors.get('SES')!).rmsse, 0.9431);
  verdict('MASE of simple smoothing', summarise(errors.get('SES')!).mase, 1.2339);
  verdict('RMSSE of the mixture', summarise(errors.get(MIXTURE)!).rmsse, 0.9431);
});

await withData('uci_online_retail/online_retail.parquet', async (tables) => {
  const all = await listed(
    tables,
    `WITH days AS (SELECT unnest(generate_series(DATE '2010-12-01', DATE '2011-12-09', INTERVAL 1 DAY))::DATE AS day),
          sold AS (SELECT invoice_date::DATE AS day, sum(quantity * unit_price)::DOUBLE AS revenue
                   FROM ${readFunction(tables.files)} WHERE invoice_no NOT LIKE 'A%' GROUP BY 1)
     SELECT list(coalesce(revenue, 0) ORDER BY day), '' FROM days LEFT JOIN sold USING (day)`,
  );
  run('(c) daily revenue: one series, one origin, so no ranking', all, DAILY);
});

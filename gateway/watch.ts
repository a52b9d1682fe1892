import { setTimeout } from 'node:timers/promises';
import type { TimedEvent } from '../contracts/event.ts';
import type { Alert } from '../contracts/push.ts';
import type { ScoreResponse } from '../contracts/score.ts';
import { DriftWindow } from '../scoring/risk/drift.ts';
import { type OutcomeReport, OutcomeWindow } from '../scoring/risk/outcomes.ts';
import type { FraudModel } from '../scoring/risk/pipeline.ts';
import type { Store } from '../store/contract.ts';
import { createLateOutcomes, type DecisionFact } from './late-outcomes.ts';
import type { Metrics } from './metrics.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Figures of a day move slowly; a scrape is rarely more often. */
export const WATCH_EVERY_MS = MINUTE_MS;
const DRIFT_WINDOW_MS = DAY_MS;
const OUTCOME_WINDOW_MS = 30 * DAY_MS;
const ANSWERS_WINDOW_MS = 5 * MINUTE_MS;
/** With fewer payments, chance alone moves the index of ten bins by more than a hundredth or two. */
export const DRIFT_ROWS_MIN = 1_000;
/** The customary line beyond which a population is another one. */
const DRIFT_INDEX_MAX = 0.25;
export const OUTCOMES_MIN = 200;
/** A probability that is off by a tenth on average moves every threshold that was chosen by cost. */
const CALIBRATION_ERROR_MAX = 0.1;
export const ANSWERS_MIN = 100;
/** Fallbacks are for accidents: where a twentieth of the answers needs one, something is broken. */
const DEGRADED_SHARE_MAX = 0.05;
/** Models whose opinions are kept apart: the two of a trial, and those of the trial before it. */
const OTHER_MODELS_MAX = 4;
/** A condition that lasts is said once a day. */
const REPEAT_MS = DAY_MS;
/** Features that an alert names; the metrics have all. */
const NAMED_MAX = 5;

export interface Watch {
  /** A new decision's fact; `model` is the one that decided, if any. */
  scored(model: FraudModel | undefined, decision: Pick<DecisionFact, 'vector' | 'response' | 'other_model'>, nowMs: number): void;
  /** A later event on a payment, and the answer that the payment got: JSON, or undefined where it is not remembered any more; the journal may have it. */
  labelled(event: TimedEvent, answer: Uint8Array | undefined, nowMs: number): void;
  /** Brings the metrics up to date, and raises what a person must see. */
  look(): void;
  /** Ends what reads the journal. */
  close(): Promise<void>;
}

export interface WatchOptions {
  readonly store: Pick<Store<never>, 'bounds' | 'read'>;
  readonly metrics: Pick<Metrics, 'gauge' | 'clearGauge' | 'counter'>;
  readonly raise: (alert: Alert) => Promise<void>;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** Watches the fraud model at work: whether payments still look like those that it learned from, whether it was right, and how often it was missing. */
export function createWatch({ store, metrics, raise, now, onError }: WatchOptions): Watch {
  let drift: { readonly bundle: string; readonly window: DriftWindow } | undefined;
  const outcomes = new OutcomeWindow(OUTCOME_WINDOW_MS, now());
  /** By bundle, of models that did not decide. */
  const others = new Map<string, OutcomeWindow>();
  /** When a challenger was last tried: labels of the payments until then also have another model's opinion to judge. */
  let triedMs = Number.NEGATIVE_INFINITY;
  const late = createLateOutcomes({
    store,
    now,
    pause: (ms) => setTimeout(ms, undefined, { ref: false }),
    known: ({ response: { probability, decision }, other_model: other }, { fraud, counted }) => {
      if (!counted) outcomes.add({ probability, decision, fraud }, now());
      if (other) othersOf(other.bundle).add({ ...other, fraud }, now());
    },
  });
  const othersOf = (bundle: string): OutcomeWindow => {
    const window = others.get(bundle) ?? new OutcomeWindow(OUTCOME_WINDOW_MS, now());
    // The one that was judged longest ago is the first.
    others.delete(bundle);
    others.set(bundle, window);
    if (others.size > OTHER_MODELS_MAX) {
      others.delete(others.keys().next().value!);
      metrics.clearGauge('otherOutcomes');
    }
    return window;
  };
  let answers = { sinceMs: now(), all: 0, degraded: 0 };
  const saidMs = new Map<string, number>();

  const say = (subject: string, severity: Alert['severity'], title: string, reasons: readonly string[]): void => {
    const atMs = now();
    if (atMs - (saidMs.get(subject) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    saidMs.set(subject, atMs);
    metrics.counter('alerts', severity).inc();
    raise({ alert_id: `watch.${subject}.${atMs}`, kind: 'system', severity, at_ms: atMs, title, reasons: [...reasons] }).catch(onError);
  };

  const lookAtDrift = (atMs: number): void => {
    if (drift === undefined || drift.window.rows(atMs) < DRIFT_ROWS_MIN) return;
    const indices = drift.window.indices(atMs);
    for (const { name, index } of indices) metrics.gauge('drift', name).set(index);
    const moved = indices.filter(({ index }) => index > DRIFT_INDEX_MAX).sort((a, b) => b.index - a.index);
    if (moved.length === 0) return;
    const named = moved.slice(0, NAMED_MAX).map(({ name, index }) => `${name}: stability index ${index.toFixed(2)}`);
    say('drift', 'medium', `Payments have changed since the fraud model ${drift.bundle} was trained`, named);
  };
  const lookAtOutcomes = (atMs: number): void => {
    const report = outcomes.report(atMs);
    const { scored, calibrationError } = report;
    for (const [figure, value] of figuresOf(report)) metrics.gauge('outcomes', figure).set(value);
    for (const [bundle, window] of others) {
      for (const [figure, value] of figuresOf(window.report(atMs))) metrics.gauge('otherOutcomes', bundle, figure).set(value);
    }
    if (scored < OUTCOMES_MIN || calibrationError <= CALIBRATION_ERROR_MAX) return;
    const reason = `Over the ${scored} payments that became known in 30 days, probabilities are off by ${calibrationError.toFixed(2)} on average`;
    say('calibration', 'medium', 'The fraud model’s probabilities are not what they say', [reason]);
  };
  const lookAtAnswers = (atMs: number): void => {
    if (atMs - answers.sinceMs < ANSWERS_WINDOW_MS) return;
    const { all, degraded } = answers;
    answers = { sinceMs: atMs, all: 0, degraded: 0 };
    if (all < ANSWERS_MIN || degraded / all <= DEGRADED_SHARE_MAX) return;
    say('degraded', 'high', 'Payments are judged without all of their parts', [`${degraded} of the last ${all} answers were degraded`]);
  };

  return {
    scored(model, { vector, response, other_model: other }, nowMs) {
      if (other) triedMs = nowMs;
      answers.all++;
      if (response.degraded) answers.degraded++;
      if (model?.reference === undefined || vector === null) return;
      if (drift?.bundle !== model.bundle) {
        // What came under another model says nothing against this one's reference.
        drift = { bundle: model.bundle, window: new DriftWindow(model.reference, DRIFT_WINDOW_MS, nowMs) };
        metrics.clearGauge('drift');
      }
      drift.window.add(vector, response.score ?? Number.NaN, nowMs);
    },
    labelled(event, answer, nowMs) {
      const fraud = event.name === 'chargeback' ? true : event.name === 'label' ? event.is_fraud : undefined;
      if (fraud === undefined) return;
      const { transaction_id: transactionId } = event;
      const counted = answer !== undefined;
      if (transactionId !== undefined && (!counted || nowMs - triedMs < OUTCOME_WINDOW_MS) && !late.add({ transactionId, fraud, counted }))
        metrics.counter('lateLabelsDropped').inc();
      if (!counted) return;
      const { probability, decision } = JSON.parse(Buffer.from(answer).toString('utf8')) as ScoreResponse;
      outcomes.add({ probability, decision, fraud }, nowMs);
    },
    look() {
      const atMs = now();
      lookAtDrift(atMs);
      lookAtOutcomes(atMs);
      lookAtAnswers(atMs);
      late.look().catch(onError);
    },
    close: () => late.close(),
  };
}

/** The figures that are numbers yet. */
function figuresOf({ known, frauds, precision, recall, calibrationError }: OutcomeReport): [figure: string, value: number][] {
  const figures = { known, frauds, precision, recall, calibration_error: calibrationError };
  return Object.entries(figures).filter(([, value]) => Number.isFinite(value));
}

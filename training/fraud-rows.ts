import type { Calibration, RiskThresholds } from '../contracts/bundle.ts';
import type { TimedEvent } from '../contracts/event.ts';
import { hash53 } from '../scoring/features/hash.ts';
import { FRAUD_SET } from '../scoring/risk/pipeline.ts';
import type { ShopLog } from './collect.ts';
import { Column } from './columns.ts';
import type { GbdtRows } from './learners/gbdt/objective.ts';
import type { Replay } from './replay.ts';

/**
 * Rows kept at about the most; 100 features of them take 120 MB, and the learner sees as many again. Of more payments, all frauds and a share of the
 * honest ones are kept: on three weeks of card payments half of them gave an average precision of .7606, a fifth .7580 (docs/features.md).
 */
const ROWS_MAX = 300_000;

type PlattCalibration = Extract<Calibration, { kind: 'platt' }>;

/** One past the largest hash. */
const HASH_END = 2 ** 53;

export interface FraudWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * How long after a payment its outcome is known: the time within which 95 % of the known frauds came. What is silent by then counts as honest, so when
 * honest payments are confirmed, often only at the end of a dispute window, makes nobody wait. Younger payments teach nothing: those that are known to be
 * fraud are known because fraud is found fast, and the honest ones beside them are not known to be honest yet.
 */
export function maturityMs(log: Pick<ShopLog, 'fraudDelaysMs'>): number {
  const delays = log.fraudDelaysMs.slice().sort();
  return delays.length === 0 ? 0 : delays[Math.min(delays.length - 1, Math.floor(0.95 * delays.length))]!;
}

export interface StoredFraudRows {
  readonly rows: Float32Array;
  readonly labels: Float32Array;
  readonly atMs: Float64Array;
}

/** Which payments a fraud model may learn from, and which outcomes it may know. */
export interface FraudWindowParams {
  /** Payments that the fraud model learns from: in [fraudFromMs, fraudToMs). All whose outcome has had its time, where not given. */
  readonly fraudFromMs?: number;
  readonly fraudToMs?: number;
  /** Outcomes that arrived later are not known to it. */
  readonly labelsUntilMs?: number;
}

/** The window that was asked for; by default from the first event to the last payment whose outcome has had its time. */
export function fraudWindowOf(log: Pick<ShopLog, 'fromMs' | 'toMs' | 'fraudDelaysMs'>, params: FraudWindowParams): FraudWindow {
  const matureMs = Math.min(log.toMs, params.labelsUntilMs ?? log.toMs) - maturityMs(log);
  return { fromMs: params.fraudFromMs ?? log.fromMs, toMs: params.fraudToMs ?? matureMs + 1 };
}

function isWithin({ fromMs, toMs }: FraudWindow, atMs: number): boolean {
  return atMs >= fromMs && atMs < toMs;
}

/** Payments of a window with the vectors that the gateway computes for them, in time of the journal. */
export class FraudRows {
  readonly #window: FraudWindow;
  readonly #outcomes: ShopLog['outcomes'];
  readonly #rows: Column<Float32Array>;
  readonly #labels: Column<Float32Array>;
  readonly #atMs: Column<Float64Array>;
  readonly #ids: string[] = [];
  readonly #vector: Float32Array;
  /** Share of honest payments that are kept; each then stands for 1 / share. */
  readonly #honestShare: number;

  constructor(width: number, window: FraudWindow, log: Pick<ShopLog, 'outcomes' | 'paymentsMs'>, rowsMax = ROWS_MAX) {
    this.#window = window;
    this.#outcomes = log.outcomes;
    let payments = 0;
    for (const atMs of log.paymentsMs) if (isWithin(window, atMs)) payments++;
    this.#honestShare = Math.min(1, rowsMax / Math.max(1, payments));
    this.#rows = new Column((length) => new Float32Array(length), width * 1024);
    this.#labels = new Column((length) => new Float32Array(length));
    this.#atMs = new Column((length) => new Float64Array(length));
    this.#vector = new Float32Array(width);
  }

  get count(): number {
    return this.#labels.length;
  }

  /** The rows as typed arrays. */
  stored(): StoredFraudRows {
    return { rows: this.#rows.view(), labels: this.#labels.view(), atMs: this.#atMs.view() };
  }

  /** Takes what `stored` gave, into an empty table. */
  restore({ rows, labels, atMs }: StoredFraudRows): void {
    this.#rows.append(rows);
    this.#labels.append(labels);
    this.#atMs.append(atMs);
  }

  /** Takes a payment whose states have just been brought forward. One of which nothing was heard in time was honest. */
  take(replay: Replay, event: TimedEvent): void {
    if (!isWithin(this.#window, event.timestamp_ms)) return;
    const id = event.transaction_id ?? event.event_id;
    const isFraud = this.#outcomes.get(id)?.isFraud === true;
    if (!isFraud && hash53(id) >= this.#honestShare * HASH_END) return;
    replay.engine.vector(FRAUD_SET, replay.paymentSubject(event), [], this.#vector, 0);
    this.#rows.append(this.#vector);
    this.#labels.push(isFraud ? 1 : 0);
    this.#atMs.push(event.timestamp_ms);
    this.#ids.push(id);
  }

  /** Rows [from, to) in order of time of the journal; where honest ones were left out, those that stayed weigh as much as all. */
  slice(from: number, to: number): GbdtRows {
    const f = this.#vector.length;
    const labels = this.#labels.view().slice(from, to);
    const rows = { rows: this.#rows.view().slice(from * f, to * f), n: to - from, f, labels };
    return this.#honestShare === 1 ? rows : { ...rows, weights: labels.map((label) => (label > 0 ? 1 : 1 / this.#honestShare)) };
  }

  /**
   * A calibration that was fitted to the rows as they stand, for all payments: leaving out honest ones raised the odds of fraud by 1 / share
   * (King and Zeng 2001).
   */
  forAllPayments(calibration: PlattCalibration): PlattCalibration {
    return { ...calibration, b: calibration.b + Math.log(this.#honestShare) };
  }

  /** The transaction. */
  id(row: number): string {
    return this.#ids[row]!;
  }

  atMs(row: number): number {
    return this.#atMs.at(row);
  }

  frauds(from = 0, to = this.count): number {
    let sum = 0;
    for (let row = from; row < to; row++) sum += this.#labels.at(row);
    return sum;
  }
}

/** Calibrated probabilities at which an action pays where nobody is swamped: one in eight for a look, a half for a step-up, four in five to turn money away. */
export const THRESHOLDS_WANTED: RiskThresholds = { review: 0.125, challenge: 0.5, decline: 0.8 };

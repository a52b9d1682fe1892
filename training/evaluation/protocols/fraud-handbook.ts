import type { GbdtRows } from '../../learners/gbdt/objective.ts';
import { readFunction, type Tables } from '../../sources/duckdb.ts';

const DAY_MS = 86_400_000;
/** Outcomes are known so many days after the payment. */
export const DELAY_DAYS = 7;
/** Longest window, in front of which stands the delay of the labels. */
const HISTORY_DAYS = 30 + DELAY_DAYS;
const WINDOW_DAYS = [1, 7, 30] as const;
export const F15_NAMES = [
  'tx_amount',
  'tx_during_weekend',
  'tx_during_night',
  ...WINDOW_DAYS.flatMap((days) => [`customer_nb_tx_${days}d`, `customer_avg_amount_${days}d`]),
  ...WINDOW_DAYS.flatMap((days) => [`terminal_nb_tx_${days}d`, `terminal_risk_${days}d`]),
] as const;

export interface Payment {
  readonly customer: number;
  readonly terminal: number;
  readonly atMs: number;
  readonly amount: number;
  readonly isFraud: boolean;
}

/** The handbook's payments of [from, to) in order of time, with the history that their windows need before them. Times are UTC dates. */
export async function readPayments(tables: Tables, from: string, to: string): Promise<Payment[]> {
  const rows = await tables.all(
    `SELECT customer_id, terminal_id, epoch_ms(tx_datetime), tx_amount, tx_fraud FROM ${readFunction(tables.files)}
     WHERE tx_datetime >= TIMESTAMP '${from}' - INTERVAL ${HISTORY_DAYS} DAY AND tx_datetime < TIMESTAMP '${to}' ORDER BY tx_datetime, transaction_id`,
  );
  return rows.map(([customer, terminal, atMs, amount, fraud]) => ({
    customer: Number(customer),
    terminal: Number(terminal),
    atMs: Number(atMs),
    amount: Number(amount),
    isFraud: Number(fraud) === 1,
  }));
}

export interface FeatureRows extends GbdtRows {
  readonly payments: readonly Payment[];
}

/**
 * The handbook's 15 features for the payments of [fromMs, toMs): amount, weekend, night; the customer's count and mean amount in windows that
 * include the payment; the terminal's count and share of fraud in windows that end seven days before it. `all` is in order of time.
 */
export function f15Rows(all: readonly Payment[], fromMs: number, toMs: number): FeatureRows {
  const wanted = all.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const f = F15_NAMES.length;
  const rows = new Float32Array(wanted.length * f);
  const customers = historyBy(all, ({ customer }) => customer);
  const terminals = historyBy(all, ({ terminal }) => terminal);
  wanted.forEach((payment, i) => {
    const { atMs, amount } = payment;
    const weekday = (Math.floor(atMs / DAY_MS) + 3) % 7;
    const values = [amount, weekday >= 5 ? 1 : 0, (atMs % DAY_MS) / 3_600_000 < 7 ? 1 : 0];
    const own = customers.get(payment.customer)!;
    for (const days of WINDOW_DAYS) {
      const { count, amount: sum } = own.between(atMs - days * DAY_MS, atMs);
      values.push(count, sum / Math.max(1, count));
    }
    const theirs = terminals.get(payment.terminal)!;
    const endMs = atMs - DELAY_DAYS * DAY_MS;
    for (const days of WINDOW_DAYS) {
      const { count, frauds } = theirs.between(endMs - days * DAY_MS, endMs);
      values.push(count, frauds / Math.max(1, count));
    }
    rows.set(values, i * f);
  });
  return { rows, n: wanted.length, f, labels: Float32Array.from(wanted, ({ isFraud }) => (isFraud ? 1 : 0)), payments: wanted };
}

/** Running sums over one party's payments, so that a window is a difference. */
class History {
  readonly #atMs: number[] = [];
  readonly #amount = [0];
  readonly #frauds = [0];

  add({ atMs, amount, isFraud }: Payment): void {
    this.#atMs.push(atMs);
    this.#amount.push(this.#amount.at(-1)! + amount);
    this.#frauds.push(this.#frauds.at(-1)! + (isFraud ? 1 : 0));
  }

  /** Sums over payments with fromMs < time <= toMs. */
  between(fromMs: number, toMs: number): { count: number; amount: number; frauds: number } {
    const [from, to] = [this.#until(fromMs), this.#until(toMs)];
    return { count: to - from, amount: this.#amount[to]! - this.#amount[from]!, frauds: this.#frauds[to]! - this.#frauds[from]! };
  }

  /** Payments at or before a time. */
  #until(ms: number): number {
    let [low, high] = [0, this.#atMs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#atMs[middle]! <= ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function historyBy(all: readonly Payment[], party: (payment: Payment) => number): Map<number, History> {
  const histories = new Map<number, History>();
  for (const payment of all) {
    const key = party(payment);
    const history = histories.get(key) ?? new History();
    histories.set(key, history);
    history.add(payment);
  }
  return histories;
}

/**
 * Whether a test payment is left out, as the handbook does: its customer had a fraud in the training span, or one on the day eight days before
 * the test day or an earlier one, and so has been found out. `known` are all payments from the start of the training span on.
 */
export function foundOut<P extends Pick<Payment, 'atMs' | 'isFraud'>>(
  known: readonly P[],
  customerOf: (payment: P) => string | number,
  trainFromMs: number,
  trainToMs: number,
  testFromMs: number,
): (payment: P) => boolean {
  const dayOf = (atMs: number): number => Math.floor((atMs - testFromMs) / DAY_MS);
  const goneFrom = new Map<string | number, number>();
  for (const payment of known) {
    if (!payment.isFraud || payment.atMs < trainFromMs) continue;
    const day = payment.atMs < trainToMs ? 0 : Math.max(0, dayOf(payment.atMs) + DELAY_DAYS + 1);
    const customer = customerOf(payment);
    goneFrom.set(customer, Math.min(day, goneFrom.get(customer) ?? day));
  }
  return (payment) => dayOf(payment.atMs) >= (goneFrom.get(customerOf(payment)) ?? Number.POSITIVE_INFINITY);
}

interface ScoredPayment extends Pick<Payment, 'atMs' | 'isFraud'> {
  readonly customer: string | number;
}

/** Customers that a team can look at each day. */
const CARDS_A_DAY = 100;

/** Card precision at 100: of the 100 customers with the highest scores each day, the share with a fraud; found customers are not looked at again. */
export function cardPrecision(payments: readonly ScoredPayment[], scores: ArrayLike<number>, testFromMs: number, days: number): number {
  const found = new Set<string | number>();
  let sum = 0;
  for (let day = 0; day < days; day++) {
    const best = new Map<string | number, { score: number; isFraud: boolean }>();
    payments.forEach(({ customer, atMs, isFraud }, i) => {
      if (Math.floor((atMs - testFromMs) / DAY_MS) !== day || found.has(customer)) return;
      const known = best.get(customer);
      best.set(customer, { score: Math.max(scores[i]!, known?.score ?? Number.NEGATIVE_INFINITY), isFraud: isFraud || known?.isFraud === true });
    });
    const looked = [...best].sort((a, b) => b[1].score - a[1].score).slice(0, CARDS_A_DAY);
    const hits = looked.filter(([, { isFraud }]) => isFraud);
    sum += hits.length / CARDS_A_DAY;
    for (const [customer] of hits) found.add(customer);
  }
  return sum / days;
}

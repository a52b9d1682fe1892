import type { BacktestJob, BacktestRule } from '../contracts/rules.ts';
import { call, json } from './api.ts';
import { byId, html, setText } from './dom.ts';
import { formatCount, formatShare } from './format.ts';

/** The running or newest backtest: progress, then figures of each rule. */
export class BacktestView {
  readonly #progress = byId('backtest-progress', HTMLProgressElement);
  readonly #cancel = byId('backtest-cancel', HTMLButtonElement);
  readonly #all = byId('backtest-all', HTMLButtonElement);
  readonly #summary = byId('backtest-summary', HTMLElement);
  readonly #rows = byId('backtest-rows', HTMLElement);
  #running: string | undefined;
  #shown = '';

  constructor(onError: (error: unknown) => void) {
    this.#cancel.addEventListener('click', () => {
      if (this.#running !== undefined) call('DELETE', `/v1/backtests/${encodeURIComponent(this.#running)}`).catch(onError);
    });
  }

  /** All rules, where none are named. */
  async start(rules?: readonly { readonly id: string; readonly version: number }[]): Promise<void> {
    await call('POST', '/v1/backtests', json(rules === undefined ? {} : { rules }));
  }

  update([job]: readonly BacktestJob[]): void {
    const running = job?.state === 'running';
    this.#running = running ? job.id : undefined;
    this.#progress.hidden = !running;
    this.#cancel.hidden = !running;
    this.#all.disabled = running;
    if (!job) return;
    this.#progress.value = job.progress;
    setText(this.#summary, summaryOf(job));
    if (!job.result || this.#shown === job.id) return;
    this.#shown = job.id;
    this.#rows.replaceChildren(...job.result.rules.map(rowOf));
  }
}

function summaryOf({ state, progress, result, problem, author }: BacktestJob): string {
  if (state === 'running') return `Reading the journal, ${formatShare(progress, 1)} done; started by ${author}.`;
  if (!result) return state === 'cancelled' ? 'The last backtest was cancelled.' : `The last backtest failed: ${problem ?? ''}`;
  const { transactions, journalled, replayed, left_out, fraud, without_model, duration_ms } = result;
  return `${formatCount(transactions)} payments (${formatCount(journalled)} on journalled vectors, ${formatCount(replayed)} on replayed features, ${formatCount(left_out)} left out), ${formatCount(fraud)} labelled fraud, ${formatCount(without_model)} without a model's score; ${(duration_ms / 1000).toFixed(1)} s.`;
}

function rowOf(rule: BacktestRule): HTMLElement {
  const share = (value: number | null): string => (value === null ? '–' : formatShare(value, 1));
  const number = (text: string): HTMLElement => html('td', { class: 'number' }, text);
  const money = (amount: number): string => amount.toLocaleString('en-US', { maximumFractionDigits: 0 });
  return html(
    'tr',
    {},
    html('th', { scope: 'row' }, `${rule.id} v${rule.version}`),
    number(formatCount(rule.hits)),
    number(share(rule.precision)),
    number(share(rule.recall)),
    number(money(rule.amount_saved)),
    number(formatCount(rule.customers_hurt)),
    html('td', {}, rule.overlap.map(({ id, hits }) => `${id} (${formatCount(hits)})`).join(', ') || '–'),
  );
}

import type { Alert, Severity } from '../contracts/push.ts';
import { byId, html, setText } from './dom.ts';
import { formatAmount, formatClock, formatName, NONE } from './format.ts';

/** What a person can scroll through; older alerts are in the log. */
const ROWS_MAX = 300;
const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low'];

interface Row {
  readonly alert: Alert;
  readonly summary: HTMLTableRowElement;
  readonly detail: HTMLTableRowElement;
  readonly searched: string;
}

/** The live table: the newest first, filtered by severity and text, each row opening to its reasons. */
export class AlertsView {
  readonly #body = byId('alert-rows', HTMLTableSectionElement);
  readonly #empty = byId('alert-empty', HTMLElement);
  readonly #pause = byId('alert-pause', HTMLButtonElement);
  readonly #chips = byId('alert-severities', HTMLElement);
  readonly #search = byId('alert-search', HTMLInputElement);
  readonly #rows: Row[] = [];
  /** Alerts that came while the table was paused, the oldest first. */
  #held: Alert[] = [];
  #paused = false;
  #severity: Severity | undefined;
  readonly #counts = new Map<Severity, number>();

  constructor() {
    this.#pause.addEventListener('click', () => this.#setPaused(!this.#paused));
    this.#search.addEventListener('input', () => this.#filter());
    this.#drawChips();
  }

  add(alert: Alert): void {
    if (this.#paused) {
      this.#held.push(alert);
      if (this.#held.length > ROWS_MAX) this.#held.shift();
      setText(this.#pause, `Resume (${this.#held.length})`);
      return;
    }
    this.#show(alert);
  }

  /** Start anew, after signing out or when the log was started anew. */
  clear(): void {
    this.#rows.length = 0;
    this.#held = [];
    this.#counts.clear();
    this.#body.replaceChildren();
    this.#drawChips();
    this.#filter();
  }

  #show(alert: Alert): void {
    const row = rowOf(alert);
    this.#rows.unshift(row);
    this.#body.prepend(row.summary, row.detail);
    this.#counts.set(alert.severity, (this.#counts.get(alert.severity) ?? 0) + 1);
    while (this.#rows.length > ROWS_MAX) {
      const gone = this.#rows.pop();
      gone?.summary.remove();
      gone?.detail.remove();
      if (gone) this.#counts.set(gone.alert.severity, (this.#counts.get(gone.alert.severity) ?? 1) - 1);
    }
    this.#apply(row);
    this.#drawChips();
    this.#empty.hidden = this.#rows.some((each) => !each.summary.hidden);
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#pause.setAttribute('aria-pressed', String(paused));
    setText(this.#pause, paused ? 'Resume (0)' : 'Pause');
    if (paused) return;
    for (const alert of this.#held) this.#show(alert);
    this.#held = [];
  }

  #filter(): void {
    for (const row of this.#rows) this.#apply(row);
    this.#empty.hidden = this.#rows.some((row) => !row.summary.hidden);
    setText(this.#empty, this.#rows.length === 0 ? 'No alerts yet. They appear here the moment they are raised.' : 'No alert matches the filter.');
  }

  #apply({ alert, summary, detail, searched }: Row): void {
    const words = this.#search.value.trim().toLowerCase();
    summary.hidden = (this.#severity !== undefined && alert.severity !== this.#severity) || !searched.includes(words);
    detail.hidden = summary.hidden || summary.querySelector('button')?.getAttribute('aria-expanded') !== 'true';
  }

  #drawChips(): void {
    const chips = [...this.#chips.querySelectorAll('button')];
    for (const [at, severity] of [undefined, ...SEVERITIES].entries()) {
      let chip = chips[at];
      if (chip === undefined) {
        chip = html('button', { type: 'button', class: `chip ${severity ?? 'all'}` }, html('span', {}, severity ?? 'all'), html('b'));
        chip.addEventListener('click', () => {
          this.#severity = severity;
          this.#drawChips();
          this.#filter();
        });
        this.#chips.append(chip);
      }
      chip.setAttribute('aria-pressed', String(this.#severity === severity));
      const count = severity === undefined ? this.#rows.length : (this.#counts.get(severity) ?? 0);
      setText(chip.querySelector('b')!, String(count));
    }
  }
}

function rowOf(alert: Alert): Row {
  const detailId = `alert-${alert.alert_id}`;
  const opener = html('button', { type: 'button', class: 'opener', 'aria-expanded': 'false', 'aria-controls': detailId }, alert.title);
  const summary = html(
    'tr',
    { class: `alert ${alert.severity}` },
    html('td', { class: 'time' }, formatClock(alert.at_ms)),
    html('td', {}, html('span', { class: `severity ${alert.severity}` }, alert.severity)),
    html('td', { class: 'what' }, opener),
    html(
      'td',
      {},
      alert.decision === undefined
        ? html('span', { class: 'quiet' }, alert.kind)
        : html('span', { class: `decision ${alert.decision}` }, formatName(alert.decision)),
    ),
    html('td', { class: 'number' }, formatAmount(alert.amount, alert.currency)),
    html('td', { class: 'number' }, probability(alert)),
    html('td', { class: 'id' }, alert.user_id ?? NONE),
  );
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Transaction', alert.transaction_id],
    ['User', alert.user_id],
    ['Bundle', alert.bundle ?? undefined],
    ['Alert', alert.alert_id],
    ['Raised', new Date(alert.at_ms).toISOString()],
  ];
  const reasons = alert.reasons ?? [];
  const detail = html(
    'tr',
    { class: 'detail', id: detailId },
    html(
      'td',
      { colspan: '7' },
      html(
        'div',
        { class: 'columns' },
        html(
          'div',
          {},
          html('h4', {}, 'Why'),
          reasons.length === 0
            ? html('p', { class: 'quiet' }, 'No reasons were given.')
            : html('ol', {}, ...reasons.map((reason) => html('li', {}, reason))),
        ),
        html('dl', {}, ...facts.filter(([, value]) => value !== undefined).flatMap(([name, value]) => [html('dt', {}, name), html('dd', {}, value)])),
      ),
    ),
  );
  detail.hidden = true;
  const toggle = (): void => {
    const open = opener.getAttribute('aria-expanded') !== 'true';
    opener.setAttribute('aria-expanded', String(open));
    detail.hidden = !open;
  };
  summary.addEventListener('click', toggle);
  const searched = [alert.title, alert.user_id, alert.transaction_id, alert.decision, alert.severity, ...reasons].join(' ').toLowerCase();
  return { alert, summary, detail, searched };
}

function probability(alert: Alert): string {
  return typeof alert.probability === 'number' ? `${(alert.probability * 100).toFixed(1)}%` : NONE;
}

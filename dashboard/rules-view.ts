import type { ListedRule, RulesResponse, RuleVersion } from '../contracts/rules.ts';
import { call, json } from './api.ts';
import { byId, html, setText } from './dom.ts';
import { formatAge, formatCount, formatName, formatShare } from './format.ts';

/** As `RULE_ACTIONS` of the contracts, whose code the page does not load. */
const ACTIONS: readonly RuleVersion['action'][] = ['suspend', 'decline', 'restrict_payment_method', 'challenge', 'review', 'allow'];

interface Hooks {
  readonly onError: (text: string) => void;
  readonly onChange: () => void;
  readonly backtest: (rules: readonly { readonly id: string; readonly version: number }[]) => Promise<void>;
}

/** The rules with their versions and lives, and the form that writes the next version. */
export class RulesView {
  readonly #hooks: Hooks;
  readonly #rows = byId('rule-rows', HTMLElement);
  readonly #retired = byId('show-retired', HTMLInputElement);
  readonly #dialog = byId('confirm', HTMLDialogElement);
  #answer: RulesResponse | undefined;
  #shown = '';

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
    byId('rule-action', HTMLSelectElement).append(...ACTIONS.map((action) => html('option', { value: action }, formatName(action))));
    this.#retired.addEventListener('change', () => this.#draw());
    byId('rule-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#save();
    });
  }

  update(answer: RulesResponse): void {
    this.#answer = answer;
    this.#draw();
  }

  #draw(): void {
    if (!this.#answer) return;
    const { rules } = this.#answer;
    const seen = rules.filter(({ state }) => state !== 'retired' || this.#retired.checked);
    // Redrawn only when it changed, so that keyboard focus stays where it is.
    const shown = JSON.stringify(seen);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#rows.replaceChildren(...seen.map((rule) => this.#row(rule)));
  }

  #row(rule: ListedRule): HTMLElement {
    const { id, version, description, state, action, when, author, approved_by, tripped, overridable, problem } = rule;
    return html(
      'tr',
      { 'data-rule': `${id}@${version}` },
      html(
        'td',
        {},
        html('b', {}, id),
        ` v${version}`,
        html('br'),
        html('small', {}, `${description} · ${author}${approved_by ? `, approved by ${approved_by}` : ''}`),
      ),
      html(
        'td',
        {},
        html('span', { class: `pill ${state === 'live' && !tripped ? 'good' : 'plain'}` }, state),
        problem ? html('p', { class: 'problem' }, `It does not act: ${problem}`) : undefined,
        tripped ? html('p', { class: 'problem' }, `In shadow: the breaker saw it stop ${tripped.stopped} of ${tripped.decisions}`) : undefined,
      ),
      html('td', {}, formatName(action), overridable ? undefined : html('small', {}, ' not overridable')),
      html('td', {}, html('code', {}, when)),
      html('td', {}, backtestText(rule)),
      html('td', {}, ...this.#steps(rule)),
    );
  }

  #steps(rule: RuleVersion): HTMLElement[] {
    const { id, version, state, tripped, approved_by } = rule;
    const path = `/v1/rules/${encodeURIComponent(id)}/versions/${version}`;
    const to = (name: string, label: string): HTMLElement =>
      this.#button(label, rule, () =>
        this.#ask(`${label} version ${version} of ${id}?`, label, () => call('POST', `${path}/state`, json({ state: name }))),
      );
    const steps: HTMLElement[] = [];
    if (tripped)
      steps.push(this.#button('Reset breaker', rule, () => this.#ask(`Put ${id} back into action?`, 'Reset', () => call('POST', `${path}/reset`))));
    if (state !== 'retired') steps.push(this.#button('Backtest', rule, () => this.#hooks.backtest([{ id, version }])));
    if (this.#answer?.approval === 'two_person' && state !== 'retired' && state !== 'live' && !approved_by)
      steps.push(this.#button('Approve', rule, () => call('POST', `${path}/approve`)));
    if (state === 'backtest' || state === 'live') steps.push(to('shadow', 'Shadow'));
    if (state === 'backtest' || state === 'shadow') steps.push(to('live', 'Go live'));
    if (state !== 'retired') steps.push(to('retired', 'Retire'));
    steps.push(this.#button('Edit', rule, async () => this.#edit(rule)));
    return steps;
  }

  #button(label: string, { id, version }: RuleVersion, work: () => Promise<unknown>): HTMLButtonElement {
    const button = html('button', { type: 'button', 'aria-label': `${label} ${id} version ${version}` }, label);
    button.addEventListener('click', () => {
      button.disabled = true;
      work()
        .then(
          () => this.#hooks.onError(''),
          (error: unknown) => this.#hooks.onError(error instanceof Error ? error.message : String(error)),
        )
        .finally(() => {
          button.disabled = false;
          this.#hooks.onChange();
        });
    });
    return button;
  }

  async #ask(question: string, action: string, work: () => Promise<unknown>): Promise<void> {
    setText(byId('confirm-question', HTMLElement), question);
    setText(byId('confirm-yes', HTMLButtonElement), action);
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    await new Promise((resolve) => this.#dialog.addEventListener('close', resolve, { once: true }));
    if (this.#dialog.returnValue === 'yes') await work();
  }

  #edit({ id, description, when, action, overridable }: RuleVersion): void {
    byId('rule-id', HTMLInputElement).value = id;
    byId('rule-description', HTMLInputElement).value = description;
    byId('rule-when', HTMLTextAreaElement).value = when;
    byId('rule-action', HTMLSelectElement).value = action;
    byId('rule-overridable', HTMLInputElement).checked = overridable;
    byId('rule-when', HTMLTextAreaElement).focus();
  }

  async #save(): Promise<void> {
    const problem = byId('rule-problem', HTMLElement);
    try {
      const { id, version } = await call<RuleVersion>(
        'POST',
        '/v1/rules',
        json({
          id: byId('rule-id', HTMLInputElement).value,
          description: byId('rule-description', HTMLInputElement).value,
          when: byId('rule-when', HTMLTextAreaElement).value,
          action: byId('rule-action', HTMLSelectElement).value,
          overridable: byId('rule-overridable', HTMLInputElement).checked,
        }),
      );
      setText(problem, '');
      this.#hooks.onError(`Version ${version} of ${id} is a draft.`);
      this.#hooks.onChange();
    } catch (error) {
      setText(problem, error instanceof Error ? error.message : String(error));
    }
  }
}

function backtestText({ backtest }: RuleVersion): string {
  if (!backtest) return '–';
  const { hits, precision, recall, customers_hurt } = backtest.figures;
  const share = (value: number | null): string => (value === null ? '–' : formatShare(value, 1));
  return `${formatCount(hits)} hits of ${formatCount(backtest.transactions)}, precision ${share(precision)}, recall ${share(recall)}, ${formatCount(customers_hurt)} customers hurt, ${formatAge(backtest.at_ms, Date.now())} ago`;
}

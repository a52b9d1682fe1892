import type { BundleChangeResponse, BundleSummary, BundlesResponse } from '../contracts/control.ts';
import { call } from './api.ts';
import { byId, html, setText } from './dom.ts';
import { formatAge, formatBytes } from './format.ts';

/** A list of every bundle ever trained helps nobody; the rest is in `gatehouse bundle list`. */
const SHOWN_MAX = 6;
const METRICS_SHOWN_MAX = 4;
/** What a reader asks for first, in the trainer's names; a bundle made elsewhere shows what it has. */
const HEADLINES: Readonly<Record<string, string>> = {
  recommend_ndcg20_ranker: 'recommendations, NDCG@20',
  recommend_ndcg20_popularity: 'the same by popularity',
  fraud_average_precision: 'fraud, average precision',
  fraud_auc: 'fraud, ROC AUC',
};

/** The bundles, with activation and rollback behind a question. */
export class BundlesView {
  readonly #list = byId('bundles', HTMLElement);
  readonly #rollback = byId('bundle-rollback', HTMLButtonElement);
  readonly #status = byId('bundle-status', HTMLElement);
  readonly #dialog = byId('confirm', HTMLDialogElement);
  readonly #onChange: () => void;
  #busy = false;
  #shown = '';

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#rollback.addEventListener('click', () => void this.#change('Roll back to the previous bundle?', 'Roll back', '/v1/bundles/rollback'));
  }

  update({ current, bundles }: BundlesResponse): void {
    setText(byId('current-bundle', HTMLElement), current ?? 'no bundle');
    this.#rollback.hidden = !bundles.some((bundle) => bundle.state === 'previous');
    // Redrawn only when it changed, so that keyboard focus stays where it is.
    const shown = JSON.stringify([current, bundles, this.#busy]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#rollback.disabled = this.#busy;
    if (bundles.length === 0) {
      this.#list.replaceChildren(html('p', { class: 'quiet' }, 'No bundle yet. Train one with `gatehouse train`; answers are degraded until then.'));
      return;
    }
    this.#list.replaceChildren(...bundles.slice(0, SHOWN_MAX).map((bundle) => this.#card(bundle)));
  }

  #card(bundle: BundleSummary): HTMLElement {
    const { version, state, created_ms, bytes, metrics = {}, problem } = bundle;
    const known = Object.keys(HEADLINES).filter((name) => metrics[name] !== undefined);
    const figures = [...new Set([...known, ...Object.keys(metrics)])].slice(0, METRICS_SHOWN_MAX);
    const card = html(
      'article',
      { class: `bundle ${state}` },
      html(
        'header',
        {},
        html('b', {}, version),
        state === 'available' ? undefined : html('span', { class: `state ${state}` }, state === 'current' ? 'serving' : state),
      ),
      created_ms === undefined ? undefined : html('small', {}, `${formatAge(created_ms, Date.now())} old · ${formatBytes(bytes)}`),
      problem === undefined ? undefined : html('p', { class: 'problem' }, problem),
      figures.length === 0
        ? undefined
        : html('dl', {}, ...figures.flatMap((name) => [html('dt', {}, HEADLINES[name] ?? name), html('dd', {}, metrics[name]!.toPrecision(3))])),
    );
    if (state !== 'current' && problem === undefined) {
      const button = html('button', { type: 'button', 'aria-label': `Activate bundle ${version}` }, 'Activate');
      button.disabled = this.#busy;
      button.addEventListener(
        'click',
        () => void this.#change(`Activate bundle ${version}?`, 'Activate', `/v1/bundles/${encodeURIComponent(version)}/activate`),
      );
      card.querySelector('header')?.append(button);
    }
    return card;
  }

  async #change(question: string, action: string, path: string): Promise<void> {
    if (this.#busy || !(await this.#confirmed(question, action))) return;
    this.#busy = true;
    this.#report('', 'Verifying and probing; the current bundle serves meanwhile…');
    this.#onChange();
    try {
      const { current } = await call<BundleChangeResponse>('POST', path);
      this.#report('good', `${current} serves now.`);
    } catch (error) {
      this.#report('bad', error instanceof Error ? error.message : String(error));
    } finally {
      this.#busy = false;
      this.#onChange();
    }
  }

  #report(tone: '' | 'good' | 'bad', text: string): void {
    this.#status.className = `status ${tone}`.trim();
    this.#status.hidden = false;
    setText(this.#status, text);
  }

  #confirmed(question: string, action: string): Promise<boolean> {
    setText(byId('confirm-question', HTMLElement), question);
    setText(byId('confirm-yes', HTMLButtonElement), action);
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    return new Promise((resolve) => {
      this.#dialog.addEventListener('close', () => resolve(this.#dialog.returnValue === 'yes'), { once: true });
    });
  }
}

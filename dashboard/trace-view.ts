import type { RecommendedItem } from '../contracts/recommend.ts';
import type { RecommendTrace, TraceCandidate } from '../contracts/recommend-trace.ts';
import { call, json } from './api.ts';
import { byId, html, setText } from './dom.ts';
import { formatMs } from './format.ts';

/** The strongest say what made a score; the API has all. */
const CONTRIBUTIONS_SHOWN_MAX = 4;
const DIGITS = 3;

/** What every stage of one answer did. */
export class TraceView {
  readonly #search = byId('candidate-search', HTMLInputElement);
  #candidates: readonly TraceCandidate[] = [];

  constructor(sentenceOf: (error: unknown) => string) {
    const problem = byId('inspect-problem', HTMLElement);
    byId('inspect-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#look().then(
        () => setText(problem, ''),
        (error: unknown) => setText(problem, sentenceOf(error)),
      );
    });
    this.#search.addEventListener('input', () => this.#showCandidates());
  }

  async #look(): Promise<void> {
    const fields = { placement: 'placement', user_id: 'user', session_id: 'session', item_id: 'item' };
    const given = Object.entries(fields).map(([field, id]) => [field, byId(`inspect-${id}`, HTMLInputElement).value.trim()] as const);
    const trace = await call<RecommendTrace>('POST', '/v1/recommend/inspect', json(Object.fromEntries(given.filter(([, value]) => value !== ''))));
    const { response, stages, sources, candidates, scored_by } = trace;
    const ms = stages.map(({ stage, ms: took }) => `${stage} ${formatMs(took)}`).join(', ');
    const degraded = response.degraded ? ` Degraded by ${(response.degraded_by ?? []).join(', ')}.` : '';
    const by = scored_by === 'ranker' ? 'ranked by the model' : 'ordered by the blend of the sources';
    setText(
      byId('inspect-summary', HTMLElement),
      `${response.items.length} items for ${response.placement}, ${candidates.length} candidates, ${by}, bundle ${response.bundle ?? 'none'}: ${ms}.${degraded}`,
    );
    byId('answer-rows', HTMLElement).replaceChildren(...response.items.map((item, n) => answerRow(item, n + 1)));
    byId('source-rows', HTMLElement).replaceChildren(...sources.map(sourceRow));
    this.#candidates = candidates;
    this.#showCandidates();
    for (const id of ['answer', 'sources', 'candidates']) byId(id, HTMLElement).hidden = false;
  }

  #showCandidates(): void {
    const wanted = this.#search.value.toLowerCase();
    const found = this.#candidates.filter(({ item_id, title }) => `${item_id} ${title ?? ''}`.toLowerCase().includes(wanted));
    byId('candidate-rows', HTMLElement).replaceChildren(...found.map(candidateRow));
  }
}

function answerRow({ item_id, score, reason, sources, explanation }: RecommendedItem, place: number): HTMLElement {
  const made = [
    ...(explanation?.adjustments ?? []).map(({ name, amount }) => `${signed(amount)} ${name}`),
    ...(explanation?.contributions ?? []).slice(0, CONTRIBUTIONS_SHOWN_MAX).map(({ contribution, text }) => `${signed(contribution)} ${text}`),
  ];
  const list = html('ul', {}, ...made.map((line) => html('li', {}, line)));
  return row([String(place), item_id, score.toFixed(DIGITS), reason, sources.join(', '), list], [0, 2]);
}

function sourceRow({ source, outcome, found, cap, ms, refused, refused_total }: RecommendTrace['sources'][number]): HTMLElement {
  const reasons = new Map<string, number>();
  for (const { reason } of refused) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const told = [...reasons].map(([reason, count]) => `${count} ${words(reason)}`).join(', ');
  const more = refused_total > refused.length ? `; ${refused_total} in all` : '';
  const state = html('span', { class: `pill ${outcome === 'answered' ? 'good' : 'plain'}` }, outcome);
  return row([source, state, String(found.length), String(cap), formatMs(ms), told === '' ? '–' : told + more], [2, 3, 4]);
}

function candidateRow({ rank, item_id, title, sources, model_score, score, place, dropped_by }: TraceCandidate): HTMLElement {
  const item = html('span', {}, item_id, title === null ? undefined : html('span', { class: 'quiet' }, ` ${title}`));
  const became = place === null ? `dropped: ${words(dropped_by ?? '')}` : html('span', { class: 'pill good' }, `place ${place}`);
  return row([String(rank), item, sources.join(', '), model_score.toFixed(DIGITS), score.toFixed(DIGITS), became], [0, 3, 4]);
}

function row(cells: readonly (Node | string)[], numbers: readonly number[]): HTMLElement {
  return html('tr', {}, ...cells.map((cell, n) => html('td', numbers.includes(n) ? { class: 'number' } : {}, cell)));
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(DIGITS)}`;
}

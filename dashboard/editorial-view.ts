import type { EditorialList, EditorialListRequest, EditorialListsResponse } from '../contracts/merchandising.ts';
import { call, json } from './api.ts';
import { byId, html, setText } from './dom.ts';

/** Of a long list the beginning says what it is. */
const ITEMS_SHOWN_MAX = 8;

/** Editorial lists: what there is, and a form that makes one or replaces it. */
export class EditorialView {
  readonly #sentenceOf: (error: unknown) => string;

  constructor(sentenceOf: (error: unknown) => string) {
    this.#sentenceOf = sentenceOf;
    byId('editorial-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#try(() => this.#save());
    });
  }

  load(): Promise<void> {
    return this.#try(async () => this.#show((await call<EditorialListsResponse>('GET', '/v1/editorial-lists')).lists));
  }

  #show(lists: readonly EditorialList[]): void {
    byId('editorial-rows', HTMLElement).replaceChildren(...lists.map((list) => this.#row(list)));
  }

  #row(list: EditorialList): HTMLElement {
    const edit = html('button', { type: 'button', 'aria-label': `Edit ${list.list_id}` }, 'Edit');
    edit.addEventListener('click', () => this.#edit(list));
    const remove = html('button', { type: 'button', 'aria-label': `Remove ${list.list_id}` }, 'Remove');
    remove.addEventListener('click', () => {
      void this.#try(async () => this.#show((await call<EditorialListsResponse>('DELETE', pathOf(list.list_id))).lists));
    });
    const shown = list.item_ids.slice(0, ITEMS_SHOWN_MAX).join(', ');
    const more = list.item_ids.length - ITEMS_SHOWN_MAX;
    const cells = [
      list.list_id,
      list.title,
      list.placements.join(', '),
      more > 0 ? `${shown} and ${more} more` : shown,
      `${list.from_ms === undefined ? 'always' : `from ${day(list.from_ms)}`}${list.until_ms === undefined ? '' : ` until ${day(list.until_ms)}`}`,
      `${day(list.updated_ms)} by ${list.updated_by}`,
      html('span', {}, edit, remove),
    ];
    return html('tr', { 'data-list': list.list_id }, ...cells.map((cell) => html('td', {}, cell)));
  }

  #edit(list: EditorialList): void {
    const set = (id: string, value: string): void => {
      byId(id, HTMLInputElement).value = value;
    };
    set('editorial-id', list.list_id);
    set('editorial-name', list.title);
    set('editorial-placements', list.placements.join(' '));
    set('editorial-from', list.from_ms === undefined ? '' : day(list.from_ms));
    set('editorial-until', list.until_ms === undefined ? '' : day(list.until_ms));
    byId('editorial-items', HTMLTextAreaElement).value = list.item_ids.join('\n');
  }

  async #save(): Promise<void> {
    const [id, title, placements, from, until] = ['id', 'name', 'placements', 'from', 'until'].map(
      (name) => byId(`editorial-${name}`, HTMLInputElement).value,
    );
    const request: EditorialListRequest = {
      title: title!,
      placements: words(placements!),
      item_ids: words(byId('editorial-items', HTMLTextAreaElement).value),
      ...(from === '' ? {} : { from_ms: Date.parse(from!) }),
      ...(until === '' ? {} : { until_ms: Date.parse(until!) }),
    };
    await call<EditorialList>('PUT', pathOf(id!), json(request));
    byId('editorial-form', HTMLFormElement).reset();
    await this.load();
  }

  async #try(work: () => Promise<void>): Promise<void> {
    const problem = byId('editorial-problem', HTMLElement);
    try {
      await work();
      setText(problem, '');
    } catch (error) {
      setText(problem, this.#sentenceOf(error));
    }
  }
}

function pathOf(listId: string): string {
  return `/v1/editorial-lists/${encodeURIComponent(listId)}`;
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

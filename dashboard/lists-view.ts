import type { ListChangeResponse, ListEntriesResponse, ListEntry, ListKind, ListSubject, ListsResponse } from '../contracts/lists.ts';
import { call, json, type Sent } from './api.ts';
import { byId, html, setText } from './dom.ts';
import { formatCount } from './format.ts';

/** As the contracts have them, whose code the page does not load. */
const KINDS: readonly ListKind[] = ['block', 'allow', 'watch'];
const SUBJECTS: readonly ListSubject[] = ['card', 'user', 'device', 'ip', 'email_domain', 'value'];
/** What a person scrolls through; the search finds the rest. */
const SHOWN_MAX = 100;

/** The lists: entries with reason, author and end; adding, uploading and removing. */
export class ListsView {
  readonly #name = byId('list-name', HTMLSelectElement);
  readonly #search = byId('list-search', HTMLInputElement);
  readonly #rows = byId('entry-rows', HTMLElement);
  readonly #problem = byId('list-problem', HTMLElement);

  constructor() {
    byId('new-list-kind', HTMLSelectElement).append(...KINDS.map((kind) => html('option', {}, kind)));
    byId('new-list-of', HTMLSelectElement).append(...SUBJECTS.map((of) => html('option', {}, of)));
    this.#name.addEventListener('change', () => this.#try(() => this.load(this.#name.value)));
    this.#search.addEventListener('input', () => this.#try(() => this.#entries()));
    this.#on('entry-form', () => this.#add());
    this.#on('list-form', () => this.#make());
    byId('list-file', HTMLInputElement).addEventListener('change', () => this.#try(() => this.#upload()));
  }

  /** Reads the lists, and the entries of the one that is shown. */
  async load(shown = this.#name.value): Promise<void> {
    const { lists } = await call<ListsResponse>('GET', '/v1/lists');
    this.#name.replaceChildren(...lists.map(({ name }) => html('option', {}, name)));
    if (lists.some(({ name }) => name === shown)) this.#name.value = shown;
    const list = lists.find(({ name }) => name === this.#name.value);
    if (!list) return;
    const used = list.used_by.length === 0 ? 'no rule asks it' : `asked by ${list.used_by.join(', ')}`;
    setText(
      byId('list-about', HTMLElement),
      `${list.description}: a ${list.kind} list of ${list.of}, ${formatCount(list.entries)} entries, ${used}.`,
    );
    await this.#entries();
  }

  async #entries(): Promise<void> {
    const query = new URLSearchParams({ limit: String(SHOWN_MAX), ...(this.#search.value === '' ? {} : { prefix: this.#search.value }) });
    const { entries } = await call<ListEntriesResponse>('GET', `${this.#path()}/entries?${query}`);
    this.#rows.replaceChildren(...entries.map((entry) => this.#row(entry)));
  }

  #row({ value, reason, author, created_ms, expires_ms }: ListEntry): HTMLElement {
    const button = html('button', { type: 'button', 'aria-label': `Remove ${value}` }, 'Remove');
    const remove = json({ values: [value], reason: 'removed on the rules page' });
    button.addEventListener('click', () => this.#try(() => this.#change('remove', remove)));
    const cells = [value, reason, author, day(created_ms), expires_ms === undefined ? '–' : day(expires_ms), button];
    return html('tr', {}, ...cells.map((cell) => html('td', {}, cell)));
  }

  async #add(): Promise<void> {
    const [value, reason, expires] = ['entry-value', 'entry-reason', 'entry-expires'].map((id) => byId(id, HTMLInputElement));
    const ends = expires!.value === '' ? {} : { expires_ms: Date.parse(expires!.value) };
    await this.#change('entries', json({ entries: [{ value: value!.value, reason: reason!.value, ...ends }] }));
    value!.value = '';
  }

  async #upload(): Promise<void> {
    const input = byId('list-file', HTMLInputElement);
    const file = input.files?.[0];
    if (!file) return;
    const type = file.name.endsWith('.csv') ? 'text/csv' : 'application/x-ndjson';
    try {
      await this.#change(`upload?${new URLSearchParams({ reason: `uploaded ${file.name}`.slice(0, 300) })}`, { type, text: await file.text() });
    } finally {
      input.value = '';
    }
  }

  async #make(): Promise<void> {
    const name = byId('new-list-name', HTMLInputElement).value;
    const kind = byId('new-list-kind', HTMLSelectElement).value;
    const of = byId('new-list-of', HTMLSelectElement).value;
    await call('POST', '/v1/lists', json({ name, kind, of, description: byId('new-list-description', HTMLInputElement).value }));
    byId('list-form', HTMLFormElement).reset();
    await this.load(name);
  }

  async #change(what: string, sent: Sent): Promise<void> {
    await call<ListChangeResponse>('POST', `${this.#path()}/${what}`, sent);
    await this.load();
  }

  #path(): string {
    return `/v1/lists/${encodeURIComponent(this.#name.value)}`;
  }

  #on(form: string, work: () => Promise<void>): void {
    byId(form, HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#try(work);
    });
  }

  #try(work: () => Promise<void>): void {
    work().then(
      () => setText(this.#problem, ''),
      (error: unknown) => setText(this.#problem, error instanceof Error ? error.message : String(error)),
    );
  }
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

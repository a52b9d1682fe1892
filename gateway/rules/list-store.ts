import { createHash } from 'node:crypto';
import { GatehouseError } from '../../contracts/errors.ts';
import {
  type CreateListRequest,
  LIST_ENTRIES_MAX,
  LIST_PAGE_MAX,
  LISTS_MAX,
  type ListChangeResponse,
  type ListEntriesResponse,
  type ListEntry,
  type ListEntryRequest,
  type ListSummary,
} from '../../contracts/lists.ts';
import { DEFAULT_LISTS } from '../../scoring/risk/default-rules.ts';
import { canonicalValue, RiskList, RiskLists } from '../../scoring/risk/lists.ts';
import type { DocChange, Store } from '../../store/contract.ts';
import type { AdminChange, Audit } from '../audit.ts';
import { Serial } from '../serial.ts';
import { entryChange, listChange, readLists, type StoredList } from './stored-lists.ts';

/** How long an entry that has ended is kept: backtests of the last quarter ask what was listed then. */
const ENDED_KEPT_MS = 90 * 86_400_000;
/** Values that one audit entry names; of an upload it has the count and the digest of all. */
const AUDITED_VALUES_MAX = 100;

export interface ListStoreOptions {
  readonly store: Pick<Store<never>, 'docs'>;
  readonly audit: Audit;
  readonly now: () => number;
}

/**
 * Block, allow and watch lists. Rules ask `lists`, in memory; every change is journalled in the same step as its documents, and shows in the next answer. It moves the
 * revision of the list, from the one that this gateway has read: of two gateways that change a list at once, the second reads first what the other one wrote.
 */
export class ListStore {
  readonly lists = new RiskLists();
  readonly #options: ListStoreOptions;
  readonly #serial = new Serial();
  readonly #about = new Map<string, StoredList>();

  private constructor(options: ListStoreOptions) {
    this.#options = options;
  }

  /** Reads the store, and makes the lists of the shipped rules where they are missing. Throws `store_incompatible`. */
  static async open(options: ListStoreOptions): Promise<ListStore> {
    const lists = new ListStore(options);
    await lists.reload();
    for (const list of DEFAULT_LISTS) {
      await lists.#change(async () => {
        if (!lists.#about.has(list.name)) await lists.#create(list, 'gatehouse');
      });
    }
    return lists;
  }

  /** `usedBy`: which rules in force ask each list. */
  list(usedBy: (name: string) => readonly string[]): ListSummary[] {
    return [...this.#about.values()]
      .map(({ revision: _, ...list }) => ({ ...list, entries: this.#get(list.name).size, used_by: [...usedBy(list.name)] }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  create(request: CreateListRequest, actor: string): Promise<void> {
    return this.#change(async () => {
      if (this.#about.has(request.name)) throw new GatehouseError('list_conflict', `there is a list ${request.name} already`);
      if (this.#about.size >= LISTS_MAX) throw new GatehouseError('list_conflict', `there are ${LISTS_MAX} lists already`);
      await this.#create(request, actor);
    });
  }

  /** Deletes a list with its entries. `usedBy` as for `list`: one that a rule asks stays. */
  delete(name: string, actor: string, usedBy: (name: string) => readonly string[]): Promise<void> {
    return this.#change(async () => {
      const list = this.#get(name);
      const rules = usedBy(name);
      if (rules.length > 0) throw new GatehouseError('list_conflict', `${name} is asked by ${rules.join(', ')}`);
      const entries = [...list.values()].map(({ value }): DocChange => entryChange(name, value, undefined));
      await this.#options.audit.record({ actor, action: 'list.delete', detail: { name, entries: list.size } }, [
        listChange(name, this.#about.get(name), undefined),
        ...entries,
      ]);
      this.#about.delete(name);
      this.lists.lists.delete(name);
    });
  }

  /**
   * Adds entries, all or none. Rejects with `invalid_request` that names each wrong one by `place`, and with `list_conflict` when all lists
   * together are full.
   */
  add(name: string, requests: readonly ListEntryRequest[], actor: string, place: (i: number) => string): Promise<ListChangeResponse> {
    return this.#change(async () => {
      const list = this.#get(name);
      const nowMs = this.#options.now();
      const entries = this.#canonical(name, requests, actor, nowMs, place);
      const added = [...entries.keys()].filter((value) => list.get(value) === undefined).length;
      const ended = this.lists.entries + added > LIST_ENTRIES_MAX ? this.#ended(nowMs) : [];
      if (this.lists.entries + added - ended.length > LIST_ENTRIES_MAX)
        throw new GatehouseError('list_conflict', `all lists together hold at most ${LIST_ENTRIES_MAX} entries`);
      const changes = [...entries.values()].map((entry) => entryChange(name, entry.value, entry));
      for (const gone of ended) changes.push(entryChange(gone.list, gone.value, undefined));
      const lists = new Set([name, ...ended.map((gone) => gone.list)]);
      await this.#record(lists, { actor, action: 'list.add', detail: { name, ...audited([...entries.values()]) } }, changes);
      for (const gone of ended) this.lists.lists.get(gone.list)!.delete(gone.value);
      for (const entry of entries.values()) list.set(entry);
      return { added, replaced: entries.size - added, removed: 0, entries: list.size };
    });
  }

  /** Removes entries; values that are not there are no fault. */
  remove(name: string, values: readonly string[], reason: string, actor: string): Promise<ListChangeResponse> {
    return this.#change(async () => {
      const list = this.#get(name);
      const { of } = this.#about.get(name)!;
      const there = [...new Set(values.map((value) => canonicalValue(of, value) ?? value))].filter((value) => list.get(value) !== undefined);
      await this.#record(
        [name],
        { actor, action: 'list.remove', detail: { name, reason, values: there } },
        there.map((value) => entryChange(name, value, undefined)),
      );
      for (const value of there) list.delete(value);
      return { added: 0, replaced: 0, removed: there.length, entries: list.size };
    });
  }

  /** The newest entries whose value starts so. Throws `list_not_found`. */
  entries(name: string, prefix = '', limit = LIST_PAGE_MAX): ListEntriesResponse {
    const list = this.#get(name);
    const found = [...list.values()].filter(({ value }) => value.startsWith(prefix));
    return { total: found.length, entries: found.slice(-limit).reverse() };
  }

  /** Reads the store again, after another gateway changed it. */
  reload(): Promise<void> {
    return this.#serial.run(() => this.#read());
  }

  async #read(): Promise<void> {
    const { about, lists } = await readLists(this.#options.store);
    this.#about.clear();
    this.lists.lists.clear();
    // In place: the compiled rules ask this very object.
    for (const [name, list] of about) this.#about.set(name, list);
    for (const [name, list] of lists.lists) this.lists.lists.set(name, list);
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.change(work, () => this.#read());
  }

  async #create(request: CreateListRequest, actor: string): Promise<void> {
    const list: StoredList = { ...request, author: actor, created_ms: this.#options.now() };
    await this.#options.audit.record({ actor, action: 'list.create', detail: { ...request } }, [listChange(list.name, undefined, list)]);
    this.#about.set(list.name, list);
    this.lists.lists.set(list.name, new RiskList(list));
  }

  /** Journals and writes changed entries of these lists. */
  async #record(names: Iterable<string>, change: AdminChange, entries: readonly DocChange[]): Promise<void> {
    const moved = Array.from(names, (name) => {
      const from = this.#about.get(name)!;
      return { from, to: { ...from, revision: (from.revision ?? 0) + 1 } };
    });
    await this.#options.audit.record(change, [...moved.map(({ from, to }) => listChange(to.name, from, to)), ...entries]);
    for (const { to } of moved) this.#about.set(to.name, to);
  }

  #get(name: string): RiskList {
    const list = this.lists.lists.get(name);
    if (!list) throw new GatehouseError('list_not_found', `there is no list ${name}`);
    return list;
  }

  #canonical(
    name: string,
    requests: readonly ListEntryRequest[],
    actor: string,
    nowMs: number,
    place: (i: number) => string,
  ): Map<string, ListEntry> {
    const { of } = this.#about.get(name)!;
    const entries = new Map<string, ListEntry>();
    const errors: { path: string; message: string }[] = [];
    for (const [i, { value: given, reason, expires_ms }] of requests.entries()) {
      const value = canonicalValue(of, given);
      if (value === undefined) errors.push({ path: place(i), message: `${JSON.stringify(given)} is no ${of}` });
      else if (expires_ms !== undefined && expires_ms <= nowMs) errors.push({ path: place(i), message: 'expires_ms has passed' });
      else {
        // What was listed before has been listed since then.
        const created_ms = this.#get(name).get(value)?.created_ms ?? nowMs;
        entries.set(value, { value, reason, ...(expires_ms === undefined ? {} : { expires_ms }), author: actor, created_ms });
      }
    }
    if (errors.length > 0)
      throw new GatehouseError('invalid_request', `nothing was taken: ${errors.length} entries are wrong, the first at ${errors[0]!.path}`, {
        errors: errors.slice(0, 100),
      });
    return entries;
  }

  #ended(nowMs: number): { readonly list: string; readonly value: string }[] {
    const ended: { list: string; value: string }[] = [];
    for (const [list, entries] of this.lists.lists) {
      for (const { value, expires_ms } of entries.values())
        if (expires_ms !== undefined && expires_ms < nowMs - ENDED_KEPT_MS) ended.push({ list, value });
    }
    return ended;
  }
}

function audited(entries: readonly ListEntry[]): Record<string, unknown> {
  if (entries.length <= AUDITED_VALUES_MAX)
    return { entries: entries.map(({ value, reason, expires_ms }) => ({ value, reason, expires_ms: expires_ms ?? null })) };
  const digest = createHash('sha256');
  for (const { value } of entries) digest.update(`${value}\n`);
  return { count: entries.length, sha256: digest.digest('hex') };
}

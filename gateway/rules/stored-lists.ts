import { Compile } from 'typebox/compile';
import { GatehouseError } from '../../contracts/errors.ts';
import { type CreateListRequest, ListEntry } from '../../contracts/lists.ts';
import { RiskList, RiskLists } from '../../scoring/risk/lists.ts';
import type { DocChange, Store } from '../../store/contract.ts';

const LISTS_COLLECTION = 'lists';
const ENTRIES_COLLECTION = 'list_entries';

export interface StoredList extends CreateListRequest {
  readonly author: string;
  readonly created_ms: number;
  /** Moves with each change of its entries; a list that was never changed has none. */
  readonly revision?: number;
}

const Entry = Compile(ListEntry);

/** From what this gateway has read of the list, undefined where it is new, to what it is from now on; without that it goes. */
export function listChange(name: string, from: StoredList | undefined, to: StoredList | undefined): DocChange {
  return { collection: LISTS_COLLECTION, id: name, value: to, expected: { value: from } };
}

/** Without an entry it goes. Whoever changes entries moves the revision of their list in the same step. */
export function entryChange(list: string, value: string, entry: ListEntry | undefined): DocChange {
  // A list's name has no slash.
  return { collection: ENTRIES_COLLECTION, id: `${list}/${value}`, value: entry };
}

/** All lists of a store, with what is known of each. Throws `store_incompatible`. */
export async function readLists(store: Pick<Store<never>, 'docs'>): Promise<{ readonly about: Map<string, StoredList>; readonly lists: RiskLists }> {
  const about = new Map<string, StoredList>();
  const lists = new RiskLists();
  for await (const { value } of store.docs(LISTS_COLLECTION)) {
    const list = value as StoredList;
    about.set(list.name, list);
    lists.lists.set(list.name, new RiskList(list));
  }
  const entries: { readonly list: string; readonly entry: ListEntry }[] = [];
  for await (const { id, value } of store.docs(ENTRIES_COLLECTION)) {
    if (!Entry.Check(value))
      throw new GatehouseError('store_incompatible', `the list entry ${id} in the store has a form that this version does not know`);
    entries.push({ list: id.slice(0, id.indexOf('/')), entry: value });
  }
  // The store keeps them by key; people look at the newest first.
  entries.sort((a, b) => a.entry.created_ms - b.entry.created_ms);
  for (const { list, entry } of entries) lists.lists.get(list)?.set(entry);
  return { about, lists };
}

import { GatehouseError } from '../contracts/errors.ts';
import { type EditorialList, type EditorialListRequest, type EditorialListsResponse, holdsAt } from '../contracts/merchandising.ts';
import type { EditorialPicks } from '../scoring/recommend/pipeline.ts';
import type { Store } from '../store/contract.ts';
import type { Audit } from './audit.ts';

export const EDITORIAL_COLLECTION = 'editorial_lists';
/** Each answer looks at those of its placement; a shop with more than this has campaigns that nobody ended. */
export const EDITORIAL_LISTS_MAX = 200;
const NONE: readonly EditorialList[] = [];

export interface EditorialLists extends EditorialPicks {
  list(): EditorialListsResponse;
  /** Makes the list, or replaces it whole. Rejects with `invalid_request`, `editorial_lists_full` and the store's errors; it is then as before. */
  put(listId: string, request: EditorialListRequest, actor: string): Promise<EditorialList>;
  /** Rejects with `not_found` and the store's errors. */
  remove(listId: string, actor: string): Promise<void>;
  close(): void;
}

export interface EditorialOptions {
  readonly store: Pick<Store<never>, 'docs' | 'doc' | 'onForeignFact'>;
  readonly audit: Audit;
  readonly now: () => number;
  /** Told of a reading that failed in the background. */
  readonly onError: (error: unknown) => void;
}

/** Lists that editors keep, in memory and in the store. Processes that share a store learn of each other's through its journal. */
export async function openEditorial({ store, audit, now, onError }: EditorialOptions): Promise<EditorialLists> {
  const byId = new Map<string, EditorialList>();
  /** In the order of the list ids, so that every process gives the same. */
  let byPlacement = new Map<string, readonly EditorialList[]>();
  const sorted = (): EditorialList[] => [...byId.values()].sort((a, b) => (a.list_id < b.list_id ? -1 : 1));

  const set = (listId: string, list: EditorialList | undefined): void => {
    if (list === undefined) byId.delete(listId);
    else byId.set(listId, list);
    const fresh = new Map<string, EditorialList[]>();
    for (const one of sorted()) for (const placement of new Set(one.placements)) fresh.set(placement, [...(fresh.get(placement) ?? []), one]);
    byPlacement = fresh;
  };

  for await (const { id, value } of store.docs(EDITORIAL_COLLECTION)) set(id, value as EditorialList);
  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin' || !fact.action.startsWith('editorial.')) return;
    const id = String(fact.detail['list_id']);
    store
      .doc(EDITORIAL_COLLECTION, id)
      .then((value) => set(id, value as EditorialList | undefined))
      .catch(onError);
  });

  return {
    picks(placement, nowMs) {
      const lists = byPlacement.get(placement) ?? NONE;
      return lists.flatMap((list) => (holdsAt(list, nowMs) ? list.item_ids : []));
    },
    list: () => ({ lists: sorted() }),
    async put(listId, request, actor) {
      const { from_ms = 0, until_ms = Number.POSITIVE_INFINITY } = request;
      if (until_ms <= from_ms)
        throw new GatehouseError('invalid_request', 'the list ends before it begins', {
          errors: [{ path: '/until_ms', message: 'must be after from_ms' }],
        });
      if (!byId.has(listId) && byId.size >= EDITORIAL_LISTS_MAX)
        throw new GatehouseError('editorial_lists_full', `there are ${EDITORIAL_LISTS_MAX} editorial lists already`);
      const list: EditorialList = { list_id: listId, ...request, updated_ms: now(), updated_by: actor };
      const detail = { list_id: listId, title: request.title, placements: request.placements, items: request.item_ids.length };
      await audit.record({ actor, action: 'editorial.put', detail }, [{ collection: EDITORIAL_COLLECTION, id: listId, value: list }]);
      set(listId, list);
      return list;
    },
    async remove(listId, actor) {
      if (!byId.has(listId)) throw new GatehouseError('not_found', `there is no editorial list ${listId}`);
      await audit.record({ actor, action: 'editorial.remove', detail: { list_id: listId } }, [
        { collection: EDITORIAL_COLLECTION, id: listId, value: undefined },
      ]);
      set(listId, undefined);
    },
    close: unsubscribe,
  };
}

import { GatehouseError } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import { ATTRIBUTES_MAX, type DeleteItemsRequest, type Item, type ItemsResponse, type PutItemsRequest } from '../../contracts/item.ts';
import { nextTurn } from '../../index/turns.ts';
import type { DocChange } from '../../store/contract.ts';
import type { DataDeps } from './plane.ts';
import { Turns } from './turns.ts';

export const ITEMS_COLLECTION = 'items';

/** Items of a batch that are put between two turns of the event loop: a new one takes its indexes up to half a millisecond. */
const ITEMS_PER_TURN = 4;

/** `PUT`, `PATCH` and `DELETE /v1/items`. The catalogue in memory changes when the store has the change: an acknowledged item can be shown at once. */
export function createItemsHandlers(deps: Pick<DataDeps, 'store' | 'catalogue' | 'trending' | 'now'>) {
  const { store, catalogue, trending, now } = deps;
  const turns = new Turns();

  async function put(items: readonly Item[]): Promise<ItemsResponse> {
    const atMs = now();
    const stored = items.map((item) => ({ ...item, created_ms: item.created_ms ?? catalogue.get(item.item_id)?.created_ms ?? atMs }));
    const facts: Fact[] = stored.map((item) => ({ kind: 'item_put', at_ms: atMs, item }));
    await store.write(
      facts,
      stored.map((item): DocChange => ({ collection: ITEMS_COLLECTION, id: item.item_id, value: item })),
    );
    for (const [i, item] of stored.entries()) {
      catalogue.put(item);
      if (i % ITEMS_PER_TURN === ITEMS_PER_TURN - 1) await nextTurn();
    }
    return { changed: stored.length };
  }

  /** Each change on top of what the batch has made of its item so far. */
  function merge(changes: readonly Item[]): Item[] {
    const changed = new Map<string, Item>();
    return changes.map((change, i) => {
      const before = changed.get(change.item_id) ?? catalogue.get(change.item_id);
      if (!before)
        throw new GatehouseError('item_not_found', `no item ${change.item_id}`, { errors: [{ path: `/items/${i}/item_id`, message: 'unknown' }] });
      const attributes = { ...before.attributes, ...change.attributes };
      if (Object.keys(attributes).length > ATTRIBUTES_MAX) {
        const problem = `${change.item_id} would have more than ${ATTRIBUTES_MAX} attributes`;
        throw new GatehouseError('invalid_request', problem, { errors: [{ path: `/items/${i}/attributes`, message: problem }] });
      }
      const merged = { ...before, ...change, ...(change.attributes && { attributes }) };
      changed.set(change.item_id, merged);
      return merged;
    });
  }

  async function remove(itemIds: readonly string[]): Promise<ItemsResponse> {
    const atMs = now();
    const ids = itemIds.filter((id) => catalogue.get(id) !== undefined);
    await store.write(
      ids.map((item_id): Fact => ({ kind: 'item_delete', at_ms: atMs, item_id })),
      ids.map((id): DocChange => ({ collection: ITEMS_COLLECTION, id, value: undefined })),
    );
    for (const id of ids) {
      catalogue.delete(id);
      trending.delete(id);
    }
    return { changed: ids.length };
  }

  const idsOf = ({ items }: PutItemsRequest): string[] => items.map(({ item_id }) => item_id);
  return {
    put: (request: PutItemsRequest): Promise<ItemsResponse> => turns.take(idsOf(request), () => put(request.items)),
    patch: (request: PutItemsRequest): Promise<ItemsResponse> => turns.take(idsOf(request), async () => put(merge(request.items))),
    delete(request: DeleteItemsRequest): Promise<ItemsResponse> {
      const ids = [...new Set(request.item_ids)];
      return turns.take(ids, () => remove(ids));
    },
  };
}

import { GatehouseError } from '../../contracts/errors.ts';
import type { Fact } from '../../contracts/fact.ts';
import type { DeleteItemsRequest, Item, ItemsResponse, PutItemsRequest } from '../../contracts/item.ts';
import type { DocChange } from '../../store/contract.ts';
import type { DataDeps } from './plane.ts';

export const ITEMS_COLLECTION = 'items';

/** `PUT`, `PATCH` and `DELETE /v1/items`. The catalogue in memory changes when the store has the change: an acknowledged item can be shown at once. */
export function createItemsHandlers(deps: Pick<DataDeps, 'store' | 'catalogue' | 'trending' | 'now'>) {
  const { store, catalogue, trending, now } = deps;

  async function put(items: readonly Item[]): Promise<ItemsResponse> {
    const atMs = now();
    const stored = items.map((item) => ({ ...item, created_ms: item.created_ms ?? catalogue.get(item.item_id)?.created_ms ?? atMs }));
    const facts: Fact[] = stored.map((item) => ({ kind: 'item_put', at_ms: atMs, item }));
    await store.write(
      facts,
      stored.map((item): DocChange => ({ collection: ITEMS_COLLECTION, id: item.item_id, value: item })),
    );
    for (const item of stored) catalogue.put(item);
    return { changed: stored.length };
  }

  return {
    put: (request: PutItemsRequest): Promise<ItemsResponse> => put(request.items),

    patch(request: PutItemsRequest): Promise<ItemsResponse> {
      const merged = request.items.map((change, i) => {
        const before = catalogue.get(change.item_id);
        if (!before)
          throw new GatehouseError('item_not_found', `no item ${change.item_id}`, { errors: [{ path: `/items/${i}/item_id`, message: 'unknown' }] });
        const attributes = change.attributes && { attributes: { ...before.attributes, ...change.attributes } };
        return { ...before, ...change, ...attributes };
      });
      return put(merged);
    },

    async delete(request: DeleteItemsRequest): Promise<ItemsResponse> {
      const atMs = now();
      const ids = [...new Set(request.item_ids)].filter((id) => catalogue.get(id) !== undefined);
      await store.write(
        ids.map((item_id): Fact => ({ kind: 'item_delete', at_ms: atMs, item_id })),
        ids.map((id): DocChange => ({ collection: ITEMS_COLLECTION, id, value: undefined })),
      );
      for (const id of ids) {
        catalogue.delete(id);
        trending.delete(id);
      }
      return { changed: ids.length };
    },
  };
}

import { GatehouseError } from '../contracts/errors.ts';
import { PLACEMENTS_MAX, type PlacementEntry, type PlacementRequest, type PlacementsResponse } from '../contracts/placement.ts';
import { DEFAULT_PLACEMENT, DEFAULT_PLACEMENTS, type Placement, placementWith } from '../scoring/recommend/placements.ts';
import type { Store } from '../store/contract.ts';
import type { Audit } from './audit.ts';

export const PLACEMENTS_COLLECTION = 'placements';

export interface Placements {
  /** As it is in force; synchronous, as every recommendation asks. */
  get(id: string): Placement | undefined;
  /** What a request gets that names no placement, or one that is not there. */
  fallback(): Placement;
  /** Those in force: of the settings in their order, then the others in the order of their ids. */
  all(): readonly Placement[];
  list(): PlacementsResponse;
  /** Throws `not_found`. */
  entry(id: string): PlacementEntry;
  /** Makes the placement, or replaces it whole. Rejects with `invalid_request`, `placements_full`, what `requireFits` throws, and the store's errors; it is then as before. */
  put(id: string, request: PlacementRequest, actor: string): Promise<PlacementEntry>;
  /** Goes back to the placement of the settings. Rejects with `not_found` where nothing was changed, what `requireFits` throws, and the store's errors. */
  remove(id: string, actor: string): Promise<void>;
  close(): void;
}

export interface PlacementsOptions {
  /** Of the settings. */
  readonly base: readonly Placement[];
  readonly store: Pick<Store<never>, 'docs' | 'doc' | 'onForeignFact'>;
  readonly audit: Audit;
  readonly now: () => number;
  /** Throws where something that runs on the placement does not go with what it is to become; undefined: it is to be gone. */
  readonly requireFits: (id: string, placement: Placement | undefined) => void;
  /** Told of all that are in force, at once and after each change. */
  readonly onChange: (placements: readonly Placement[]) => void;
  /** Told of a reading that failed in the background, and of a stored placement that is none any more: that of the settings then holds. */
  readonly onError: (error: unknown) => void;
}

/** The document of a placement that was changed while the gateway ran. */
interface LiveChange {
  readonly placement: Placement;
  readonly updated_ms: number;
  readonly updated_by: string;
}

/** What a placement was changed to, as the store has it; undefined where it was not. For those who are no gateway. */
export async function storedPlacement(store: Pick<Store<never>, 'doc'>, id: string): Promise<Placement | undefined> {
  return ((await store.doc(PLACEMENTS_COLLECTION, id)) as LiveChange | undefined)?.placement;
}

/** The placements of the settings, with what was changed since laid over them. Processes that share a store learn of each other's changes through its journal. */
export async function openPlacements({ base, store, audit, now, requireFits, onChange, onError }: PlacementsOptions): Promise<Placements> {
  const live = new Map<string, LiveChange>();
  const settings = new Map(base.map((placement) => [placement.id, placement]));
  let inForce = new Map<string, Placement>();

  const refresh = (): void => {
    inForce = new Map(settings);
    for (const id of [...live.keys()].sort()) inForce.set(id, live.get(id)!.placement);
    onChange([...inForce.values()]);
  };
  /** What was stored by an older version may be no placement any more. */
  const take = (id: string, stored: unknown): void => {
    live.delete(id);
    if (stored === undefined) return;
    try {
      const change = stored as LiveChange;
      live.set(id, { ...change, placement: placementWith(change.placement, {}) });
    } catch (error) {
      onError(error);
    }
  };

  for await (const { id, value } of store.docs(PLACEMENTS_COLLECTION)) take(id, value);
  refresh();
  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind !== 'admin' || !fact.action.startsWith('placement.')) return;
    const id = String(fact.detail['placement_id']);
    store
      .doc(PLACEMENTS_COLLECTION, id)
      .then((value) => {
        take(id, value);
        refresh();
      })
      .catch(onError);
  });

  const entryOf = (placement: Placement): PlacementEntry => {
    const change = live.get(placement.id);
    if (change === undefined) return { placement, origin: 'settings' };
    return { placement, origin: 'live', updated_ms: change.updated_ms, updated_by: change.updated_by };
  };

  return {
    get: (id) => inForce.get(id),
    fallback: () => inForce.get(DEFAULT_PLACEMENT) ?? inForce.values().next().value ?? DEFAULT_PLACEMENTS[0]!,
    all: () => [...inForce.values()],
    list: () => ({ placements: [...inForce.values()].map(entryOf) }),
    entry(id) {
      const placement = inForce.get(id);
      if (placement === undefined) throw new GatehouseError('not_found', `there is no placement ${id}`);
      return entryOf(placement);
    },
    async put(id, request, actor) {
      const placement = checked({ ...request, id });
      if (!inForce.has(id) && inForce.size >= PLACEMENTS_MAX)
        throw new GatehouseError('placements_full', `there are ${PLACEMENTS_MAX} placements already`);
      requireFits(id, placement);
      const change: LiveChange = { placement, updated_ms: now(), updated_by: actor };
      const detail = { placement_id: id, fields: changedFields(inForce.get(id), placement) };
      await audit.record({ actor, action: 'placement.put', detail }, [{ collection: PLACEMENTS_COLLECTION, id, value: change }]);
      live.set(id, change);
      refresh();
      return entryOf(placement);
    },
    async remove(id, actor) {
      if (!live.has(id)) throw new GatehouseError('not_found', `the placement ${id} was not changed live`);
      requireFits(id, settings.get(id));
      await audit.record({ actor, action: 'placement.remove', detail: { placement_id: id } }, [
        { collection: PLACEMENTS_COLLECTION, id, value: undefined },
      ]);
      live.delete(id);
      refresh();
    },
    close: unsubscribe,
  };
}

/** What a request may say is wrong in ways that its schema does not know. Throws `invalid_request`. */
function checked(placement: Placement): Placement {
  try {
    return placementWith(placement, {});
  } catch (cause) {
    if (!(cause instanceof GatehouseError)) throw cause;
    throw new GatehouseError('invalid_request', cause.detail, { cause });
  }
}

/** Names of the fields that differ, for who reads the journal. */
function changedFields(before: Placement | undefined, after: Placement): string[] {
  const [old, fresh]: Record<string, unknown>[] = [{ ...before }, { ...after }];
  const names = new Set([...Object.keys(old!), ...Object.keys(fresh!)]);
  return [...names].filter((name) => JSON.stringify(old![name]) !== JSON.stringify(fresh![name])).sort();
}

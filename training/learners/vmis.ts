import { SESSION_CLICKS_MAX, SESSIONS_MAX, SessionIndex } from '../../index/sessions.ts';
import { type FitOptions, requireData, requireParam } from './contract.ts';

/** Sessions, the oldest first: session s clicked `indices[indptr[s]..indptr[s + 1])`, in that order, repeats included. */
export interface SessionRows {
  readonly indptr: Uint32Array;
  readonly indices: Uint32Array;
  /** The id of each item. */
  readonly ids: readonly string[];
}

export interface VmisParams {
  /** The newest sessions are kept, so many: what is answered comes from the newest in any case. */
  sessionsMax: number;
  /** The last clicks of a session are kept, so many. */
  clicksMax: number;
}

/** Each item has its id, a string, and a list of its sessions: some 100 bytes each in a gateway, whether it was ever clicked or not. */
export const VMIS_ITEMS_MAX = 5_000_000;

export const VMIS_DEFAULTS: VmisParams = { sessionsMax: 2_000_000, clicksMax: 50 };

/**
 * Session neighbours (VMIS-kNN, Kersbergen, Sprangers and Schelter 2022; V-STAN, Ludewig et al. 2021): nothing is estimated, the model is the
 * index of past sessions, and how it is asked (`VMIS_KNN`, `V_STAN`) is chosen at serving. Sessions of one click tell of no other item and are
 * left out. Throws `training_data_insufficient` when none remains, `training_data_too_large` beyond `VMIS_ITEMS_MAX` items.
 */
export function fitVmis(rows: SessionRows, given: Partial<VmisParams>, options: FitOptions): SessionIndex {
  const { sessionsMax, clicksMax } = { ...VMIS_DEFAULTS, ...given };
  requireParam(Number.isInteger(sessionsMax) && sessionsMax >= 1 && sessionsMax <= SESSIONS_MAX, `sessionsMax must be 1 to ${SESSIONS_MAX}`);
  requireParam(Number.isInteger(clicksMax) && clicksMax >= 2 && clicksMax <= SESSION_CLICKS_MAX, `clicksMax must be 2 to ${SESSION_CLICKS_MAX}`);
  const { indptr, indices, ids } = rows;
  requireData(ids.length <= VMIS_ITEMS_MAX, `${ids.length} items are over the limit of ${VMIS_ITEMS_MAX}`, 'training_data_too_large');
  requireParam(indptr.length >= 1 && indptr[0] === 0 && indptr[indptr.length - 1] === indices.length, 'indptr and indices do not fit together');
  for (const item of indices) if (item >= ids.length) throw new RangeError(`index ${item} is not below ${ids.length}`);
  const kept: number[] = [];
  for (let session = indptr.length - 2; session >= 0 && kept.length < sessionsMax; session--) {
    const clicks = indptr[session + 1]! - indptr[session]!;
    requireParam(clicks >= 0, `indptr falls at session ${session}`);
    if (clicks >= 2) kept.push(session);
  }
  requireData(kept.length > 0, 'no session has two clicks');
  kept.reverse();
  const ends = new Uint32Array(kept.length + 1);
  kept.forEach((session, i) => {
    ends[i + 1] = ends[i]! + Math.min(clicksMax, indptr[session + 1]! - indptr[session]!);
  });
  const items = new Uint32Array(ends[kept.length]!);
  kept.forEach((session, i) => {
    const end = indptr[session + 1]!;
    items.set(indices.subarray(end - (ends[i + 1]! - ends[i]!), end), ends[i]!);
  });
  const index = new SessionIndex({ indptr: ends, items, ids });
  options.progress?.(1, 1, `${kept.length} sessions`);
  return index;
}

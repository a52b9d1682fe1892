import { NO_HANDLE } from '../../contracts/handles.ts';
import type { RecommendRequest } from '../../contracts/recommend.ts';
import type { EntityState, FeatureEngine } from '../features/contract.ts';
import type { Gathering } from './candidates/gather.ts';
import type { Catalogue } from './catalogue.ts';
import type { HandleMap } from './handle-map.ts';
import { ItemFilter } from './item-filter.ts';
import { HIDE_DAYS, type Placement } from './placements.ts';
import { TouchedItems } from './touched.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Why an item may not be shown; the order is that of the checks. `bought` and `viewed` give way when nothing else is left. */
const REFUSALS = ['not_sellable', 'filter', 'page_item', 'excluded', 'hidden', 'bought_lately', 'viewed_lately'] as const;
export type Refusal = (typeof REFUSALS)[number];

export interface Showable {
  readonly allow: (handle: number) => boolean;
  /** With what was bought or looked at lately. */
  readonly allowSuppressed: (handle: number) => boolean;
  /** Undefined for what is allowed. */
  readonly why: (handle: number) => Refusal | undefined;
  /** Where both take none but a few: these. */
  readonly few: Int32Array | undefined;
  readonly exact: Int32Array | undefined;
}

/** Who asks, with the states that tell what they did. */
export interface Visitor {
  readonly user: EntityState | undefined;
  readonly session: EntityState | undefined;
}

/** Finds out which items a request may see. Kept and used again by the next one: an answer is valid until the next call. */
export class Showing {
  readonly #engine: FeatureEngine;
  readonly #catalogue: Catalogue;
  readonly #filter: ItemFilter;
  readonly #hidden: TouchedItems;
  readonly #unhidden: TouchedItems;

  constructor({ engine, catalogue }: { readonly engine: FeatureEngine; readonly catalogue: Catalogue }) {
    this.#engine = engine;
    this.#catalogue = catalogue;
    this.#filter = new ItemFilter(catalogue);
    this.#hidden = new TouchedItems(catalogue.handles);
    this.#unhidden = new TouchedItems(catalogue.handles);
  }

  evaluate(request: RecommendRequest, placement: Placement, visitor: Visitor, gathering: Gathering, nowMs: number): Showable {
    const barred = gathering.map();
    const suppressed = gathering.map();
    if (request.item_id !== undefined) this.#bar(barred, request.item_id, 'page_item');
    for (const id of request.exclude ?? []) this.#bar(barred, id, 'excluded');
    this.#barHidden(barred, visitor, gathering, nowMs - (placement.hide_days ?? HIDE_DAYS) * DAY_MS);
    if (placement.suppress_purchased_days > 0)
      since(suppressed, gathering.purchases, nowMs - placement.suppress_purchased_days * DAY_MS, 'bought_lately');
    const { suppress_viewed_hours: viewedHours = 0 } = placement;
    if (viewedHours > 0) {
      since(suppressed, gathering.interactions, nowMs - viewedHours * HOUR_MS, 'viewed_lately');
      since(suppressed, gathering.session, nowMs - viewedHours * HOUR_MS, 'viewed_lately');
    }
    const filters = [placement.filter ?? [], request.filter ?? []];
    if (request.category !== undefined) filters.push([{ field: 'category', in: [request.category] }]);
    const { fits, few, exact } = this.#filter.evaluate(filters, placement.when);
    const allowSuppressed = (handle: number): boolean => fits(handle) && !barred.has(handle);
    return {
      allow: (handle) => allowSuppressed(handle) && !suppressed.has(handle),
      allowSuppressed,
      why: (handle) => {
        if (!this.#catalogue.sellable(handle)) return 'not_sellable';
        if (!fits(handle)) return 'filter';
        return reasonOf(barred, handle) ?? reasonOf(suppressed, handle);
      },
      few,
      exact,
    };
  }

  #bar(barred: HandleMap, id: string, reason: Refusal): void {
    const handle = this.#catalogue.handles.find(id);
    if (handle !== NO_HANDLE) note(barred, handle, reason);
  }

  /** What user or session hid since then and did not unhide later, whichever of the two says so. */
  #barHidden(barred: HandleMap, { user, session }: Visitor, gathering: Gathering, sinceMs: number): void {
    const hidden = this.#hidden;
    let wanted: HandleMap | undefined;
    for (const state of [user, session]) {
      hidden.load(this.#engine, state, 'hidden');
      for (let i = 0; i < hidden.length; i++) {
        if (hidden.lastMs[i]! < sinceMs) continue;
        wanted ??= gathering.map();
        const at = wanted.add(hidden.handles[i]!);
        wanted.peaks[at] = Math.max(wanted.peaks[at]!, hidden.lastMs[i]!);
      }
    }
    if (!wanted) return;
    const unhidden = this.#unhidden;
    for (const state of [user, session]) {
      unhidden.load(this.#engine, state, 'unhidden');
      for (let i = 0; i < unhidden.length; i++) {
        const at = wanted.positionOf(unhidden.handles[i]!);
        if (at >= 0 && unhidden.lastMs[i]! >= wanted.peaks[at]!) wanted.peaks[at] = 0;
      }
    }
    for (let at = 0; at < wanted.count; at++) if (wanted.peaks[at]! > 0) note(barred, wanted.handleAt(at), 'hidden');
  }
}

function since(suppressed: HandleMap, { handles, lastMs, length }: TouchedItems, sinceMs: number, reason: Refusal): void {
  for (let i = 0; i < length; i++) if (lastMs[i]! >= sinceMs && !suppressed.has(handles[i]!)) note(suppressed, handles[i]!, reason);
}

function note(map: HandleMap, handle: number, reason: Refusal): void {
  map.put(handle, REFUSALS.indexOf(reason));
}

function reasonOf(map: HandleMap, handle: number): Refusal | undefined {
  const at = map.positionOf(handle);
  return at < 0 ? undefined : REFUSALS[map.scores[at]!];
}

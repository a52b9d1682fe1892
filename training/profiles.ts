import { PROFILE_ITEMS_MAX, type ProfileTable } from '../index/profiles.ts';
import { decayedCount, heldValue, LIKENESS_HALF_LIFE_DAYS } from '../scoring/recommend/profile.ts';
import { BOUGHT, type ShopLog } from './collect.ts';

/** What somebody took a fortnight ago says half as much about what people like them want now. */
const VOTE_HALF_LIFE_DAYS = 15;
/** People kept, the ones with the newest acts: who was not there for long says little about what is wanted now. */
const PEOPLE_MAX = 1_000_000;
/** Items of a person, the newest: as many as the purchases of a visitor that are compared with them (scoring/features/defaults.ts). */
const ITEMS_MAX = Math.min(256, PROFILE_ITEMS_MAX);
/** An act of long ago rounds to nothing, and yet the item is held. */
const VALUE_MIN = 1e-6;

/** Acts of one person on one item. */
class Held {
  readonly item: number;
  readonly bought = new Times();
  readonly looked = new Times();

  constructor(item: number) {
    this.item = item;
  }

  get lastMs(): number {
    return Math.max(this.bought.lastMs, this.looked.lastMs);
  }

  value(nowMs: number, halfLifeDays: number): number {
    const { bought, looked } = this;
    return heldValue(
      decayedCount(bought.count, bought.firstMs, bought.lastMs, nowMs, halfLifeDays),
      decayedCount(looked.count, looked.firstMs, looked.lastMs, nowMs, halfLifeDays),
    );
  }
}

/** What a history of the feature engine keeps of such acts, so that both sides of a comparison are made of the same. */
class Times {
  count = 0;
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = 0;

  add(atMs: number): void {
    this.count++;
    this.firstMs = Math.min(this.firstMs, atMs);
    this.lastMs = Math.max(this.lastMs, atMs);
  }
}

/**
 * What each person holds at `untilMs`, for look-alikes (index/profiles.ts): people in the order of their last act, each with at most as many items,
 * the newest. `rowOf` gives the person of an act, or -1; `position` an item's place among `ids`.
 */
export function profileTable(
  log: ShopLog,
  untilMs: number,
  people: { readonly count: number; readonly rowOf: (act: number) => number },
  known: { readonly position: Uint32Array; readonly ids: readonly string[] },
): ProfileTable {
  const { acts } = log;
  const held: (Map<number, Held> | undefined)[] = Array.from({ length: people.count });
  const lastMs = new Float64Array(people.count);
  for (let act = 0; act < acts.length; act++) {
    const row = people.rowOf(act);
    if (row < 0 || acts.atMs[act]! >= untilMs) continue;
    lastMs[row] = Math.max(lastMs[row]!, acts.atMs[act]!);
    held[row] ??= new Map();
    const item = known.position[acts.item[act]!]!;
    const entry = held[row].get(item) ?? new Held(item);
    held[row].set(item, entry);
    (acts.grade[act] === BOUGHT ? entry.bought : entry.looked).add(acts.atMs[act]!);
  }
  const order = Array.from({ length: people.count }, (_, row) => row).filter((row) => held[row] !== undefined);
  order.sort((a, b) => lastMs[a]! - lastMs[b]! || a - b);
  const kept = order.slice(-PEOPLE_MAX);

  const indptr = new Uint32Array(kept.length + 1);
  const rows = kept.map((row, i) => {
    const newest = [...held[row]!.values()].sort((a, b) => b.lastMs - a.lastMs || a.item - b.item).slice(0, ITEMS_MAX);
    indptr[i + 1] = indptr[i]! + newest.length;
    return newest.sort((a, b) => a.item - b.item);
  });
  const all = rows.flat();
  return {
    indptr,
    items: Uint32Array.from(all, ({ item }) => item),
    values: Float32Array.from(all, (entry) => Math.max(VALUE_MIN, entry.value(untilMs, LIKENESS_HALF_LIFE_DAYS))),
    votes: Float32Array.from(all, (entry) => Math.min(1, entry.value(untilMs, VOTE_HALF_LIFE_DAYS))),
    ids: known.ids,
  };
}

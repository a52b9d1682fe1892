import { PROFILE_ITEMS_MAX, type ProfileTable } from '../index/profiles.ts';
import { decayedCount, heldValue, LIKENESS_HALF_LIFE_DAYS } from '../scoring/recommend/profile.ts';
import { BOUGHT, type ShopLog } from './collect.ts';

/** What somebody took a fortnight ago says half as much about what people like them want now. */
const VOTE_HALF_LIFE_DAYS = 15;
/** People kept, the ones with the newest acts: who was not there for long says little about what is wanted now. */
const PEOPLE_MAX = 200_000;
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
  const counts = (act: number): boolean => people.rowOf(act) >= 0 && acts.atMs[act]! < untilMs;
  const starts = new Uint32Array(people.count + 1);
  const lastMs = new Float64Array(people.count);
  for (let act = 0; act < acts.length; act++) {
    if (!counts(act)) continue;
    const row = people.rowOf(act);
    starts[row + 1]! += 1;
    lastMs[row] = Math.max(lastMs[row]!, acts.atMs[act]!);
  }
  for (let row = 0; row < people.count; row++) starts[row + 1]! += starts[row]!;
  const next = starts.slice();
  const byRow = new Uint32Array(starts[people.count]!);
  for (let act = 0; act < acts.length; act++) if (counts(act)) byRow[next[people.rowOf(act)]!++] = act;

  const order = Array.from({ length: people.count }, (_, row) => row).filter((row) => starts[row + 1]! > starts[row]!);
  order.sort((a, b) => lastMs[a]! - lastMs[b]! || a - b);
  const kept = order.slice(-PEOPLE_MAX);
  const indptr = new Uint32Array(kept.length + 1);
  const items: number[] = [];
  const values: number[] = [];
  const votes: number[] = [];
  kept.forEach((row, i) => {
    for (const held of newestOf(log, byRow.subarray(starts[row], starts[row + 1]), known.position)) {
      items.push(held.item);
      values.push(Math.max(VALUE_MIN, held.value(untilMs, LIKENESS_HALF_LIFE_DAYS)));
      votes.push(Math.min(1, held.value(untilMs, VOTE_HALF_LIFE_DAYS)));
    }
    indptr[i + 1] = items.length;
  });
  return { indptr, items: Uint32Array.from(items), values: Float32Array.from(values), votes: Float32Array.from(votes), ids: known.ids };
}

/** What one person holds, the newest of it, by item. */
function newestOf({ acts }: ShopLog, mine: Uint32Array, position: Uint32Array): Held[] {
  const held = new Map<number, Held>();
  for (const act of mine) {
    const item = position[acts.item[act]!]!;
    const entry = held.get(item) ?? new Held(item);
    held.set(item, entry);
    (acts.grade[act] === BOUGHT ? entry.bought : entry.looked).add(acts.atMs[act]!);
  }
  const newest = [...held.values()].sort((a, b) => b.lastMs - a.lastMs || a.item - b.item).slice(0, ITEMS_MAX);
  return newest.sort((a, b) => a.item - b.item);
}

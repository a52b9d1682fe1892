import type { HistoryEntry } from './contract.ts';

type MutableEntry = { -readonly [K in keyof HistoryEntry]: HistoryEntry[K] };

/**
 * A list distinct by item, oldest last sighting first (ties: the larger id first, so that newest-first reads ties by ascending id).
 * Which items are kept, and their last times, don't depend on the order of events. Counts, units and first times don't either while the
 * entity knows no more than `itemsMax` items; an item that was let go and comes back starts anew.
 *
 * A decoded list stays bytes (`raw`) until it is asked for or touched: most reads and writes of an entity never look at it.
 */
export interface HistoryList {
  entries: MutableEntry[];
  raw: Uint8Array | undefined;
}

export function newHistory(): HistoryList {
  return { entries: [], raw: undefined };
}

export function keepItem(list: HistoryList, itemsMax: number, itemId: string, quantity: number, atMs: number): void {
  const { entries } = list;
  let place = entries.length - 1;
  while (place >= 0 && entries[place]!.item_id !== itemId) place--;
  if (place >= 0) {
    const entry = entries[place]!;
    entry.count++;
    entry.quantity += quantity;
    if (atMs < entry.firstMs) entry.firstMs = atMs;
    if (atMs > entry.lastMs) {
      entry.lastMs = atMs;
      for (; place + 1 < entries.length && isOlder(entries[place + 1]!, atMs, itemId); place++) entries[place] = entries[place + 1]!;
      entries[place] = entry;
    }
    return;
  }
  if (entries.length === itemsMax) {
    if (!isOlder(entries[0]!, atMs, itemId)) return;
    entries.shift();
  }
  place = entries.length;
  while (place > 0 && !isOlder(entries[place - 1]!, atMs, itemId)) place--;
  entries.splice(place, 0, { item_id: itemId, count: 1, quantity, firstMs: atMs, lastMs: atMs });
}

function isOlder(entry: HistoryEntry, atMs: number, itemId: string): boolean {
  return entry.lastMs < atMs || (entry.lastMs === atMs && entry.item_id > itemId);
}

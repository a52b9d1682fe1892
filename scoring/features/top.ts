import type { TopSpec } from './schema.ts';

/**
 * The newest few of something: entries of `width` doubles, oldest first, ordered by their first two numbers (time, then a hash), so that
 * which ones are kept depends on the set of events and not on their order.
 *
 *   distinct   (last seen ms, key hash)             at most one entry a key: its latest sighting
 *   sightings  (seen ms, key hash)                  one entry a sighting
 *   recent     (at ms, hash of event id, value)     one entry an event
 *   values     the same, but of more events
 *   first      (at ms)                              a single number, the smallest
 */
export interface Top {
  data: Float64Array;
  count: number;
}

/** A scratch list, empty and with room for all that is kept. */
export function openTop(top: Top, { entriesMax, width }: TopSpec): void {
  if (top.data.length < entriesMax * width) top.data = new Float64Array(entriesMax * width);
  top.count = 0;
}

/** Add a sighting of `key`, or bring its entry forward. */
export function keepDistinct(top: Top, entriesMax: number, atMs: number, key: number): void {
  const { data } = top;
  for (let i = top.count - 1; i >= 0; i--) {
    if (data[i * 2 + 1] === key) {
      if (data[i * 2]! < atMs) settle(top, 2, i, atMs, key);
      return;
    }
  }
  keepNewest(top, 2, entriesMax, atMs, key);
}

/** Add an entry; the oldest goes when there are too many. Returns where it stands, or -1 when it is older than all that are kept. */
export function keepNewest(top: Top, width: number, entriesMax: number, atMs: number, key: number): number {
  if (top.count === entriesMax) {
    if (!precedes(top.data[0]!, top.data[1]!, atMs, key)) return -1;
    return settle(top, width, 0, atMs, key);
  }
  return settle(top, width, top.count++, atMs, key);
}

export function precedes(aMs: number, aKey: number, bMs: number, bKey: number): boolean {
  return aMs < bMs || (aMs === bMs && aKey < bKey);
}

/** Write an entry where it belongs, moving those between into the free place. The newest comes last as a rule, so the search starts there. */
function settle(top: Top, width: number, free: number, atMs: number, key: number): number {
  const { data } = top;
  let place = top.count - 1;
  while (place > free && precedes(atMs, key, data[place * width]!, data[place * width + 1]!)) place--;
  if (place > free) {
    data.copyWithin(free * width, (free + 1) * width, (place + 1) * width);
  } else {
    while (place > 0 && precedes(atMs, key, data[(place - 1) * width]!, data[(place - 1) * width + 1]!)) place--;
    if (place < free) data.copyWithin((place + 1) * width, place * width, free * width);
  }
  data[place * width] = atMs;
  data[place * width + 1] = key;
  return place;
}

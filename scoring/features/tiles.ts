import type { Window } from './contract.ts';

/**
 * How windows are counted.
 *
 * An entity keeps, for each tile length that its features need, a short sorted table of the tiles in which something happened. A tile
 * is known by its absolute number floor(t / tileMs), so the table says the same whenever, and in whatever order, it was filled.
 * A window of N tiles read at `now` is the current, partly filled tile and the N full tiles before it:
 *
 *   24h = 24 tiles of 1 h                                 now
 *                                                          |
 *   ... | 12h | 13h | 14h |  ...  | 09h | 10h | 11h | 12h .|. future
 *       '------------------ 24 full tiles ------------'----'
 *         counted: at least the window, at most one tile more
 *
 * Rules (each is a property that a test proves):
 *  1. Never fewer events than the exact window holds, never one older than window + tile.
 *  2. A tile later than the current one is not read: an event from the future counts when its tile is reached, not before.
 *     Within the current tile, an event a few seconds ahead of `now` does count: order inside a tile is not kept.
 *  3. A late event lands in its own tile. It is ignored where it is older than the newest tile by more than the level's widest
 *     window + SKEW_MS, or when the table is full of newer tiles.
 *  4. What is kept is a function of the set of events, not of their order: the newest `rowsMax` tiles within that span.
 *  5. Reading changes nothing.
 */
export const WINDOW_SPECS: Readonly<Record<Window, { readonly windowMs: number; readonly tileMs: number }>> = (() => {
  const second = 1000;
  const minute = 60 * second;
  const hour = 60 * minute;
  const day = 24 * hour;
  // Shares a tile covers of its window: 1/6, 1/10, 1/6, 1/24, 1/28, 1/14, 1/30, 1/90. Fewer tiles make smaller states, more make sharper edges.
  return {
    '1m': { windowMs: minute, tileMs: 10 * second },
    '10m': { windowMs: 10 * minute, tileMs: minute },
    '1h': { windowMs: hour, tileMs: 10 * minute },
    '24h': { windowMs: day, tileMs: hour },
    '7d': { windowMs: 7 * day, tileMs: 6 * hour },
    '14d': { windowMs: 14 * day, tileMs: day },
    '30d': { windowMs: 30 * day, tileMs: day },
    '90d': { windowMs: 90 * day, tileMs: day },
  };
})();

/** Part of every set's hash: raise it when the meaning of any value changes. */
export const ENGINE_VERSION = 1;

/** A device's clock may be a day ahead (the wire contract's limit); tiles that such an event leaves behind stay this much longer. */
export const SKEW_MS = 24 * 3_600_000;

/** Tiles kept beyond the widest window, so that a few events from the future don't push present ones out. */
export const SPARE_TILES = 4;

/** Most distinct values told apart. 64 is far beyond what any honest card or device shows, and costs about 800 bytes when full. */
export const DISTINCT_KEYS_MAX = 64;

/** `share` looks at this many latest sightings: 2 % steps, and a taste that changed shows within a few sessions. */
export const SHARE_SIGHTINGS_MAX = 50;

/** The newest events kept for `last` and `time_since`: the subject's own, which is not its own predecessor, and the one before. */
export const RECENT_EVENTS_MAX = 2;

/**
 * The newest values kept of one field at most: enough that a median over a customer's last months moves by under a percent with one payment, and about
 * 3 KB where all are used.
 */
export const RECENT_VALUES_MAX = 200;

/** Amounts are added as whole ten-thousandths: integer sums don't depend on order, and stay exact up to 9e11 currency units. */
export const UNITS_PER_ONE = 10_000;

/** The wire contract's bound on one amount; a computed price x quantity is cut to it. */
export const AMOUNT_MAX = 1e9;

/** A value in ten-thousandths. `+ 0` turns -0 into 0, so that equal sums have equal bits. */
export function toUnits(value: number): number {
  return Math.round(Math.min(Math.max(value, -AMOUNT_MAX), AMOUNT_MAX) * UNITS_PER_ONE) + 0;
}

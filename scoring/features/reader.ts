import type { Feature, Window } from './contract.ts';
import type { Rows } from './rows.ts';
import { type ColumnOp, type KindSchema, topOf } from './schema.ts';
import type { State } from './state.ts';
import { WINDOW_SPECS } from './tiles.ts';
import type { Top } from './top.ts';

interface LevelRead {
  readonly index: number;
  readonly tileMs: number;
  /** Tiles before the current one, of each window asked for, ascending. */
  readonly windowTiles: readonly number[];
  /** Offsets in a row; the ones that are added stand before the ones of which the smallest or largest is taken. */
  readonly offsets: readonly number[];
  readonly ops: readonly ColumnOp[];
  readonly added: number;
  readonly slot: number;
}

interface TopRead {
  readonly index: number;
  readonly role: 'distinct' | 'first' | 'since' | 'last';
  /** For `distinct`. */
  readonly windowMs: number;
  readonly slot: number;
}

/**
 * Reads what one set needs of one entity kind into `slots`: each level's table is walked once, from now back, and the running totals are
 * noted where each window ends.
 */
export class KindReader {
  readonly slots: Float64Array;
  /** What is read changes with the clock only at multiples of this: tiles count whole, while the age of an event changes each millisecond. */
  readonly holdMs: number;
  private readonly levels: readonly LevelRead[];
  private readonly tops: readonly TopRead[];
  private readonly totals: Float64Array;

  constructor(levels: readonly LevelRead[], tops: readonly TopRead[], slots: number) {
    this.levels = levels;
    this.tops = tops;
    this.slots = new Float64Array(slots);
    this.holdMs = tops.length > 0 ? 1 : Math.min(...levels.map(({ tileMs }) => tileMs));
    this.totals = new Float64Array(Math.max(0, ...levels.map(({ offsets }) => offsets.length)));
  }

  /** `ownKey` is the hash of the subject's own event, which does not count as its own predecessor; -1 without one. */
  read(state: State | undefined, nowMs: number, ownKey: number): void {
    if (state === undefined) {
      // A loop: filling so few numbers by `fill` costs more in its call.
      for (let i = 0; i < this.slots.length; i++) this.slots[i] = Number.NaN;
      return;
    }
    for (const level of this.levels) this.readLevel(level, state, nowMs);
    for (const { index, role, windowMs, slot } of this.tops) {
      const top = state.tops[index];
      this.slots[slot] = role === 'distinct' ? distinctSince(top, nowMs, windowMs) : edgeOf(top, role, nowMs, ownKey);
    }
  }

  private readLevel({ index, tileMs, windowTiles, offsets, ops, added, slot }: LevelRead, state: State, nowMs: number): void {
    const { totals, slots } = this;
    const columns = offsets.length;
    for (let c = 0; c < columns; c++) totals[c] = c < added ? 0 : ops[c] === 'min' ? Infinity : -Infinity;
    const { data, count } = state.levels[index] ?? NO_ROWS;
    const stride = state.schema.levels[index]!.stride;
    const current = Math.floor(nowMs / tileMs);
    let at = (count - 1) * stride;
    while (at >= 0 && data[at]! > current) at -= stride;
    for (let w = 0; w < windowTiles.length; w++) {
      const oldest = current - windowTiles[w]!;
      const from = at;
      while (at >= 0 && data[at]! >= oldest) at -= stride;
      for (let c = 0; c < columns; c++) {
        const offset = offsets[c]!;
        let value = totals[c]!;
        if (c < added) for (let row = from; row > at; row -= stride) value += data[row + offset]!;
        else if (ops[c] === 'min') for (let row = from; row > at; row -= stride) value = Math.min(value, data[row + offset]!);
        else for (let row = from; row > at; row -= stride) value = Math.max(value, data[row + offset]!);
        totals[c] = value;
        slots[slot + w * columns + c] = value;
      }
    }
  }
}

const NO_ROWS: Rows = { data: new Float64Array(0), count: 0 };

/** Keys last seen within the window; one last seen after `nowMs` is not yet counted. Exact to the millisecond. */
function distinctSince(top: Top | undefined, nowMs: number, windowMs: number): number {
  let count = 0;
  for (let i = (top?.count ?? 0) - 1; i >= 0; i--) {
    const seenMs = top!.data[i * 2]!;
    if (seenMs <= nowMs - windowMs) break;
    if (seenMs <= nowMs) count++;
  }
  return count;
}

/** Seconds since the first or newest event, or the newest one's value in units. Events after `nowMs` and the subject's own are passed over. */
function edgeOf(top: Top | undefined, role: 'first' | 'since' | 'last', nowMs: number, ownKey: number): number {
  if (top === undefined) return Number.NaN;
  if (role === 'first') return top.count > 0 && top.data[0]! <= nowMs ? (nowMs - top.data[0]!) / 1000 : Number.NaN;
  for (let i = (top.count - 1) * 3; i >= 0; i -= 3) {
    if (top.data[i]! <= nowMs && top.data[i + 1] !== ownKey) return role === 'since' ? (nowMs - top.data[i]!) / 1000 : top.data[i + 2]!;
  }
  return Number.NaN;
}

/** Collects what a set needs of one kind, then makes the reader. */
export class KindReaderBuilder {
  private readonly schema: KindSchema;
  private readonly levels = new Map<number, { columns: Set<number>; windows: Set<Window> }>();
  private readonly topSlots: Omit<TopRead, 'slot'>[] = [];

  constructor(schema: KindSchema) {
    this.schema = schema;
  }

  /** Ask for what a feature needs. */
  want(
    feature: Exclude<Feature, { aggregate: 'ratio' | 'zscore' | 'recent' | 'differs' | 'subject' | 'context' | 'share' }>,
    columns: readonly string[],
  ): void {
    const top = topOf(feature);
    if (top) {
      const index = this.schema.tops.findIndex(({ name }) => name === top.name);
      const windowMs = 'window' in feature ? WINDOW_SPECS[feature.window].windowMs : 0;
      const role = feature.aggregate === 'distinct' ? 'distinct' : feature.aggregate === 'last' ? 'last' : top.role === 'first' ? 'first' : 'since';
      this.topSlots.push({ index, role, windowMs });
      return;
    }
    if (!('window' in feature)) return;
    const { tileMs } = WINDOW_SPECS[feature.window];
    const index = this.schema.levels.findIndex((level) => level.tileMs === tileMs);
    const wanted = this.levels.get(index) ?? { columns: new Set(), windows: new Set() };
    this.levels.set(index, wanted);
    wanted.windows.add(feature.window);
    for (const name of columns) wanted.columns.add(this.schema.levels[index]!.columns.findIndex((column) => column.name === name));
  }

  /** The reader, and where in its slots a window's column stands, and the n-th list asked for. */
  build(): { reader: KindReader; columnSlot: (window: Window, name: string) => number; topSlot: (nth: number) => number } {
    let slots = 0;
    const places = new Map<string, number>();
    const levels = [...this.levels].map(([index, { columns, windows }]): LevelRead => {
      const level = this.schema.levels[index]!;
      const isAdded = (i: number): boolean => level.columns[i]!.op !== 'min' && level.columns[i]!.op !== 'max';
      const ordered = [...[...columns].filter(isAdded), ...[...columns].filter((i) => !isAdded(i))];
      const ascending = [...windows].sort((a, b) => WINDOW_SPECS[a].windowMs - WINDOW_SPECS[b].windowMs);
      const slot = slots;
      for (const window of ascending) for (const i of ordered) places.set(`${window}|${level.columns[i]!.name}`, slots++);
      return {
        index,
        tileMs: level.tileMs,
        windowTiles: ascending.map((window) => WINDOW_SPECS[window].windowMs / level.tileMs),
        offsets: ordered.map((i) => i + 1),
        ops: ordered.map((i) => level.columns[i]!.op),
        added: ordered.filter(isAdded).length,
        slot,
      };
    });
    const topsFrom = slots;
    const tops = this.topSlots.map((top, i) => ({ ...top, slot: topsFrom + i }));
    const place = (window: Window, name: string): number => {
      const slot = places.get(`${window}|${name}`);
      if (slot === undefined) throw new Error(`no slot for ${window} ${name}`);
      return slot;
    };
    return { reader: new KindReader(levels, tops, topsFrom + tops.length), columnSlot: place, topSlot: (nth) => topsFrom + nth };
  }
}

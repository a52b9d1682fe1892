import { Cursor, DOUBLE_BYTES, doubleAt, HASH_BYTES, numberOf, varintAt, varintBytes } from './bytes.ts';
import type { Feature, Window } from './contract.ts';
import { COUNT, type KindSchema, type Level, NEWEST_MS, OLDEST_MS, OLDEST_TILE, ROW, ROWS, type TopSpec, topOf } from './schema.ts';
import type { State } from './state.ts';
import { columnsInUse, flagBytes, sealedFrom } from './tables.ts';
import { WINDOW_SPECS } from './tiles.ts';

interface LevelRead {
  readonly level: Level;
  /** Tiles before the current one, of each window asked for, ascending. */
  readonly windowTiles: readonly number[];
  /** Places in a row of the columns asked for. */
  readonly offsets: readonly number[];
  readonly slot: number;
}

interface TopRead {
  readonly spec: TopSpec;
  readonly role: 'distinct' | 'first' | 'since' | 'last';
  /** For `distinct`. */
  readonly windowMs: number;
  readonly slot: number;
}

/** Scratch of one call: columns in use; and by window, the narrowest first, what each column adds to the window before it. */
const used: number[] = [];
let totals = new Float64Array(0);
const cursor = new Cursor();

/**
 * Reads what one set needs of one entity kind into `slots`: each level's table is walked once, each row counted in the narrowest window that holds it,
 * and then each window in the next wider one.
 */
export class KindReader {
  readonly slots: Float64Array;
  /** What is read changes with the clock only at multiples of this: tiles count whole, while the age of an event changes each millisecond. */
  readonly holdMs: number;
  private readonly levels: readonly LevelRead[];
  private readonly tops: readonly TopRead[];

  constructor(levels: readonly LevelRead[], tops: readonly TopRead[], slots: number) {
    this.levels = levels;
    this.tops = tops;
    this.slots = new Float64Array(slots);
    this.holdMs = tops.length > 0 ? 1 : Math.min(...levels.map(({ level }) => level.tileMs));
  }

  /** `ownKey` is the hash of the subject's own event, which does not count as its own predecessor; -1 without one. */
  read(state: State | undefined, nowMs: number, ownKey: number): void {
    if (state === undefined) {
      // A loop: filling so few numbers by `fill` costs more in its call.
      for (let i = 0; i < this.slots.length; i++) this.slots[i] = Number.NaN;
      return;
    }
    for (let i = 0; i < this.levels.length; i++) readLevel(this.levels[i]!, state, nowMs, this.slots);
    for (let i = 0; i < this.tops.length; i++) {
      const { spec, role, windowMs, slot } = this.tops[i]!;
      this.slots[slot] = role === 'distinct' ? distinctSince(state, spec, nowMs, windowMs) : edgeOf(state, spec, role, nowMs, ownKey);
    }
  }
}

function readLevel({ level, windowTiles, offsets, slot }: LevelRead, state: State, nowMs: number, slots: Float64Array): void {
  const { at, stride, blank, tileMs } = level;
  const { numbers, bytes } = state;
  const windows = windowTiles.length;
  const current = Math.floor(nowMs / tileMs);
  const rows = numbers[at + ROWS]!;
  if (rows <= 1) {
    // Most entities have one row at most: each window holds it or nothing.
    const narrowest = rows === 0 ? -1 : totalOf(windowTiles, current - numbers[at + ROW]!);
    for (let w = 0, to = slot; w < windows; w++) {
      const isHeld = narrowest >= 0 && w >= narrowest;
      for (let i = 0; i < offsets.length; i++) slots[to++] = isHeld ? numbers[at + ROW + offsets[i]!]! : blank[offsets[i]!]!;
    }
    return;
  }
  if (totals.length < windows * stride) totals = new Float64Array(windows * stride);
  for (let w = 0; w < windows; w++) for (let c = 1; c < stride; c++) totals[w * stride + c] = blank[c]!;
  const sums = totals;
  const usedCount = columnsInUse(state, level, used);
  const flagsEach = flagBytes(usedCount);
  let tile = numbers[at + OLDEST_TILE]!;
  let from = sealedFrom(state, level);
  for (let i = 1; i < rows; i++) {
    if (i > 1) {
      const step = varintAt(bytes, from);
      tile += step;
      from += varintBytes(step);
    }
    const total = totalOf(windowTiles, current - tile) * stride;
    const flags = from;
    from += flagsEach;
    for (let f = 0; f < flagsEach; f++) {
      for (let bits = bytes[flags + f]!, u = f * 8; bits !== 0; bits >>= 1, u++) {
        if ((bits & 1) === 0) continue;
        const varint = varintAt(bytes, from);
        from += varintBytes(varint);
        let value = numberOf(varint);
        if (varint === 0) {
          value = doubleAt(bytes, from);
          from += DOUBLE_BYTES;
        }
        if (total >= 0) addTo(sums, total + used[u]!, blank[used[u]!]!, value);
      }
    }
  }
  const total = totalOf(windowTiles, current - numbers[at + ROW]!) * stride;
  if (total >= 0) for (let c = 1; c < stride; c++) addTo(sums, total + c, blank[c]!, numbers[at + ROW + c]!);
  for (let w = 0; w < windows; w++) {
    for (let i = 0; i < offsets.length; i++) {
      const c = offsets[i]!;
      const total = w * stride + c;
      if (w > 0) addTo(sums, total, blank[c]!, sums[total - stride]!);
      slots[slot + w * offsets.length + i] = sums[total]!;
    }
  }
}

/** The narrowest window that holds a row so many tiles old; -1 where none does, or where its tile is yet to come. */
function totalOf(windowTiles: readonly number[], age: number): number {
  if (age < 0) return -1;
  for (let w = 0; w < windowTiles.length; w++) if (age <= windowTiles[w]!) return w;
  return -1;
}

/** Sums and counts begin at 0, the smallest value at Infinity, the largest at -Infinity. */
function addTo(sums: Float64Array, at: number, blank: number, value: number): void {
  if (blank === 0) sums[at] = sums[at]! + value;
  else if (blank > 0 ? value < sums[at]! : value > sums[at]!) sums[at] = value;
}

/** Keys last seen within the window; one last seen after `nowMs` is not yet counted. Exact to the millisecond. */
function distinctSince(state: State, { at, section }: TopSpec, nowMs: number, windowMs: number): number {
  const { numbers, bytes } = state;
  const count = numbers[at + COUNT]!;
  let seenMs = numbers[at + OLDEST_MS]!;
  if (count === 0 || numbers[at + NEWEST_MS]! <= nowMs - windowMs) return 0;
  if (seenMs > nowMs - windowMs && numbers[at + NEWEST_MS]! <= nowMs) return count;
  let within = 0;
  cursor.open(bytes, state.sectionFrom(section));
  for (let i = 0; i < count; i++) {
    if (i > 0) seenMs += cursor.varint();
    cursor.at += HASH_BYTES;
    if (seenMs > nowMs - windowMs && seenMs <= nowMs) within++;
  }
  return within;
}

/** Seconds since the first or newest event, or the newest one's value in units. Events after `nowMs` and the subject's own are passed over. */
function edgeOf(state: State, { at, section }: TopSpec, role: 'first' | 'since' | 'last', nowMs: number, ownKey: number): number {
  const { numbers } = state;
  const count = numbers[at + COUNT]!;
  let atMs = numbers[at + OLDEST_MS]!;
  if (role === 'first') return count > 0 && atMs <= nowMs ? (nowMs - atMs) / 1000 : Number.NaN;
  let newest = Number.NaN;
  cursor.open(state.bytes, state.sectionFrom(section));
  for (let i = 0; i < count; i++) {
    if (i > 0) atMs += cursor.varint();
    const key = cursor.hash();
    const value = cursor.number();
    if (atMs <= nowMs && key !== ownKey) newest = role === 'since' ? (nowMs - atMs) / 1000 : value;
  }
  return newest;
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
      const spec = this.schema.tops.find(({ name }) => name === top.name);
      if (!spec) throw new Error(`${feature.name} has no list`);
      const windowMs = 'window' in feature ? WINDOW_SPECS[feature.window].windowMs : 0;
      const role = feature.aggregate === 'distinct' ? 'distinct' : feature.aggregate === 'last' ? 'last' : top.role === 'first' ? 'first' : 'since';
      this.topSlots.push({ spec, role, windowMs });
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
      const ordered = [...columns];
      const ascending = [...windows].sort((a, b) => WINDOW_SPECS[a].windowMs - WINDOW_SPECS[b].windowMs);
      const slot = slots;
      for (const window of ascending) for (const i of ordered) places.set(`${window}|${level.columns[i]!.name}`, slots++);
      return {
        level,
        windowTiles: ascending.map((window) => WINDOW_SPECS[window].windowMs / level.tileMs),
        offsets: ordered.map((i) => i + 1),
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

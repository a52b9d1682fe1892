import { ByteWriter, Cursor } from './bytes.ts';
import type { ColumnStep } from './plan.ts';
import { openRows, type Rows, seekRow, writeBlank } from './rows.ts';
import { type Level, NEWEST_TILE, OLDEST_TILE, ROW, ROWS } from './schema.ts';
import type { State } from './state.ts';
import type { FieldValues } from './values.ts';

/**
 * The table of a level: the tiles in which something happened. Events come in order as a rule, so the newest row lies open as doubles, and an event
 * that is not the first of its tile changes a few of these and nothing else. Older rows are sealed: bytes as they are stored, half a dozen of them a row.
 *
 *   section   in how many sealed rows each column holds something, a byte a column | sealed rows, oldest first; nothing while there are none
 *   row       tiles since the row before (not of the oldest: OLDEST_TILE) | which of the columns in use (bits) | their values
 *
 * A column is in use while any row, sealed or open, holds something in it: what is stored depends on the events that are kept, and not on how they came.
 * An event that changes which columns are in use, or belongs to an older row, goes by way of plain rows (rows.ts): slower, and seldom needed.
 */

/** A row's tile, and the bytes beside the longest form of each number. */
const ROW_BYTES_MAX = 16;
const CELL_BYTES_MAX = 10;

/** Scratch of one call. */
const piece = new ByteWriter();
const cursor = new Cursor();
const plain: Rows = { data: new Float64Array(0), count: 0 };
const used: number[] = [];

/** Puts the columns in use, by their place in a row, at the beginning of `places`, ascending; returns how many. */
export function columnsInUse(state: State, { section, at, stride, blank }: Level, places: number[]): number {
  const { numbers, bytes } = state;
  const isSealed = numbers[at + ROWS]! > 1;
  const counts = state.sectionFrom(section) - 1;
  let count = 0;
  for (let c = 1; c < stride; c++) if (numbers[at + ROW + c] !== blank[c] || (isSealed && bytes[counts + c]! > 0)) places[count++] = c;
  return count;
}

/** Where the sealed rows begin. */
export function sealedFrom(state: State, { section, stride }: Level): number {
  return state.sectionFrom(section) + stride - 1;
}

/** Counts an event in the row of its tile. */
export function applyLevel(state: State, level: Level, steps: readonly ColumnStep[], tile: number, fields: readonly FieldValues[]): void {
  const { numbers } = state;
  const { at, blank } = level;
  const row = at + ROW;
  if (numbers[at + ROWS] === 0) {
    numbers[at + ROWS] = 1;
    numbers[row] = tile;
  } else if (tile !== numbers[row] && (tile < numbers[row]! || !openRow(state, level, tile))) {
    applyPlain(state, level, steps, tile, fields);
    return;
  }
  if (numbers[at + ROWS]! > 1) {
    const counts = state.sectionFrom(level.section) - 1;
    for (let i = 0; i < steps.length; i++) {
      const c = steps[i]!.at;
      if (state.bytes[counts + c]! > 0) continue;
      const before = numbers[row + c]!;
      if ((before === blank[c]) !== (cellAfter(before, steps[i]!, fields) === blank[c])) {
        applyPlain(state, level, steps, tile, fields);
        return;
      }
    }
  }
  for (let i = 0; i < steps.length; i++) {
    const cell = row + steps[i]!.at;
    numbers[cell] = cellAfter(numbers[cell]!, steps[i]!, fields);
  }
}

function cellAfter(before: number, { op, field }: ColumnStep, fields: readonly FieldValues[]): number {
  if (field < 0) return before + 1;
  const { count, sum, min, max } = fields[field]!;
  if (op === 'sum') return before + sum;
  if (op === 'values') return before + count;
  return op === 'min' ? Math.min(before, min) : Math.max(before, max);
}

/** By way of plain rows: right whatever the event does to the table. */
function applyPlain(state: State, level: Level, steps: readonly ColumnStep[], tile: number, fields: readonly FieldValues[]): void {
  unpackRows(state, level, plain);
  const row = seekRow(plain, level, tile);
  if (row < 0) return;
  for (const step of steps) plain.data[row + step.at] = cellAfter(plain.data[row + step.at]!, step, fields);
  packRows(state, level, plain);
}

/** Seals the open row and opens a newer one; false, with nothing lost, where rows that have to go would take a column out of use. */
function openRow(state: State, level: Level, tile: number): boolean {
  const { numbers, bytes } = state;
  const { at, section, stride, blank, rowsMax, spanTiles } = level;
  const row = at + ROW;
  const usedCount = columnsInUse(state, level, used);
  const oldest = sealedFrom(state, level);
  const counts = oldest - stride;
  let rows = numbers[at + ROWS]!;
  cursor.open(bytes, oldest);
  for (; rows > 1 && (numbers[at + OLDEST_TILE]! < tile - spanTiles || rows === rowsMax); rows--) {
    const flags = cursor.at;
    for (let u = 0; u < usedCount; u++) {
      const c = used[u]!;
      if (bytes[counts + c] === 1 && numbers[row + c] === blank[c] && isFlagged(bytes, flags, u)) {
        cursor.at = flags;
        takeOut(state, level, oldest);
        return false;
      }
    }
    cursor.at += flagBytes(usedCount);
    for (let u = 0; u < usedCount; u++) {
      if (!isFlagged(bytes, flags, u)) continue;
      const c = counts + used[u]!;
      bytes[c] = bytes[c]! - 1;
      cursor.number();
    }
    numbers[at + ROWS] = rows - 1;
    if (rows > 2) numbers[at + OLDEST_TILE] = numbers[at + OLDEST_TILE]! + cursor.varint();
  }
  if (numbers[row]! < tile - spanTiles) takeOut(state, level, oldest);
  else {
    const isFirst = rows === 1;
    if (isFirst) takeOut(state, level, oldest);
    piece.reset();
    piece.reserve(ROW_BYTES_MAX + stride * (CELL_BYTES_MAX + 1));
    if (isFirst) {
      for (let c = 1; c < stride; c++) piece.u8(0);
      numbers[at + OLDEST_TILE] = numbers[row]!;
    } else piece.varint(numbers[row]! - numbers[at + NEWEST_TILE]!);
    numbers[at + NEWEST_TILE] = numbers[row]!;
    writeCells(piece, numbers, row, level, used, usedCount);
    state.rotate(section, isFirst ? state.sectionFrom(section) : oldest, isFirst ? 0 : cursor.at - oldest, piece);
    for (let c = 1; c < stride; c++) if (numbers[row + c] !== blank[c]) state.bytes[counts + c] = state.bytes[counts + c]! + 1;
    numbers[at + ROWS] = rows + 1;
  }
  numbers[row] = tile;
  for (let c = 1; c < stride; c++) numbers[row + c] = blank[c]!;
  return true;
}

/** Removes the sealed rows between `oldest` and the cursor; without any left, the counts of columns too. */
function takeOut(state: State, level: Level, oldest: number): void {
  const { section, at } = level;
  if (state.sectionFrom(section) === state.sectionTo(section)) return;
  const from = state.numbers[at + ROWS] === 1 ? state.sectionFrom(section) : oldest;
  piece.reset();
  state.splice(section, from, cursor.at - from, piece);
}

/** Which of the columns in use hold something (bits), and their values. */
export function writeCells(
  writer: ByteWriter,
  data: Float64Array | number[],
  row: number,
  { blank }: Level,
  places: readonly number[],
  count: number,
): void {
  for (let i = 0; i < count; i += 8) {
    let bits = 0;
    for (let j = i; j < i + 8 && j < count; j++) if (data[row + places[j]!] !== blank[places[j]!]) bits |= 1 << (j - i);
    writer.u8(bits);
  }
  for (let i = 0; i < count; i++) if (data[row + places[i]!] !== blank[places[i]!]) writer.number(data[row + places[i]!]!);
}

export function flagBytes(usedCount: number): number {
  return (usedCount + 7) >> 3;
}

export function isFlagged(bytes: Uint8Array, flags: number, u: number): boolean {
  return (bytes[flags + (u >> 3)]! & (1 << (u & 7))) !== 0;
}

function unpackRows(state: State, level: Level, rows: Rows): void {
  const { numbers, bytes } = state;
  const { at, stride } = level;
  openRows(rows, level);
  const usedCount = columnsInUse(state, level, used);
  const count = numbers[at + ROWS]!;
  let tile = numbers[at + OLDEST_TILE]!;
  cursor.open(bytes, sealedFrom(state, level));
  for (let i = 0; i < count - 1; i++) {
    if (i > 0) tile += cursor.varint();
    const row = writeBlank(rows, level, tile, i * stride);
    const flags = cursor.at;
    cursor.at += flagBytes(usedCount);
    for (let u = 0; u < usedCount; u++) if (isFlagged(bytes, flags, u)) rows.data[row + used[u]!] = cursor.number();
  }
  for (let c = 0; c < stride; c++) rows.data[(count - 1) * stride + c] = numbers[at + ROW + c]!;
  rows.count = count;
}

/** Makes these rows the level's. */
export function packRows(state: State, level: Level, { data, count }: Rows): void {
  const { numbers } = state;
  const { at, section, stride, blank } = level;
  const newest = (count - 1) * stride;
  piece.reset();
  piece.reserve(stride + count * (ROW_BYTES_MAX + stride * (CELL_BYTES_MAX + 1)));
  let usedCount = 0;
  for (let c = 1; c < stride; c++) {
    let holding = 0;
    for (let row = 0; row < newest; row += stride) if (data[row + c] !== blank[c]) holding++;
    if (holding > 0 || data[newest + c] !== blank[c]) used[usedCount++] = c;
    if (count > 1) piece.u8(holding);
  }
  for (let row = 0; row < newest; row += stride) {
    if (row > 0) piece.varint(data[row]! - data[row - stride]!);
    writeCells(piece, data, row, level, used, usedCount);
  }
  const from = state.sectionFrom(section);
  state.splice(section, from, state.sectionTo(section) - from, piece);
  numbers[at + ROWS] = count;
  numbers[at + OLDEST_TILE] = data[0]!;
  numbers[at + NEWEST_TILE] = count > 1 ? data[newest - stride]! : 0;
  for (let c = 0; c < stride; c++) numbers[at + ROW + c] = data[newest + c]!;
}

import { GatehouseError } from '../../contracts/errors.ts';
import { ENTITY_KINDS, type EntityKind, type StateCodec } from '../../store/contract.ts';
import { ByteReader, ByteWriter, damaged } from './bytes.ts';
import type { EntityState } from './contract.ts';
import { checkHistory, writeHistory } from './history-codec.ts';
import { newRows, type Rows } from './rows.ts';
import type { Cell, KindSchema, Level } from './schema.ts';
import { State } from './state.ts';
import { readTop, writeTop } from './top-codec.ts';

/**
 * The first byte of every state. Another number is `store_incompatible`.
 *
 *   version u8 | kind u8
 *   columns: n, then n u32 keys            every column in which this state has something, by the hash of what it counts
 *   levels: n, then each                   tileMs | which columns (bits) | rows: n, then each: tile after the row before | which (bits) | values
 *   lists: n, then each                    u32 key | u32 length | entries
 *   histories: n, then each                u32 key | u32 length | entries
 *
 * Columns, lists and histories are named by their own hash, so a state outlives a change of the declarations: what is still declared is
 * read, what is not is dropped, what is new starts empty.
 */
export const STATE_FORMAT = 1;

/** A number's longest form, and a row's tile and flag bytes beside its numbers. */
const NUMBER_BYTES_MAX = 9;
const HEAD_BYTES_MAX = 64;

const writer = new ByteWriter();
/**
 * Scratch of one call, kept because a state is encoded with every change: the columns in use of each level (so many at the beginning of its list), and
 * each ordinal's place among them.
 */
const usedByLevel: Cell[][] = [];
const usedCounts: number[] = [];
let places = new Int32Array(0);

export function encodeState(state: State): Uint8Array {
  writeState(state);
  return writer.copy();
}

function writeState(state: State): void {
  const { schema, levels } = state;
  writer.reset();
  writer.reserve(HEAD_BYTES_MAX + schema.columnKeys.length * 4);
  writer.u8(STATE_FORMAT);
  writer.u8(ENTITY_KINDS.indexOf(schema.kind));
  for (let i = 0; i < levels.length; i++) {
    const rows = levels[i];
    usedByLevel[i] ??= [];
    usedCounts[i] = rows ? findUsed(schema.levels[i]!, rows, usedByLevel[i]!) : 0;
  }
  writeColumns(schema);
  writeLevels(state);
  writeLists(state);
}

/** Writes the keys of the columns in use and notes each ordinal's place among them, -1 where it has none. */
function writeColumns({ columnKeys, levels }: KindSchema): void {
  if (places.length < columnKeys.length) places = new Int32Array(columnKeys.length);
  for (let ordinal = 0; ordinal < columnKeys.length; ordinal++) places[ordinal] = -1;
  for (let i = 0; i < levels.length; i++) {
    const used = usedByLevel[i]!;
    for (let j = 0; j < usedCounts[i]!; j++) places[used[j]!.ordinal] = 0;
  }
  let count = 0;
  for (let ordinal = 0; ordinal < columnKeys.length; ordinal++) if (places[ordinal] === 0) places[ordinal] = count++;
  writer.varint(count);
  for (let ordinal = 0; ordinal < columnKeys.length; ordinal++) if (places[ordinal]! >= 0) writer.u32(columnKeys[ordinal]!);
}

/** Puts the columns in which some row holds something at the beginning of `used`; returns how many. */
function findUsed({ cells, stride }: Level, { data, count }: Rows, used: Cell[]): number {
  const end = count * stride;
  let found = 0;
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    let at = cell.at;
    while (at < end && data[at] === cell.blank) at += stride;
    if (at < end) used[found++] = cell;
  }
  return found;
}

function writeLevels({ schema, levels }: State): void {
  let count = 0;
  for (let i = 0; i < levels.length; i++) if (levels[i] !== undefined && levels[i]!.count > 0) count++;
  writer.varint(count);
  for (let i = 0; i < levels.length; i++) {
    const rows = levels[i];
    if (!rows || rows.count === 0) continue;
    const level = schema.levels[i]!;
    const used = usedByLevel[i]!;
    const usedCount = usedCounts[i]!;
    writer.reserve(HEAD_BYTES_MAX + usedCount * NUMBER_BYTES_MAX);
    writer.varint(level.tileMs);
    writer.varint(usedCount);
    for (let j = 0; j < usedCount; j++) writer.varint(places[used[j]!.ordinal]!);
    writer.varint(rows.count);
    let before = 0;
    for (let row = 0; row < rows.count; row++) {
      writer.reserve(HEAD_BYTES_MAX + usedCount * (NUMBER_BYTES_MAX + 1));
      const from = row * level.stride;
      writer.varint(rows.data[from]! - before);
      before = rows.data[from]!;
      writeRow(rows.data, from, used, usedCount);
    }
  }
}

function writeRow(data: Float64Array, from: number, used: readonly Cell[], usedCount: number): void {
  for (let i = 0; i < usedCount; i += 8) {
    let bits = 0;
    for (let j = i; j < i + 8 && j < usedCount; j++) if (data[from + used[j]!.at] !== used[j]!.blank) bits |= 1 << (j - i);
    writer.u8(bits);
  }
  for (let i = 0; i < usedCount; i++) {
    const { at, blank } = used[i]!;
    if (data[from + at] !== blank) writer.number(data[from + at]!);
  }
}

function writeLists({ schema, tops, histories }: State): void {
  writer.reserve(HEAD_BYTES_MAX);
  writer.varint(countOf(tops));
  for (let i = 0; i < tops.length; i++) {
    const top = tops[i];
    if (!top) continue;
    const lengthAt = beginBlock(schema.tops[i]!.key);
    writeTop(writer, schema.tops[i]!, top);
    endBlock(lengthAt);
  }
  writer.reserve(HEAD_BYTES_MAX);
  writer.varint(countOf(histories));
  for (let i = 0; i < histories.length; i++) {
    const list = histories[i];
    if (!list) continue;
    const lengthAt = beginBlock(schema.histories[i]!.key);
    writeHistory(writer, list);
    endBlock(lengthAt);
  }
}

function countOf(list: readonly unknown[]): number {
  let count = 0;
  for (let i = 0; i < list.length; i++) if (list[i] !== undefined) count++;
  return count;
}

/** Writes a block's key and leaves its length open; returns the length's place. */
function beginBlock(key: number): number {
  writer.reserve(HEAD_BYTES_MAX);
  writer.u32(key);
  const lengthAt = writer.position;
  writer.u32(0);
  return lengthAt;
}

function endBlock(lengthAt: number): void {
  writer.patchU32(lengthAt, writer.position - lengthAt - 4);
}

/** Reads a state under today's schemas. Throws `store_incompatible` on another format and on damaged bytes. */
export function decodeState(schemaOf: (kind: EntityKind) => KindSchema, bytes: Uint8Array): State {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== STATE_FORMAT) {
    throw new GatehouseError('store_incompatible', `entity states have format ${format}; this version reads ${STATE_FORMAT}`);
  }
  const kind = ENTITY_KINDS[reader.u8()];
  if (kind === undefined) throw damaged('its kind is unknown');
  const state = new State(schemaOf(kind));
  readLevels(reader, state);
  for (let left = reader.count(8); left > 0; left--) {
    readBlock(reader, (key) => {
      const index = state.schema.tops.findIndex((spec) => spec.key === key);
      if (index >= 0) state.tops[index] = readTop(reader, state.schema.tops[index]!);
      return index >= 0;
    });
  }
  for (let left = reader.count(8); left > 0; left--) {
    readBlock(reader, (key) => {
      const index = state.schema.histories.findIndex((spec) => spec.key === key);
      if (index < 0) return false;
      const from = reader.position;
      checkHistory(reader);
      state.histories[index] = { entries: [], raw: reader.copyFrom(from) };
      return true;
    });
  }
  if (reader.remaining > 0) throw damaged('it has bytes too many');
  return state;
}

/** `read` says whether it knows the key; a block that nobody knows is stepped over. */
function readBlock(reader: ByteReader, read: (key: number) => boolean): void {
  const key = reader.u32();
  const length = reader.u32();
  const from = reader.position;
  if (!read(key)) reader.skip(length);
  if (reader.position - from !== length) throw damaged('a part has the wrong length');
}

function readLevels(reader: ByteReader, state: State): void {
  const { schema } = state;
  const ordinals: number[] = [];
  for (let left = reader.count(4); left > 0; left--) ordinals.push(schema.ordinalOfKey.get(reader.u32()) ?? -1);
  for (let left = reader.count(3); left > 0; left--) {
    const tileMs = reader.varint();
    const index = schema.levels.findIndex((level) => level.tileMs === tileMs);
    const level = schema.levels[index];
    const offsets: number[] = [];
    for (let columns = reader.count(1); columns > 0; columns--) {
      const place = reader.varint();
      if (place >= ordinals.length) throw damaged('a column has no name');
      offsets.push(level ? level.columns.findIndex((column) => column.ordinal === ordinals[place]) + 1 : 0);
    }
    const rows = readRows(reader, level, offsets);
    if (rows) state.levels[index] = rows;
  }
}

/** `offsets` are the columns' places in a row, 0 for one that is no longer declared. */
function readRows(reader: ByteReader, level: Level | undefined, offsets: readonly number[]): Rows | undefined {
  const flagBytes = Math.ceil(offsets.length / 8);
  const count = reader.count(1 + flagBytes);
  const rows = level ? newRows(level, count + 1) : undefined;
  // Fewer tiles may be kept than when this was written: then the oldest are left out.
  const firstKept = level ? Math.max(0, count - level.rowsMax) : count;
  const flags = new Uint8Array(flagBytes);
  let tile = 0;
  for (let row = 0; row < count; row++) {
    const step = reader.varint();
    if (row > 0 && step === 0) throw damaged('a tile comes twice');
    tile += step;
    if (tile > Number.MAX_SAFE_INTEGER) throw damaged('a tile number is too large');
    for (let i = 0; i < flagBytes; i++) flags[i] = reader.u8();
    const from = (row - firstKept) * (level?.stride ?? 0);
    if (rows && level && row >= firstKept) {
      rows.data.set(level.blank, from);
      rows.data[from] = tile;
      rows.count++;
    }
    for (let i = 0; i < offsets.length; i++) {
      if ((flags[i >> 3]! & (1 << (i & 7))) === 0) continue;
      const value = reader.number();
      if (rows && row >= firstKept && offsets[i]! > 0) rows.data[from + offsets[i]!] = value;
    }
  }
  return rows && rows.count > 0 ? rows : undefined;
}

export function stateCodec(schemaOf: (kind: EntityKind) => KindSchema): StateCodec<EntityState> {
  return {
    encode: (state) => encodeState(own(state)),
    encodeShared(state) {
      writeState(own(state));
      return writer.written();
    },
    decode: (bytes) => decodeState(schemaOf, bytes),
  };
}

function own(state: EntityState): State {
  if (!(state instanceof State)) throw new Error('this state was not made by the feature engine');
  return state;
}

import { GatehouseError } from '../../contracts/errors.ts';
import { ENTITY_KINDS, type EntityKind, type StateCodec } from '../../store/contract.ts';
import { ByteReader, ByteWriter, damaged } from './bytes.ts';
import type { EntityState } from './contract.ts';
import { checkHistory, writeHistory } from './history-codec.ts';
import { openRows, type Rows, writeBlank } from './rows.ts';
import { COUNT, type KindSchema, type Level, NEWEST_TILE, OLDEST_TILE, ROW, ROWS } from './schema.ts';
import { State } from './state.ts';
import { columnsInUse, flagBytes, packRows, sealedFrom, writeCells } from './tables.ts';
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

/** A level's or a list's head, beside its columns and its bytes. */
const HEAD_BYTES_MAX = 64;
/** Of a column: its key, its place, and its value in the newest row. */
const COLUMN_BYTES_MAX = 24;

const writer = new ByteWriter();
/** Scratch of one call: each level's columns in use (so many at the beginning of its list), each ordinal's place among all, and rows that are read. */
const usedByLevel: number[][] = [];
const usedCounts: number[] = [];
const places: number[] = [];
const plain: Rows = { data: new Float64Array(0), count: 0 };
const piece = new ByteWriter();
/** By the place in a row: sealed rows that hold something there. */
const holding: number[] = [];
const flags: number[] = [];

export function encodeState(state: State): Uint8Array {
  writeState(state);
  return writer.copy();
}

function writeState(state: State): void {
  const { schema } = state;
  const { levels, sections, columnKeys } = schema;
  writer.reset();
  writer.reserve(state.length + (sections + 1) * HEAD_BYTES_MAX + columnKeys.length * (levels.length + 1) * COLUMN_BYTES_MAX);
  writer.u8(STATE_FORMAT);
  writer.u8(ENTITY_KINDS.indexOf(schema.kind));
  let inUse = 0;
  for (let i = 0; i < levels.length; i++) {
    usedByLevel[i] ??= [];
    usedCounts[i] = columnsInUse(state, levels[i]!, usedByLevel[i]!);
    if (state.numbers[levels[i]!.at + ROWS] !== 0) inUse++;
  }
  writeColumns(schema);
  writer.varint(inUse);
  for (let i = 0; i < levels.length; i++)
    if (state.numbers[levels[i]!.at + ROWS] !== 0) writeLevel(state, levels[i]!, usedByLevel[i]!, usedCounts[i]!);
  writeLists(state);
}

/** Writes the keys of the columns in use and notes each ordinal's place among them, -1 where it has none. */
function writeColumns({ columnKeys, levels }: KindSchema): void {
  for (let ordinal = 0; ordinal < columnKeys.length; ordinal++) places[ordinal] = -1;
  for (let i = 0; i < levels.length; i++) {
    const used = usedByLevel[i]!;
    const { columns } = levels[i]!;
    for (let j = 0; j < usedCounts[i]!; j++) places[columns[used[j]! - 1]!.ordinal] = 0;
  }
  let count = 0;
  for (let ordinal = 0; ordinal < columnKeys.length; ordinal++) if (places[ordinal] === 0) places[ordinal] = count++;
  writer.varint(count);
  for (let ordinal = 0; ordinal < columnKeys.length; ordinal++) if (places[ordinal]! >= 0) writer.u32(columnKeys[ordinal]!);
}

function writeLevel(state: State, level: Level, used: readonly number[], usedCount: number): void {
  const { numbers } = state;
  const { at, section } = level;
  const rows = numbers[at + ROWS]!;
  const tile = numbers[at + ROW]!;
  writer.varint(level.tileMs);
  writer.varint(usedCount);
  for (let j = 0; j < usedCount; j++) writer.varint(places[level.columns[used[j]! - 1]!.ordinal]!);
  writer.varint(rows);
  if (rows > 1) {
    writer.varint(numbers[at + OLDEST_TILE]!);
    writer.appendFrom(state.bytes, sealedFrom(state, level), state.sectionTo(section));
    writer.varint(tile - numbers[at + NEWEST_TILE]!);
  } else writer.varint(tile);
  writeCells(writer, numbers, at + ROW, level, used, usedCount);
}

function writeLists(state: State): void {
  const { schema, numbers, histories } = state;
  const { tops } = schema;
  let count = 0;
  for (let i = 0; i < tops.length; i++) if (numbers[tops[i]!.at + COUNT] !== 0) count++;
  writer.varint(count);
  for (let i = 0; i < tops.length; i++) {
    if (numbers[tops[i]!.at + COUNT] === 0) continue;
    const lengthAt = beginBlock(tops[i]!.key);
    writeTop(writer, state, tops[i]!);
    endBlock(lengthAt);
  }
  count = 0;
  for (let i = 0; i < histories.length; i++) if (histories[i] !== undefined) count++;
  writer.reserve(HEAD_BYTES_MAX);
  writer.varint(count);
  for (let i = 0; i < histories.length; i++) {
    const list = histories[i];
    if (!list) continue;
    writer.reserve(HEAD_BYTES_MAX);
    const lengthAt = beginBlock(schema.histories[i]!.key);
    writeHistory(writer, list);
    endBlock(lengthAt);
  }
}

/** Writes a block's key and leaves its length open; returns the length's place. */
function beginBlock(key: number): number {
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
  // What is stored takes about as much in memory: grown part by part it would be moved time and again.
  state.bytes = new Uint8Array(bytes.length);
  readLevels(reader, state);
  for (let left = reader.count(8); left > 0; left--) {
    readBlock(reader, (key) => {
      const spec = state.schema.tops.find((other) => other.key === key);
      if (spec) readTop(reader, state, spec);
      return spec !== undefined;
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
    const level = schema.levels.find((other) => other.tileMs === tileMs);
    const offsets: number[] = [];
    for (let columns = reader.count(1); columns > 0; columns--) {
      const place = reader.varint();
      if (place >= ordinals.length) throw damaged('a column has no name');
      offsets.push(level ? level.columns.findIndex((column) => column.ordinal === ordinals[place]) + 1 : 0);
    }
    readRows(reader, state, level, offsets);
  }
}

/** `offsets` are the columns' places in a row, 0 for one that is no longer declared; `level` is undefined where none of such tiles is. */
function readRows(reader: ByteReader, state: State, level: Level | undefined, offsets: readonly number[]): void {
  const flagsEach = flagBytes(offsets.length);
  const count = reader.count(1 + flagsEach);
  if (level && count > 0 && count <= level.rowsMax) {
    const from = reader.position;
    if (takeRows(reader, state, level, offsets, count)) return;
    reader.rewind(from);
  }
  if (level) openRows(plain, level);
  // Fewer tiles may be kept than when this was written: then the oldest are left out.
  const firstKept = level ? Math.max(0, count - level.rowsMax) : count;
  let tile = 0;
  for (let row = 0; row < count; row++) {
    tile = readTile(reader, row, tile);
    for (let i = 0; i < flagsEach; i++) flags[i] = reader.u8();
    const isKept = level !== undefined && row >= firstKept;
    const from = isKept ? writeBlank(plain, level, tile, plain.count++ * level.stride) : 0;
    for (let i = 0; i < offsets.length; i++) {
      if ((flags[i >> 3]! & (1 << (i & 7))) === 0) continue;
      const value = reader.number();
      if (isKept && offsets[i]! > 0) plain.data[from + offsets[i]!] = value;
    }
  }
  if (level && count > 0) packRows(state, level, plain);
}

function readTile(reader: ByteReader, row: number, before: number): number {
  const step = reader.varint();
  if (row > 0 && step === 0) throw damaged('a tile comes twice');
  if (before + step > Number.MAX_SAFE_INTEGER) throw damaged('a tile number is too large');
  return before + step;
}

/** Checks rows that may stay as they are written, and takes their bytes; false where they would be written otherwise today. */
function takeRows(reader: ByteReader, state: State, level: Level, offsets: readonly number[], count: number): boolean {
  const { numbers } = state;
  const { at, section, stride, blank } = level;
  const flagsEach = flagBytes(offsets.length);
  for (let i = 0; i < offsets.length; i++) if (offsets[i]! <= (offsets[i - 1] ?? 0)) return false;
  for (let c = 1; c < stride; c++) {
    holding[c] = 0;
    numbers[at + ROW + c] = blank[c]!;
  }
  let tile = 0;
  let [from, to] = [0, 0];
  for (let row = 0; row < count; row++) {
    if (row === count - 1) {
      to = reader.position;
      numbers[at + NEWEST_TILE] = count > 1 ? tile : 0;
    }
    tile = readTile(reader, row, tile);
    if (row === 0) {
      from = reader.position;
      numbers[at + OLDEST_TILE] = tile;
    }
    for (let f = 0; f < flagsEach; f++) flags[f] = reader.u8();
    for (let f = 0, i = 0; f < flagsEach; f++, i = f * 8) {
      for (let bits = flags[f]!; bits !== 0; bits >>= 1, i++) {
        if ((bits & 1) === 0) continue;
        if (i >= offsets.length) return false;
        const c = offsets[i]!;
        const value = reader.number();
        if (value === blank[c]) return false;
        if (row === count - 1) numbers[at + ROW + c] = value;
        else holding[c] = holding[c]! + 1;
      }
    }
  }
  for (const c of offsets) if (holding[c] === 0 && numbers[at + ROW + c] === blank[c]) return false;
  piece.reset();
  if (count > 1) {
    piece.reserve(stride);
    for (let c = 1; c < stride; c++) piece.u8(holding[c]!);
    reader.writeFrom(from, to, piece);
  }
  const start = state.sectionFrom(section);
  state.splice(section, start, state.sectionTo(section) - start, piece);
  numbers[at + ROWS] = count;
  numbers[at + ROW] = tile;
  return true;
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

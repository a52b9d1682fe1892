import { ByteWriter, Cursor, HASH_BYTES } from './bytes.ts';
import { COUNT, NEWEST_KEY, NEWEST_MS, OLDEST_MS, type TopSpec } from './schema.ts';
import type { State } from './state.ts';
import { keepDistinct, keepNewest, openTop, precedes, type Top } from './top.ts';

/**
 * The lists of a state, as bytes: an event puts one entry at the end and takes one from the beginning, so that it neither moves nor writes the others.
 *
 *   section      entries, oldest first; of sightings the table of keys before them: how many, then their hashes in the order of first sighting
 *   entry        ms since the entry before (not of the oldest: OLDEST_MS), then by role
 *     distinct   the key's hash
 *     sightings  the key's place in the table, a byte: a shopper's 50 sightings are of few categories
 *     recent, values   the event's hash, the value
 *     first      nothing: the time is all
 *
 * An entry that does not belong at the end goes by way of a plain list (top.ts): slower, and seldom needed.
 */

/** A time, a hash and a number in their longest forms. */
export const ENTRY_BYTES_MAX = 26;

const piece = new ByteWriter();
const cursor = new Cursor();
const plain: Top = { data: new Float64Array(0), count: 0 };

/** Keeps the earlier of what is kept and `atMs`. */
export function addFirst({ numbers }: State, { at }: TopSpec, atMs: number): void {
  if (numbers[at + COUNT] !== 0 && atMs >= numbers[at + OLDEST_MS]!) return;
  numbers[at + COUNT] = 1;
  numbers[at + OLDEST_MS] = atMs;
}

/** Adds an event and its value, where it is among the newest. */
export function addValue(state: State, spec: TopSpec, atMs: number, key: number, value: number): void {
  if (!isNewest(state, spec, atMs, key)) {
    unpackList(state, spec, plain);
    const place = keepNewest(plain, spec.width, spec.entriesMax, atMs, key);
    if (place >= 0) plain.data[place * spec.width + 2] = value;
    packList(state, spec, plain);
    return;
  }
  const oldest = state.numbers[spec.at + COUNT] === spec.entriesMax ? dropOldest(state, spec) : 0;
  beginEntry(state, spec, atMs, key);
  piece.hash(key);
  piece.number(value);
  state.rotate(spec.section, state.sectionFrom(spec.section), oldest, piece);
}

/** Adds a sighting of `key`, or brings its entry forward. */
export function addKey(state: State, spec: TopSpec, atMs: number, key: number): void {
  const { numbers } = state;
  const { at, section, entriesMax } = spec;
  const count = numbers[at + COUNT]!;
  if (count > 0 && numbers[at + NEWEST_KEY] === key) {
    if (atMs <= numbers[at + NEWEST_MS]!) return;
    if (count === 1) {
      numbers[at + OLDEST_MS] = atMs;
      numbers[at + NEWEST_MS] = atMs;
      return;
    }
  }
  if (!isNewest(state, spec, atMs, key)) {
    unpackList(state, spec, plain);
    keepDistinct(plain, entriesMax, atMs, key);
    packList(state, spec, plain);
    return;
  }
  const oldest = !removeKey(state, spec, key) && count === entriesMax ? dropOldest(state, spec) : 0;
  beginEntry(state, spec, atMs, key);
  piece.hash(key);
  state.rotate(section, state.sectionFrom(section), oldest, piece);
}

/** Adds a sighting of `key`, where it is among the newest. */
export function addSighting(state: State, spec: TopSpec, atMs: number, key: number): void {
  const { section } = spec;
  dropped = 0;
  const place = isNewest(state, spec, atMs, key) ? placeForNewest(state, spec, key) : -1;
  if (place < 0) {
    unpackList(state, spec, plain);
    keepNewest(plain, spec.width, spec.entriesMax, atMs, key);
    packList(state, spec, plain);
    return;
  }
  beginEntry(state, spec, atMs, key);
  piece.u8(place);
  state.rotate(section, state.sectionFrom(section) + 1 + state.bytes[state.sectionFrom(section)]! * HASH_BYTES, dropped, piece);
}

function isNewest({ numbers }: State, { at }: TopSpec, atMs: number, key: number): boolean {
  return numbers[at + COUNT] === 0 || !precedes(atMs, key, numbers[at + NEWEST_MS]!, numbers[at + NEWEST_KEY]!);
}

/** Counts one entry more and begins it in `piece`. */
function beginEntry({ numbers }: State, { at }: TopSpec, atMs: number, key: number): void {
  piece.reset();
  piece.reserve(ENTRY_BYTES_MAX);
  const count = numbers[at + COUNT]!;
  if (count === 0) numbers[at + OLDEST_MS] = atMs;
  else piece.varint(atMs - numbers[at + NEWEST_MS]!);
  numbers[at + COUNT] = count + 1;
  numbers[at + NEWEST_MS] = atMs;
  numbers[at + NEWEST_KEY] = key;
}

/** Lets the oldest entry of any list but sightings go; its bytes, so many at the beginning of the section, are still to be taken out. */
function dropOldest(state: State, { at, section, role }: TopSpec): number {
  const { numbers } = state;
  const from = state.sectionFrom(section);
  cursor.open(state.bytes, from + HASH_BYTES);
  if (role !== 'distinct') cursor.number();
  const count = numbers[at + COUNT]! - 1;
  if (count > 0) numbers[at + OLDEST_MS] = numbers[at + OLDEST_MS]! + cursor.varint();
  numbers[at + COUNT] = count;
  return cursor.at - from;
}

/** Takes out the entry of a key that is not the only one; false where there is none. */
function removeKey(state: State, { at, section }: TopSpec, key: number): boolean {
  const { numbers, bytes } = state;
  const count = numbers[at + COUNT]!;
  cursor.open(bytes, state.sectionFrom(section));
  for (let i = 0; i < count; i++) {
    const from = cursor.at;
    const step = i > 0 ? cursor.varint() : 0;
    if (cursor.hash() !== key) continue;
    piece.reset();
    if (i === count - 1) numbers[at + NEWEST_MS] = numbers[at + NEWEST_MS]! - step;
    else if (i > 0) piece.varint(step + cursor.varint());
    else numbers[at + OLDEST_MS] = numbers[at + OLDEST_MS]! + cursor.varint();
    numbers[at + COUNT] = count - 1;
    state.splice(section, from, cursor.at - from, piece);
    return true;
  }
  return false;
}

/** Of the oldest sighting that goes: bytes after the table that are still to be taken out. */
let dropped = 0;

/** The key's place in the table once there is room for its sighting; -1, with nothing changed, where the table has to be made anew. */
function placeForNewest(state: State, { at, section, entriesMax }: TopSpec, key: number): number {
  const { numbers } = state;
  const count = numbers[at + COUNT]!;
  const from = state.sectionFrom(section);
  piece.reset();
  if (count === 0) {
    piece.u8(1);
    piece.hash(key);
    state.splice(section, from, 0, piece);
    return 0;
  }
  const keys = state.bytes[from]!;
  const entriesFrom = from + 1 + keys * HASH_BYTES;
  cursor.open(state.bytes, from + 1);
  let place = 0;
  while (place < keys && cursor.hash() !== key) place++;
  if (count === entriesMax) {
    // The oldest is of the first key. The table stays as it is where the next one is of that key too, and no new key comes.
    cursor.open(state.bytes, entriesFrom + 1);
    const step = cursor.varint();
    if (place === keys || state.bytes[cursor.at] !== 0) return -1;
    numbers[at + OLDEST_MS] = numbers[at + OLDEST_MS]! + step;
    numbers[at + COUNT] = count - 1;
    dropped = cursor.at - entriesFrom;
  } else if (place === keys) {
    piece.hash(key);
    state.bytes[from] = keys + 1;
    state.splice(section, entriesFrom, 0, piece);
  }
  return place;
}

function unpackList(state: State, spec: TopSpec, top: Top): void {
  const { numbers, bytes } = state;
  const { at, section, width, role } = spec;
  openTop(top, spec);
  const { data } = top;
  const from = state.sectionFrom(section);
  const count = numbers[at + COUNT]!;
  cursor.open(bytes, role === 'sightings' && count > 0 ? from + 1 + bytes[from]! * HASH_BYTES : from);
  let atMs = numbers[at + OLDEST_MS]!;
  for (let i = 0; i < count; i++) {
    if (i > 0) atMs += cursor.varint();
    data[i * width] = atMs;
    if (role === 'sightings') {
      const next = cursor.at + 1;
      cursor.at = from + 1 + bytes[cursor.at]! * HASH_BYTES;
      data[i * width + 1] = cursor.hash();
      cursor.at = next;
    } else if (role !== 'first') data[i * width + 1] = cursor.hash();
    if (role === 'recent' || role === 'values') data[i * width + 2] = cursor.number();
  }
  top.count = count;
}

/** Scratch of one call: each sighting's place in the table of keys. */
const places: number[] = [];
const keys: number[] = [];

/** Makes these entries the list's. */
export function packList(state: State, spec: TopSpec, { data, count }: Top): void {
  const { numbers } = state;
  const { at, section, width, role } = spec;
  piece.reset();
  piece.reserve(1 + count * (ENTRY_BYTES_MAX + HASH_BYTES));
  if (role === 'sightings' && count > 0) writeKeys(data, count);
  for (let i = 0; i < count; i++) {
    const entry = i * width;
    if (i > 0) piece.varint(data[entry]! - data[entry - width]!);
    if (role === 'sightings') piece.u8(places[i]!);
    else if (role !== 'first') piece.hash(data[entry + 1]!);
    if (role === 'recent' || role === 'values') piece.number(data[entry + 2]!);
  }
  const from = state.sectionFrom(section);
  state.splice(section, from, state.sectionTo(section) - from, piece);
  numbers[at + COUNT] = count;
  if (count === 0) return;
  numbers[at + OLDEST_MS] = data[0]!;
  numbers[at + NEWEST_MS] = data[(count - 1) * width]!;
  numbers[at + NEWEST_KEY] = role === 'first' ? 0 : data[(count - 1) * width + 1]!;
}

function writeKeys(data: Float64Array, count: number): void {
  let known = 0;
  for (let i = 0; i < count; i++) {
    const key = data[i * 2 + 1]!;
    let place = 0;
    while (place < known && keys[place] !== key) place++;
    if (place === known) keys[known++] = key;
    places[i] = place;
  }
  piece.u8(known);
  for (let i = 0; i < known; i++) piece.hash(keys[i]!);
}

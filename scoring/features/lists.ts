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
  if (!isNewest(state, spec, atMs, key)) {
    unpackList(state, spec, plain);
    keepNewest(plain, spec.width, spec.entriesMax, atMs, key);
    packList(state, spec, plain);
    return;
  }
  const removed = state.numbers[spec.at + COUNT] === spec.entriesMax ? dropOldestSighting(state, spec) : 0;
  const place = placeForNewest(state, spec, key);
  beginEntry(state, spec, atMs, key);
  piece.u8(place);
  const table = state.sectionFrom(section) + 1;
  state.rotate(section, table + state.bytes[table - 1]! * HASH_BYTES, removed, piece);
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

/** The key's place in the table of a list that has room for its sighting; a new key gets the last place. */
function placeForNewest(state: State, { at, section }: TopSpec, key: number): number {
  const from = state.sectionFrom(section);
  const keys = state.numbers[at + COUNT] === 0 ? 0 : state.bytes[from]!;
  cursor.open(state.bytes, from + 1);
  for (let place = 0; place < keys; place++) if (cursor.hash() === key) return place;
  piece.reset();
  if (keys === 0) piece.u8(1);
  else state.bytes[from] = keys + 1;
  piece.hash(key);
  state.splice(section, keys === 0 ? from : from + 1 + keys * HASH_BYTES, 0, piece);
  return keys;
}

/**
 * Lets the oldest sighting go; its bytes, so many after the table, are still to be taken out. It is of the key in the first place, which moves behind
 * those that are now seen before it, or out of the table.
 */
function dropOldestSighting(state: State, { at, section }: TopSpec): number {
  const { numbers, bytes } = state;
  const table = state.sectionFrom(section) + 1;
  const keyCount = bytes[table - 1]!;
  const entriesFrom = table + keyCount * HASH_BYTES;
  const count = numbers[at + COUNT]! - 1;
  cursor.open(bytes, entriesFrom + 1);
  numbers[at + COUNT] = count;
  numbers[at + OLDEST_MS] = numbers[at + OLDEST_MS]! + cursor.varint();
  const removed = cursor.at - entriesFrom;
  let last = 0;
  let isSeenAgain = false;
  for (let i = 0; i < count && !isSeenAgain; i++) {
    if (i > 0) cursor.varint();
    const place = bytes[cursor.at++]!;
    if (place > last) last = place;
    isSeenAgain = place === 0;
  }
  if (last > 0) {
    cursor.at = entriesFrom + removed;
    for (let i = 0; i < count; i++) {
      if (i > 0) cursor.varint();
      const place = bytes[cursor.at]!;
      bytes[cursor.at++] = place === 0 ? last : place <= last ? place - 1 : place;
    }
    cursor.at = table;
    const key = cursor.hash();
    bytes.copyWithin(table, table + HASH_BYTES, table + (last + 1) * HASH_BYTES);
    piece.reset();
    if (isSeenAgain) piece.hash(key);
    else bytes[table - 1] = keyCount - 1;
    state.splice(section, table + last * HASH_BYTES, HASH_BYTES, piece);
  }
  return removed;
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

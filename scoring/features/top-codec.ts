import { type ByteReader, type ByteWriter, damaged } from './bytes.ts';
import type { TopSpec } from './schema.ts';
import { SHARE_SIGHTINGS_MAX } from './tiles.ts';
import { newTop, type Top } from './top.ts';

/** A time of at most 8 bytes, a hash of 7, a number of at most 9. */
const ENTRY_BYTES_MAX = 24;
/** A key's place among the keys of a list is written as a varint; these fit one or two bytes. */
const KEY_BYTES = 7;

/**
 * Entries, oldest first: the time after the entry before, then by role
 *   distinct   the key's hash
 *   sightings  the key's place in a table of the keys, which stands before the entries: a shopper's 50 sightings are of few categories
 *   recent, values   the event's hash, the value
 *   first      nothing
 */
export function writeTop(writer: ByteWriter, spec: TopSpec, top: Top): void {
  const { data, count } = top;
  const { width } = spec;
  writer.reserve(16 + count * (ENTRY_BYTES_MAX + KEY_BYTES));
  writer.varint(count);
  if (spec.role === 'sightings') {
    writeSightings(writer, top);
    return;
  }
  let before = 0;
  for (let i = 0; i < count; i++) {
    const at = i * width;
    writer.varint(data[at]! - before);
    before = data[at]!;
    if (spec.role !== 'first') writer.hash(data[at + 1]!);
    if (spec.role === 'recent' || spec.role === 'values') writer.number(data[at + 2]!);
  }
}

/** Scratch of one call: the keys in the order of their first sighting, and each sighting's place among them. */
const sightingKeys = new Float64Array(SHARE_SIGHTINGS_MAX);
const sightingPlaces = new Uint8Array(SHARE_SIGHTINGS_MAX);

function writeSightings(writer: ByteWriter, { data, count }: Top): void {
  let keys = 0;
  for (let i = 0; i < count; i++) {
    const key = data[i * 2 + 1]!;
    let place = 0;
    while (place < keys && sightingKeys[place] !== key) place++;
    if (place === keys) sightingKeys[keys++] = key;
    sightingPlaces[i] = place;
  }
  writer.varint(keys);
  for (let i = 0; i < keys; i++) writer.hash(sightingKeys[i]!);
  let before = 0;
  for (let i = 0; i < count; i++) {
    writer.varint(data[i * 2]! - before);
    before = data[i * 2]!;
    writer.varint(sightingPlaces[i]!);
  }
}

export function readTop(reader: ByteReader, spec: TopSpec): Top {
  const { width, role } = spec;
  const count = reader.count(1);
  const tooMany = Math.max(0, count - spec.entriesMax);
  // Fewer values may be kept than when this was written: then the oldest are left out.
  if (tooMany > 0 && role !== 'values') throw damaged('a list is too long');
  const top = newTop(width, Math.min(count + 1, spec.entriesMax));
  const { data } = top;
  const keys: number[] = [];
  if (role === 'sightings') for (let left = reader.count(KEY_BYTES); left > 0; left--) keys.push(reader.hash());
  let atMs = 0;
  for (let i = 0; i < count; i++) {
    // Those left out are written over by the next.
    const at = Math.max(0, i - tooMany) * width;
    atMs += reader.varint();
    if (atMs > Number.MAX_SAFE_INTEGER) throw damaged('a time is too large');
    data[at] = atMs;
    if (role === 'sightings') {
      const key = keys[reader.varint()];
      if (key === undefined) throw damaged('a sighting has no key');
      data[at + 1] = key;
    } else if (role !== 'first') {
      data[at + 1] = reader.hash();
    }
    if (role === 'recent' || role === 'values') data[at + 2] = reader.number();
  }
  top.count = count - tooMany;
  return top;
}

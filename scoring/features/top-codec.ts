import { type ByteReader, ByteWriter, damaged, HASH_BYTES } from './bytes.ts';
import { packList } from './lists.ts';
import { COUNT, NEWEST_KEY, NEWEST_MS, OLDEST_MS, type TopSpec } from './schema.ts';
import type { State } from './state.ts';
import { openTop, type Top } from './top.ts';

const piece = new ByteWriter();
const plain: Top = { data: new Float64Array(0), count: 0 };

/**
 * A list as it is stored: how many entries; of sightings the table of keys; then the entries, of which the oldest says its time itself. lists.ts says
 * how they look, and keeps them so.
 */
export function writeTop(writer: ByteWriter, state: State, { at, section, role }: TopSpec): void {
  const { numbers, bytes } = state;
  const from = state.sectionFrom(section);
  const entriesFrom = role === 'sightings' ? from + 1 + bytes[from]! * HASH_BYTES : from;
  writer.varint(numbers[at + COUNT]!);
  writer.appendFrom(bytes, from, entriesFrom);
  writer.varint(numbers[at + OLDEST_MS]!);
  writer.appendFrom(bytes, entriesFrom, state.sectionTo(section));
}

/** Checks entries that may stay as they are written, and takes their bytes. */
function takeTop(reader: ByteReader, state: State, { at, section, role }: TopSpec, count: number): void {
  const { numbers } = state;
  let atMs = reader.varint();
  let key = 0;
  numbers[at + OLDEST_MS] = atMs;
  const from = reader.position;
  for (let i = 0; i < count; i++) {
    if (i > 0) atMs += reader.varint();
    if (atMs > Number.MAX_SAFE_INTEGER) throw damaged('a time is too large');
    if (role !== 'first') key = reader.hash();
    if (role === 'recent' || role === 'values') reader.number();
  }
  numbers[at + COUNT] = count;
  numbers[at + NEWEST_MS] = atMs;
  numbers[at + NEWEST_KEY] = key;
  piece.reset();
  reader.writeFrom(from, reader.position, piece);
  const to = state.sectionFrom(section);
  state.splice(section, to, state.sectionTo(section) - to, piece);
}

export function readTop(reader: ByteReader, state: State, spec: TopSpec): void {
  const { width, role } = spec;
  const count = reader.count(1);
  const tooMany = Math.max(0, count - spec.entriesMax);
  // Fewer values may be kept than when this was written: then the oldest are left out.
  if (tooMany > 0 && role !== 'values') throw damaged('a list is too long');
  if (count > 0 && tooMany === 0 && role !== 'sightings') {
    takeTop(reader, state, spec, count);
    return;
  }
  openTop(plain, spec);
  const { data } = plain;
  const keys: number[] = [];
  if (role === 'sightings') for (let left = reader.count(HASH_BYTES); left > 0; left--) keys.push(reader.hash());
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
  plain.count = count - tooMany;
  packList(state, spec, plain);
}

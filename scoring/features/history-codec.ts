import { ByteReader, type ByteWriter, damaged } from './bytes.ts';
import type { HistoryList } from './history.ts';

/** Smallest entry: an empty id's length, then four one-byte numbers. */
const ENTRY_BYTES_MIN = 5;
/** Four numbers of at most 8 bytes, or one count. */
const NUMBERS_BYTES_MAX = 32;

/** Entries, oldest first: id, count, quantity, last time after the entry before, first time before the last. */
export function writeHistory(writer: ByteWriter, list: HistoryList): void {
  if (list.raw) {
    writer.append(list.raw);
    return;
  }
  writer.reserve(NUMBERS_BYTES_MAX);
  writer.varint(list.entries.length);
  let before = 0;
  for (const { item_id, count, quantity, firstMs, lastMs } of list.entries) {
    writer.text(item_id);
    writer.reserve(NUMBERS_BYTES_MAX);
    writer.varint(count);
    writer.varint(quantity);
    writer.varint(lastMs - before);
    writer.varint(lastMs - firstMs);
    before = lastMs;
  }
}

/** Checks a written list and steps over it. */
export function checkHistory(reader: ByteReader): void {
  const count = reader.count(ENTRY_BYTES_MIN);
  let lastMs = 0;
  for (let i = 0; i < count; i++) {
    reader.skip(reader.varint());
    reader.varint();
    reader.varint();
    lastMs += reader.varint();
    if (lastMs > Number.MAX_SAFE_INTEGER || reader.varint() > lastMs) throw damaged('a history has an impossible time');
  }
}

/** Turns a list that is still bytes into entries, the newest `itemsMax` of them. */
export function parseHistory(list: HistoryList, itemsMax: number): void {
  if (!list.raw) return;
  const reader = new ByteReader(list.raw);
  const count = reader.varint();
  let lastMs = 0;
  for (let i = 0; i < count; i++) {
    const item_id = reader.text();
    const times = reader.varint();
    const quantity = reader.varint();
    lastMs += reader.varint();
    list.entries.push({ item_id, count: times, quantity, firstMs: lastMs - reader.varint(), lastMs });
  }
  if (count > itemsMax) list.entries.splice(0, count - itemsMax);
  list.raw = undefined;
}

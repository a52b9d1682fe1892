import { GatehouseError } from '../contracts/errors.ts';
import type { Disk, DiskOp } from './disk.ts';
import { STATE_HEADER_BYTES, stateTouchedMs } from './values.ts';

/**
 * Bytes of states that wait in the log before the oldest are written to their own rows: about 280,000 states of the usual 230 bytes, read back in some
 * 200 ms at start. The larger it is, the more often a busy entity changes again before its row has to be written.
 */
export const REDO_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes moved to their rows by one commit, or as many as it adds where that is more: a commit must not stall its writers for the whole log. */
const RETIRE_BYTES_MAX = 8 * 1024 * 1024;
/** Log rows read in one go at start. */
const READ_SLICE = 64;

/** What is put for a state that was erased: no codec writes an empty one. Its row goes when it is retired. */
export const ERASED_STATE = new Uint8Array(0);

export function isErased(value: Uint8Array): boolean {
  return value.length === STATE_HEADER_BYTES;
}

/** The states that one batch changed, as they stand in its row of the log. */
interface Segment {
  readonly id: number;
  readonly row: Buffer;
  readonly places: readonly RedoPlace[];
  /** Where the value of each place begins and ends in `row`, two numbers a place. */
  readonly bounds: readonly number[];
}

/**
 * Where the newest durable value of a key stands in the log. Moved from segment to segment with the key, because a busy key changes with every batch; whoever
 * changes a state keeps its place, so that a commit looks up nothing.
 */
export interface RedoPlace {
  readonly key: string;
  /** None while the log has no durable value of the key. */
  segment: Segment | undefined;
  from: number;
  to: number;
}

/** What a batch brings to the log and what it takes out, known at its sealing and done once it is durable. */
export interface RedoStep {
  readonly added: Segment | undefined;
  readonly retired: readonly Segment[];
}

// key length u16 | value length u32 | key utf8 | value as in the table of states
const ENTRY_HEADER_BYTES = 6;
/** UTF-8 takes at most three bytes for a unit of UTF-16. */
const KEY_BYTES_PER_UNIT = 3;
/** The first buffer that a row is gathered in; it doubles when needed, up to the largest batch. */
const ROW_BYTES_AT_FIRST = 64 * 1024;

/**
 * States on their way to their rows. LMDB rewrites a whole page (4 KB) for each row that changes, and a payment changes half a dozen states of 230 bytes
 * at places far apart: that was thirty times as much writing as there was to say. So a commit appends what its batch changed as one row here, and
 * the rows of the states follow later, once for all changes in between.
 *
 *   segment 7 [u1 c1] -> segment 8 [u2 m1] -> segment 9 [u1 m1]       newest: u1, m1 in 9; u2 in 8; c1 in 7
 *   retire 7: c1 is written to its row, u1 is not (9 has it)
 *
 * The newest version of a state is in the log, or else in its row. What is in memory here is what is durable there.
 */
export class RedoLog {
  readonly #bytesMax: number;
  /** Those that have a segment. */
  readonly #places = new Map<string, RedoPlace>();
  #segments: Segment[] = [];
  /** How many of the oldest segments batches on their way to the disk retire. */
  #retiring = 0;
  #retiringBytes = 0;
  #nextId = 1;
  /** The row that is being gathered: reused from batch to batch, and copied once when it is sealed. */
  #gathered = Buffer.allocUnsafeSlow(ROW_BYTES_AT_FIRST);
  #gatheredBytes = 0;
  #gatheredPlaces: RedoPlace[] = [];
  #gatheredBounds: number[] = [];
  bytes = 0;

  /** Reads what the last process left. Throws `store_incompatible` on a row that does not hold together. */
  constructor(disk: Disk, bytesMax: number) {
    this.#bytesMax = bytesMax;
    for (let start = 0; ; start = this.#nextId) {
      const rows = disk.range('redo', start, READ_SLICE);
      for (const { key, value } of rows) this.#add(this.#parse(Number(key), Buffer.from(value.buffer, value.byteOffset, value.byteLength)));
      if (rows.length < READ_SLICE) return;
    }
  }

  get states(): number {
    return this.#places.size;
  }

  /** The key's place, for `read` and `put`. One at a time may be kept of a key while what was put with it is not durable. */
  place(key: string): RedoPlace {
    return this.#places.get(key) ?? { key, segment: undefined, from: 0, to: 0 };
  }

  /** The newest durable value of a state that has not reached its row; only good until it is retired, so decode it at once. */
  read({ segment, from, to }: RedoPlace): Uint8Array | undefined {
    return segment?.row.subarray(from, to);
  }

  /** A state that the batch which is sealed next has changed, once a batch. `encoded` is copied. */
  put(place: RedoPlace, touchedMs: number, encoded: Uint8Array): void {
    const { key } = place;
    let at = this.#gatheredBytes;
    this.#reserve(ENTRY_HEADER_BYTES + key.length * KEY_BYTES_PER_UNIT + STATE_HEADER_BYTES + encoded.length);
    const row = this.#gathered;
    const keyBytes = writeKey(row, key, at + ENTRY_HEADER_BYTES);
    row.writeUInt16BE(keyBytes, at);
    row.writeUInt32BE(STATE_HEADER_BYTES + encoded.length, at + 2);
    at += ENTRY_HEADER_BYTES + keyBytes;
    row.writeDoubleBE(touchedMs, at);
    row.set(encoded, at + STATE_HEADER_BYTES);
    this.#gatheredBytes = at + STATE_HEADER_BYTES + encoded.length;
    this.#gatheredPlaces.push(place);
    this.#gatheredBounds.push(at, this.#gatheredBytes);
  }

  /** Adds to `ops` the row that holds what was put, and what makes room for it; with `flush`, what writes all older states to their rows. */
  seal(flush: boolean, ops: DiskOp[]): RedoStep {
    const added = this.#takeGathered();
    const addedBytes = added?.row.length ?? 0;
    if (added) ops.push({ table: 'redo', key: added.id, value: added.row });
    const over = this.bytes - this.#retiringBytes + addedBytes - this.#bytesMax;
    const retired = this.#retire(flush ? Number.POSITIVE_INFINITY : Math.min(over, Math.max(RETIRE_BYTES_MAX, addedBytes)), ops);
    return { added, retired };
  }

  /** When the oldest change in the log was made; undefined when it is empty. */
  oldestMs(): number | undefined {
    const first = this.#segments[0];
    return first && stateTouchedMs(first.row.subarray(first.bounds[0], first.bounds[1]));
  }

  committed({ added, retired }: RedoStep): void {
    for (const segment of retired) {
      for (const place of segment.places) {
        if (place.segment !== segment) continue;
        place.segment = undefined;
        this.#places.delete(place.key);
      }
      this.bytes -= segment.row.length;
      this.#retiringBytes -= segment.row.length;
    }
    this.#segments.splice(0, retired.length);
    this.#retiring -= retired.length;
    if (added) this.#add(added);
  }

  /** Every step that was sealed and not committed is lost. */
  lost(): void {
    this.#retiring = 0;
    this.#retiringBytes = 0;
  }

  /** Takes the oldest segments until they hold `bytes`. */
  #retire(bytes: number, ops: DiskOp[]): Segment[] {
    const retired: Segment[] = [];
    for (let left = bytes; left > 0 && this.#retiring < this.#segments.length; this.#retiring++) {
      const segment = this.#segments[this.#retiring]!;
      for (const place of segment.places) {
        if (place.segment !== segment) continue;
        const value = segment.row.subarray(place.from, place.to);
        ops.push({ table: 'states', key: place.key, value: isErased(value) ? undefined : value });
      }
      ops.push({ table: 'redo', key: segment.id, value: undefined });
      retired.push(segment);
      this.#retiringBytes += segment.row.length;
      left -= segment.row.length;
    }
    return retired;
  }

  #add(segment: Segment): void {
    this.#segments.push(segment);
    this.#nextId = Math.max(this.#nextId, segment.id + 1);
    this.bytes += segment.row.length;
    const { places, bounds } = segment;
    for (let i = 0; i < places.length; i++) {
      const place = places[i]!;
      if (place.segment === undefined) this.#places.set(place.key, place);
      place.segment = segment;
      place.from = bounds[2 * i]!;
      place.to = bounds[2 * i + 1]!;
    }
  }

  #reserve(more: number): void {
    if (this.#gatheredBytes + more <= this.#gathered.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#gathered.length * 2, this.#gatheredBytes + more));
    larger.set(this.#gathered.subarray(0, this.#gatheredBytes));
    this.#gathered = larger;
  }

  #takeGathered(): Segment | undefined {
    if (this.#gatheredPlaces.length === 0) return undefined;
    const row = Buffer.allocUnsafeSlow(this.#gatheredBytes);
    row.set(this.#gathered.subarray(0, this.#gatheredBytes));
    const segment: Segment = { id: this.#nextId++, row, places: this.#gatheredPlaces, bounds: this.#gatheredBounds };
    this.#gatheredBytes = 0;
    this.#gatheredPlaces = [];
    this.#gatheredBounds = [];
    return segment;
  }

  #parse(id: number, row: Buffer): Segment {
    const places: RedoPlace[] = [];
    const bounds: number[] = [];
    for (let at = 0; at < row.length; ) {
      const keyAt = at + ENTRY_HEADER_BYTES;
      const from = keyAt <= row.length ? keyAt + row.readUInt16BE(at) : Number.POSITIVE_INFINITY;
      const to = from <= row.length ? from + row.readUInt32BE(at + 2) : Number.POSITIVE_INFINITY;
      if (to > row.length) throw new GatehouseError('store_incompatible', `row ${id} of the redo log does not hold together`);
      places.push(this.place(row.toString('utf8', keyAt, from)));
      bounds.push(from, to);
      at = to;
    }
    return { id, row, places, bounds };
  }
}

/** Writes a key in UTF-8; returns its bytes. A loop, because keys are short and nearly always ASCII. */
function writeKey(row: Buffer, key: string, at: number): number {
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    if (unit > 127) return row.write(key, at);
    row[at + i] = unit;
  }
  return key.length;
}

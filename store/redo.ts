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

/** A state that a batch changed. */
export interface ChangedState {
  readonly key: string;
  readonly touchedMs: number;
  readonly encoded: Uint8Array;
}

/** The states that one batch changed, as they stand in its row of the log. */
interface Segment {
  readonly id: number;
  readonly row: Buffer;
  readonly keys: readonly string[];
  /** Where each key's value stands in `row`. */
  readonly places: readonly Place[];
}

interface Place {
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

/** What a batch brings to the log and what it takes out, known at its sealing and done once it is durable. */
export interface RedoStep {
  readonly added: Segment | undefined;
  readonly retired: readonly Segment[];
}

// key length u16 | value length u32 | key utf8 | value as in the table of states
const ENTRY_HEADER_BYTES = 6;

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
  readonly #newest = new Map<string, Place>();
  #segments: Segment[] = [];
  /** How many of the oldest segments batches on their way to the disk retire. */
  #retiring = 0;
  #retiringBytes = 0;
  #nextId = 1;
  bytes = 0;

  /** Reads what the last process left. Throws `store_incompatible` on a row that does not hold together. */
  constructor(disk: Disk, bytesMax: number) {
    this.#bytesMax = bytesMax;
    for (let start = 0; ; start = this.#nextId) {
      const rows = disk.range('redo', start, READ_SLICE);
      for (const { key, value } of rows) this.#add(parse(Number(key), Buffer.from(value.buffer, value.byteOffset, value.byteLength)));
      if (rows.length < READ_SLICE) return;
    }
  }

  get states(): number {
    return this.#newest.size;
  }

  /** The newest durable value of a state that has not reached its row; only good until it is retired, so decode it at once. */
  get(key: string): Uint8Array | undefined {
    const place = this.#newest.get(key);
    return place?.segment.row.subarray(place.from, place.to);
  }

  /** Adds to `ops` the row that holds `changed`, and what makes room for it; with `flush`, what writes all older states to their rows. */
  seal(changed: readonly ChangedState[], flush: boolean, ops: DiskOp[]): RedoStep {
    const added = changed.length > 0 ? pack(this.#nextId++, changed) : undefined;
    const addedBytes = added?.row.length ?? 0;
    if (added) ops.push({ table: 'redo', key: added.id, value: added.row });
    const over = this.bytes - this.#retiringBytes + addedBytes - this.#bytesMax;
    const retired = this.#retire(flush ? Number.POSITIVE_INFINITY : Math.min(over, Math.max(RETIRE_BYTES_MAX, addedBytes)), ops);
    return { added, retired };
  }

  /** When the oldest change in the log was made; undefined when it is empty. */
  oldestMs(): number | undefined {
    const first = this.#segments[0];
    const place = first?.places[0];
    return first && place && stateTouchedMs(first.row.subarray(place.from, place.to));
  }

  committed({ added, retired }: RedoStep): void {
    for (const segment of retired) {
      for (const key of segment.keys) if (this.#newest.get(key)?.segment === segment) this.#newest.delete(key);
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
      segment.keys.forEach((key, i) => {
        const { from, to } = segment.places[i]!;
        if (this.#newest.get(key)?.segment === segment) ops.push({ table: 'states', key, value: segment.row.subarray(from, to) });
      });
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
    segment.keys.forEach((key, i) => {
      this.#newest.set(key, segment.places[i]!);
    });
  }
}

function pack(id: number, changed: readonly ChangedState[]): Segment {
  const keyBytes = changed.map(({ key }) => Buffer.byteLength(key));
  const length = changed.reduce((sum, { encoded }, i) => sum + ENTRY_HEADER_BYTES + keyBytes[i]! + STATE_HEADER_BYTES + encoded.length, 0);
  const row = Buffer.allocUnsafeSlow(length);
  const places: Place[] = [];
  const segment: Segment = { id, row, keys: changed.map(({ key }) => key), places };
  let at = 0;
  changed.forEach(({ key, touchedMs, encoded }, i) => {
    const from = at + ENTRY_HEADER_BYTES + keyBytes[i]!;
    row.writeUInt16BE(keyBytes[i]!, at);
    row.writeUInt32BE(STATE_HEADER_BYTES + encoded.length, at + 2);
    row.write(key, at + ENTRY_HEADER_BYTES);
    row.writeDoubleBE(touchedMs, from);
    row.set(encoded, from + STATE_HEADER_BYTES);
    at = from + STATE_HEADER_BYTES + encoded.length;
    places.push({ segment, from, to: at });
  });
  return segment;
}

function parse(id: number, row: Buffer): Segment {
  const keys: string[] = [];
  const places: Place[] = [];
  const segment: Segment = { id, row, keys, places };
  for (let at = 0; at < row.length; ) {
    const keyAt = at + ENTRY_HEADER_BYTES;
    const from = keyAt <= row.length ? keyAt + row.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    const to = from <= row.length ? from + row.readUInt32BE(at + 2) : Number.POSITIVE_INFINITY;
    if (to > row.length) throw new GatehouseError('store_incompatible', `row ${id} of the redo log does not hold together`);
    keys.push(row.toString('utf8', keyAt, from));
    places.push({ segment, from, to });
    at = to;
  }
  return segment;
}

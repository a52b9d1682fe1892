/**
 * Offsets that an envelope remembers at least, so that a writer whose view of what is pending is a little old still recognises its own
 * unit. It remembers more while units are pending.
 */
export const APPLIED_MIN = 32;
/** A stuck unit must not let the list grow for ever; the sweeper finishes units within seconds. 24 KB at most. */
export const APPLIED_MAX = 4_096;

// version u32 | count u16 | count * offset u48 | state as its codec wrote it
const HEADER_BYTES = 6;
const OFFSET_BYTES = 6;

/** What one entity's key holds. */
export interface Envelope {
  /** The four bytes that compare-and-set looks at; empty when there is no envelope. */
  readonly version: Buffer;
  /** Journal offsets of the newest units applied, oldest first. */
  readonly applied: readonly number[];
  readonly state: Uint8Array | undefined;
}

export function readEnvelope(bytes: Buffer | null): Envelope {
  if (bytes === null) return { version: Buffer.alloc(0), applied: [], state: undefined };
  const count = bytes.readUInt16BE(4);
  const applied = Array.from({ length: count }, (_, i) => bytes.readUIntBE(HEADER_BYTES + i * OFFSET_BYTES, OFFSET_BYTES));
  return { version: bytes.subarray(0, 4), applied, state: bytes.subarray(HEADER_BYTES + count * OFFSET_BYTES) };
}

/**
 * The envelope that replaces `old`. A new entity starts its version at the offset that made it, so that one which expired and came back is
 * not taken for the old one.
 */
export function writeEnvelope(old: Envelope, applied: readonly number[], state: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + applied.length * OFFSET_BYTES + state.length);
  const version = old.version.length === 0 ? (applied.at(-1) ?? 0) : old.version.readUInt32BE(0) + 1;
  out.writeUInt32BE(version % 2 ** 32, 0);
  out.writeUInt16BE(applied.length, 4);
  applied.forEach((offset, i) => {
    out.writeUIntBE(offset, HEADER_BYTES + i * OFFSET_BYTES, OFFSET_BYTES);
  });
  out.set(state, HEADER_BYTES + applied.length * OFFSET_BYTES);
  return out;
}

/** Drop what can't come back: offsets below every pending unit, but never the newest few. */
export function pruneApplied(applied: readonly number[], oldestPending: number): number[] {
  const sorted = applied.toSorted((a, b) => a - b);
  const firstPending = sorted.findIndex((offset) => offset >= oldestPending);
  const keep = Math.max(firstPending === -1 ? 0 : sorted.length - firstPending, APPLIED_MIN);
  return sorted.slice(-Math.min(keep, APPLIED_MAX));
}

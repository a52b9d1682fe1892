import { createHash } from 'node:crypto';
import { decode, encode } from '@msgpack/msgpack';
import { GatehouseError } from '../contracts/errors.ts';
import { SESSIONS_MAX, SessionIndex } from './sessions.ts';

/**
 * One file, little-endian:
 *
 *   | magic 8 | sessions u32 | clicks u32 | bytes of ids u32 | offsets u32 x (sessions + 1) | items u32 x clicks | ids (MessagePack) | sha256 32 |
 *
 * The inverted index is not in it: it is rebuilt from the sessions in less time than it would take to check.
 */
const MAGIC = 'GHSESS01';
const HEADER_BYTES = 20;
const DIGEST_BYTES = 32;
/** Node reads at most 2 GiB into one buffer. */
export const SESSIONS_FILE_BYTES_MAX = 2 ** 31 - 1;

/** Throws a RangeError where the file would be over its limit. */
export function encodeSessions({ table: { indptr, items, ids } }: SessionIndex): Buffer {
  const names = encode(ids);
  const length = HEADER_BYTES + 4 * (indptr.length + items.length) + names.length + DIGEST_BYTES;
  if (length > SESSIONS_FILE_BYTES_MAX) throw new RangeError(`the sessions would take ${length} bytes, the limit is ${SESSIONS_FILE_BYTES_MAX}`);
  const bytes = Buffer.alloc(length);
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt32LE(indptr.length - 1, 8);
  bytes.writeUInt32LE(items.length, 12);
  bytes.writeUInt32LE(names.length, 16);
  let at = HEADER_BYTES;
  for (const values of [indptr, items]) for (const value of values) at = bytes.writeUInt32LE(value, at);
  bytes.set(names, at);
  bytes.set(digest(bytes.subarray(0, -DIGEST_BYTES)), length - DIGEST_BYTES);
  return bytes;
}

/** Throws `snapshot_corrupt` unless the bytes are whole and every number in them is in range. */
export function decodeSessions(bytes: Uint8Array): SessionIndex {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < HEADER_BYTES + DIGEST_BYTES || file.toString('latin1', 0, 8) !== MAGIC) throw corrupt('these are no sessions');
  const [sessions, clicks, idsBytes] = [file.readUInt32LE(8), file.readUInt32LE(12), file.readUInt32LE(16)];
  const idsAt = HEADER_BYTES + 4 * (sessions + 1 + clicks);
  if (sessions > SESSIONS_MAX || idsAt + idsBytes + DIGEST_BYTES !== file.length) throw corrupt('the sessions are not as long as they say');
  const body = file.subarray(0, -DIGEST_BYTES);
  if (!digest(body).equals(file.subarray(-DIGEST_BYTES))) throw corrupt('the sessions do not match their hash');
  try {
    const indptr = numbersAt(file, HEADER_BYTES, sessions + 1);
    const items = numbersAt(file, HEADER_BYTES + 4 * (sessions + 1), clicks);
    const ids = decode(file.subarray(idsAt, idsAt + idsBytes));
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) throw new RangeError('the ids are not a list of texts');
    return new SessionIndex({ indptr, items, ids });
  } catch (cause) {
    // What MessagePack and the index say of wrong bytes; anything else is a mistake of ours.
    if (cause instanceof RangeError || (cause instanceof Error && cause.name === 'DecodeError')) throw corrupt(cause.message, cause);
    throw cause;
  }
}

function numbersAt(file: Buffer, from: number, count: number): Uint32Array {
  const out = new Uint32Array(count);
  for (let i = 0; i < count; i++) out[i] = file.readUInt32LE(from + 4 * i);
  return out;
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function corrupt(detail: string, cause?: unknown): GatehouseError {
  return new GatehouseError('snapshot_corrupt', detail, cause === undefined ? {} : { cause });
}

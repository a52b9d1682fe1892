import { Decoder, ExtensionCodec } from '@msgpack/msgpack';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { Slabs } from './batch.ts';
import { FLOATS_TYPE, Packer, readFloats } from './packer.ts';

const packer = new Packer();
const recordPacker = new Packer({ floatBlocks: true });
const extensionCodec = new ExtensionCodec();
extensionCodec.register({ type: FLOATS_TYPE, encode: () => null, decode: readFloats });
const decoder = new Decoder({ extensionCodec });

/** MessagePack bytes of a plain value; keys with undefined are left out. The bytes are only good until the next call. */
export function encodeShared(value: unknown): Uint8Array {
  return packer.pack(value);
}

/** MessagePack bytes of a plain value; keys with undefined are left out. */
export function encodeValue(value: unknown): Uint8Array {
  return packer.pack(value).slice();
}

/** A fact or an alert as the embedded store writes it. The bytes are only good until the next call. */
export function encodeRecordShared(record: Fact | Alert): Uint8Array {
  return recordPacker.pack(record);
}

export function decodeValue(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}

export function documentConflict(collection: string, id: string): GatehouseError {
  return new GatehouseError('document_conflict', `${collection}/${id} is not what it was when the change was prepared`);
}

/** What is remembered of a unit under its idempotency key. */
export interface KeyRecord {
  readonly offset: number;
  readonly digest: string;
  readonly atMs: number;
  readonly answer: Uint8Array | undefined;
}

// offset f64 | atMs f64 | has answer u8 | digest length u16 | digest utf8 | answer
const KEY_HEADER_BYTES = 19;

/** The record's row, in memory of `slabs`. */
export function encodeKeyRecord(record: KeyRecord, slabs: Slabs): Buffer {
  const digestBytes = Buffer.byteLength(record.digest);
  const out = slabs.take(KEY_HEADER_BYTES + digestBytes + (record.answer?.length ?? 0));
  out.writeDoubleBE(record.offset, 0);
  out.writeDoubleBE(record.atMs, 8);
  out[16] = record.answer ? 1 : 0;
  out.writeUInt16BE(digestBytes, 17);
  out.write(record.digest, KEY_HEADER_BYTES);
  if (record.answer) out.set(record.answer, KEY_HEADER_BYTES + digestBytes);
  return out;
}

export function decodeKeyRecord(bytes: Uint8Array): KeyRecord {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const answerAt = KEY_HEADER_BYTES + view.readUInt16BE(17);
  return {
    offset: view.readDoubleBE(0),
    atMs: view.readDoubleBE(8),
    digest: view.toString('utf8', KEY_HEADER_BYTES, answerAt),
    answer: view[16] === 1 ? new Uint8Array(view.subarray(answerAt)) : undefined,
  };
}

/** When the key was first used, without decoding the rest. */
export function keyRecordAtMs(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(8);
}

// touchedMs f64 | state as its codec wrote it
export const STATE_HEADER_BYTES = 8;

/** The row of a state. */
export function stateRow(touchedMs: number, encoded: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(STATE_HEADER_BYTES + encoded.length);
  row.writeDoubleBE(touchedMs, 0);
  row.set(encoded, STATE_HEADER_BYTES);
  return row;
}

export function stateTouchedMs(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0);
}

/** Every alert is journalled as well, so that the alerts log can be rebuilt from the journal. */
export function alertFact(alert: Alert): Fact {
  return { kind: 'alert', at_ms: alert.at_ms, alert };
}

/** A document with its id, because its key may be a hash of it. The bytes are only good until the next call. */
export function packDoc(id: string, value: unknown): Uint8Array {
  return encodeShared([id, value]);
}

export function unpackDoc(bytes: Uint8Array): { readonly id: string; readonly value: unknown } {
  const [id, value] = decodeValue(bytes) as [string, unknown];
  return { id, value };
}

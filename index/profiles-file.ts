import { decode, encode } from '@msgpack/msgpack';
import { GatehouseError } from '../contracts/errors.ts';
import { ProfileIndex } from './profiles.ts';

/** `tables.profiles` of a bundle (MessagePack): the columns of a `ProfileTable` as little-endian bytes. The inverted lists are rebuilt from it. */
interface ProfilesFile {
  readonly format: 'gatehouse-profiles-1';
  readonly ids: readonly string[];
  readonly indptr: Uint8Array;
  readonly items: Uint8Array;
  readonly values: Uint8Array;
  readonly votes: Uint8Array;
}

export function encodeProfiles({ table: { ids, indptr, items, values, votes } }: ProfileIndex): Uint8Array {
  const file: ProfilesFile = {
    format: 'gatehouse-profiles-1',
    ids,
    indptr: bytesOf(indptr),
    items: bytesOf(items),
    values: bytesOf(values),
    votes: bytesOf(votes),
  };
  return encode(file);
}

/** Throws `snapshot_corrupt` unless every column is there and every number in range. */
export function decodeProfiles(bytes: Uint8Array): ProfileIndex {
  try {
    const file = decode(bytes) as Partial<ProfilesFile> | null;
    if (file?.format !== 'gatehouse-profiles-1') throw new RangeError('these are no profiles');
    const { ids } = file;
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) throw new RangeError('the ids are not a list of texts');
    return new ProfileIndex({
      ids,
      indptr: new Uint32Array(aligned(file.indptr)),
      items: new Uint32Array(aligned(file.items)),
      values: new Float32Array(aligned(file.values)),
      votes: new Float32Array(aligned(file.votes)),
    });
  } catch (cause) {
    // What MessagePack and the index say of wrong bytes; anything else is a mistake of ours.
    if (cause instanceof RangeError || (cause instanceof Error && cause.name === 'DecodeError')) {
      throw new GatehouseError('snapshot_corrupt', cause.message, { cause });
    }
    throw cause;
  }
}

/** A copy on a buffer of its own: MessagePack hands out views at any offset. */
function aligned(column: unknown): ArrayBuffer {
  if (!(column instanceof Uint8Array) || column.byteLength % 4 !== 0) throw new RangeError('a column is missing or cut off');
  return new Uint8Array(column).buffer;
}

/** Every platform of onnxruntime-node is little-endian, so memory is what the file wants. */
function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

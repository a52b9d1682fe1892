import { createHash } from 'node:crypto';

/**
 * Longest id that is used as a key as it is. LMDB takes 1978 bytes; 256 leaves room for prefixes and three bytes a character,
 * and twice the 128 characters that the wire allows.
 */
export const KEY_CHARS_MAX = 256;

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * A key that no other id can have: ids that are short and well-formed stand for themselves behind `r`, others are hashed behind `h`
 * (a lone surrogate would otherwise be written as U+FFFD and meet its neighbours there).
 */
export function safeKey(id: string): string {
  if (id.length <= KEY_CHARS_MAX && !LONE_SURROGATE.test(id)) return `r${id}`;
  return `h${createHash('sha256').update(Buffer.from(id, 'utf16le')).digest('hex')}`;
}

/** Key of a document. The length in front keeps (`a`, `b:c`) and (`a:b`, `c`) apart. */
export function docKey(collection: string, id: string): string {
  return docPrefix(collection) + safeKey(id);
}

export function docPrefix(collection: string): string {
  const safe = safeKey(collection);
  return `${safe.length}:${safe}:`;
}

import { createHash, randomBytes } from 'node:crypto';
import { KEY_KINDS, type KeyKind } from '../../contracts/control.ts';
import type { Capability } from '../../contracts/routes.ts';

/** What a principal is. Deny by default: only what stands in `ALLOWED` is allowed. */
export type PrincipalKind = KeyKind | 'admin';

/** A publishable key is in every page's source, so it may only report and ask; a secret key stays on servers; admin works on the control port alone. */
const ALLOWED: Readonly<Record<PrincipalKind, ReadonlySet<Capability>>> = {
  publishable: new Set<Capability>(['events', 'recommend']),
  secret: new Set<Capability>(['events', 'recommend', 'items', 'score', 'stream_token']),
  admin: new Set<Capability>(['admin']),
};

export function allows(kind: PrincipalKind, capability: Capability): boolean {
  return ALLOWED[kind].has(capability);
}

const PREFIX: Readonly<Record<PrincipalKind, string>> = { publishable: 'gh_pub_', secret: 'gh_sec_', admin: 'gh_adm_' };

/** 32 bytes: nobody guesses 256 random bits, whatever the speed of the hash. */
const KEY_BYTES = 32;

/** A new random key. Its prefix says what it is, so that a scanner for leaked secrets can find it. */
export function generateKey(kind: PrincipalKind, random: (bytes: number) => Buffer = randomBytes): string {
  return PREFIX[kind] + random(KEY_BYTES).toString('base64url');
}

/**
 * SHA-256 of a key. A slow password hash would be wrong here: it protects secrets that people choose and attackers guess, while these keys
 * are 256 random bits; and it would cost milliseconds on each request.
 */
export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

const HASH_FORM = /^sha256:([0-9a-f]{64})$/;
/** What `generateKey` makes: prefix and 43 characters of base64url. */
const KEY_FORM = /^gh_(pub|sec|adm)_[A-Za-z0-9_-]{43}$/;

/**
 * The hash of a key from the settings, given in plain or as `sha256:<hex>`; undefined when it is neither, or of another kind than asked for
 * (a short key that a person made up would not bear a fast hash).
 */
export function hashOfSetting(kind: PrincipalKind, given: string): Buffer | undefined {
  const hex = HASH_FORM.exec(given)?.[1];
  if (hex !== undefined) return Buffer.from(hex, 'hex');
  return given.startsWith(PREFIX[kind]) && KEY_FORM.test(given) ? hashKey(given) : undefined;
}

/** A key as the documents collection `api_keys` holds it, under its id. */
export interface StoredKey {
  readonly kind: KeyKind;
  readonly label: string;
  /** Lower-case hex of `hashKey`. */
  readonly hash: string;
  readonly origins: readonly string[];
  readonly created_ms: number;
}

export const KEYS_COLLECTION = 'api_keys';

/** A document of the store is data from outside: it is checked before it can open a door. */
export function isStoredKey(value: unknown): value is StoredKey {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, label, hash, origins, created_ms } = value as Record<string, unknown>;
  return (
    (KEY_KINDS as readonly unknown[]).includes(kind) &&
    typeof label === 'string' &&
    typeof hash === 'string' &&
    /^[0-9a-f]{64}$/.test(hash) &&
    Array.isArray(origins) &&
    origins.every((origin) => typeof origin === 'string') &&
    Number.isInteger(created_ms)
  );
}

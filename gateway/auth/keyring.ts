import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiKeySummary, CreateKeyRequest, CreateKeyResponse } from '../../contracts/control.ts';
import { GatehouseError } from '../../contracts/errors.ts';
import type { Capability } from '../../contracts/routes.ts';
import type { Store } from '../../store/contract.ts';
import type { Audit } from '../audit.ts';
import { isOrigin } from '../config.ts';
import { allows, generateKey, hashKey, hashOfSetting, isStoredKey, KEYS_COLLECTION, type PrincipalKind, type StoredKey } from './keys.ts';

/** Who a request comes from. `id` is safe to log: it tells nothing of the key. */
export interface Principal {
  readonly kind: PrincipalKind;
  readonly id: string;
  readonly origins: readonly string[];
}

export interface Keyring {
  /**
   * The principal of an `Authorization` header that may use `capability`. Synchronous and without I/O: it runs on every request.
   * Throws `unauthenticated` (no or unknown key), `forbidden` (key of another kind), `origin_not_allowed` (a publishable key from
   * a page whose origin it does not list; a caller without `Origin` is no browser and passes).
   */
  check(authorization: string | undefined, capability: Capability, origin?: string): Principal;
  /** Whether some publishable key lists the origin: what a CORS preflight, which carries no key, may be told. */
  originAllowed(origin: string): boolean;
  /** Keys of the store, the oldest first. */
  list(): readonly ApiKeySummary[];
  /** Make a key in the store; its plain text is returned this once. `actor` is journalled. Rejects with the store's errors. */
  create(request: CreateKeyRequest, actor: string): Promise<CreateKeyResponse>;
  /** Forget a key of the store, at once. Rejects with `not_found`. */
  revoke(id: string, actor: string): Promise<void>;
  /** Read the keys of the store again. */
  reload(): Promise<void>;
  close(): void;
}

type KeyStore = Pick<Store<never>, 'docs' | 'onForeignFact'>;

export interface KeyringOptions {
  readonly store: KeyStore;
  readonly audit: Audit;
  readonly now: () => number;
  /** As in the settings: plain or `sha256:<hex>`. */
  readonly adminToken?: string | undefined;
  /** `name=token` of operators, each with the token in one of the two forms. */
  readonly adminTokens?: readonly string[];
  readonly secretKeys?: readonly string[];
  readonly publishableKeys?: readonly string[];
  /** Origins of the publishable keys of the settings. */
  readonly allowedOrigins?: readonly string[];
  readonly random?: (bytes: number) => Buffer;
  /** Told when keys that another process changed could not be read again; the old ones stay. */
  readonly onReloadError: (error: unknown) => void;
}

interface Entry {
  readonly hash: Buffer;
  readonly principal: Principal;
}

/** Headers whose principal is remembered, so that a key costs a map lookup instead of a hash. Few callers have more keys than this. */
const CACHE_ENTRIES_MAX = 1024;
/** Longer than any key; hashing what a stranger sends is bounded by it. */
const HEADER_LENGTH_MAX = 256;
const KEY_ID_BYTES = 6;
/** An unknown key is compared with every one (some 0.1 ms for all of these); a shop needs a handful. */
const KEYS_MAX = 1000;

/** Load the keys of the settings and of the store. Throws `config_invalid` for a key of the settings that is malformed. */
export async function createKeyring(options: KeyringOptions): Promise<Keyring> {
  const { store, audit, now } = options;
  const random = options.random ?? randomBytes;
  const fixed = entriesOfSettings(options);
  let stored = new Map<string, StoredKey>();
  let entries: readonly Entry[] = fixed;
  let origins = new Set<string>();
  const cache = new Map<string, Principal>();

  function index(): void {
    entries = [...fixed, ...[...stored].map(([id, key]) => entry(key.kind, id, Buffer.from(key.hash, 'hex'), key.origins))];
    origins = new Set(entries.flatMap(({ principal }) => (principal.kind === 'publishable' ? principal.origins : [])));
    cache.clear();
  }

  async function reload(): Promise<void> {
    const loaded = new Map<string, StoredKey>();
    for await (const { id, value } of store.docs(KEYS_COLLECTION)) {
      if (!isStoredKey(value))
        throw new GatehouseError('store_incompatible', `the API key ${id} in the store has a form that this version does not know`);
      loaded.set(id, value);
    }
    stored = loaded;
    index();
  }

  /** Every entry is compared, each in constant time, so that the time tells neither which key matched nor how much of one. */
  function find(key: string): Principal | undefined {
    const hash = hashKey(key);
    let found: Principal | undefined;
    for (const candidate of entries) if (timingSafeEqual(candidate.hash, hash)) found = candidate.principal;
    return found;
  }

  function authenticate(authorization: string | undefined): Principal {
    if (authorization === undefined || authorization.length > HEADER_LENGTH_MAX) throw unauthenticated();
    const cached = cache.get(authorization);
    if (cached !== undefined) return cached;
    const key = /^bearer +(\S+)$/i.exec(authorization)?.[1];
    const principal = key === undefined ? undefined : find(key);
    if (principal === undefined) throw unauthenticated();
    // Only good keys are remembered, so a stranger can neither fill nor flush the cache.
    if (cache.size >= CACHE_ENTRIES_MAX) cache.clear();
    cache.set(authorization, principal);
    return principal;
  }

  const unsubscribe = store.onForeignFact(({ fact }) => {
    if (fact.kind === 'admin' && fact.action.startsWith('key.')) reload().catch(options.onReloadError);
  });
  await reload();

  return {
    check(authorization, capability, origin) {
      const principal = authenticate(authorization);
      if (!allows(principal.kind, capability)) throw new GatehouseError('forbidden', `a ${principal.kind} key has no access to ${capability}`);
      if (principal.kind === 'publishable' && origin !== undefined && !principal.origins.includes(origin)) {
        throw new GatehouseError('origin_not_allowed', 'the key does not list the origin of this page');
      }
      return principal;
    },
    originAllowed: (origin) => origins.has(origin),
    list: () =>
      [...stored]
        .map(([id, { kind, label, origins: listed, created_ms }]) => ({ id, kind, label, origins: [...listed], created_ms }))
        .sort((a, b) => a.created_ms - b.created_ms || (a.id < b.id ? -1 : 1)),
    async create(request, actor) {
      for (const origin of request.origins ?? []) {
        if (!isOrigin(origin)) throw new GatehouseError('invalid_request', 'origins must look like https://shop.example, without a path');
      }
      if (stored.size >= KEYS_MAX) throw new GatehouseError('invalid_request', `there are ${KEYS_MAX} API keys already: revoke some first`);
      const key = generateKey(request.kind, random);
      const id = `key_${random(KEY_ID_BYTES).toString('hex')}`;
      const value: StoredKey = {
        kind: request.kind,
        label: request.label,
        hash: hashKey(key).toString('hex'),
        origins: request.origins ?? [],
        created_ms: now(),
      };
      const detail = { id, kind: value.kind, label: value.label, origins: value.origins };
      await audit.record({ actor, action: 'key.create', detail }, [{ collection: KEYS_COLLECTION, id, value }]);
      stored.set(id, value);
      index();
      return { key, id };
    },
    async revoke(id, actor) {
      const key = stored.get(id);
      if (key === undefined) throw new GatehouseError('not_found', 'there is no API key with this id in the store');
      const detail = { id, kind: key.kind, label: key.label };
      await audit.record({ actor, action: 'key.revoke', detail }, [{ collection: KEYS_COLLECTION, id, value: undefined }]);
      stored.delete(id);
      index();
    },
    reload,
    close: unsubscribe,
  };
}

function unauthenticated(): GatehouseError {
  return new GatehouseError('unauthenticated', 'send Authorization: Bearer with a key of this gateway');
}

function entry(kind: PrincipalKind, id: string, hash: Buffer, origins: readonly string[]): Entry {
  return { hash, principal: Object.freeze({ kind, id, origins: Object.freeze([...origins]) }) };
}

/** Names of the journal's actors that are no operator. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['admin', 'gatehouse', 'rules-file', 'circuit-breaker']);

function operatorsOf(adminTokens: readonly string[]): (readonly [name: string, token: string])[] {
  const names = new Set<string>();
  return adminTokens.map((given) => {
    const at = given.indexOf('=');
    const name = given.slice(0, Math.max(0, at));
    if (!/^[a-z][a-z0-9._-]{0,31}$/.test(name) || RESERVED_NAMES.has(name) || names.has(name))
      throw new GatehouseError(
        'config_invalid',
        'GATEHOUSE_ADMIN_TOKENS must hold name=token, each name once, lower case, and none that the gateway uses itself',
      );
    names.add(name);
    return [name, given.slice(at + 1)] as const;
  });
}

function entriesOfSettings({
  adminToken,
  adminTokens = [],
  secretKeys = [],
  publishableKeys = [],
  allowedOrigins = [],
}: KeyringOptions): readonly Entry[] {
  const hash = (kind: PrincipalKind, given: string, setting: string): Buffer => {
    const value = hashOfSetting(kind, given);
    if (value === undefined)
      throw new GatehouseError('config_invalid', `${setting} must hold keys made by \`gatehouse key\`, or sha256:<hex> of such`);
    return value;
  };
  return [
    ...(adminToken === undefined ? [] : [entry('admin', 'admin', hash('admin', adminToken, 'GATEHOUSE_ADMIN_TOKEN'), [])]),
    ...operatorsOf(adminTokens).map(([name, token]) => entry('admin', name, hash('admin', token, 'GATEHOUSE_ADMIN_TOKENS'), [])),
    ...secretKeys.map((key, at) => entry('secret', `settings_secret_${at}`, hash('secret', key, 'GATEHOUSE_SECRET_KEYS'), [])),
    ...publishableKeys.map((key, at) =>
      entry('publishable', `settings_publishable_${at}`, hash('publishable', key, 'GATEHOUSE_PUBLISHABLE_KEYS'), allowedOrigins),
    ),
  ];
}

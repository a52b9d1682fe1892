import { randomUUID } from 'node:crypto';
import { createClient, RESP_TYPES } from 'redis';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { RetentionPolicy, StateCodec, Store, Unit } from './contract.ts';
import { type RedisArgument, RedisKeys, type RedisLink, type Script, toNumber } from './redis-link.ts';
import { RedisStore } from './redis-store.ts';

/** The layout of what is in Redis. Raise it when an older Gatehouse could misread what this one writes. 2: records may stand beside their stream. */
const FORMAT = 2;
/** The oldest layout that is taken over as it is. */
const FORMAT_OLDEST = 1;
/** No call waits longer for Redis: a request can then still be answered in a degraded way within its own deadline. */
export const REDIS_CALL_MS_MAX = 1_000;
/** The reader's calls block for a second on purpose. */
const READER_CALL_MS_MAX = 3_000;
const CONNECT_MS_MAX = 1_000;
/** Tries to reconnect double their pause up to this, so that Redis is used again soon after it is back. */
const RECONNECT_MS_MAX = 250;
/** Commands waiting for an answer; beyond it calls are refused. About a second of what one Redis does. */
const COMMANDS_MAX = 50_000;
const PENDING_UNITS_MAX = 20_000;
/** The prefix stands in front of a cluster hash tag, and braces would make another one. */
const PREFIX = /^[A-Za-z0-9_.:-]{1,64}$/;

export interface RedisStoreOptions<S> {
  /** `redis://`, `rediss://` or `unix:` address. */
  readonly url: string;
  /** Stands in front of every key: one Redis may serve several Gatehouses. */
  readonly prefix: string;
  readonly codec: StateCodec<S>;
  readonly retention: RetentionPolicy;
  /** The unit of a journalled fact, or undefined when it touches no entity: needed to finish what a dead process began. */
  readonly resume: (fact: Fact) => Unit<S> | undefined;
  readonly pendingUnitsMax?: number;
  /** From 0 to 1, for pauses. */
  readonly random?: () => number;
  readonly newEpoch?: () => string;
}

/**
 * Open the store that several processes share. A write's promise resolves when Redis has answered, which is as durable as its
 * `appendfsync` makes it: `always` survives a power cut, `everysec` (its default with AOF) may lose the last second, and without AOF
 * everything since the last snapshot may go. Replication is asynchronous: a failover may lose the newest writes. After such a loss clients
 * send again, and an alerts log that went backwards starts a new epoch.
 *
 * While Redis is away every call rejects with `store_unavailable` within `REDIS_CALL_MS_MAX`, nothing is queued for later, and the
 * connection comes back by itself. Expiry follows the clock of Redis. Throws `store_unavailable`, `store_incompatible` or `config_invalid`.
 */
export async function openRedisStore<S>(options: RedisStoreOptions<S>): Promise<Store<S>> {
  if (!PREFIX.test(options.prefix)) throw new GatehouseError('config_invalid', `the Redis prefix must match ${PREFIX}`);
  const random = options.random ?? Math.random;
  const newEpoch = options.newEpoch ?? randomUUID;
  const keys = new RedisKeys(options.prefix);
  const link = await connect(options.url, REDIS_CALL_MS_MAX, random);
  let readerLink: ClientLink | undefined;
  try {
    const format = toNumber(await link.call('SET', keys.format, String(FORMAT), 'NX', 'GET'));
    if (format !== undefined && !(format >= FORMAT_OLDEST && format <= FORMAT)) {
      throw new GatehouseError('store_incompatible', `the store has format ${format}, this version reads ${FORMAT_OLDEST} to ${FORMAT}`);
    }
    if (format !== FORMAT) await link.call('SET', keys.format, String(FORMAT));
    readerLink = await connect(options.url, READER_CALL_MS_MAX, random);
    const store = new RedisStore<S>(
      link,
      readerLink,
      keys,
      {
        codec: options.codec,
        retention: options.retention,
        origin: randomUUID(),
        resume: options.resume,
        random,
        pendingUnitsMax: options.pendingUnitsMax ?? PENDING_UNITS_MAX,
      },
      newEpoch,
    );
    await store.start();
    return store;
  } catch (error) {
    link.close();
    readerLink?.close();
    throw error;
  }
}

/** Throws `config_invalid` on an address that the client does not take. The address may hold a password, so it is not quoted. */
function newClient(url: string, random: () => number) {
  try {
    return clientOf(url, random);
  } catch (cause) {
    throw new GatehouseError('config_invalid', 'GATEHOUSE_REDIS_URL must be a redis://, rediss:// or unix:// address', { cause });
  }
}

function clientOf(url: string, random: () => number) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_MAX,
    maintNotifications: 'disabled',
    socket: {
      connectTimeout: CONNECT_MS_MAX,
      reconnectStrategy: (retries: number) => Math.min(2 ** retries * 10, RECONNECT_MS_MAX) * (0.5 + random() / 2),
    },
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.SIMPLE_STRING]: Buffer } },
  });
}

/** A bare connection with the same limits and errors. */
export function connectRedis(url: string): Promise<RedisLink> {
  return connect(url, REDIS_CALL_MS_MAX, Math.random);
}

async function connect(url: string, callMsMax: number, random: () => number): Promise<ClientLink> {
  const link = new ClientLink(newClient(url, random), callMsMax);
  try {
    await link.open();
    return link;
  } catch (cause) {
    link.close();
    throw asStoreError(cause);
  }
}

class ClientLink implements RedisLink {
  readonly #client: ReturnType<typeof newClient>;
  readonly #callMsMax: number;
  #closed = false;
  #connectError: unknown;

  constructor(client: ReturnType<typeof newClient>, callMsMax: number) {
    this.#client = client;
    this.#callMsMax = callMsMax;
    // The client reconnects by itself; what failed meanwhile was rejected where it was called.
    client.on('error', (error: unknown) => {
      this.#connectError = error;
    });
  }

  async open(): Promise<void> {
    try {
      await within(this.#client.connect(), CONNECT_MS_MAX);
    } catch (cause) {
      // That the time was up says less than why each try failed.
      throw this.#connectError ?? cause;
    }
  }

  async call(...args: readonly RedisArgument[]): Promise<unknown> {
    return this.#send(args);
  }

  async run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.#send(['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      if (!(error instanceof GatehouseError && error.cause instanceof Error && error.cause.message.startsWith('NOSCRIPT'))) throw error;
      return this.#send(['EVAL', script.body, ...rest]);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.destroy();
  }

  async #send(args: readonly RedisArgument[]): Promise<unknown> {
    try {
      return await within(this.#client.sendCommand<unknown>(args as RedisArgument[]), this.#callMsMax);
    } catch (cause) {
      throw asStoreError(cause);
    }
  }
}

/** The result, or a rejection after `ms`. A reply that comes later is dropped: the caller sends again, which is safe. */
async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function asStoreError(cause: unknown): GatehouseError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (why.startsWith('OOM ')) return new GatehouseError('store_full', `Redis: ${why}`, { cause });
  if (why === 'The queue is full') return new GatehouseError('overloaded', `${COMMANDS_MAX} commands wait for Redis`, { cause });
  return new GatehouseError('store_unavailable', `Redis: ${why}`, { cause });
}

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { EntityRef } from './contract.ts';
import { safeKey } from './keys.ts';

export type RedisArgument = string | Buffer;

/** A Lua script beside this file. */
export interface Script {
  readonly body: string;
  readonly sha1: string;
}

function load(name: string): Script {
  const body = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
  return { body, sha1: createHash('sha1').update(body).digest('hex') };
}

export const SCRIPTS = {
  append: load('append'),
  cas: load('cas'),
  decide: load('decide'),
  erase: load('erase'),
  forget: load('forget'),
  raise: load('raise'),
  write: load('write'),
};

/**
 * What the Redis store needs of a connection. Calls of one turn travel together. Replies hold Buffers for strings. Each call settles within
 * a bounded time; failures are GatehouseErrors.
 */
export interface RedisLink {
  call(...args: readonly RedisArgument[]): Promise<unknown>;
  run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown>;
  close(): void;
}

/** The keys of one log. */
export interface LogKeys {
  readonly stream: string;
  /** The number of the newest record. */
  readonly counter: string;
  /** What an erasure moved out of the stream. */
  readonly moved: string;
  /** The field of a record's bytes. */
  readonly field: string;
}

/**
 * Key names. Everything that one script touches shares the hash tag, so that a cluster keeps it on one node; each entity has a slot of its
 * own.
 */
export class RedisKeys {
  readonly #prefix: string;
  readonly #log: string;
  readonly journal: LogKeys;
  readonly alerts: LogKeys;
  readonly pending: string;
  readonly epoch: string;
  readonly format: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#log = `{${prefix}:log}`;
    this.journal = this.#logKeys('journal', 'f');
    this.alerts = this.#logKeys('alerts', 'a');
    this.pending = `${this.#log}:pending`;
    this.epoch = `${this.#log}:epoch`;
    this.format = `${this.#log}:format`;
  }

  #logKeys(name: string, field: string): LogKeys {
    const stream = `${this.#log}:${name}`;
    return { stream, counter: `${stream}:n`, moved: `${stream}:moved`, field };
  }

  key(id: string): string {
    return `${this.#log}:k:${safeKey(id)}`;
  }

  docs(collection: string): string {
    return `${this.#log}:docs:${safeKey(collection)}`;
  }

  state({ kind, id }: EntityRef): string {
    return `${this.#prefix}:s:${kind}:${safeKey(id)}`;
  }
}

/** A whole number out of a reply (`:5`, `$1 5`), or undefined for nil. */
export function toNumber(reply: unknown): number | undefined {
  if (reply === null || reply === undefined) return undefined;
  const value = Number(String(reply));
  if (!Number.isSafeInteger(value)) throw new Error(`Redis answered ${String(reply)} where a number belongs`);
  return value;
}

/** A record of a stream: the number in front of its id, and its fields. */
export interface StreamRecord {
  readonly offset: number;
  readonly fields: ReadonlyMap<string, Buffer>;
}

export function toStreamRecords(reply: unknown): StreamRecord[] {
  if (reply === null || reply === undefined) return [];
  return (reply as [Buffer, Buffer[]][]).map(([id, flat]) => {
    const fields = new Map<string, Buffer>();
    for (let i = 0; i + 1 < flat.length; i += 2) fields.set(String(flat[i]), flat[i + 1] as Buffer);
    return { offset: Number(String(id).split('-')[0]), fields };
  });
}

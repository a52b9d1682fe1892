import { setTimeout as sleep } from 'node:timers/promises';
import { GatehouseError } from '../contracts/errors.ts';
import type { Erasure } from './contract.ts';
import { type LogKeys, type RedisKeys, type RedisLink, SCRIPTS } from './redis-link.ts';
import { encodeValue } from './values.ts';

/** Records replaced by one script, with some twenty neighbours each: Redis is held for a few ms. */
const ERASE_SLICE = 64;
/** A unit of the person that is not finished is waited for so long: one that lost its process is taken on after two seconds. */
const PENDING_MS_MAX = 10_000;
const PENDING_POLL_MS = 50;
/** Redis writes its files anew in the background, at some 100 MB a second: enough for 50 GB. */
const PURGE_MS_MAX = 600_000;
const PURGE_POLL_MS = 100;
/** What a node of a stream holds where the server does not say how it is set: as Redis ships. */
const NODE_BYTES = '4096';
const NODE_ENTRIES = '100';
/** A server that others run lets nobody see its settings or write its files. */
const REFUSED = /^(NOPERM|ERR unknown command)/;

/** Takes a person's rows out of Redis. See `Store.erase`. */
export class RedisEraser {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  /** Files that the server would not write anew when it was asked to. */
  readonly counters = { purges_refused: 0 };

  constructor(link: RedisLink, keys: RedisKeys) {
    this.#link = link;
    this.#keys = keys;
  }

  async erase({ facts = [], alerts = [], answers = [], states = [] }: Erasure): Promise<void> {
    const { journal, alerts: log, pending } = this.#keys;
    await this.#replace(
      journal,
      facts.map(({ offset, fact }) => ({ offset, value: fact })),
      [pending],
    );
    await this.#replace(
      log,
      alerts.map(({ offset, alert }) => ({ offset, value: alert })),
      [],
    );
    for (let at = 0; at < answers.length; at += ERASE_SLICE) {
      const keys = answers.slice(at, at + ERASE_SLICE).map((key) => this.#keys.key(key));
      await this.#link.run(SCRIPTS.forget, keys, []);
    }
    await Promise.all(states.map((ref) => this.#link.call('DEL', this.#keys.state(ref))));
  }

  /** Has the server write its files anew, those that it has. */
  async purge(): Promise<void> {
    const persistence = await this.#persistence();
    if (persistence.get('aof_enabled') === '1') await this.#rewrite(['BGREWRITEAOF'], 'aof_rewrite', 'aof_last_bgrewrite_status');
    if ((await this.#setting('save', '')) !== '') await this.#rewrite(['BGSAVE', 'SCHEDULE'], 'rdb_bgsave', 'rdb_last_bgsave_status');
  }

  async #replace(log: LogKeys, records: readonly { readonly offset: number; readonly value: unknown }[], pending: readonly string[]): Promise<void> {
    if (records.length === 0) return;
    const node = [await this.#setting('stream-node-max-bytes', NODE_BYTES), await this.#setting('stream-node-max-entries', NODE_ENTRIES)];
    if (node.every((limit) => limit === '0'))
      throw new GatehouseError(
        'erase_unsupported',
        'the nodes of this server’s streams have no limit (stream-node-max-bytes, stream-node-max-entries)',
      );
    for (let at = 0; at < records.length; at += ERASE_SLICE) {
      const slice = records.slice(at, at + ERASE_SLICE).flatMap(({ offset, value }) => [String(offset), Buffer.from(encodeValue(value))]);
      const endMs = performance.now() + PENDING_MS_MAX;
      while ((await this.#link.run(SCRIPTS.erase, [log.stream, log.moved, ...pending], [log.field, ...node, ...slice])) !== 1) {
        if (performance.now() > endMs) throw new GatehouseError('store_unavailable', 'an event of the person is not finished; ask again later');
        await sleep(PENDING_POLL_MS);
      }
    }
  }

  /** One that had begun before what was erased went is waited for, and does not count. */
  async #rewrite(command: readonly string[], work: string, status: string): Promise<void> {
    const endMs = performance.now() + PURGE_MS_MAX;
    await this.#untilIdle(work, endMs);
    try {
      await this.#link.call(...command);
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.counters.purges_refused++;
      return;
    }
    const after = await this.#untilIdle(work, endMs);
    if (after.get(status) !== 'ok') throw new GatehouseError('store_unavailable', `Redis could not write its files anew (${command[0]})`);
  }

  async #untilIdle(work: string, endMs: number): Promise<ReadonlyMap<string, string>> {
    for (;;) {
      const persistence = await this.#persistence();
      if (persistence.get(`${work}_in_progress`) !== '1' && persistence.get(`${work}_scheduled`) !== '1') return persistence;
      if (performance.now() > endMs)
        throw new GatehouseError('store_unavailable', `Redis did not write its files anew in ${PURGE_MS_MAX / 60_000} minutes`);
      await sleep(PURGE_POLL_MS);
    }
  }

  async #persistence(): Promise<ReadonlyMap<string, string>> {
    const text = String(await this.#link.call('INFO', 'persistence'));
    return new Map(text.split('\r\n').map((line) => line.split(':') as [string, string]));
  }

  async #setting(name: string, otherwise: string): Promise<string> {
    try {
      const [, value] = (await this.#link.call('CONFIG', 'GET', name)) as (Buffer | undefined)[];
      return value === undefined ? otherwise : String(value);
    } catch (error) {
      if (isRefused(error)) return otherwise;
      throw error;
    }
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof GatehouseError && error.cause instanceof Error && REFUSED.test(error.cause.message);
}

import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { AlertRecord, DocChange, EntityRef, Erasure, JournalRecord, Store, Unit, UnitResult } from './contract.ts';
import { safeKey } from './keys.ts';
import { Listeners } from './listeners.ts';
import { readEnvelope } from './redis-envelope.ts';
import { RedisEraser } from './redis-erase.ts';
import { RedisIngest, type RedisIngestOptions } from './redis-ingest.ts';
import { type RedisKeys, type RedisLink, SCRIPTS, toNumber } from './redis-link.ts';
import { RedisLog } from './redis-log.ts';
import { ensureEpoch, RedisReader } from './redis-reader.ts';
import { alertFact, decodeValue, documentConflict, encodeValue, unpackDoc } from './values.ts';

/** Documents asked for in one command: Redis is held for under 1 ms. */
const READ_SLICE = 512;
/** How often half-done units of dead processes are looked for. */
const SWEEP_EVERY_MS = 1_000;

/** The store on Redis. See `openRedisStore`. */
export class RedisStore<S> implements Store<S> {
  readonly kind = 'redis';
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #options: RedisIngestOptions<S>;
  readonly #newEpoch: () => string;
  readonly #ingest: RedisIngest<S>;
  readonly #reader: RedisReader;
  readonly #eraser: RedisEraser;
  readonly #journal: RedisLog;
  readonly #alerts: RedisLog;
  readonly #alertListeners = new Listeners<[AlertRecord, string]>();
  readonly #factListeners = new Listeners<[JournalRecord]>();
  #sweeper: NodeJS.Timeout | undefined;
  #sweeping = false;
  #closed: Promise<void> | undefined;

  constructor(link: RedisLink, readerLink: RedisLink, keys: RedisKeys, options: RedisIngestOptions<S>, newEpoch: () => string) {
    this.#link = link;
    this.#keys = keys;
    this.#options = options;
    this.#newEpoch = newEpoch;
    this.#ingest = new RedisIngest(link, keys, options);
    this.#eraser = new RedisEraser(link, keys);
    this.#journal = new RedisLog(link, keys.journal);
    this.#alerts = new RedisLog(link, keys.alerts);
    this.#reader = new RedisReader(readerLink, keys, options.origin, newEpoch, {
      alert: (record, epoch) => this.#alertListeners.tell(record, epoch),
      fact: (record) => this.#factListeners.tell(record),
      wantsFacts: () => this.#factListeners.size > 0,
    });
  }

  /** Follow the logs, and finish what dead processes left. */
  async start(): Promise<void> {
    await this.#reader.start();
    await this.#ingest.sweep();
    this.#sweeper = setInterval(() => void this.recover(), SWEEP_EVERY_MS);
    this.#sweeper.unref();
  }

  /** Finish units that were journalled more than two seconds ago and not brought to all of their entities. */
  async recover(): Promise<void> {
    if (this.#sweeping || this.#closed) return;
    this.#sweeping = true;
    await this.#ingest.sweep();
    this.#sweeping = false;
  }

  async ingest(units: readonly Unit<S>[]): Promise<UnitResult<S>[]> {
    this.#guard();
    return this.#ingest.ingest(units);
  }

  async decide(key: string, decision: Fact, answer: Uint8Array, alert?: Alert): Promise<{ readonly won: boolean; readonly answer: Uint8Array }> {
    this.#guard();
    const { journal, alerts } = this.#keys;
    const [status, winner] = (await this.#link.run(
      SCRIPTS.decide,
      [this.#keys.key(key), journal.stream, journal.counter, alerts.stream, alerts.counter],
      [toBuffer(answer), pack(decision), this.#options.origin, alert ? pack(alert) : '', alert ? pack(alertFact(alert)) : ''],
    )) as [number, Buffer | undefined];
    if (status === -1) {
      throw new GatehouseError('store_unavailable', `there is no unit ${JSON.stringify(key)} to decide on: its write was lost or is past retention`);
    }
    return { won: status === 1, answer: winner ?? answer };
  }

  async lookup(key: string): Promise<{ readonly offset: number; readonly answer: Uint8Array | undefined } | undefined> {
    this.#guard();
    const [offset, answer] = (await this.#link.call('HMGET', this.#keys.key(key), 'o', 'a')) as (Buffer | null)[];
    const at = toNumber(offset);
    return at === undefined ? undefined : { offset: at, answer: answer ?? undefined };
  }

  async write(facts: readonly Fact[], changes: readonly DocChange[] = []): Promise<void> {
    this.#guard();
    if (facts.length + changes.length === 0) return;
    const refused = await this.#link.run(
      SCRIPTS.write,
      [this.#keys.journal.stream, this.#keys.journal.counter, ...changes.map(({ collection }) => this.#keys.docs(collection))],
      [
        this.#options.origin,
        String(facts.length),
        ...facts.map(pack),
        ...changes.flatMap(({ id, value, expected }) => [
          safeKey(id),
          ...(value === undefined ? ['-', ''] : ['+', pack([id, value])]),
          ...(expected === undefined ? ['', ''] : expected.value === undefined ? ['-', ''] : ['+', pack([id, expected.value])]),
        ]),
      ],
    );
    const conflict = changes[Number(refused) - 1];
    if (conflict) throw documentConflict(conflict.collection, conflict.id);
  }

  async raise(alert: Alert): Promise<void> {
    this.#guard();
    const { journal, alerts } = this.#keys;
    await this.#link.run(
      SCRIPTS.raise,
      [journal.stream, journal.counter, alerts.stream, alerts.counter],
      [pack(alert), pack(alertFact(alert)), this.#options.origin],
    );
  }

  async erase(erasure: Erasure): Promise<void> {
    this.#guard();
    await this.#eraser.erase(erasure);
  }

  async purgeErased(): Promise<void> {
    this.#guard();
    await this.#eraser.purge();
  }

  async states(refs: readonly EntityRef[]): Promise<(S | undefined)[]> {
    this.#guard();
    const replies = await Promise.all(refs.map((ref) => this.#link.call('GET', this.#keys.state(ref))));
    return replies.map((reply) => {
      const { state } = readEnvelope(reply as Buffer | null);
      return state && this.#options.codec.decode(state);
    });
  }

  async read(after: number, limit: number): Promise<JournalRecord[]> {
    this.#guard();
    return (await this.#journal.read(after, limit)).map(({ offset, bytes }) => ({ offset, fact: decodeValue(bytes) as Fact }));
  }

  async bounds(): Promise<{ readonly first: number; readonly last: number }> {
    this.#guard();
    return this.#journal.ends();
  }

  async doc(collection: string, id: string): Promise<unknown> {
    this.#guard();
    const reply = (await this.#link.call('HGET', this.#keys.docs(collection), safeKey(id))) as Buffer | null;
    return reply === null ? undefined : unpackDoc(reply).value;
  }

  async *docs(collection: string): AsyncIterable<{ readonly id: string; readonly value: unknown }> {
    // HSCAN may show a field twice while the hash grows.
    const seen = new Set<string>();
    for (let cursor = '0'; ; ) {
      this.#guard();
      const [next, flat] = (await this.#link.call('HSCAN', this.#keys.docs(collection), cursor, 'COUNT', String(READ_SLICE))) as [Buffer, Buffer[]];
      for (let i = 1; i < flat.length; i += 2) {
        const row = unpackDoc(flat[i] as Buffer);
        if (!seen.has(row.id)) yield row;
        seen.add(row.id);
      }
      cursor = String(next);
      if (cursor === '0') return;
    }
  }

  async alerts(after: number, limit: number): Promise<AlertRecord[]> {
    this.#guard();
    return (await this.#alerts.read(after, limit)).map(({ offset, bytes }) => ({ offset, alert: decodeValue(bytes) as Alert }));
  }

  async alertsPosition(): Promise<{ readonly offset: number; readonly epoch: string; readonly first: number }> {
    this.#guard();
    const [epoch, { first, last }] = await Promise.all([ensureEpoch(this.#link, this.#keys, this.#newEpoch()), this.#alerts.ends()]);
    return { offset: last, epoch, first };
  }

  onAlert(listener: (record: AlertRecord, epoch: string) => void): () => void {
    return this.#alertListeners.add(listener);
  }

  onForeignFact(listener: (record: JournalRecord) => void): () => void {
    return this.#factListeners.add(listener);
  }

  /** Trims the logs. Keys and states leave by their own time to live, so `states` is 0. */
  async retain(): Promise<{ readonly journal: number; readonly alerts: number; readonly states: number }> {
    this.#guard();
    const { journalRecordsMax, alertsMax } = this.#options.retention;
    const [journal, alerts] = await Promise.all([this.#journal.trim(journalRecordsMax), this.#alerts.trim(alertsMax)]);
    return { journal, alerts, states: 0 };
  }

  async stats(): Promise<Record<string, number>> {
    this.#guard();
    const [records, last, alerts, pending] = await Promise.all([
      this.#journal.size(),
      this.#link.call('GET', this.#keys.journal.counter),
      this.#alerts.size(),
      this.#link.call('ZCARD', this.#keys.pending),
    ]);
    return {
      journal_records: records,
      journal_last: toNumber(last) ?? 0,
      alerts,
      unfinished_units: toNumber(pending) ?? 0,
      pending_units: this.#ingest.queuedUnits,
      ...this.#ingest.counters,
      ...this.#reader.counters,
      ...this.#eraser.counters,
    };
  }

  async flush(): Promise<void> {
    this.#guard();
    await this.#ingest.drain();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.#ingest.drain();
    await this.#reader.stop();
    this.#link.close();
  }

  #guard(): void {
    if (this.#closed) throw new GatehouseError('store_unavailable', 'the store is closed');
  }
}

function pack(value: unknown): Buffer {
  return toBuffer(encodeValue(value));
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

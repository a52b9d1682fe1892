import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import type { AlertRecord, DocChange, EntityRef, JournalRecord, Store, Unit, UnitResult } from './contract.ts';
import { safeKey } from './keys.ts';
import { Listeners } from './listeners.ts';
import { readEnvelope } from './redis-envelope.ts';
import { RedisIngest, type RedisIngestOptions } from './redis-ingest.ts';
import { type RedisKeys, type RedisLink, SCRIPTS, toNumber, toStreamRecords } from './redis-link.ts';
import { ensureEpoch, RedisReader } from './redis-reader.ts';
import { alertFact, decodeValue, documentConflict, encodeValue, unpackDoc } from './values.ts';

/** Records asked for in one command: Redis is held for under 1 ms. */
const READ_SLICE = 512;
/** Records trimmed by one call; the next goes on. */
const TRIM_RECORDS_MAX = 100_000;
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
    const { journal, journalCounter, alerts, alertsCounter } = this.#keys;
    const [status, winner] = (await this.#link.run(
      SCRIPTS.decide,
      [this.#keys.key(key), journal, journalCounter, alerts, alertsCounter],
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
      [this.#keys.journal, this.#keys.journalCounter, ...changes.map(({ collection }) => this.#keys.docs(collection))],
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
    const { journal, journalCounter, alerts, alertsCounter } = this.#keys;
    await this.#link.run(
      SCRIPTS.raise,
      [journal, journalCounter, alerts, alertsCounter],
      [pack(alert), pack(alertFact(alert)), this.#options.origin],
    );
  }

  /** A stream's entry can be deleted but not replaced, and a log without gaps is what clients recover by. */
  async erase(): Promise<void> {
    this.#guard();
    throw new GatehouseError('erase_unsupported', 'records of a Redis stream cannot be replaced');
  }

  async purgeErased(): Promise<void> {
    this.#guard();
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
    return this.#readLog(this.#keys.journal, 'f', after, limit, (offset, value) => ({ offset, fact: value as Fact }));
  }

  async bounds(): Promise<{ readonly first: number; readonly last: number }> {
    this.#guard();
    return this.#ends(this.#keys.journal, this.#keys.journalCounter);
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
    return this.#readLog(this.#keys.alerts, 'a', after, limit, (offset, value) => ({ offset, alert: value as Alert }));
  }

  async alertsPosition(): Promise<{ readonly offset: number; readonly epoch: string; readonly first: number }> {
    this.#guard();
    const [epoch, { first, last }] = await Promise.all([
      ensureEpoch(this.#link, this.#keys, this.#newEpoch()),
      this.#ends(this.#keys.alerts, this.#keys.alertsCounter),
    ]);
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
    const { journal, journalCounter, alerts, alertsCounter } = this.#keys;
    const { journalRecordsMax, alertsMax } = this.#options.retention;
    const gone = await Promise.all([this.#trim(journal, journalCounter, journalRecordsMax), this.#trim(alerts, alertsCounter, alertsMax)]);
    return { journal: gone[0], alerts: gone[1], states: 0 };
  }

  async stats(): Promise<Record<string, number>> {
    this.#guard();
    const [records, last, alerts, pending] = await Promise.all([
      this.#link.call('XLEN', this.#keys.journal),
      this.#link.call('GET', this.#keys.journalCounter),
      this.#link.call('XLEN', this.#keys.alerts),
      this.#link.call('ZCARD', this.#keys.pending),
    ]);
    return {
      journal_records: toNumber(records) ?? 0,
      journal_last: toNumber(last) ?? 0,
      alerts: toNumber(alerts) ?? 0,
      unfinished_units: toNumber(pending) ?? 0,
      pending_units: this.#ingest.queuedUnits,
      ...this.#ingest.counters,
      ...this.#reader.counters,
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

  async #ends(stream: string, counter: string): Promise<{ readonly first: number; readonly last: number }> {
    const [end, oldest] = await Promise.all([this.#link.call('GET', counter), this.#link.call('XRANGE', stream, '-', '+', 'COUNT', '1')]);
    const last = toNumber(end) ?? 0;
    return { first: toStreamRecords(oldest)[0]?.offset ?? last + 1, last };
  }

  async #trim(stream: string, counter: string, recordsMax: number): Promise<number> {
    const { first, last } = await this.#ends(stream, counter);
    const firstKept = Math.min(last - recordsMax + 1, first + TRIM_RECORDS_MAX);
    if (firstKept <= first) return 0;
    return toNumber(await this.#link.call('XTRIM', stream, 'MINID', `${firstKept}-0`)) ?? 0;
  }

  async #readLog<T>(stream: string, field: string, after: number, limit: number, make: (offset: number, value: unknown) => T): Promise<T[]> {
    this.#guard();
    const out: T[] = [];
    for (let start = Math.max(0, Math.floor(after)) + 1; out.length < limit; ) {
      const slice = Math.min(READ_SLICE, limit - out.length);
      const records = toStreamRecords(await this.#link.call('XRANGE', stream, `${start}-0`, '+', 'COUNT', String(slice)));
      for (const { offset, fields } of records) {
        const bytes = fields.get(field);
        if (bytes) out.push(make(offset, decodeValue(bytes)));
        start = offset + 1;
      }
      if (records.length < slice) break;
    }
    return out;
  }
}

function pack(value: unknown): Buffer {
  return toBuffer(encodeValue(value));
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import { type Batch, type LogPositions, type PendingKey, Slabs } from './batch.ts';
import { Committer } from './committer.ts';
import {
  type AlertRecord,
  type DocChange,
  type EntityRef,
  ERASED_ANSWER,
  type Erasure,
  type JournalRecord,
  type RetentionPolicy,
  type StateCodec,
  type Store,
  type Unit,
  type UnitResult,
} from './contract.ts';
import { type Disk, type DiskKey, REBUILD_KEY, type Table } from './disk.ts';
import { EntityStates } from './entity-states.ts';
import { docKey, docPrefix, safeKey } from './keys.ts';
import { Listeners } from './listeners.ts';
import { Purger } from './purge.ts';
import {
  alertFact,
  decodeKeyRecord,
  decodeValue,
  documentConflict,
  encodeKeyRecord,
  encodeRecordShared,
  encodeValue,
  type KeyRecord,
  packDoc,
  unpackDoc,
} from './values.ts';

/**
 * The format of what is on disk. Raise it when an older Gatehouse could misread what this one writes. 2: states may be newer in the redo log than in their rows. 3: records and
 * states may be erased. 4: a fact's vector may be a block of float32, and states may stand in the table `rebuilt`, as the disk knows.
 */
const FORMAT = 4;
/** The oldest format that is taken over as it is. */
const FORMAT_OLDEST = 1;
/** Records decoded in one go; at about 5 us each the event loop is held for under 3 ms. */
const READ_SLICE = 512;

export interface EmbeddedOptions<S> {
  readonly codec: StateCodec<S>;
  readonly retention: RetentionPolicy;
  readonly clock: () => number;
  /** Decoded states kept in memory. */
  readonly cacheEntriesMax: number;
  /** Bytes of states that may wait for their rows. */
  readonly redoBytesMax?: number;
  /** Units taken but not yet durable; beyond it writes are refused with `overloaded`. */
  readonly pendingUnitsMax: number;
  /** Makes the epoch of a new alerts log. */
  readonly newEpoch: () => string;
}

/**
 * The embedded store: one process, one writer. Reads see memory first, writes change memory at once (so that read-modify-write
 * needs no lock) and become durable through the group commit of `Committer`.
 */
export class EmbeddedStore<S> implements Store<S> {
  readonly kind = 'lmdb';
  readonly #disk: Disk;
  readonly #retention: RetentionPolicy;
  readonly #clock: () => number;
  readonly #states: EntityStates<S>;
  readonly #committer: Committer<S>;
  readonly #purger: Purger;
  readonly #slabs = new Slabs();
  readonly #keys = new Map<string, PendingKey>();
  /** Documents that aren't on disk yet, with the batch that will bring them there. */
  readonly #docs = new Map<string, { readonly bytes: Uint8Array | undefined; readonly batch: number }>();
  readonly #listeners = new Listeners<[AlertRecord, string]>();
  readonly #epoch: string;
  #logs: LogPositions;
  #durable: LogPositions;
  #closed: Promise<void> | undefined;
  #duplicates = 0;

  /** Use `openEmbedded`, which prepares the disk. */
  constructor(disk: Disk, options: EmbeddedOptions<S>, epoch: string, logs: LogPositions) {
    this.#disk = disk;
    this.#retention = options.retention;
    this.#clock = options.clock;
    this.#epoch = epoch;
    this.#logs = logs;
    this.#durable = { ...logs };
    this.#states = new EntityStates(disk, options, () => this.#committer.durableId);
    this.#committer = new Committer(disk, options.pendingUnitsMax, {
      seal: (batch) => this.#seal(batch),
      committed: (batches) => this.#committed(batches),
      lost: (batches) => this.#lost(batches),
    });
    this.#purger = new Purger(disk, {
      inFlight: (table) => this.#committer.inFlight(table),
      remove: (table, keys) => this.#removeRows(table, keys),
    });
  }

  async ingest(units: readonly Unit<S>[], options: { readonly durable?: boolean } = {}): Promise<UnitResult<S>[]> {
    this.#guard();
    this.#committer.join(units.length);
    const results = units.map((unit) => this.#take(unit));
    if (options.durable !== false) await this.#committer.barrier();
    return results;
  }

  async decide(
    key: string,
    decision: Fact,
    answer: Uint8Array,
    alert?: Alert,
    options: { readonly durable?: boolean } = {},
  ): Promise<{ readonly won: boolean; readonly answer: Uint8Array }> {
    this.#guard();
    const durable = options.durable !== false;
    const batch = this.#committer.join(1);
    const record = this.#key(key);
    if (record === undefined) {
      throw new GatehouseError('store_unavailable', `there is no unit ${JSON.stringify(key)} to decide on: its write was lost or is past retention`);
    }
    if (record.answer !== undefined) {
      // The winner's answer may still be on its way to the disk, and must not be given out before it is safe there.
      if (durable) await this.#committer.barrier();
      return { won: false, answer: record.answer };
    }
    this.#setAnswer(batch, key, record, this.#slabs.copy(answer));
    this.#appendFact(batch, decision);
    if (alert) this.#appendAlert(batch, alert);
    this.#committer.count(batch, 1);
    if (durable) await this.#committer.wait(batch);
    return { won: true, answer };
  }

  async lookup(key: string): Promise<{ readonly offset: number; readonly answer: Uint8Array | undefined } | undefined> {
    this.#guard();
    const record = this.#key(key);
    return record && { offset: record.offset, answer: record.answer };
  }

  async write(facts: readonly Fact[], changes: readonly DocChange[] = [], options: { readonly durable?: boolean } = {}): Promise<void> {
    this.#guard();
    const count = facts.length + changes.length;
    if (count === 0) return;
    for (const change of changes) this.#mustBeAsExpected(change);
    const batch = this.#committer.join(count);
    for (const fact of facts) this.#appendFact(batch, fact);
    for (const { collection, id, value } of changes) {
      const key = docKey(collection, id);
      const bytes = value === undefined ? undefined : this.#slabs.copy(packDoc(id, value));
      this.#docs.set(key, { bytes, batch: batch.id });
      batch.docs.add(key);
      batch.ops.push({ table: 'docs', key, value: bytes });
    }
    this.#committer.count(batch, count);
    if (options.durable !== false) await this.#committer.wait(batch);
  }

  async raise(alert: Alert): Promise<void> {
    this.#guard();
    const batch = this.#committer.join(1);
    this.#appendAlert(batch, alert);
    this.#committer.count(batch, 1);
    await this.#committer.wait(batch);
  }

  async erase({ facts = [], alerts = [], answers = [], states = [] }: Erasure): Promise<void> {
    this.#guard();
    const count = facts.length + alerts.length + answers.length + states.length;
    if (count === 0) return;
    const batch = this.#committer.join(count);
    const { journalFirst, journalLast, alertsFirst, alertsLast } = this.#logs;
    for (const { offset, fact } of facts) if (offset >= journalFirst && offset <= journalLast) this.#put(batch, 'journal', offset, fact);
    for (const { offset, alert } of alerts) if (offset >= alertsFirst && offset <= alertsLast) this.#put(batch, 'alerts', offset, alert);
    for (const key of answers) {
      const record = this.#key(key);
      if (record?.answer !== undefined) this.#setAnswer(batch, key, record, ERASED_ANSWER);
    }
    const now = this.#clock();
    for (const ref of states) this.#states.erase(batch, ref, now);
    this.#committer.count(batch, count);
    await this.#committer.barrier();
  }

  async purgeErased(): Promise<void> {
    this.#guard();
    await this.#committer.barrier();
    await this.#flushStates();
    // States that a rebuild left unfinished, or behind it.
    await this.#removeRows('meta', [REBUILD_KEY]);
    await this.#disk.clear('rebuilt');
  }

  async states(refs: readonly EntityRef[]): Promise<(S | undefined)[]> {
    this.#guard();
    const now = this.#clock();
    return refs.map((ref) => this.#states.get(ref, now));
  }

  async read(after: number, limit: number): Promise<JournalRecord[]> {
    return this.#readLog('journal', after, limit, (offset, value) => ({ offset, fact: value as Fact }));
  }

  async bounds(): Promise<{ readonly first: number; readonly last: number }> {
    this.#guard();
    await this.#committer.settled();
    return { first: this.#logs.journalFirst, last: this.#logs.journalLast };
  }

  async doc(collection: string, id: string): Promise<unknown> {
    this.#guard();
    const bytes = this.#docBytes(docKey(collection, id));
    return bytes && unpackDoc(bytes).value;
  }

  #docBytes(key: string): Uint8Array | undefined {
    const pending = this.#docs.get(key);
    return pending ? pending.bytes : this.#disk.get('docs', key);
  }

  #mustBeAsExpected({ collection, id, expected }: DocChange): void {
    if (expected === undefined) return;
    const bytes = this.#docBytes(docKey(collection, id));
    const same = expected.value === undefined ? bytes === undefined : bytes !== undefined && Buffer.compare(bytes, packDoc(id, expected.value)) === 0;
    if (!same) throw documentConflict(collection, id);
  }

  async *docs(collection: string): AsyncIterable<{ readonly id: string; readonly value: unknown }> {
    this.#guard();
    await this.#committer.settled();
    const prefix = docPrefix(collection);
    for (let start = prefix; ; ) {
      this.#guard();
      const rows = this.#disk.range('docs', start, READ_SLICE);
      for (const row of rows) {
        if (!String(row.key).startsWith(prefix)) return;
        yield unpackDoc(row.value);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < READ_SLICE) return;
      // The smallest key behind the last one.
      start = `${String(last.key)}\u0000`;
      await nextTurn();
    }
  }

  async alerts(after: number, limit: number): Promise<AlertRecord[]> {
    return this.#readLog('alerts', after, limit, (offset, value) => ({ offset, alert: value as Alert }));
  }

  async alertsPosition(): Promise<{ readonly offset: number; readonly epoch: string; readonly first: number }> {
    this.#guard();
    await this.#committer.settled();
    return { offset: this.#logs.alertsLast, epoch: this.#epoch, first: this.#logs.alertsFirst };
  }

  onAlert(listener: (record: AlertRecord, epoch: string) => void): () => void {
    return this.#listeners.add(listener);
  }

  onForeignFact(): () => void {
    return () => undefined;
  }

  async retain(nowMs: number): Promise<{ readonly journal: number; readonly alerts: number; readonly states: number }> {
    this.#guard();
    await this.#committer.settled();
    const journal = await this.#purger.trim('journal', this.#logs.journalFirst, this.#logs.journalLast - this.#retention.journalRecordsMax);
    const alerts = await this.#purger.trim('alerts', this.#logs.alertsFirst, this.#logs.alertsLast - this.#retention.alertsMax);
    await this.#purger.expire('keys', nowMs - this.#retention.idempotencyMs);
    const states = await this.#expireStates(nowMs - this.#retention.stateTtlMs);
    return { journal, alerts, states };
  }

  async stats(): Promise<Record<string, number>> {
    this.#guard();
    return {
      journal_records: this.#logs.journalLast - this.#logs.journalFirst + 1,
      journal_last: this.#logs.journalLast,
      alerts: this.#logs.alertsLast - this.#logs.alertsFirst + 1,
      disk_bytes: this.#disk.bytes(),
      pending_units: this.#committer.pendingUnits,
      ...this.#states.counters(),
      duplicates: this.#duplicates,
      commits: this.#committer.commits,
      commit_failures: this.#committer.failures,
    };
  }

  async flush(): Promise<void> {
    this.#guard();
    await this.#committer.barrier();
  }

  close(): Promise<void> {
    this.#closed ??= this.#committer.settled().then(() => this.#disk.close());
    return this.#closed;
  }

  async #expireStates(beforeMs: number): Promise<number> {
    if (this.#states.awaitsRow(beforeMs)) await this.#flushStates();
    return this.#purger.expire('states', beforeMs);
  }

  /** Every state that is durable now reaches its row, and the log forgets it. */
  async #flushStates(): Promise<void> {
    const batch = this.#committer.join(0);
    batch.flushStates = true;
    await this.#committer.wait(batch);
  }

  #guard(): void {
    if (this.#closed) throw new GatehouseError('store_unavailable', 'the store is closed');
  }

  #take(unit: Unit<S>): UnitResult<S> {
    const now = this.#clock();
    const known = this.#key(unit.key);
    if (known !== undefined) {
      const conflict = known.digest !== unit.digest;
      this.#duplicates++;
      return {
        offset: known.offset,
        duplicate: !conflict,
        conflict,
        // A state that has expired since is shown as this unit alone would make it, and not stored.
        states: conflict ? [] : unit.entities.map((ref) => this.#states.get(ref, now) ?? unit.apply(ref, undefined)),
        answer: conflict ? undefined : known.answer,
      };
    }
    const batch = this.#committer.join(0);
    const states: S[] = [];
    for (let i = 0; i < unit.entities.length; i++) {
      const ref = unit.entities[i] as EntityRef;
      const twin = unit.entities.findIndex((other) => other.kind === ref.kind && other.id === ref.id);
      const state = twin < i ? (states[twin] as S) : this.#states.bring(batch, unit, ref, now);
      states.push(state);
    }
    const offset = this.#appendFact(batch, unit.fact);
    this.#addKey(batch, { key: unit.key, offset, digest: unit.digest, atMs: now, answer: undefined, batch: batch.id });
    this.#committer.count(batch, 1);
    return { offset, duplicate: false, conflict: false, states, answer: undefined };
  }

  #key(key: string): PendingKey | KeyRecord | undefined {
    const pending = this.#keys.get(key);
    if (pending) return pending;
    const bytes = this.#disk.get('keys', safeKey(key));
    return bytes && decodeKeyRecord(bytes);
  }

  #addKey(batch: Batch<S>, record: PendingKey): void {
    this.#keys.set(record.key, record);
    batch.keys.push(record);
  }

  /** `record` is what `#key` gave for the key. */
  #setAnswer(batch: Batch<S>, key: string, record: PendingKey | KeyRecord, answer: Uint8Array): void {
    if (!('batch' in record)) {
      this.#addKey(batch, { key, offset: record.offset, digest: record.digest, atMs: record.atMs, answer, batch: batch.id });
      return;
    }
    record.answer = answer;
    if (record.batch !== batch.id) batch.keys.push(record);
    record.batch = batch.id;
  }

  #appendFact(batch: Batch<S>, fact: Fact): number {
    const offset = ++this.#logs.journalLast;
    this.#put(batch, 'journal', offset, fact);
    return offset;
  }

  #put(batch: Batch<S>, table: 'journal' | 'alerts', offset: number, record: Fact | Alert): void {
    batch.ops.push({ table, key: offset, value: this.#slabs.copy(encodeRecordShared(record)) });
  }

  #appendAlert(batch: Batch<S>, alert: Alert): void {
    this.#appendFact(batch, alertFact(alert));
    const offset = ++this.#logs.alertsLast;
    this.#put(batch, 'alerts', offset, alert);
    batch.alerts.push({ offset, alert });
  }

  #seal(batch: Batch<S>): void {
    for (const record of batch.keys) batch.ops.push({ table: 'keys', key: safeKey(record.key), value: encodeKeyRecord(record, this.#slabs) });
    this.#states.seal(batch);
    batch.positions = { ...this.#logs };
    batch.ops.push({ table: 'meta', key: 'logs', value: encodeValue(batch.positions) });
  }

  #committed(batches: readonly Batch<S>[]): void {
    this.#states.committed(batches);
    for (const batch of batches) {
      for (const { key, batch: last } of batch.keys) if (last === batch.id) this.#keys.delete(key);
      for (const key of batch.docs) if (this.#docs.get(key)?.batch === batch.id) this.#docs.delete(key);
      if (batch.positions) this.#durable = batch.positions;
      for (const record of batch.alerts) this.#listeners.tell(record, this.#epoch);
    }
  }

  #lost(batches: readonly Batch<S>[]): void {
    this.#keys.clear();
    this.#docs.clear();
    this.#states.forget(batches);
    this.#logs = { ...this.#durable };
  }

  async #readLog<T>(table: 'journal' | 'alerts', after: number, limit: number, make: (offset: number, value: unknown) => T): Promise<T[]> {
    this.#guard();
    await this.#committer.settled();
    const out: T[] = [];
    for (let start = Math.max(1, Math.floor(after) + 1); out.length < limit; start += READ_SLICE) {
      this.#guard();
      const slice = Math.min(READ_SLICE, limit - out.length);
      const rows = this.#disk.range(table, start, slice);
      for (const { key, value } of rows) out.push(make(Number(key), decodeValue(value)));
      if (rows.length < slice || rows.length === 0) return out;
      start = Number(rows.at(-1)?.key) + 1 - READ_SLICE;
      await nextTurn();
    }
    return out;
  }

  async #removeRows(table: Table, keys: readonly DiskKey[]): Promise<void> {
    const batch = this.#committer.join(0);
    for (const key of keys) batch.ops.push({ table, key, value: undefined });
    if (table === 'journal') this.#logs.journalFirst += keys.length;
    if (table === 'alerts') this.#logs.alertsFirst += keys.length;
    await this.#committer.wait(batch);
  }
}

/** Raises the format of a store that this version can read as it is. Throws `store_incompatible` for another. */
export async function takeOver(disk: Disk, format: Uint8Array): Promise<void> {
  const version = Number(decodeValue(format));
  if (!(version >= FORMAT_OLDEST && version <= FORMAT)) {
    throw new GatehouseError('store_incompatible', `the store has format ${version}, this version reads ${FORMAT_OLDEST} to ${FORMAT}`);
  }
  if (version < FORMAT) await disk.commit([{ table: 'meta', key: 'format', value: encodeValue(FORMAT) }]);
}

/** Read or set up what the store keeps about itself. Throws `store_incompatible` for a disk of a newer format. */
export async function openEmbedded<S>(disk: Disk, options: EmbeddedOptions<S>): Promise<EmbeddedStore<S>> {
  const format = disk.get('meta', 'format');
  if (format === undefined) {
    const logs: LogPositions = { journalFirst: 1, journalLast: 0, alertsFirst: 1, alertsLast: 0 };
    const epoch = options.newEpoch();
    await disk.commit([
      { table: 'meta', key: 'format', value: encodeValue(FORMAT) },
      { table: 'meta', key: 'epoch', value: encodeValue(epoch) },
      { table: 'meta', key: 'logs', value: encodeValue(logs) },
    ]);
    return new EmbeddedStore(disk, options, epoch, logs);
  }
  await takeOver(disk, format);
  const [epoch, logs] = [disk.get('meta', 'epoch'), disk.get('meta', 'logs')];
  if (epoch === undefined || logs === undefined) throw new GatehouseError('store_incompatible', 'the store has lost its own description');
  return new EmbeddedStore(disk, options, decodeValue(epoch) as string, decodeValue(logs) as LogPositions);
}

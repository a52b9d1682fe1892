import { GatehouseError } from '../contracts/errors.ts';
import type { Fact } from '../contracts/fact.ts';
import type { Alert } from '../contracts/push.ts';
import {
  type AlertRecord,
  type DocChange,
  type EntityRef,
  ERASED_ANSWER,
  type Erasure,
  type JournalRecord,
  type RetentionPolicy,
  type Store,
  type Unit,
  type UnitResult,
} from './contract.ts';
import { Listeners } from './listeners.ts';
import { alertFact, documentConflict, encodeValue } from './values.ts';

export interface MemoryStoreOptions {
  /** Nothing is ever dropped unless this is given. */
  readonly retention?: RetentionPolicy;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly epoch?: string;
}

const KEEP_ALL: RetentionPolicy = {
  journalRecordsMax: Number.POSITIVE_INFINITY,
  alertsMax: Number.POSITIVE_INFINITY,
  idempotencyMs: Number.POSITIVE_INFINITY,
  stateTtlMs: Number.POSITIVE_INFINITY,
};

interface KeyEntry {
  readonly offset: number;
  readonly digest: string;
  readonly atMs: number;
  answer: Uint8Array | undefined;
}

/** A log that is trimmed from its old end. `records[0]` has offset `first`. */
interface Log<T> {
  first: number;
  records: T[];
}

/** A store that lives and dies with the process: for tests and offline replay. Simple on purpose, and durable never. */
export function openMemoryStore<S>(options: MemoryStoreOptions = {}): Store<S> {
  return new MemoryStore<S>(options.retention ?? KEEP_ALL, options.clock ?? Date.now, options.epoch ?? 'memory');
}

class MemoryStore<S> implements Store<S> {
  readonly kind = 'memory';
  readonly #retention: RetentionPolicy;
  readonly #clock: () => number;
  readonly #epoch: string;
  readonly #keys = new Map<string, KeyEntry>();
  readonly #states = new Map<string, { readonly state: S; readonly touchedMs: number }>();
  readonly #docs = new Map<string, Map<string, unknown>>();
  readonly #journal: Log<Fact> = { first: 1, records: [] };
  readonly #alerts: Log<Alert> = { first: 1, records: [] };
  readonly #listeners = new Listeners<[AlertRecord, string]>();
  #closed = false;

  constructor(retention: RetentionPolicy, clock: () => number, epoch: string) {
    this.#retention = retention;
    this.#clock = clock;
    this.#epoch = epoch;
  }

  async ingest(units: readonly Unit<S>[]): Promise<UnitResult<S>[]> {
    this.#guard();
    return units.map((unit) => this.#take(unit));
  }

  async decide(key: string, decision: Fact, answer: Uint8Array, alert?: Alert): Promise<{ readonly won: boolean; readonly answer: Uint8Array }> {
    this.#guard();
    const entry = this.#keys.get(key);
    if (entry === undefined) throw new GatehouseError('store_unavailable', `there is no unit ${JSON.stringify(key)} to decide on`);
    if (entry.answer !== undefined) return { won: false, answer: entry.answer };
    entry.answer = Uint8Array.from(answer);
    this.#journal.records.push(decision);
    if (alert) this.#append(alert);
    return { won: true, answer };
  }

  async lookup(key: string): Promise<{ readonly offset: number; readonly answer: Uint8Array | undefined } | undefined> {
    this.#guard();
    const entry = this.#keys.get(key);
    return entry && { offset: entry.offset, answer: entry.answer };
  }

  async write(facts: readonly Fact[], changes: readonly DocChange[] = []): Promise<void> {
    this.#guard();
    for (const { collection, id, expected } of changes) {
      const now = this.#docs.get(collection)?.get(id);
      if (expected !== undefined && Buffer.compare(encodeValue(now), encodeValue(expected.value)) !== 0) throw documentConflict(collection, id);
    }
    this.#journal.records.push(...facts);
    for (const { collection, id, value } of changes) {
      const docs = this.#docs.get(collection) ?? new Map<string, unknown>();
      this.#docs.set(collection, docs);
      if (value === undefined) docs.delete(id);
      else docs.set(id, structuredClone(value));
    }
  }

  async raise(alert: Alert): Promise<void> {
    this.#guard();
    this.#append(alert);
  }

  async erase({ facts = [], alerts = [], answers = [], states = [] }: Erasure): Promise<void> {
    this.#guard();
    for (const { offset, fact } of facts) replace(this.#journal, offset, fact);
    for (const { offset, alert } of alerts) replace(this.#alerts, offset, alert);
    for (const key of answers) {
      const entry = this.#keys.get(key);
      if (entry?.answer !== undefined) entry.answer = ERASED_ANSWER;
    }
    for (const ref of states) this.#states.delete(nameOf(ref));
  }

  async purgeErased(): Promise<void> {
    this.#guard();
  }

  async states(refs: readonly EntityRef[]): Promise<(S | undefined)[]> {
    this.#guard();
    return refs.map((ref) => this.#state(ref));
  }

  async read(after: number, limit: number): Promise<JournalRecord[]> {
    this.#guard();
    return slice(this.#journal, after, limit).map(([offset, fact]) => ({ offset, fact }));
  }

  async bounds(): Promise<{ readonly first: number; readonly last: number }> {
    this.#guard();
    return { first: this.#journal.first, last: last(this.#journal) };
  }

  async doc(collection: string, id: string): Promise<unknown> {
    this.#guard();
    return structuredClone(this.#docs.get(collection)?.get(id));
  }

  async *docs(collection: string): AsyncIterable<{ readonly id: string; readonly value: unknown }> {
    this.#guard();
    for (const [id, value] of this.#docs.get(collection) ?? []) yield { id, value: structuredClone(value) };
  }

  async alerts(after: number, limit: number): Promise<AlertRecord[]> {
    this.#guard();
    return slice(this.#alerts, after, limit).map(([offset, alert]) => ({ offset, alert }));
  }

  async alertsPosition(): Promise<{ readonly offset: number; readonly epoch: string; readonly first: number }> {
    this.#guard();
    return { offset: last(this.#alerts), epoch: this.#epoch, first: this.#alerts.first };
  }

  onAlert(listener: (record: AlertRecord, epoch: string) => void): () => void {
    return this.#listeners.add(listener);
  }

  onForeignFact(): () => void {
    return () => undefined;
  }

  async retain(nowMs: number): Promise<{ readonly journal: number; readonly alerts: number; readonly states: number }> {
    this.#guard();
    for (const [key, { atMs }] of this.#keys) if (atMs < nowMs - this.#retention.idempotencyMs) this.#keys.delete(key);
    let states = 0;
    for (const [key, { touchedMs }] of this.#states) {
      if (touchedMs < nowMs - this.#retention.stateTtlMs && this.#states.delete(key)) states++;
    }
    return { journal: trim(this.#journal, this.#retention.journalRecordsMax), alerts: trim(this.#alerts, this.#retention.alertsMax), states };
  }

  async stats(): Promise<Record<string, number>> {
    this.#guard();
    return {
      journal_records: this.#journal.records.length,
      journal_last: last(this.#journal),
      alerts: this.#alerts.records.length,
      states: this.#states.size,
    };
  }

  async flush(): Promise<void> {
    this.#guard();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #guard(): void {
    if (this.#closed) throw new GatehouseError('store_unavailable', 'the store is closed');
  }

  #take(unit: Unit<S>): UnitResult<S> {
    const known = this.#keys.get(unit.key);
    if (known !== undefined) {
      const conflict = known.digest !== unit.digest;
      const states = conflict ? [] : unit.entities.map((ref) => this.#state(ref) ?? unit.apply(ref, undefined));
      return { offset: known.offset, duplicate: !conflict, conflict, states, answer: conflict ? undefined : known.answer };
    }
    const now = this.#clock();
    const applied = new Map<string, S>();
    const states = unit.entities.map((ref) => {
      const name = nameOf(ref);
      const state = applied.get(name) ?? unit.apply(ref, this.#state(ref));
      applied.set(name, state);
      this.#states.set(name, { state, touchedMs: now });
      return state;
    });
    this.#journal.records.push(unit.fact);
    const offset = last(this.#journal);
    this.#keys.set(unit.key, { offset, digest: unit.digest, atMs: now, answer: undefined });
    return { offset, duplicate: false, conflict: false, states, answer: undefined };
  }

  #state(ref: EntityRef): S | undefined {
    const row = this.#states.get(nameOf(ref));
    return row && row.touchedMs >= this.#clock() - this.#retention.stateTtlMs ? row.state : undefined;
  }

  #append(alert: Alert): void {
    this.#journal.records.push(alertFact(alert));
    this.#alerts.records.push(alert);
    const offset = last(this.#alerts);
    this.#listeners.tell({ offset, alert }, this.#epoch);
  }
}

/** Kinds are a closed set of plain words, so the first colon always ends the kind. */
function nameOf({ kind, id }: EntityRef): string {
  return `${kind}:${id}`;
}

function last<T>(log: Log<T>): number {
  return log.first + log.records.length - 1;
}

function slice<T>(log: Log<T>, after: number, limit: number): [number, T][] {
  const start = Math.max(0, after + 1 - log.first);
  return log.records.slice(start, start + Math.max(0, limit)).map((record, i) => [log.first + start + i, record]);
}

function replace<T>(log: Log<T>, offset: number, record: T): void {
  if (offset >= log.first && offset <= last(log)) log.records[offset - log.first] = record;
}

function trim<T>(log: Log<T>, recordsMax: number): number {
  const excess = Math.max(0, log.records.length - recordsMax);
  log.records.splice(0, excess);
  log.first += excess;
  return excess;
}

import type { Fact } from '../contracts/fact.ts';
import type { Alert, Position } from '../contracts/push.ts';

/** The kinds of entity that have a state blob. */
export const ENTITY_KINDS = ['user', 'session', 'item', 'card', 'device', 'ip', 'address', 'merchant', 'email_domain', 'network'] as const;
export type EntityKind = (typeof ENTITY_KINDS)[number];

export interface EntityRef {
  readonly kind: EntityKind;
  readonly id: string;
}

/** How the store turns an entity's state into bytes. The feature engine supplies it; the store never looks inside. */
export interface StateCodec<S> {
  encode(state: S): Uint8Array;
  /** The same bytes, only good until the codec's next call: for a caller that copies them at once. */
  encodeShared(state: S): Uint8Array;
  /** Throws `store_incompatible` on a version it does not know. */
  decode(bytes: Uint8Array): S;
}

/**
 * One fact to be counted exactly once. `key` is its idempotency key (`e:<event_id>`, `t:<transaction_id>`). `digest` is a hash of
 * what the client sent: the same key with another digest is `event_conflict`. `entities` are brought forward by `apply`, which
 * may change its argument in place, must return it, and must not throw.
 */
export interface Unit<S> {
  readonly key: string;
  readonly digest: string;
  readonly fact: Fact;
  readonly entities: readonly EntityRef[];
  apply(ref: EntityRef, state: S | undefined): S;
}

export interface UnitResult<S> {
  /** Journal offset of the fact; of the first one when it is a duplicate. */
  readonly offset: number;
  readonly duplicate: boolean;
  /** The key was used before with another digest; nothing was written. */
  readonly conflict: boolean;
  /**
   * States after the unit, in the order of `entities`; empty on a conflict. Units taken in the same call or meanwhile may already be in
   * them. For a duplicate, the states as they are now. Read-only for the caller, and valid until its next await.
   */
  readonly states: readonly S[];
  /** For a duplicate whose `decide` is done: the answer that was given. */
  readonly answer: Uint8Array | undefined;
}

export interface JournalRecord {
  readonly offset: number;
  readonly fact: Fact;
}

/** A stored alert with its place in the alerts log. Offsets start at 1 and have no gaps within an epoch. */
export interface AlertRecord {
  readonly offset: number;
  readonly alert: Alert;
}

export interface DocChange {
  readonly collection: string;
  readonly id: string;
  /** undefined deletes. */
  readonly value: unknown;
  /**
   * What the document has to be now (undefined: not there), as it was read or written: another process may have changed it since. Where one of a write
   * is not, nothing of that write is done and it rejects with `document_conflict`.
   */
  readonly expected?: { readonly value: unknown };
}

/** Rows of one person that go, or are replaced. What names a record that retention has taken meanwhile is passed over. */
export interface Erasure {
  /** Journal records, each with what stands at its offset from then on. */
  readonly facts?: readonly JournalRecord[];
  /** Alerts, each with what stands at its offset from then on; nobody is told anew. */
  readonly alerts?: readonly AlertRecord[];
  /** Idempotency keys whose answers become ERASED_ANSWER. They go on saying that their unit was counted. */
  readonly answers?: readonly string[];
  /** Entities whose states go. The next unit finds none. */
  readonly states?: readonly EntityRef[];
}

/** What stands for an answer that was erased: no answer is empty by itself. */
export const ERASED_ANSWER = new Uint8Array(0);

/** How long and how much is kept. The oldest goes first; entity state has its own time to live. */
export interface RetentionPolicy {
  readonly journalRecordsMax: number;
  readonly alertsMax: number;
  /** Idempotency keys are kept at least this long. */
  readonly idempotencyMs: number;
  readonly stateTtlMs: number;
}

/**
 * Where facts, entity state, documents and alerts live. Each promise that resolves on a write means: durable as the store
 * gives it (embedded: fsynced; Redis: as its `appendfsync`). On failure it rejects with `store_unavailable` or `store_full` and
 * nothing of the unit may be assumed; sending it again is safe. With too much waiting, writes reject with `overloaded`.
 *
 * Offsets are whole numbers from 1, in one order without duplicates. Every implementation passes `store/store.suite.ts`.
 */
export interface Store<S> {
  readonly kind: 'lmdb' | 'redis' | 'memory';

  /**
   * Journal each unit's fact once and bring its entities forward; an entity that a unit lists twice counts it once. `durable: false` resolves when later reads and writes through this store
   * see it (a following `decide` waits for both).
   */
  ingest(units: readonly Unit<S>[], options?: { readonly durable?: boolean }): Promise<UnitResult<S>[]>;

  /**
   * Record the decision on a unit ingested under `key`, once: the first caller wins and every caller gets the winner's answer. An alert is
   * appended to the alerts log in the same step, so that neither can exist without the other, and journalled as an `alert` fact behind
   * the decision. Rejects with `store_unavailable` when there is no unit under `key`: its write was lost, so send it again.
   * `durable: false` resolves when the decision stands in this store; a power cut may lose it together with its unit.
   */
  decide(
    key: string,
    decision: Fact,
    answer: Uint8Array,
    alert?: Alert,
    options?: { readonly durable?: boolean },
  ): Promise<{ readonly won: boolean; readonly answer: Uint8Array }>;

  /** The unit recorded under `key`, if any: its journal offset and answer. */
  lookup(key: string): Promise<{ readonly offset: number; readonly answer: Uint8Array | undefined } | undefined>;

  /** Append facts that need no idempotency (recommendations, admin), with the document changes they stand for, in one step. Rejects with `document_conflict`. */
  write(facts: readonly Fact[], changes?: readonly DocChange[], options?: { readonly durable?: boolean }): Promise<void>;

  /** Append an alert that belongs to no decision, to the alerts log and as an `alert` fact to the journal. */
  raise(alert: Alert): Promise<void>;

  /**
   * Take out a person's rows, in one durable step (Redis: in some, each of them durable); doing it again changes nothing. The last bytes leave with `purgeErased`. Rejects
   * with `erase_unsupported` where the server makes it impossible.
   */
  erase(erasure: Erasure): Promise<void>;
  /** Resolves when no table and no log of the store holds the bytes of what was erased before. */
  purgeErased(): Promise<void>;

  /** States of entities, in order; undefined where there is none. Read-only for the caller, valid until its next await. */
  states(refs: readonly EntityRef[]): Promise<(S | undefined)[]>;

  /** Records with offset > `after`, oldest first, at most `limit`. */
  read(after: number, limit: number): Promise<JournalRecord[]>;
  /** `first` is the oldest offset still kept, `last` the newest; `last` = `first` - 1 when empty. */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;

  /** The document, or undefined. */
  doc(collection: string, id: string): Promise<unknown>;
  /** Every document of a collection, in no particular order. */
  docs(collection: string): AsyncIterable<{ readonly id: string; readonly value: unknown }>;

  /** Alerts with offset > `after`, oldest first, at most `limit`. */
  alerts(after: number, limit: number): Promise<AlertRecord[]>;
  /** `epoch` changes only when the log is started anew. `offset` is the newest, `first` the oldest still kept. */
  alertsPosition(): Promise<Position & { readonly first: number }>;
  /** Called with each durable alert in order, from any process that shares the store. Returns the unsubscribe function. */
  onAlert(listener: (record: AlertRecord, epoch: string) => void): () => void;

  /** Called with each journal record that another process appended (never for an embedded store). Returns the unsubscribe function. */
  onForeignFact(listener: (record: JournalRecord) => void): () => void;

  /**
   * Apply the retention policy now, a bounded piece of it at a time; returns what went. Call it every few seconds. (Redis expires keys
   * and states itself and reports none.)
   */
  retain(nowMs: number): Promise<{ readonly journal: number; readonly alerts: number; readonly states: number }>;
  stats(): Promise<Record<string, number>>;
  /** Resolves when everything accepted before is durable. */
  flush(): Promise<void>;
  /** Flush and release. Further calls reject with `store_unavailable`. */
  close(): Promise<void>;
}

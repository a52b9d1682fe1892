/** The ordered tables of an embedded store. `journal`, `alerts` and `redo` have number keys, the others string keys. */
export const TABLES = ['meta', 'journal', 'alerts', 'keys', 'states', 'redo', 'docs'] as const;
export type Table = (typeof TABLES)[number];
export type DiskKey = string | number;

/** One change; without a value the row goes. */
export interface DiskOp {
  readonly table: Table;
  readonly key: DiskKey;
  readonly value: Uint8Array | undefined;
}

export interface DiskRow {
  readonly key: DiskKey;
  readonly value: Uint8Array;
}

/**
 * What the embedded store needs of a disk: synchronous reads of what is committed, and one atomic, durable write at a time.
 * Kept apart from LMDB so that tests can make commits fail, and so that the engine stays free of native code.
 */
export interface Disk {
  /** A private copy of the value. */
  get(table: Table, key: DiskKey): Uint8Array | undefined;
  /** Rows with key >= `start`, in key order, at most `limit`. */
  range(table: Table, start: DiskKey, limit: number): DiskRow[];
  /** All of `ops`, in order, or none. Resolves when they would survive a power cut. The caller waits before it commits again. */
  commit(ops: readonly DiskOp[]): Promise<void>;
  /** Size of the files, in bytes. */
  bytes(): number;
  close(): Promise<void>;
}

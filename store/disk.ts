/**
 * The ordered tables of an embedded store. `journal`, `alerts` and `redo` have number keys, the others string keys. `rebuilt` is for states that are being made anew
 * (`rebuild.ts`).
 */
export const TABLES = ['meta', 'journal', 'alerts', 'keys', 'states', 'rebuilt', 'redo', 'docs'] as const;
/** Where in `meta` it stands how far a rebuild has come, as long as `rebuilt` holds states that the next one may go on with. */
export const REBUILD_KEY = 'rebuild';
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
  /** `commit` of `ops`, and in the same step `rebuilt` and `states` change places. */
  swapStates(ops: readonly DiskOp[]): Promise<void>;
  /** Every row goes, some at a time: a process that ends meanwhile leaves a part. */
  clear(table: Table): Promise<void>;
  /** Size of the files, in bytes. */
  bytes(): number;
  close(): Promise<void>;
}

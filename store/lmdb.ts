import { randomUUID } from 'node:crypto';
import { existsSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { GatehouseError } from '../contracts/errors.ts';
import type { RetentionPolicy, StateCodec, Store } from './contract.ts';
import { type Disk, type DiskKey, type DiskOp, type DiskRow, TABLES, type Table } from './disk.ts';
import { openEmbedded } from './embedded.ts';
import { type JournalReader, openJournal } from './journal.ts';
import { type FolderLock, lockFolder } from './lock.ts';
import { openRebuild, type RebuildOptions, type StatesRebuild } from './rebuild.ts';

/** Decoded states kept in memory: about 100 MB with states of half a kilobyte. */
const CACHE_ENTRIES_MAX = 200_000;
/** Writes that may wait for the disk: a second of the fastest ingest, and about 50 MB. */
const PENDING_UNITS_MAX = 60_000;
/** What LMDB (MDB_MAP_FULL) and the system (ENOSPC, EDQUOT, EFBIG) say when there is no room. */
const NO_ROOM = new Set<unknown>([-30792, 28, 122, 27, 'ENOSPC', 'EDQUOT', 'EFBIG']);

/** LMDB reports a write cut short by a full disk as EIO; with less free space than this it is the space and not the disk. */
const FREE_BYTES_LOW = 16 * 1024 * 1024;

/** There while the tables of states have changed places. LMDB cannot rename a table. */
const SWAPPED = 'states_swapped';

export interface LmdbStoreOptions<S> {
  /** The folder that the store has for itself. It is created if need be. */
  readonly path: string;
  readonly codec: StateCodec<S>;
  readonly retention: RetentionPolicy;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly cacheEntriesMax?: number;
  readonly pendingUnitsMax?: number;
  readonly newEpoch?: () => string;
}

/**
 * Open the embedded store, for this process alone. A write's promise resolves after LMDB has synced the commit that holds it.
 * Throws `store_locked`, `data_dir_unwritable` or `store_incompatible`.
 */
export async function openLmdbStore<S>(options: LmdbStoreOptions<S>): Promise<Store<S>> {
  const lock = await lockFolder(options.path);
  let disk: LmdbDisk | undefined;
  try {
    disk = new LmdbDisk(options.path, lock);
    return await openEmbedded(disk, {
      codec: options.codec,
      retention: options.retention,
      clock: options.clock ?? Date.now,
      cacheEntriesMax: options.cacheEntriesMax ?? CACHE_ENTRIES_MAX,
      pendingUnitsMax: options.pendingUnitsMax ?? PENDING_UNITS_MAX,
      newEpoch: options.newEpoch ?? randomUUID,
    });
  } catch (error) {
    if (disk) await disk.close();
    else lock.release();
    throw error;
  }
}

/**
 * Open what an embedded store has committed, to read alone: beside the process that has the store, and without disturbing it. Throws
 * `input_unreadable` where there is no store.
 */
export function openLmdbJournal(path: string): JournalReader {
  if (!existsSync(join(path, 'data.mdb'))) throw new GatehouseError('input_unreadable', `there is no store in ${path}`);
  return openJournal(new LmdbDisk(path));
}

/**
 * Open an embedded store to make its states anew, for this process alone. Throws `input_unreadable` where there is no store, `store_locked` while a gateway has it,
 * `data_dir_unwritable` or `store_incompatible`.
 */
export async function openLmdbRebuild<S>(path: string, options: RebuildOptions<S>): Promise<StatesRebuild<S>> {
  if (!existsSync(join(path, 'data.mdb'))) throw new GatehouseError('input_unreadable', `there is no store in ${path}`);
  const lock = await lockFolder(path);
  let disk: LmdbDisk | undefined;
  try {
    disk = new LmdbDisk(path, lock);
    return await openRebuild(disk, options);
  } catch (error) {
    if (disk) await disk.close();
    else lock.release();
    throw error;
  }
}

class LmdbDisk implements Disk {
  readonly #path: string;
  /** None: it only reads. */
  readonly #lock: FolderLock | undefined;
  readonly #root: RootDatabase<Buffer, DiskKey>;
  readonly #tables: Record<Table, Database<Buffer, DiskKey>>;
  /** Whether the states stand in the table that is called `rebuilt` on the disk. */
  #swapped: boolean;

  constructor(path: string, lock?: FolderLock) {
    this.#path = path;
    this.#lock = lock;
    try {
      this.#root = open<Buffer, DiskKey>({
        path,
        noSubdir: false,
        readOnly: lock === undefined,
        maxDbs: TABLES.length,
        encoding: 'binary',
        // With overlapping sync a write's promise resolves before the sync, and a failed sync is only logged. Without it the commit itself
        // syncs, and its error rejects the promise.
        overlappingSync: false,
        // Each commit is one explicit batch. The implicit batch of an event turn would add a promise of its own that nobody can catch.
        eventTurnBatching: false,
      });
      // Who only reads cannot make a table that an older version has not made yet, and asks for no states.
      const names = TABLES.filter((name) => lock !== undefined || name !== 'rebuilt');
      this.#tables = Object.fromEntries(names.map((name) => [name, this.#root.openDB<Buffer, DiskKey>(name, { encoding: 'binary' })])) as Record<
        Table,
        Database<Buffer, DiskKey>
      >;
      this.#swapped = this.get('meta', SWAPPED) !== undefined;
      if (this.#swapped) this.#swap();
    } catch (cause) {
      throw asStoreError(cause, `LMDB cannot open ${path}`, path);
    }
  }

  get(table: Table, key: DiskKey): Uint8Array | undefined {
    return this.#tables[table].getBinary(key);
  }

  range(table: Table, start: DiskKey, limit: number): DiskRow[] {
    const rows: DiskRow[] = [];
    if (limit <= 0) return rows;
    // LMDB has no empty key; without a start it begins at the first one.
    for (const row of this.#tables[table].getRange({ limit, ...(start === '' ? {} : { start }) })) rows.push({ key: row.key, value: row.value });
    return rows;
  }

  async commit(ops: readonly DiskOp[]): Promise<void> {
    if (!this.#lock?.held()) throw new GatehouseError('store_unavailable', 'another process has taken the data folder');
    try {
      await this.#root.batch(() => {
        for (const { table, key, value } of ops) {
          if (value === undefined) this.#tables[table].remove(key);
          else this.#tables[table].put(key, value as Buffer);
        }
      });
    } catch (error) {
      throw asStoreError(await commitCause(error), 'LMDB could not commit', this.#path);
    }
  }

  async swapStates(ops: readonly DiskOp[]): Promise<void> {
    await this.commit([...ops, { table: 'meta', key: SWAPPED, value: this.#swapped ? undefined : Buffer.of(1) }]);
    this.#swapped = !this.#swapped;
    this.#swap();
  }

  async clear(table: Table): Promise<void> {
    try {
      await this.#tables[table].clearAsync();
    } catch (error) {
      throw asStoreError(await commitCause(error), `LMDB could not clear ${table}`, this.#path);
    }
  }

  #swap(): void {
    const { states, rebuilt } = this.#tables;
    this.#tables.states = rebuilt;
    this.#tables.rebuilt = states;
  }

  bytes(): number {
    return statSync(join(this.#path, 'data.mdb')).size;
  }

  async close(): Promise<void> {
    await this.#root.close();
    this.#lock?.release();
  }
}

/** LMDB rejects with a general error whose `commitError` is a promise that rejects with the reason. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

function asStoreError(cause: unknown, what: string, path: string): GatehouseError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const why = cause instanceof Error ? cause.message : String(cause);
  const { bavail, bsize } = statfsSync(path);
  const full = NO_ROOM.has(code) || bavail * bsize < FREE_BYTES_LOW;
  return new GatehouseError(full ? 'store_full' : 'store_unavailable', `${what}: ${why}`, { cause });
}

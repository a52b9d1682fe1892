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

/** Decoded states kept in memory: about 100 MB with states of half a kilobyte. */
const CACHE_ENTRIES_MAX = 200_000;
/** Writes that may wait for the disk: a second of the fastest ingest, and about 50 MB. */
const PENDING_UNITS_MAX = 60_000;
/** What LMDB (MDB_MAP_FULL) and the system (ENOSPC, EDQUOT, EFBIG) say when there is no room. */
const NO_ROOM = new Set<unknown>([-30792, 28, 122, 27, 'ENOSPC', 'EDQUOT', 'EFBIG']);

/** LMDB reports a write cut short by a full disk as EIO; with less free space than this it is the space and not the disk. */
const FREE_BYTES_LOW = 16 * 1024 * 1024;

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

class LmdbDisk implements Disk {
  readonly #path: string;
  /** None: it only reads. */
  readonly #lock: FolderLock | undefined;
  readonly #root: RootDatabase<Buffer, DiskKey>;
  readonly #tables: Record<Table, Database<Buffer, DiskKey>>;

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
      this.#tables = Object.fromEntries(TABLES.map((name) => [name, this.#root.openDB<Buffer, DiskKey>(name, { encoding: 'binary' })])) as Record<
        Table,
        Database<Buffer, DiskKey>
      >;
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

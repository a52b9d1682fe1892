import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Disk, DiskKey } from './disk.ts';
import { keyRecordAtMs, stateTouchedMs } from './values.ts';

/** Rows looked at or removed before the event loop gets its turn: about 2 ms of work. */
const SLICE_ROWS = 1_000;
/** Rows looked at or removed by one call, so that it ends; the next call goes on where it stopped. */
const CALL_ROWS_MAX = 100_000;
/**
 * Rows looked at by a call that finds none to remove. Looking at all of them each time kept a tenth of a core busy for nothing; called every
 * 5 seconds, this still goes through 80 million rows a day in 0.2 % of a core.
 */
const VAIN_ROWS_MAX = 5_000;

export interface PurgeHooks {
  /** Rows of the table that a write on its way to the disk has set anew, so that they must stay. */
  inFlight(table: 'keys' | 'states'): ReadonlySet<DiskKey>;
  /** Remove rows with the next commit; resolves when they are gone. */
  remove(table: 'journal' | 'alerts' | 'keys' | 'states', keys: readonly DiskKey[]): Promise<void>;
}

/** Removes what retention no longer covers, a slice at a time. */
export class Purger {
  readonly #disk: Disk;
  readonly #hooks: PurgeHooks;
  /** Where the next scan of a table begins. */
  readonly #cursors = { keys: '', states: '' };

  constructor(disk: Disk, hooks: PurgeHooks) {
    this.#disk = disk;
    this.#hooks = hooks;
  }

  /** Remove the log records `first` to `last`; returns how many went. */
  async trim(table: 'journal' | 'alerts', first: number, last: number): Promise<number> {
    const end = Math.min(last, first + CALL_ROWS_MAX - 1);
    for (let at = first; at <= end; at += SLICE_ROWS) {
      const count = Math.min(SLICE_ROWS, end - at + 1);
      await this.#hooks.remove(
        table,
        Array.from({ length: count }, (_, i) => at + i),
      );
    }
    return Math.max(0, end - first + 1);
  }

  /** Remove rows last touched before `beforeMs`; returns how many went. */
  async expire(table: 'keys' | 'states', beforeMs: number): Promise<number> {
    const atMs = table === 'keys' ? keyRecordAtMs : stateTouchedMs;
    let gone = 0;
    for (let seen = 0; seen < (gone > 0 ? CALL_ROWS_MAX : VAIN_ROWS_MAX); seen += SLICE_ROWS) {
      const rows = this.#disk.range(table, this.#cursors[table], SLICE_ROWS);
      const stay = this.#hooks.inFlight(table);
      const old = rows.filter(({ key, value }) => atMs(value) < beforeMs && !stay.has(key)).map(({ key }) => key);
      const last = rows.at(-1);
      this.#cursors[table] = rows.length < SLICE_ROWS || last === undefined ? '' : `${last.key}\u0000`;
      gone += old.length;
      if (old.length > 0) await this.#hooks.remove(table, old);
      if (this.#cursors[table] === '') break;
      await nextTurn();
    }
    return gone;
  }
}

import { GatehouseError } from '../contracts/errors.ts';
import type { DocChange, EntityRef, StateCodec } from './contract.ts';
import { type Disk, type DiskOp, REBUILD_KEY } from './disk.ts';
import { takeOver } from './embedded.ts';
import { stateKey } from './entity-states.ts';
import { type JournalReader, openJournal } from './journal.ts';
import { docKey } from './keys.ts';
import { decodeValue, encodeValue, packDoc, STATE_HEADER_BYTES, stateRow, stateTouchedMs } from './values.ts';

/** Changed states that are written at once: some 10 MB, so that a commit takes well under a second and stopping loses little. */
const FLUSH_STATES = 20_000;
/** Rows of the redo log looked at in one go. */
const READ_SLICE = 64;

export interface RebuildOptions<S> {
  readonly codec: StateCodec<S>;
  readonly stateTtlMs: number;
  /** Decoded states kept in memory. */
  readonly cacheEntriesMax: number;
  /** Changed states that are written at once; FLUSH_STATES where absent. */
  readonly flushStates?: number;
}

/** How far a rebuild has come, written with the states that it has come to. */
export interface RebuildProgress {
  /** What the states are made for. */
  readonly of: string;
  /** Newest journal record that is in them. */
  readonly offset: number;
  /** The time that it is in the journal there. */
  readonly clockMs: number;
  readonly states: number;
}

interface Entry<S> {
  state: S | undefined;
  touchedMs: number;
  changed: boolean;
}

/**
 * States made anew in a table of their own, beside those in force, by whoever reads the journal:
 *
 *   states   [ in force, and the redo log over them ]        states   [ made anew ]
 *   rebuilt  [ made so far | progress ]               swap   rebuilt  [ goes ]
 *
 * The swap is one commit. A process that ends before it leaves what was in force, and where to go on; one that ends after it leaves the new ones, and rows that the next
 * rebuild clears.
 */
export class StatesRebuild<S> {
  readonly journal: JournalReader;
  readonly #disk: Disk;
  readonly #options: RebuildOptions<S>;
  readonly #cache = new Map<string, Entry<S>>();
  #changed: string[] = [];
  #progress: RebuildProgress = { of: '', offset: 0, clockMs: 0, states: 0 };
  #states = 0;

  /** Use `openRebuild`. */
  constructor(disk: Disk, options: RebuildOptions<S>) {
    this.#disk = disk;
    this.#options = options;
    this.journal = openJournal(disk);
  }

  /** Where an earlier rebuild for the same stopped; at offset 0 where none did. */
  progress(of: string): RebuildProgress {
    const bytes = this.#disk.get('meta', REBUILD_KEY);
    const found = bytes && (decodeValue(bytes) as RebuildProgress);
    return found?.of === of ? found : { of, offset: 0, clockMs: 0, states: 0 };
  }

  /** Goes on from there; at offset 0 with nothing. */
  async begin(progress: RebuildProgress): Promise<void> {
    this.#cache.clear();
    this.#changed = [];
    this.#progress = progress;
    this.#states = progress.states;
    if (progress.offset > 0) return;
    await this.#disk.commit([{ table: 'meta', key: REBUILD_KEY, value: undefined }]);
    await this.#disk.clear('rebuilt');
  }

  /** Brings one entity forward, at a time of the journal that never goes back. `apply` as that of a `Unit`. */
  bring(ref: EntityRef, clockMs: number, apply: (state: S | undefined) => S): void {
    const key = stateKey(ref.kind, ref.id);
    const entry = this.#entry(key);
    entry.state = apply(entry.touchedMs >= clockMs - this.#options.stateTtlMs ? entry.state : undefined);
    entry.touchedMs = clockMs;
    if (entry.changed) return;
    entry.changed = true;
    this.#changed.push(key);
  }

  /** Whether enough has changed to be written. */
  get full(): boolean {
    return this.#changed.length >= (this.#options.flushStates ?? FLUSH_STATES);
  }

  /** Writes what has changed, as the states after the journal record `offset`. */
  async flush(offset: number, clockMs: number): Promise<void> {
    this.#progress = { ...this.#progress, offset, clockMs, states: this.#states };
    const ops: DiskOp[] = this.#changed.map((key) => {
      const entry = this.#cache.get(key)!;
      entry.changed = false;
      return { table: 'rebuilt', key, value: stateRow(entry.touchedMs, this.#options.codec.encodeShared(entry.state!)) };
    });
    this.#changed = [];
    await this.#disk.commit([...ops, { table: 'meta', key: REBUILD_KEY, value: encodeValue(this.#progress) }]);
    for (const key of this.#cache.keys()) {
      if (this.#cache.size <= this.#options.cacheEntriesMax) break;
      this.#cache.delete(key);
    }
  }

  /** The states that were flushed take the place of those in force, together with `changes`; returns how many they are. */
  async swap(changes: readonly DocChange[]): Promise<number> {
    const ops: DiskOp[] = changes.map(({ collection, id, value }) => ({
      table: 'docs',
      key: docKey(collection, id),
      value: value === undefined ? undefined : Uint8Array.from(packDoc(id, value)),
    }));
    for (let start = 0; ; ) {
      const rows = this.#disk.range('redo', start, READ_SLICE);
      for (const { key } of rows) ops.push({ table: 'redo', key, value: undefined });
      if (rows.length < READ_SLICE) break;
      start = Number(rows.at(-1)!.key) + 1;
    }
    await this.#disk.swapStates([...ops, { table: 'meta', key: REBUILD_KEY, value: undefined }]);
    await this.#disk.clear('rebuilt');
    return this.#states;
  }

  close(): Promise<void> {
    return this.#disk.close();
  }

  #entry(key: string): Entry<S> {
    const known = this.#cache.get(key);
    if (known) return known;
    const row = this.#disk.get('rebuilt', key);
    const entry: Entry<S> =
      row === undefined
        ? { state: undefined, touchedMs: 0, changed: false }
        : { state: this.#options.codec.decode(row.subarray(STATE_HEADER_BYTES)), touchedMs: stateTouchedMs(row), changed: false };
    if (row === undefined) this.#states++;
    this.#cache.set(key, entry);
    return entry;
  }
}

/** Throws `input_unreadable` and `store_incompatible`. */
export async function openRebuild<S>(disk: Disk, options: RebuildOptions<S>): Promise<StatesRebuild<S>> {
  const format = disk.get('meta', 'format');
  if (format === undefined) throw new GatehouseError('input_unreadable', 'there is no store here');
  await takeOver(disk, format);
  return new StatesRebuild(disk, options);
}

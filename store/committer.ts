import { GatehouseError } from '../contracts/errors.ts';
import { Batch } from './batch.ts';
import type { Disk, DiskKey, DiskOp, Table } from './disk.ts';

/**
 * A batch is sealed at this many units even while the disk is busy, so that encoding it stays a matter of milliseconds
 * (two small states a unit at about 1 us each).
 */
const BATCH_UNITS_MAX = 2_048;
/** A commit that takes longer than this has hung (a dead disk): its writers are told, and the store stops taking writes. */
const COMMIT_TIMEOUT_MS = 30_000;
/**
 * How long changes that nobody waits for may stay in memory alone. A payment is written in two steps of which only the second is waited for: begun at once, the
 * commit of the first would hold up the second for a whole sync.
 */
const LAZY_COMMIT_MS = 5;
export interface CommitterHooks<S> {
  /** Turn everything in the batch into `ops`. */
  seal(batch: Batch<S>): void;
  committed(batches: readonly Batch<S>[]): void;
  /** These are lost, and nothing else is pending: forget what they changed. */
  lost(batches: readonly Batch<S>[]): void;
}

/**
 * Group commit. Writers change memory and join the open batch at once; one commit runs at a time and takes all that was sealed meanwhile.
 *
 *   join -> open --seal--> sealed, sealed, ... --pump--> committing -> durable
 *
 * It begins with the end of the turn in which somebody asked to wait, and otherwise after LAZY_COMMIT_MS.
 *
 * When a commit fails, everything behind it was built on it, so all of it is lost together and memory goes back to what the disk has.
 */
export class Committer<S> {
  readonly #disk: Disk;
  readonly #hooks: CommitterHooks<S>;
  readonly #unitsMax: number;
  #open: Batch<S> = new Batch(1);
  #sealed: Batch<S>[] = [];
  #committing: Batch<S>[] = [];
  #scheduled = false;
  #lazy: NodeJS.Timeout | undefined;
  #hung = false;
  /** Id of the newest batch that is durable. */
  durableId = 0;
  pendingUnits = 0;
  commits = 0;
  failures = 0;

  constructor(disk: Disk, pendingUnitsMax: number, hooks: CommitterHooks<S>) {
    this.#disk = disk;
    this.#unitsMax = pendingUnitsMax;
    this.#hooks = hooks;
  }

  /** The batch that changes go to now. Throws `overloaded` when `units` more don't fit, `store_unavailable` when the disk hangs. */
  join(units: number): Batch<S> {
    if (this.#hung) throw new GatehouseError('store_unavailable', 'the disk stopped answering; restart when it works again');
    if (this.pendingUnits + units > this.#unitsMax) {
      throw new GatehouseError('overloaded', `${this.pendingUnits} writes wait for the disk; the limit is ${this.#unitsMax}`);
    }
    this.#scheduleLazily();
    return this.#open;
  }

  /** Resolves when the batch is durable; rejects when it is lost. */
  wait(batch: Batch<S>): Promise<void> {
    batch.waiters++;
    this.#schedule();
    return batch.done;
  }

  count(batch: Batch<S>, units: number): void {
    batch.units += units;
    this.pendingUnits += units;
    if (batch.units < BATCH_UNITS_MAX || batch !== this.#open) return;
    this.#seal();
    this.#schedule();
  }

  /** Resolves when everything accepted so far is durable; rejects when some of it is lost. */
  barrier(): Promise<void> {
    if (!this.#open.empty) return this.wait(this.#open);
    return (this.#sealed.at(-1) ?? this.#committing.at(-1))?.done ?? Promise.resolve();
  }

  /** Resolves when everything accepted so far is durable or lost: then the disk tells the whole truth. */
  settled(): Promise<void> {
    return this.barrier().catch(() => undefined);
  }

  /** Keys of a table that sealed batches set. */
  inFlight(table: Table): ReadonlySet<DiskKey> {
    const keys = new Set<DiskKey>();
    for (const batch of [...this.#committing, ...this.#sealed]) {
      for (const op of batch.ops) if (op.table === table && op.value !== undefined) keys.add(op.key);
    }
    return keys;
  }

  #schedule(): void {
    if (this.#scheduled || this.#committing.length > 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      void this.#pump();
    });
  }

  #scheduleLazily(): void {
    if (this.#lazy !== undefined || this.#scheduled || this.#committing.length > 0) return;
    this.#lazy = setTimeout(() => void this.#pump(), LAZY_COMMIT_MS);
  }

  #seal(): void {
    const batch = this.#open;
    this.#hooks.seal(batch);
    this.#sealed.push(batch);
    this.#open = new Batch(batch.id + 1);
  }

  async #pump(): Promise<void> {
    if (this.#committing.length > 0 || this.#hung) return;
    clearTimeout(this.#lazy);
    this.#lazy = undefined;
    if (!this.#open.empty) this.#seal();
    if (this.#sealed.length === 0) return;
    const batches = this.#sealed;
    this.#sealed = [];
    this.#committing = batches;
    try {
      await this.#commit(batches.length === 1 && batches[0] ? batches[0].ops : batches.flatMap((batch) => batch.ops));
    } catch (cause) {
      this.#lose(cause);
      return;
    }
    this.commits++;
    this.#committing = [];
    for (const batch of batches) {
      this.durableId = batch.id;
      this.pendingUnits -= batch.units;
    }
    this.#hooks.committed(batches);
    for (const batch of batches) batch.resolve();
    if (this.#sealed.length > 0 || this.#open.waiters > 0) this.#schedule();
    else if (!this.#open.empty) this.#scheduleLazily();
  }

  async #commit(ops: readonly DiskOp[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#hung = true;
        reject(new GatehouseError('store_unavailable', `the disk did not finish a commit in ${COMMIT_TIMEOUT_MS} ms`));
      }, COMMIT_TIMEOUT_MS);
    });
    try {
      await Promise.race([this.#disk.commit(ops), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #lose(cause: unknown): void {
    const error = cause instanceof GatehouseError ? cause : new GatehouseError('store_unavailable', 'the commit failed', { cause });
    const batches = [...this.#committing, ...this.#sealed, this.#open];
    this.failures++;
    this.#committing = [];
    this.#sealed = [];
    this.#open = new Batch(this.#open.id + 1);
    this.pendingUnits = 0;
    this.#hooks.lost(batches);
    for (const batch of batches) batch.reject(error);
  }
}

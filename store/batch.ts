import type { AlertRecord } from './contract.ts';
import type { DiskOp } from './disk.ts';
import type { RedoStep } from './redo.ts';
import type { CacheEntry } from './state-cache.ts';
import type { KeyRecord } from './values.ts';

/** Where the logs stand. Kept with every batch, so that an emptied journal goes on counting. */
export interface LogPositions {
  journalFirst: number;
  journalLast: number;
  alertsFirst: number;
  alertsLast: number;
}

/** A unit's key record that isn't on disk yet, with the last batch that changed it. */
export interface PendingKey extends KeyRecord {
  readonly key: string;
  answer: Uint8Array | undefined;
  batch: number;
}

/** Changes that become durable together. Open until it is sealed, which turns everything into `ops`; nothing joins it after that. */
export class Batch<S> {
  readonly id: number;
  readonly ops: DiskOp[] = [];
  /** Entries whose state it changed, each once: those whose `batch` is its id. */
  readonly dirty: CacheEntry<S>[] = [];
  /** Records that it changed, each once: those whose `batch` is its id. */
  readonly keys: PendingKey[] = [];
  readonly docs = new Set<string>();
  readonly alerts: AlertRecord[] = [];
  /** Resolves when the batch is durable, rejects when it is lost. */
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  units = 0;
  /** Those who asked to be told when it is durable. */
  waiters = 0;
  positions: LogPositions | undefined;
  /** Write all states to their rows with this batch. */
  flushStates = false;
  /** What it does to the redo log once it is durable. */
  redo: RedoStep | undefined;

  constructor(id: number) {
    this.id = id;
    let settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
    this.done = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    if (settle === undefined) throw new Error('a promise executor runs at once');
    ({ resolve: this.resolve, reject: this.reject } = settle);
    // A batch that only non-durable writes joined has nobody waiting; its loss is counted by the store.
    this.done.catch(() => undefined);
  }

  get empty(): boolean {
    return this.ops.length === 0 && this.dirty.length === 0 && this.keys.length === 0 && !this.flushStates;
  }
}

const SLAB_BYTES = 256 * 1024;

/**
 * Copies values into large buffers. LMDB looks up the address of each buffer that it has not seen, which costs more than the copy,
 * and one slab serves a thousand values.
 */
export class Slabs {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;

  copy(bytes: Uint8Array): Uint8Array {
    const out = this.take(bytes.length);
    out.set(bytes);
    return out;
  }

  /** A fresh piece with unspecified content. */
  take(length: number): Buffer {
    if (length > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(length);
    if (this.#used + length > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const out = this.#slab.subarray(this.#used, this.#used + length);
    this.#used += length;
    return out;
  }
}

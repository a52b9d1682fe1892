import type { DocChange, Store } from '../store/contract.ts';
import type { Metrics } from './metrics.ts';

/** What this room needs of a pino logger. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface AdminChange {
  /** Who did it: a principal's id, never a key. */
  readonly actor: string;
  /** `noun.verb`, such as `bundle.activate`. */
  readonly action: string;
  /** What was changed; no secrets. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Journals what operators change, so that "who did this, and when?" always has an answer. */
export interface Audit {
  /**
   * Append the change to the journal, with the document changes it stands for in the same step, then log and count it. Resolves when it is
   * durable; rejects with the store's errors, and then nothing was written.
   */
  record(change: AdminChange, documents?: readonly DocChange[]): Promise<void>;
}

export function createAudit(options: {
  readonly store: Pick<Store<never>, 'write'>;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'counter'>;
  readonly now: () => number;
}): Audit {
  const { store, log, metrics, now } = options;
  return {
    async record({ actor, action, detail }, documents = []) {
      await store.write([{ kind: 'admin', at_ms: now(), actor, action, detail: { ...detail } }], documents);
      log.info({ actor, action, detail }, 'admin change');
      metrics.counter('adminChanges', action).inc();
    },
  };
}
